"""
Paths into a state: ``lease.generation``, ``turn.effects."t1/2".attempt``, ``inputs.pending``.

A path is names with dots between: of fields, of keys, of places in a list counted from 0. What
holds a dot or a blank is put in double quotes. ``kind`` names the member of a union. A path that
no state can have is refused before anything is read; one that this state does not have right now
leads to ``MISSING``.
"""

import json
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping
from enum import Enum
from functools import cache
from types import UnionType
from typing import ClassVar, Final, TypeAlias, Union, cast, get_args, get_origin, get_type_hints

import attrs
from attrs import define, frozen

from lash_es.codec.wire_names import UNION_TAGS
from lash_es.core.errors import LashError
from lash_es.core.heads import UsageKey
from lash_es.core.state import Deleted, NotOpened, Open

Plain: TypeAlias = "bool | int | str | list[Plain] | dict[str, Plain] | Missing | None"
"""What JSON has, and what is not there."""


@frozen
class Missing:
    """There is nothing at this path."""

    def __repr__(self) -> str:
        return "nothing"


MISSING: Final = Missing()

KIND: Final = "kind"
_STATES: Final = (Open, Deleted, NotOpened)
_SEGMENT: Final = re.compile(r'"((?:[^"\\]|\\.)+)"|([A-Za-z0-9_:/@+-]+)')
_TAGS: Final[Mapping[type[object], str]] = {**UNION_TAGS, NotOpened: "not_opened"}


@define(kw_only=True)
class UnknownPath(LashError):
    """No state has such a path, or it is none; ``expected`` can stand where it stopped."""

    path: str
    found: str
    expected: tuple[str, ...]
    terminal_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        expected = ", ".join(self.expected) or "nothing further"
        return f"no path {self.path!r}: found {self.found!r}, expected {expected}"


@frozen
class StatePath:
    """Where something is in a state. No segment is the whole of it."""

    segments: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "StatePath":
        """
        Read a path, and check that a state can have it.

        Raises:
            UnknownPath: it is none, or no state has it.
        """
        return cls.parse_of(text, _STATES)

    @classmethod
    def parse_of(cls, text: str, roots: Iterable[object]) -> "StatePath":
        """Read a path into a value of one of these types; raises as ``parse``."""
        path = cls(tuple(_segments(text)))
        path.require(roots)
        return path

    def require(self, roots: Iterable[object]) -> None:
        """Refuse a path that no value of these types has."""
        kinds = list(roots)
        for segment in self.segments:
            deeper = [each for kind in kinds for each in _below(kind, segment)]
            if not deeper:
                raise UnknownPath(path=str(self), found=segment, expected=_names(kinds))
            kinds = deeper

    def of(self, state: object) -> object:
        """Return what is there, or ``MISSING``. Cost: a step for each segment."""
        found = state
        for segment in self.segments:
            found = _step(found, segment)
        return found

    def __str__(self) -> str:
        return ".".join(map(quoted, self.segments))


def quoted(segment: str) -> str:
    """Write one segment, in quotes where it needs them."""
    whole = _SEGMENT.fullmatch(segment)
    return segment if whole and whole[2] else json.dumps(segment, ensure_ascii=False)


def _segments(text: str) -> Iterator[str]:
    at = 0
    while True:
        found = _SEGMENT.match(text, at)
        if found is None:
            raise UnknownPath(path=text, found=text[at:], expected=("a name",))
        yield found[2] or _unquoted(text, found[0])
        at = found.end()
        if at == len(text):
            return
        if text[at] != ".":
            raise UnknownPath(path=text, found=text[at:], expected=("a dot", "the end"))
        at += 1


def _unquoted(text: str, segment: str) -> str:
    try:
        return cast("str", json.loads(segment))
    except json.JSONDecodeError:
        raise UnknownPath(path=text, found=segment, expected=("a name",)) from None


# Values


def _step(value: object, segment: str) -> object:
    if isinstance(value, Mapping):
        return _entry(cast("Mapping[object, object]", value), segment)
    if isinstance(value, tuple):
        items = cast("tuple[object, ...]", value)
        is_there = segment.isdecimal() and int(segment) < len(items)
        return items[int(segment)] if is_there else MISSING
    if segment == KIND and type(value) in _TAGS:
        return _TAGS[type(value)]
    return (
        getattr(value, segment) if segment in _fields(cast("Hashable", type(value))) else MISSING
    )


def _entry(mapping: Mapping[object, object], segment: str) -> object:
    if segment in mapping:
        return mapping[segment]
    return next((each for key, each in mapping.items() if key_text(key) == segment), MISSING)


@cache
def _fields(kind: Hashable) -> frozenset[str]:
    if not isinstance(kind, type) or not attrs.has(kind):
        return frozenset()
    return frozenset(each.name for each in attrs.fields(kind))


def key_text(key: object) -> str:
    """Write the key of a mapping in a state."""
    return f"{key.source}/{key.model}" if isinstance(key, UsageKey) else str(key)


def plain(value: object) -> Plain:
    """Turn a value out of a state into what JSON has; a member of a union says its ``kind``."""
    if value is MISSING or value is None or isinstance(value, bool | int | str):
        return cast("Plain", value)
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, Mapping):
        items = cast("Mapping[object, object]", value).items()
        return {key_text(key): plain(each) for key, each in items}
    if isinstance(value, tuple | list):
        return [plain(each) for each in cast("Iterable[object]", value)]
    kind: type[object] = type(value)
    if not attrs.has(kind):
        raise TypeError(f"no part of a state: {kind.__name__}")
    found: dict[str, Plain] = {KIND: _TAGS[kind]} if kind in _TAGS else {}
    for each in attrs.fields(kind):
        found[each.name] = plain(getattr(value, each.name))
    return found


def value_text(value: object) -> str:
    """Write a value on one line, as JSON."""
    found = plain(value)
    return repr(found) if isinstance(found, Missing) else json.dumps(found, ensure_ascii=False)


def jsonable(value: object) -> object:
    """Turn a value into what a JSON document holds: what is not there is null."""
    found = plain(value)
    return None if isinstance(found, Missing) else found


# Types


def _below(kind: object, segment: str) -> list[object]:
    """List the types that can be found under a segment of a value of this type."""
    if get_origin(kind) is Mapping:
        return _members(get_args(kind)[1])
    if get_origin(kind) is tuple:
        return _members(get_args(kind)[0]) if segment.isdecimal() else []
    if not isinstance(kind, type) or not attrs.has(kind):
        return []
    if segment == KIND and kind in _TAGS:
        return [str]
    hints = _hints(kind)
    return _members(hints[segment]) if segment in hints else []


@cache
def _hints(kind: type[object]) -> Mapping[str, object]:
    return get_type_hints(kind)


def _members(hint: object) -> list[object]:
    """List what a type may be, looking through unions and new names."""
    hint = getattr(hint, "__supertype__", hint)
    if get_origin(hint) in (Union, UnionType):
        return [each for member in get_args(hint) for each in _members(member)]
    return [hint]


def _names(kinds: Iterable[object]) -> tuple[str, ...]:
    """Name what can stand under values of these types."""
    found: list[str] = []
    for kind in kinds:
        if get_origin(kind) is Mapping:
            found.append("a key")
        elif get_origin(kind) is tuple:
            found.append("a number")
        elif isinstance(kind, type) and attrs.has(kind):
            found += [KIND, *_hints(kind)] if kind in _TAGS else list(_hints(kind))
    return tuple(sorted(set(found)))
