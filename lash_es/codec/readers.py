"""
Events of today's shape, read fast: msgspec checks the bytes, compiled code fills the event.

A reader never refuses. What it does not take, it leaves to ``records.py``, whose path through
cattrs knows older shapes and says what is wrong. So a reader may be stricter than that path and
must never be laxer (``tests/codec/test_readers.py``; ADR 0016).

Each event class has a mirror of its header in msgspec Structs, made from the types of its fields:
exactly these keys and types, in the order of canonical JSON, which is read fastest.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from functools import cache, lru_cache, reduce
from types import GenericAlias, NoneType, UnionType
from typing import (
    Annotated,
    Final,
    Literal,
    TypeAlias,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

import attrs
import msgspec
from attrs import AttrsInstance

from lash_es.codec.wire_names import EVENT_CLASSES, EVENT_NAMES, UNION_TAGS
from lash_es.core.bodies import Commitment
from lash_es.core.events import Event
from lash_es.core.makers import compiled, filling, require_plain

Reader: TypeAlias = Callable[[bytes, str, str, int], Event | None]
"""From header, namespace, session id and position to the event; none if it belongs elsewhere."""

NOT_READ: Final = (msgspec.MsgspecError, UnicodeDecodeError)
"""What a reader raises when it leaves a header to the slower path."""

READERS_MAX: Final = 256
INTEGER_MAX: Final = 2**53 - 1
_INTEGER: Final = cast("type", Annotated[int, msgspec.Meta(ge=-INTEGER_MAX, le=INTEGER_MAX)])
_SCALARS: Final = frozenset[object]({int, str, bool, NoneType})
_OF_HEADER: Final = {"at_ms": "stored.at", "generation": "stored.gen", "bodies": "stored.bodies"}
_ELSEWHERE: Final = (
    "    stored = decode(header)\n"
    "    if stored.pos != position or stored.session != session or stored.ns != namespace:\n"
    "        return None\n"
    "    data = stored.data\n"
)


@lru_cache(maxsize=READERS_MAX)
def reader(name: str) -> Reader | None:
    """Return what reads events of this wire name; compiled when it is asked for first."""
    event_class = EVENT_CLASSES.get(name)
    return None if event_class is None else _reader(event_class)


def _reader(event_class: type[Event]) -> Reader:
    hints = get_type_hints(event_class)
    names: dict[str, object] = {"decode": msgspec.json.Decoder(_header(event_class)).decode}
    values = {
        field: _expression(hint, _OF_HEADER.get(field, f"data.{field}"), names)
        for field, hint in hints.items()
    }
    source = filling("header, namespace, session, position", values, before=_ELSEWHERE)
    return cast("Reader", compiled(source, require_plain(event_class), names))


# Mirrors: what the bytes must be


def _header(event_class: type[Event]) -> type[msgspec.Struct]:
    """Mirror the header of an event, in the order of its keys."""
    hints = get_type_hints(event_class)
    name, version = EVENT_NAMES[event_class]
    data = {field: hint for field, hint in hints.items() if field not in _OF_HEADER}
    # Cattrs ignores commitments where no event holds them: such a header is left to it.
    bodies = _many(_mirror(Commitment)) if "bodies" in hints else cast("type", tuple[()])
    fields: dict[str, type] = {
        "append": str,
        "at": _INTEGER,
        "bodies": bodies,
        "cause": _either(_INTEGER, NoneType),
        "data": _struct(event_class.__name__, data, tag=None),
        "gen": _INTEGER if "generation" in hints else NoneType,
        "name": cast("type", Literal[name]),
        "ns": str,
        "pos": _INTEGER,
        "session": str,
        "v": cast("type", Literal[version]),
    }
    return _defined(f"{event_class.__name__}Header", fields, tag=None)


@cache
def _mirror(kind: type[AttrsInstance], tag: str | None = None) -> type[msgspec.Struct]:
    return _struct(kind.__name__, get_type_hints(require_plain(kind)), tag)


def _struct(name: str, hints: Mapping[str, object], tag: str | None) -> type[msgspec.Struct]:
    fields = {field: _stored_type(hints[field]) for field in sorted(hints)}
    return _defined(name, fields, tag)


def _defined(name: str, fields: Mapping[str, type], tag: str | None) -> type[msgspec.Struct]:
    """Define a Struct that takes these fields and no other; without cycles it needs no GC."""
    return msgspec.defstruct(
        name,
        list(fields.items()),
        tag_field=None if tag is None else "kind",
        tag=tag,
        forbid_unknown_fields=True,
        gc=False,
    )


def _stored_type(hint: object) -> type:
    hint = _plain(hint)
    if hint is int:
        return _INTEGER
    if hint in _SCALARS or _is_enum(hint):
        return cast("type", hint)
    if get_origin(hint) is tuple:
        return _many(_stored_type(get_args(hint)[0]))
    if get_origin(hint) in (Union, UnionType):
        classes = _classes(hint)
        others = [each for each in get_args(hint) if each not in classes]
        members = [
            _mirror(each, UNION_TAGS[each] if len(classes) > 1 else None) for each in classes
        ]
        return _either(*members, *map(_stored_type, others))
    return _mirror(_attrs_class(hint))


def _many(element: type) -> type:
    return cast("type", GenericAlias(tuple, (element, ...)))


def _either(*kinds: type) -> type:
    return reduce(lambda some, one: cast("type", some | one), kinds)


# Expressions: from a mirror to the value


def _expression(hint: object, source: str, names: dict[str, object]) -> str:
    """Write what turns the mirrored value ``source`` into one of type ``hint``."""
    hint = _plain(hint)
    if _is_ready(hint):
        return source
    if get_origin(hint) is tuple:
        each = _expression(get_args(hint)[0], "each", names)
        return f"tuple([{each} for each in {source}])"
    if get_origin(hint) in (Union, UnionType):
        value = _chosen(_classes(hint), source, names)
        return f"None if {source} is None else {value}" if NoneType in get_args(hint) else value
    return _chosen((_attrs_class(hint),), source, names)


def _chosen(
    classes: tuple[type[AttrsInstance], ...], source: str, names: dict[str, object]
) -> str:
    if len(classes) == 1:
        name = f"fill_{classes[0].__name__}"
        names[name] = _filler(classes[0])
        return f"{name}({source})"
    name = "fill_" + "_or_".join(each.__name__ for each in classes)
    names[name] = {_mirror(each, UNION_TAGS[each]): _filler(each) for each in classes}
    return f"{name}[{source}.__class__]({source})"


@cache
def _filler(kind: type[AttrsInstance]) -> Callable[[msgspec.Struct], AttrsInstance]:
    """Return what fills a value from its mirror, tagged or not."""
    hints = get_type_hints(kind)
    names: dict[str, object] = {}
    values = {field: _expression(hint, f"stored.{field}", names) for field, hint in hints.items()}
    source = filling("stored", values)
    return cast(
        "Callable[[msgspec.Struct], AttrsInstance]", compiled(source, require_plain(kind), names)
    )


# Types of fields


def _plain(hint: object) -> object:
    """Look through a new name for a type."""
    return getattr(hint, "__supertype__", hint)


def _is_enum(hint: object) -> bool:
    return isinstance(hint, type) and issubclass(hint, Enum)


def _is_ready(hint: object) -> bool:
    """Tell whether msgspec makes the very value that the event holds."""
    hint = _plain(hint)
    if get_origin(hint) is tuple:
        return _is_ready(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        return all(map(_is_ready, get_args(hint)))
    return hint in _SCALARS or _is_enum(hint)


def _classes(union: object) -> tuple[type[AttrsInstance], ...]:
    return tuple(each for each in get_args(union) if isinstance(each, type) and attrs.has(each))


def _attrs_class(hint: object) -> type[AttrsInstance]:
    if not isinstance(hint, type) or not attrs.has(hint):
        raise TypeError(f"headers hold no {hint!r}")
    return hint
