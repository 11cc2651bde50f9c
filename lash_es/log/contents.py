"""
Reading what was said: bodies, checked against what their facts committed to; and the nodes of a
transcript.
"""

from collections.abc import Iterable, Mapping
from typing import TypeVar

from lash_es.codec.contents import Content, decode_content
from lash_es.codec.errors import CorruptBody, CorruptHistory, UndecodableValue
from lash_es.codec.records import Header, decode_event, decode_header
from lash_es.codec.streams import StreamId
from lash_es.core.bodies import BodyRef
from lash_es.core.events import Event, TurnCommitted
from lash_es.core.heads import Leaf
from lash_es.core.ids import Position
from lash_es.core.transcripts import Node
from lash_es.log.appends import StoredBody
from lash_es.log.loading import RECORDS_PER_PAGE, require_body
from lash_es.log.port import Store

_C = TypeVar("_C", bound=Content)


def read_header(store: Store, stream: StreamId, position: Position) -> Header:
    """
    Read one fact's header. Its place in the chain was checked when the stream was folded.

    Raises:
        CorruptHistory: there is none.
    """
    for record in store.read(stream, position, 1):
        if record.position == position:
            return decode_header(stream, record)
    raise _missing(stream, position)


def read_content(store: Store, stream: StreamId, ref: BodyRef, kind: type[_C]) -> _C:
    """
    Read one body that is expected to be a ``kind``.

    Raises:
        CorruptBody: it is missing, altered, or of another kind.
    """
    stored = store.read_bodies(stream, (ref,)).get(ref)
    return _decoded(read_header(store, stream, ref.position), ref, stored, kind)


def read_contents(
    store: Store, stream: StreamId, kinds: Mapping[BodyRef, type[Content]]
) -> dict[BodyRef, Content]:
    """
    Read bodies, each expected to be of its kind.

    Cost: one query, and one for each fact that has one.
    """
    stored = store.read_bodies(stream, tuple(kinds))
    return {
        ref: _decoded(read_header(store, stream, ref.position), ref, stored.get(ref), kind)
        for ref, kind in kinds.items()
    }


def _decoded(header: Header, ref: BodyRef, stored: StoredBody | None, kind: type[_C]) -> _C:
    if ref.ordinal >= len(header.bodies):
        raise _corrupt(header, ref, "its fact commits to no such body")
    body = require_body(header, ref.ordinal, stored)
    try:
        return decode_content(body.content, header.bodies[ref.ordinal].media_type, kind)
    except UndecodableValue as cause:
        raise _corrupt(header, ref, cause.summary()) from cause


def _corrupt(header: Header, ref: BodyRef, reason: str) -> CorruptBody:
    return CorruptBody(
        session_id=header.stream.session_id,
        position=ref.position,
        ordinal=ref.ordinal,
        reason=reason,
    )


def read_nodes(store: Store, stream: StreamId, leaf: Leaf | None) -> tuple[Node, ...]:
    """List the nodes of the active path, oldest first. Cost: one query per committed turn."""
    turns = tuple(_commits(store, stream, leaf))
    return tuple(node for turn in reversed(turns) for node in turn.nodes)


def _commits(store: Store, stream: StreamId, leaf: Leaf | None) -> Iterable[TurnCommitted]:
    position = None if leaf is None else leaf.commit
    while position is not None:
        event = decode_event(read_header(store, stream, position))
        if not isinstance(event, TurnCommitted):
            raise CorruptHistory(
                session_id=stream.session_id, position=position, reason="expected a commit"
            )
        yield event
        position = event.parent


def read_events(
    store: Store, stream: StreamId, first: Position, last: Position
) -> Iterable[tuple[Position, Event]]:
    """Read the facts from ``first`` to ``last``, both included. Cost: one query per 256."""
    position = first
    while position <= last:
        page = store.read(stream, position, min(RECORDS_PER_PAGE, last - position + 1))
        if not page:
            raise _missing(stream, position)
        for record in page:
            if record.position != position:
                raise _missing(stream, position)
            yield position, decode_event(decode_header(stream, record))
            position = Position(position + 1)


def _missing(stream: StreamId, position: Position) -> CorruptHistory:
    return CorruptHistory(session_id=stream.session_id, position=position, reason="missing")
