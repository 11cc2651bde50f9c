"""
From a long session to a small test: the fewest facts after which something is still so.

Facts are left out as long as all others can still follow and the condition still holds after the
last one. Positions stay (``supposing.py``), so what is left is the same at the same places. The
test holds control data only: whatever people and models said stays in the log. Source: Zeller's
delta debugging, as Hypothesis shrinks.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import takewhile
from typing import ClassVar, Final, TypeVar, cast

from attrs import Factory, define, frozen

from lash_es.codec.canonical import plain_values
from lash_es.codec.errors import UndecodableValue
from lash_es.codec.shapes import from_plain
from lash_es.codec.upcast import upcast
from lash_es.codec.wire_names import EVENT_CLASSES, EVENT_NAMES
from lash_es.core.errors import ImpossibleEvent, LashError
from lash_es.core.events import Event
from lash_es.core.evolve import evolve
from lash_es.core.ids import Position
from lash_es.core.state import NOT_OPENED, State
from lash_es.timetravel.bisecting import first_where
from lash_es.timetravel.expressions import Condition
from lash_es.timetravel.past import Past, Placed
from lash_es.timetravel.supposing import at_version, stored_fields

FACTS_MAX: Final = 20_000
TRIES_MAX: Final = 10_000
SHORT: Final = 8
"""How many facts a turn without tools has, or a little more."""

_T = TypeVar("_T")


@define(kw_only=True)
class NoTestCase(LashError):
    """There is nothing to make a test of."""

    session_id: str
    reason: str
    terminal_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        return f"no test case of session {self.session_id!r}: {self.reason}"


@frozen(kw_only=True)
class MinimalCase:
    """
    Facts after the last of which a condition holds, with the positions they had; of how many they
    were taken, and how often something was left out to see.
    """

    condition: Condition
    facts: tuple[Placed, ...]
    of_count: int
    tries_count: int


def minimal_case(
    past: Past, condition: Condition, on_try: Callable[[int], object] = lambda _: None
) -> MinimalCase:
    """
    Find few facts after which a condition holds, as it did first in a session.

    Args:
        past: the session's, from its first fact on.
        condition: what is to be so.
        on_try: called with how many facts are left, after each that could go.

    Raises:
        NoTestCase: it never holds; or too many facts lead there; or the first were trimmed.

    Cost: a fold of the rest behind what is left out for each try, ``TRIES_MAX`` at most.
    """
    session_id = past.stream.session_id
    if past.oldest:
        raise NoTestCase(session_id=session_id, reason="its first facts were trimmed")
    first = first_where(past, condition)
    if first is None:
        reason = f"{condition.text!r} never holds in its {past.version} facts"
        raise NoTestCase(session_id=session_id, reason=reason)
    if first.facts_count > FACTS_MAX:
        reason = f"{first.facts_count} facts lead there, at most {FACTS_MAX} are tried"
        raise NoTestCase(session_id=session_id, reason=reason)
    steps = past.steps(0, first.position + 1)
    facts = tuple((step.position, step.event) for step in steps)
    tries = _Tries(condition, on_try)
    tries.holds(facts)  # So that no try folds what every one begins with.
    return MinimalCase(
        condition=condition,
        facts=tuple(smallest(facts, tries.holds)),
        of_count=len(facts),
        tries_count=tries.count,
    )


@define
class _Tries:
    """
    Folds what is left, as often as is allowed: from where it is another than what held last.
    """

    condition: Condition
    on_try: Callable[[int], object]
    count: int = 0
    _held: Sequence[Placed] = ()
    _states: list[State] = Factory(lambda: [NOT_OPENED])

    def holds(self, facts: Sequence[Placed]) -> bool:
        """Tell whether all of them can follow, and the condition holds after the last one."""
        if self.count >= TRIES_MAX:
            return False
        self.count += 1
        both = zip(self._held, facts, strict=False)
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] is pair[1], both))
        states = self._states[: shared + 1]
        try:
            for placed in facts[shared:]:
                states.append(_followed(states[-1], placed))
        except ImpossibleEvent:
            return False
        if not self.condition.holds(states[-1], facts[-1][1]):
            return False
        self._held, self._states = facts, states
        self.on_try(len(facts))
        return True


def _followed(state: State, placed: Placed) -> State:
    position, event = placed
    return at_version(evolve(at_version(state, position), event), position + 1)


def smallest(items: Sequence[_T], holds: Callable[[Sequence[_T]], bool]) -> Sequence[_T]:
    """
    Leave out stretches, shorter and shorter, as long as something holds of the rest; in the end no
    single item can go. Short ones are tried from every place on: a turn goes as a whole.
    """
    size = max(1, len(items) // 2)
    while True:
        before, start = len(items), 0
        while start < len(items):
            rest = (*items[:start], *items[start + size :])
            if rest and holds(rest):
                items = rest
            else:
                start += 1 if size <= SHORT else size
        if size > 1:
            size = size - 1 if size <= SHORT else max(SHORT, size // 2)
        elif len(items) == before:
            return items


def after(facts: Iterable[Placed]) -> tuple[State, Event]:
    """
    Fold facts at their positions; returns the last state, and the last fact.

    Raises:
        ImpossibleEvent: one of them cannot follow.
        ValueError: there is none.
    """
    state: State = NOT_OPENED
    last: Event | None = None
    for placed in facts:
        state, last = _followed(state, placed), placed[1]
    if last is None:
        raise ValueError("no facts")
    return state, last


# As text


def written(case: MinimalCase, name: str = "it_is_not_so") -> str:
    """Write a pytest file that fails for as long as the condition holds after these facts."""
    lines = "\n".join(_line(position, event) for position, event in case.facts)
    return f'''"""
{len(case.facts)} facts of {case.of_count}, after the last of which a condition holds.

Made by ``lash-es testcase``. It fails for as long as that is so.
"""

from lash_es.timetravel.expressions import Condition
from lash_es.timetravel.testcases import after, read

CONDITION = {case.condition.text!a}

# A fact a line, at the position that it had. No body is needed: folding reads none.
FACTS = r\'\'\'
{lines}
\'\'\'


def test_{name}() -> None:
    state, last = after(read(FACTS))

    assert not Condition.parse(CONDITION).holds(state, last), CONDITION
'''


def _line(position: Position, event: Event) -> str:
    name, version = EVENT_NAMES[type(event)]
    line = {"position": position, "name": name, "v": version, "data": stored_fields(event)}
    # In a raw text in single quotes nothing but a quote could end it.
    return json.dumps(line, separators=(",", ":")).replace("'", "\\u0027")


def read(text: str) -> Iterator[Placed]:
    """
    Read the facts of a written test.

    Raises:
        UndecodableValue: a line is none that ``written`` has written.
    """
    for line in filter(None, text.splitlines()):
        stored = plain_values(line.encode(), "fact")
        match stored:
            case {"position": int(position), "name": str(name), "v": int(v)}:
                kind, data = EVENT_CLASSES.get(name), stored.get("data")
            case _:
                raise UndecodableValue(what="fact", reason="it has not the parts of one")
        if kind is None or not isinstance(data, dict):
            raise UndecodableValue(what=name, reason="no event has this name")
        current = EVENT_NAMES[kind][1]
        plain = upcast(name, v, cast("dict[str, object]", data), current=current)
        yield Position(position), from_plain(plain, kind, name)
