"""
The lock on stored shapes: every event, body and index entry with its name, its version, and what
its fields are made of.

Written by ``python -m tests.codec.shape_lock``, after a change that was meant. What was released
is never changed: the version goes up, the step from the old one goes into ``upcast.py``, and a
golden file shows that the old one is read.
"""

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Union, get_args, get_origin, get_type_hints

import attrs

from lash_es.codec.records import RECORD_FORMAT
from lash_es.codec.wire_names import BODY_TYPES, EVENT_NAMES, UNION_TAGS
from lash_es.core.known import IndexEntry

FILE = Path(__file__).parents[1] / "golden" / "shapes.lock"


def lines() -> list[str]:
    """Say what is locked: names and versions, tags, and then the classes, a line each."""
    stored: dict[type, tuple[str, int]] = {**EVENT_NAMES, **BODY_TYPES}
    named = sorted(
        f"{name} v{version}: {kind.__name__}" for kind, (name, version) in stored.items()
    )
    tags = sorted(f"tag {tag}: {kind.__name__}" for kind, tag in UNION_TAGS.items())
    return [
        f"record format {RECORD_FORMAT}",
        *named,
        *tags,
        *shapes(*stored, *get_args(IndexEntry)),
    ]


def shapes(*roots: type) -> list[str]:
    """List these classes and all that their fields are made of."""
    found: dict[object, str] = {}
    waiting: list[object] = list(roots)
    while waiting:
        kind = _plain(waiting.pop())
        if _is_json(kind) or kind in found:
            continue
        found[kind] = ""
        if isinstance(kind, type) and issubclass(kind, Enum):
            found[kind] = f"{kind.__name__}: {' '.join(str(each.value) for each in kind)}"
        elif isinstance(kind, type) and attrs.has(kind):
            hints = get_type_hints(kind)
            waiting.extend(hints.values())
            fields = ", ".join(f"{name}: {_name(hint)}" for name, hint in sorted(hints.items()))
            found[kind] = f"{kind.__name__}({fields})"
        else:
            waiting.extend(get_args(kind))
    return sorted(filter(None, found.values()))


def _is_json(kind: object) -> bool:
    """Tell a map of JSON values, whose type names itself, from a map of values of one class."""
    return get_origin(kind) is Mapping and not isinstance(_plain(get_args(kind)[1]), type)


def _plain(kind: object) -> object:
    return getattr(kind, "__supertype__", kind)


def _name(kind: object) -> str:
    kind = _plain(kind)
    if _is_json(kind):
        return "json"
    arguments = [_name(each) for each in get_args(kind) if each is not Ellipsis]
    if get_origin(kind) in (Union, UnionType):
        return " | ".join(sorted(arguments))
    if get_origin(kind) is tuple:
        return f"list[{arguments[0]}]"
    if get_origin(kind) is Mapping:
        return f"map[{', '.join(arguments)}]"
    assert isinstance(kind, type), kind
    return "none" if kind is NoneType else kind.__name__


if __name__ == "__main__":
    FILE.write_text("".join(f"{line}\n" for line in lines()), "utf-8")
