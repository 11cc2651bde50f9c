"""
Reading what was said: bodies, checked against what their facts committed to; and the nodes of a
transcript.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from typing import Final, TypeVar

from attrs import frozen

from lash_es.codec.contents import Content, decode_content
from lash_es.codec.errors import CorruptBody, CorruptHistory, UndecodableValue
from lash_es.codec.records import Header, Record, decode_event, decode_header
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
_BODIES_PER_PAGE: Final = 256


@frozen(kw_only=True)
class Commit:
    """A turn of the active path: its messages as nodes, and where the turn before it committed."""

    position: Position
    parent: Position | None
    nodes: tuple[Node, ...]


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

    Cost: one query per 256 bodies, and one per 256 facts from the first that has one to the last,
    or one for each of them where they lie far apart.
    """
    headers = _headers(store, stream, {ref.position for ref in kinds})
    found: dict[BodyRef, Content] = {}
    wanted = iter(kinds)
    while refs := tuple(islice(wanted, _BODIES_PER_PAGE)):
        stored = store.read_bodies(stream, refs)
        for ref in refs:
            found[ref] = _decoded(headers[ref.position], ref, stored.get(ref), kinds[ref])
    return found


def _headers(
    store: Store, stream: StreamId, positions: Collection[Position]
) -> dict[Position, Header]:
    """Read headers in pages, each from the first that is still missing on."""
    headers: dict[Position, Header] = {}
    page: dict[Position, Record] = {}
    for position in sorted(positions):
        if position not in page:
            page = _page(store, stream, position, Position(max(positions)))
        headers[position] = _decoded_header(stream, page, position)
    return headers


def _page(
    store: Store, stream: StreamId, first: Position, last: Position
) -> dict[Position, Record]:
    """Read records from ``first`` on, up to ``last`` at most."""
    records = store.read(stream, first, min(RECORDS_PER_PAGE, last - first + 1))
    return {record.position: record for record in records}


def _decoded_header(
    stream: StreamId, page: Mapping[Position, Record], position: Position
) -> Header:
    record = page.get(position)
    if record is None:
        raise _missing(stream, position)
    return decode_header(stream, record)


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
    """List the nodes of the active path, oldest first. Cost: as ``read_commits``."""
    commits = tuple(read_commits(store, stream, None if leaf is None else leaf.commit))
    return tuple(node for commit in reversed(commits) for node in commit.nodes)


def read_commits(store: Store, stream: StreamId, last: Position | None) -> Iterator[Commit]:
    """
    Read the turns of the path that ends with the commit at ``last``, newest first, as far as they
    are asked for.

    Raises:
        CorruptHistory: a fact of the path is missing, or is no commit.

    Cost: one query for the newest; then one per 256 facts, but no more than one per turn.
    """
    page: dict[Position, Record] = {}
    reach = 0  # Who follows a session needs the newest, and nothing in front of it.
    while last is not None:
        if last not in page:
            page = _page(store, stream, Position(max(0, last - reach)), last)
            reach = RECORDS_PER_PAGE - 1
        event = decode_event(_decoded_header(stream, page, last))
        if not isinstance(event, TurnCommitted):
            raise CorruptHistory(
                session_id=stream.session_id, position=last, reason="expected a commit"
            )
        yield Commit(position=last, parent=event.parent, nodes=event.nodes)
        last = event.parent


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
