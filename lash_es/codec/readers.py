"""
What is written today, read fast: msgspec checks the bytes, compiled code fills the value.

A reader never refuses. What it does not take, it leaves to the path through cattrs, which knows
older shapes and says what is wrong. So a reader may be stricter than that path and must never be
laxer (``tests/codec/test_readers.py``, ``test_content_readers.py``; ADR 0016).

1. ``reader``: the event of a header, whole, from a mirror of its class.
2. ``read_envelope``: what every header has, whatever its event.
3. ``content_reader``: what is said in a body.
"""

from collections.abc import Callable
from functools import lru_cache
from types import NoneType
from typing import Annotated, Final, Literal, TypeAlias, cast, get_type_hints

import msgspec
from attrs import AttrsInstance

from lash_es.codec.mirrors import (
    INTEGER,
    SMALL,
    defined,
    either,
    expression,
    filler,
    many,
    mirror,
    struct,
)
from lash_es.codec.wire_names import BODY_TYPES, EVENT_CLASSES, EVENT_NAMES
from lash_es.core.bodies import Commitment
from lash_es.core.events import Event
from lash_es.core.makers import compiled, filling, maker, require_plain

Reader: TypeAlias = Callable[[bytes, str, str, int], Event | None]
"""From header, namespace, session id and position to the event; none if it belongs elsewhere."""

READERS_MAX: Final = 256
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
        field: expression(hint, _OF_HEADER.get(field, f"data.{field}"), names)
        for field, hint in hints.items()
    }
    source = filling("header, namespace, session, position", values, before=_ELSEWHERE)
    return cast("Reader", compiled(source, require_plain(event_class), names))


def _header(event_class: type[Event]) -> type[msgspec.Struct]:
    """Mirror the header of an event, in the order of its keys."""
    hints = get_type_hints(event_class)
    name, version = EVENT_NAMES[event_class]
    data = {field: hint for field, hint in hints.items() if field not in _OF_HEADER}
    # Cattrs ignores commitments where no event holds them: such a header is left to it.
    bodies = many(mirror(Commitment)) if "bodies" in hints else cast("type", tuple[()])
    fields: dict[str, type] = {
        "append": str,
        "at": INTEGER,
        "bodies": bodies,
        "cause": either(INTEGER, NoneType),
        "data": struct(event_class.__name__, data, tag=None),
        "gen": INTEGER if "generation" in hints else NoneType,
        "name": cast("type", Literal[name]),
        "ns": str,
        "pos": INTEGER,
        "session": str,
        "v": cast("type", Literal[version]),
    }
    return defined(f"{event_class.__name__}Header", fields, tag=None)


# Envelopes

_Integer: TypeAlias = Annotated[int, SMALL]


class StoredCommitment(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A commitment, as it lies in a header."""

    bytes_count: _Integer
    digest: str
    media_type: str


class Envelope(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A header, as it lies in a record; ``data`` is JSON that nobody has looked at yet."""

    append: str
    at: _Integer
    bodies: tuple[StoredCommitment, ...]
    cause: _Integer | None
    data: msgspec.Raw
    gen: _Integer | None
    name: str
    ns: str
    pos: _Integer
    session: str
    v: _Integer


read_envelope: Final = msgspec.json.Decoder(Envelope).decode
commitment: Final = maker(Commitment)

# Bodies


@lru_cache(maxsize=READERS_MAX)
def content_reader(name: str) -> Callable[[bytes], object]:
    """Return what reads bodies of this wire name; compiled when it is asked for first."""
    (kind,) = (kind for kind, (its_name, _) in BODY_TYPES.items() if its_name == name)
    described = cast("type[AttrsInstance]", kind)
    decode, fill = msgspec.json.Decoder(mirror(described)).decode, filler(described)
    return lambda stored: fill(decode(stored))
