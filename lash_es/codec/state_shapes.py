"""
The shapes of the state, as text, and the fingerprint of them: which code can read a snapshot.

The text is written here from field names and types, and not by ``repr``, which differs between
versions of Python. ``tests/golden/state-shapes.txt`` holds it, so that it does not change
unannounced.
"""

import hashlib
from collections.abc import Mapping
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Final, Union, cast, get_args, get_origin, get_type_hints

import attrs
from attrs import AttrsInstance

from lash_es.core.state import EVOLVE_VERSION, Deleted, Open

_ROOTS: Final[tuple[type[AttrsInstance], ...]] = (Open, Deleted)


@cache
def fingerprint() -> str:
    """Return what every snapshot of this code carries: 32 hexadecimal digits."""
    return fingerprint_of(EVOLVE_VERSION, state_shapes())


def fingerprint_of(evolve_version: int, shapes: tuple[str, ...]) -> str:
    """Hash the shapes and the version of evolve."""
    text = "\n".join((f"evolve {evolve_version}", *shapes))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def state_shapes() -> tuple[str, ...]:
    """List every class that a state is made of, a line each, ordered by name."""
    return shapes_of(*_ROOTS)


def shapes_of(*roots: type[AttrsInstance]) -> tuple[str, ...]:
    """List these classes and all that their fields are made of."""
    found: dict[type[object], str] = {}
    waiting: list[object] = list(roots)
    while waiting:
        kind = waiting.pop()
        if isinstance(kind, type) and kind not in found:
            parts, line = _shape(cast("type[object]", kind))
            waiting.extend(parts)
            found[kind] = line
        waiting.extend(get_args(kind))
    return tuple(sorted(filter(None, found.values())))


def _shape(kind: type[object]) -> tuple[list[object], str]:
    """Return the types that a class's fields are made of, and its line; others have none."""
    if issubclass(kind, Enum):
        return [], f"{kind.__name__}: {' '.join(str(each.value) for each in kind)}"
    if not attrs.has(kind):
        return [], ""
    hints = get_type_hints(kind)
    fields = ", ".join(f"{each.name}: {_name(hints[each.name])}" for each in attrs.fields(kind))
    return [_plain(hint) for hint in hints.values()], f"{kind.__name__}({fields})"


def _plain(kind: object) -> object:
    """Return the type behind a new name for one."""
    return getattr(kind, "__supertype__", kind)


def _name(kind: object) -> str:
    kind = _plain(kind)
    arguments = [_name(each) for each in get_args(kind) if each is not Ellipsis]
    if get_origin(kind) in (Union, UnionType):
        return " | ".join(sorted(arguments))
    if get_origin(kind) is tuple:
        return f"list[{arguments[0]}]"
    if get_origin(kind) is Mapping:
        return f"map[{', '.join(arguments)}]"
    if kind is NoneType:
        return "none"
    if not isinstance(kind, type):
        raise TypeError(f"no part of a state: {kind!r}")
    return kind.__name__
