"""
The comparison language of ``bisect --when``: is something so in a state, after a fact?

::

    condition  = all {"or" all}              all   = one {"and" one}
    one        = "not" one | "(" condition ")" | operand [relation operand]
    relation   = "==" | "!=" | "<" | "<=" | ">" | ">=" | "in"
    operand    = number | "text" | true | false | none | count(path) | path

A path leads into the state (``paths.py``) or, after ``event.``, into the fact: ``event.name`` is
its wire name, ``event.turn_id`` one of its fields. ``none`` is what is not there, and what is
``None``. Things of different kinds are never less or more; an operand by itself is true if it is
there and is neither false, 0 nor empty. Nothing is evaluated but this; no name reaches Python.
"""

import json
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar, Final, TypeAlias, cast

from attrs import define, field, frozen

from lash_es.codec.wire_names import EVENT_NAMES
from lash_es.core.errors import LashError
from lash_es.core.events import Event
from lash_es.core.state import State
from lash_es.timetravel.paths import Missing, Plain, StatePath, plain

CHARS_MAX: Final = 2_000
DEPTH_MAX: Final = 40

Test: TypeAlias = Callable[[State, Event], bool]
Operand: TypeAlias = Callable[[State, Event], Plain]

_TOKEN: Final = re.compile(
    r"""\s*(?:
        (?P<relation>==|!=|<=|>=|<|>)
      | (?P<bracket>[()])
      | (?P<path>[A-Za-z_][\w:/@+-]*(?:\.(?:"(?:[^"\\]|\\.)+"|[\w:/@+-]+))*)
      | (?P<number>-?\d+)
      | (?P<text>"(?:[^"\\]|\\.)*")
    )""",
    re.VERBOSE | re.ASCII,
)
_ORDERS: Final[Mapping[str, Callable[..., bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_WORDS: Final[Mapping[str, Plain]] = {"true": True, "false": False, "none": None}
_EVENT: Final = "event"
_NAME: Final = "name"


@define(kw_only=True)
class MalformedCondition(LashError):
    """The text is no condition; ``column`` counts from 1."""

    text: str
    column: int
    expected: str
    terminal_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        return f"no condition {self.text!r}: at column {self.column}, expected {self.expected}"


@frozen(eq=False)
class Condition:
    """Something that is so after a fact, or not."""

    text: str
    _test: Test = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> "Condition":
        """
        Read a condition, and check its paths.

        Raises:
            MalformedCondition: it is none, or too long.
            UnknownPath: no state and no fact has such a path.
        """
        if len(text) > CHARS_MAX:
            raise MalformedCondition(
                text=f"{text[:40]}...", column=CHARS_MAX, expected=f"{CHARS_MAX} letters at most"
            )
        parser = _Parser(text=text, tokens=tuple(_tokens(text)))
        test = parser.condition(0)
        parser.require_end()
        return cls(text, test)

    def holds(self, state: State, event: Event) -> bool:
        """Tell whether it is so in the state after a fact."""
        return self._test(state, event)


@frozen(kw_only=True)
class _Token:
    kind: str
    text: str
    column: int


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while text[at:].strip():
        found = _TOKEN.match(text, at)
        if found is None:
            column = at + len(text[at:]) - len(text[at:].lstrip()) + 1
            raise MalformedCondition(text=text, column=column, expected="a name or a value")
        kind = str(found.lastgroup)
        yield _Token(kind=kind, text=found[kind], column=found.start(kind) + 1)
        at = found.end()


@define(kw_only=True)
class _Parser:
    text: str
    tokens: tuple[_Token, ...]
    at: int = 0

    def condition(self, depth: int) -> Test:
        tests = [self._all(depth)]
        while self._take("or"):
            tests.append(self._all(depth))
        return _any_of(tests)

    def _all(self, depth: int) -> Test:
        tests = [self._one(depth)]
        while self._take("and"):
            tests.append(self._one(depth))
        return _all_of(tests)

    def _one(self, depth: int) -> Test:
        if depth > DEPTH_MAX:
            raise self._expected(f"at most {DEPTH_MAX} levels")
        if self._take("not"):
            return _not(self._one(depth + 1))
        if self._take("("):
            inner = self.condition(depth + 1)
            self._require(")")
            return inner
        return self._comparison()

    def _comparison(self) -> Test:
        left = self._operand()
        token = self._peek()
        if token is None or not (token.kind == "relation" or token.text == "in"):
            return _truth(left)
        self.at += 1
        return _relation(token.text, left, self._operand())

    def _operand(self) -> Operand:
        token = self._peek()
        if token is None or token.kind in {"relation", "bracket"}:
            raise self._expected("a path or a value")
        self.at += 1
        if token.kind != "path":
            return _always(self._value(token))
        if token.text in _WORDS:
            return _always(_WORDS[token.text])
        if token.text == "count" and self._take("("):
            counted = self._path()
            self._require(")")
            return _count(counted)
        return _path(token.text)

    def _value(self, token: _Token) -> Plain:
        try:
            return cast("Plain", json.loads(token.text))
        except json.JSONDecodeError:
            self.at -= 1
            raise self._expected("a number or a text, as JSON has them") from None

    def _path(self) -> Operand:
        token = self._peek()
        if token is None or token.kind != "path":
            raise self._expected("a path")
        self.at += 1
        return _path(token.text)

    def _peek(self) -> _Token | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def _take(self, text: str) -> bool:
        token = self._peek()
        if token is None or token.text != text:
            return False
        self.at += 1
        return True

    def _require(self, text: str) -> None:
        if not self._take(text):
            raise self._expected(repr(text))

    def require_end(self) -> None:
        if self._peek() is not None:
            raise self._expected("'and', 'or' or the end")

    def _expected(self, what: str) -> MalformedCondition:
        token = self._peek()
        column = len(self.text) + 1 if token is None else token.column
        return MalformedCondition(text=self.text, column=column, expected=what)


# What the words come to


def _any_of(tests: list[Test]) -> Test:
    return tests[0] if len(tests) == 1 else lambda s, e: any(test(s, e) for test in tests)


def _all_of(tests: list[Test]) -> Test:
    return tests[0] if len(tests) == 1 else lambda s, e: all(test(s, e) for test in tests)


def _not(test: Test) -> Test:
    return lambda state, event: not test(state, event)


def _truth(operand: Operand) -> Test:
    def test(state: State, event: Event) -> bool:
        value = operand(state, event)
        return not isinstance(value, Missing) and bool(value)

    return test


def _always(value: Plain) -> Operand:
    def always(_: State, __: Event) -> Plain:
        return value

    return always


def _count(operand: Operand) -> Operand:
    def count(state: State, event: Event) -> Plain:
        value = operand(state, event)
        return len(value) if isinstance(value, list | dict | str) else 0

    return count


def _relation(relation: str, left: Operand, right: Operand) -> Test:
    compare = _COMPARISONS.get(relation) or _ordered(_ORDERS[relation])
    return lambda state, event: compare(left(state, event), right(state, event))


def _is_equal(one: Plain, other: Plain) -> bool:
    one, other = _or_none(one), _or_none(other)
    # To Python true is 1; to whoever writes a condition it is not.
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def _or_none(value: Plain) -> Plain:
    return None if isinstance(value, Missing) else value


def _is_in(one: Plain, many: Plain) -> bool:
    if isinstance(many, str):
        return isinstance(one, str) and one in many
    return isinstance(many, list | dict) and any(_is_equal(one, each) for each in many)


_COMPARISONS: Final[Mapping[str, Callable[[Plain, Plain], bool]]] = {
    "==": _is_equal,
    "!=": lambda one, other: not _is_equal(one, other),
    "in": _is_in,
}


def _ordered(order: Callable[..., bool]) -> Callable[[Plain, Plain], bool]:
    def compare(one: Plain, other: Plain) -> bool:
        if isinstance(one, bool) or isinstance(other, bool):
            return False
        if isinstance(one, int) and isinstance(other, int):
            return order(one, other)
        return isinstance(one, str) and isinstance(other, str) and order(one, other)

    return compare


def _path(text: str) -> Operand:
    first, _, rest = text.partition(".")
    if first == _EVENT and rest:
        return _event_path(rest)
    path = StatePath.parse(text)
    return lambda state, _: plain(path.of(state))


def _event_path(text: str) -> Operand:
    if text == _NAME:
        return lambda _, event: EVENT_NAMES[type(event)][0]
    path = StatePath.parse_of(text, EVENT_NAMES)
    return lambda _, event: plain(path.of(event))
