"""
Values to plain values, fast: compiled functions that make the dict which cattrs would make.

A writer never refuses. What is not exactly of the types that its class names, and bytes and free
JSON, it leaves to ``shapes.py``, whose converter says what is wrong. So the stored bytes are the
same whoever wrote them (``tests/codec/test_writers.py``).
"""

from collections.abc import Callable
from enum import Enum
from functools import lru_cache
from types import NoneType, UnionType
from typing import Final, NoReturn, TypeAlias, Union, cast, get_args, get_origin, get_type_hints

import attrs

from lash_es.codec.wire_names import UNION_TAGS
from lash_es.core.makers import compiled

Writer: TypeAlias = Callable[[object], dict[str, object]]

WRITERS_MAX: Final = 256
_EXACT: Final = frozenset[object]({int, str, bool})


class NotWritten(Exception):
    """A value is left to cattrs."""


def _writer(kind: object, tag: str | None) -> Writer:
    if not isinstance(kind, type) or not attrs.has(kind):
        return _left
    names: dict[str, object] = {"left": _left}
    fields = {
        field: _expression(hint, f"value.{field}", names)
        for field, hint in get_type_hints(kind).items()
    }
    if tag is not None:
        fields["kind"] = repr(tag)
    pairs = ", ".join(f"{field!r}: {value}" for field, value in sorted(fields.items()))
    source = (
        "def make(value):\n"
        "    if value.__class__ is not kind:\n        left(value)\n"
        f"    return {{{pairs}}}\n"
    )
    return cast("Writer", compiled(source, kind, names))


writer: Final = cast(
    "Callable[[object, str | None], Writer]", lru_cache(maxsize=WRITERS_MAX)(_writer)
)
"""Returns what writes values of a class, with its tag in a union; compiled at the first one."""


def _left(_: object) -> NoReturn:
    raise NotWritten


def _expression(hint: object, source: str, names: dict[str, object]) -> str:
    """Write what turns the value ``source`` of type ``hint`` into a plain one."""
    hint = getattr(hint, "__supertype__", hint)
    if get_origin(hint) in (Union, UnionType):
        return _one_of(get_args(hint), source, names)
    if get_origin(hint) is tuple:
        each = _expression(get_args(hint)[0], "each", names)
        return _exactly("tuple", source, f"[{each} for each in {source}]")
    if not isinstance(hint, type):
        return f"left({source})"
    name = hint.__name__
    if hint in _EXACT:
        return _exactly(name, source, source)
    if issubclass(hint, Enum):
        names[name] = hint
        return _exactly(name, source, f"{source}.value")
    names[f"write_{name}"] = writer(cast("object", hint), None)
    return f"write_{name}({source})"


def _one_of(kinds: tuple[object, ...], source: str, names: dict[str, object]) -> str:
    others = [each for each in kinds if each is not NoneType]
    if len(others) == 1:
        value = _expression(others[0], source, names)
    else:
        tagged = {each: tag for each, tag in UNION_TAGS.items() if each in others}
        name = "write_" + "_or_".join(each.__name__ for each in tagged)
        names[name] = {each: writer(each, tag) for each, tag in tagged.items()}
        value = f"{name}.get({source}.__class__, left)({source})"
    return f"(None if {source} is None else {value})" if NoneType in kinds else value


def _exactly(kind: str, source: str, value: str) -> str:
    return f"({value} if {source}.__class__ is {kind} else left({source}))"
