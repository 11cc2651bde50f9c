"""
Mirrors of attrs classes in msgspec Structs, made from the types of their fields, and compiled
functions that fill a value from its mirror (ADR 0016).

A mirror takes exactly these keys and types, in the order of canonical JSON, which is read fastest.
What it does not take is left to cattrs. Bytes and free JSON are never taken: what they may be is
for ``shapes.py`` alone to say. Where a union allows them, a mirror knows its other members only.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from functools import cache, reduce
from types import GenericAlias, NoneType, UnionType
from typing import Annotated, Final, Literal, Union, cast, get_args, get_origin, get_type_hints

import attrs
import msgspec
from attrs import AttrsInstance

from lash_es.codec.wire_names import UNION_TAGS
from lash_es.core.makers import compiled, filling, require_plain

NOT_READ: Final = (msgspec.MsgspecError, UnicodeDecodeError)
"""What is raised when something is left to the slower path."""

INTEGER_MAX: Final = 2**53 - 1
SMALL: Final = msgspec.Meta(ge=-INTEGER_MAX, le=INTEGER_MAX)
INTEGER: Final = cast("type", Annotated[int, SMALL])
_SCALARS: Final = frozenset[object]({int, str, bool, NoneType})

# Mirrors: what the bytes must be


@cache
def mirror(kind: type[AttrsInstance], tag: str | None = None) -> type[msgspec.Struct]:
    """Mirror a class; ``tag`` is its ``kind`` in a union."""
    return struct(kind.__name__, get_type_hints(require_plain(kind)), tag)


def struct(name: str, hints: Mapping[str, object], tag: str | None) -> type[msgspec.Struct]:
    """Mirror fields of these types."""
    fields = {field: _stored_type(hints[field]) for field in sorted(hints)}
    return defined(name, fields, tag)


def defined(name: str, fields: Mapping[str, type], tag: str | None) -> type[msgspec.Struct]:
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
    hint = plain_type(hint)
    if hint is int:
        return INTEGER
    if hint in _SCALARS or _is_enum(hint) or get_origin(hint) is Literal:
        return cast("type", hint)
    if get_origin(hint) is tuple:
        return many(_stored_type(get_args(hint)[0]))
    if get_origin(hint) in (Union, UnionType):
        return either(*_members(hint), *map(_stored_type, _others(hint)))
    return mirror(_attrs_class(hint))


def _members(union: object) -> list[type[msgspec.Struct]]:
    """Mirror the classes of a union; they are told apart by tags, as far as they are known."""
    classes, known = _classes(union), _known(union)
    if len(classes) == 1:
        return [mirror(each) for each in known]
    if len(known) > 1:
        return [mirror(each, UNION_TAGS[each]) for each in known]
    # Msgspec does not ask for the tag of a class that stands alone.
    return [
        struct(
            each.__name__, {**get_type_hints(each), "kind": Literal[UNION_TAGS[each]]}, tag=None
        )
        for each in known
    ]


def many(element: type) -> type:
    """Return the type of a tuple of any length."""
    return cast("type", GenericAlias(tuple, (element, ...)))


def either(*kinds: type) -> type:
    """Return the type of one of these."""
    return reduce(lambda some, one: cast("type", some | one), kinds)


# Expressions: from a mirror to the value


def expression(hint: object, source: str, names: dict[str, object]) -> str:
    """Write what turns the mirrored value ``source`` into one of type ``hint``."""
    hint = plain_type(hint)
    if _is_ready(hint):
        return source
    if get_origin(hint) is tuple:
        each = expression(get_args(hint)[0], "each", names)
        return f"tuple([{each} for each in {source}])"
    if get_origin(hint) in (Union, UnionType):
        value = _chosen(_known(hint), source, names)
        return f"None if {source} is None else {value}" if NoneType in get_args(hint) else value
    return _chosen((_attrs_class(hint),), source, names)


def _chosen(
    classes: tuple[type[AttrsInstance], ...], source: str, names: dict[str, object]
) -> str:
    if len(classes) == 1:
        name = f"fill_{classes[0].__name__}"
        names[name] = filler(classes[0])
        return f"{name}({source})"
    name = "fill_" + "_or_".join(each.__name__ for each in classes)
    names[name] = {mirror(each, UNION_TAGS[each]): filler(each) for each in classes}
    return f"{name}[{source}.__class__]({source})"


@cache
def filler(kind: type[AttrsInstance]) -> Callable[[msgspec.Struct], AttrsInstance]:
    """Return what fills a value from its mirror, tagged or not."""
    hints = get_type_hints(kind)
    names: dict[str, object] = {}
    values = {field: expression(hint, f"stored.{field}", names) for field, hint in hints.items()}
    source = filling("stored", values)
    return cast(
        "Callable[[msgspec.Struct], AttrsInstance]", compiled(source, require_plain(kind), names)
    )


# Types of fields


def plain_type(hint: object) -> object:
    """Look through a new name for a type."""
    return getattr(hint, "__supertype__", hint)


def _is_enum(hint: object) -> bool:
    return isinstance(hint, type) and issubclass(hint, Enum)


def _is_ready(hint: object) -> bool:
    """Tell whether msgspec makes the very value that the event holds."""
    hint = plain_type(hint)
    if get_origin(hint) is tuple:
        return _is_ready(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        return not _classes(hint) and all(map(_is_ready, _others(hint)))
    return hint in _SCALARS or _is_enum(hint)


def _classes(union: object) -> tuple[type[AttrsInstance], ...]:
    return tuple(each for each in get_args(union) if isinstance(each, type) and attrs.has(each))


def _known(union: object) -> tuple[type[AttrsInstance], ...]:
    """List the classes of a union that are not left to cattrs."""
    return tuple(each for each in _classes(union) if not _is_left(each))


def _others(union: object) -> list[object]:
    """List what a union holds beside classes, as far as mirrors take it."""
    classes = _classes(union)
    return [each for each in get_args(union) if each not in classes and not _is_left(each)]


def _is_left(hint: object) -> bool:
    """Tell what is left to cattrs: bytes, free JSON, and classes that always hold some."""
    if isinstance(hint, type) and attrs.has(hint):
        return any(map(_is_left, get_type_hints(hint).values()))
    return hint is bytes or get_origin(hint) is Mapping


def _attrs_class(hint: object) -> type[AttrsInstance]:
    if not isinstance(hint, type) or not attrs.has(hint):
        raise TypeError(f"mirrors hold no {hint!r}")
    return hint
