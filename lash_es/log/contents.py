"""
Reading what was said: bodies, checked against what their facts committed to; and the nodes of a
transcript.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from itertools import islice
from typing import Final, TypeAlias, TypeVar

from lash_es.codec.contents import Content, StoredContent, decode_content
from lash_es.codec.errors import CorruptBody, CorruptHistory, UndecodableValue
from lash_es.codec.records import (
    Header,
    Record,
    decode_commitments,
    decode_header,
    read_event,
)
from lash_es.codec.streams import StreamId
from lash_es.core.bodies import BodyRef, Commitment, RecordedBody
from lash_es.core.errors import HistoryTrimmedBelow, LashError
from lash_es.core.events import Event, TurnCommitted
from lash_es.core.graph_events import FrameOpened, LeafMoved, NodesAppended
from lash_es.core.heads import Leaf
from lash_es.core.ids import Position
from lash_es.core.transcripts import Node
from lash_es.core.trims import KeptCommit
from lash_es.log.appends import StoredBody
from lash_es.log.commitments import require_recorded
from lash_es.log.loading import (
    FIRST,
    RECORDS_PER_PAGE,
)
from lash_es.log.port import Store
from lash_es.log.trims import KeptHistory, from_kept

_C = TypeVar("_C", bound=StoredContent)
_BODIES_PER_PAGE: Final = 256

Commit: TypeAlias = KeptCommit
"""A turn of the active path; a trim keeps it as it was."""

_Kept: TypeAlias = Mapping[BodyRef, RecordedBody] | None


def read_header(store: Store, stream: StreamId, position: Position) -> Header:
    """
    Read one fact's header. Its place in the chain was checked when the stream was folded.

    Raises:
        CorruptHistory: there is none.
        HistoryTrimmedBelow: there was one.
    """
    for record in store.read(stream, position, 1):
        if record.position == position:
            return decode_header(stream, record)
    raise _missing(store, stream, position)


def read_content(store: Store, stream: StreamId, ref: BodyRef, kind: type[_C]) -> _C:
    """
    Read one body that is expected to be a ``kind``.

    Raises:
        CorruptBody: it is missing, altered, or of another kind.
        HistoryTrimmedBelow: its fact is gone, and it is not on the active path.
    """
    stored = store.read_bodies(stream, (ref,)).get(ref)
    kept = partial(from_kept, store, stream, KeptHistory.bodies)
    (recorded,) = _recorded(store, stream, (ref,), kept).values()
    return _decoded(stream, recorded, stored, kind)


def read_contents(
    store: Store, stream: StreamId, kinds: Mapping[BodyRef, type[Content]]
) -> dict[BodyRef, Content]:
    """
    Read bodies, each expected to be of its kind.

    Cost: one query per 256 bodies, and one per 256 facts from the first that has one to the last,
    or one for each of them where they lie far apart; what was trimmed, one per page that was kept.
    """
    kept = cache(lambda: from_kept(store, stream, KeptHistory.bodies))
    found: dict[BodyRef, Content] = {}
    wanted = iter(kinds)
    # Page by page: what is only compared with should not pile up until all is read.
    while refs := tuple(islice(wanted, _BODIES_PER_PAGE)):
        recorded = _recorded(store, stream, refs, kept)
        stored = store.read_bodies(stream, refs)
        for ref in refs:
            found[ref] = _decoded(stream, recorded[ref], stored.get(ref), kinds[ref])
    return found


def _recorded(
    store: Store, stream: StreamId, refs: Collection[BodyRef], kept: Callable[[], _Kept]
) -> dict[BodyRef, RecordedBody]:
    """Find what was committed to, by the facts or, where those are gone, by the trim."""
    by_facts = _commitments(store, stream, {ref.position for ref in refs})
    found: dict[BodyRef, RecordedBody] = {}
    for ref in refs:
        if ref.position in by_facts:
            found[ref] = _committed_to(stream, by_facts[ref.position], ref)
        elif ref in (by_trim := kept() or {}):
            found[ref] = by_trim[ref]
        else:
            raise _missing(store, stream, ref.position)
    return found


def _committed_to(stream: StreamId, committed: Sequence[Commitment], ref: BodyRef) -> RecordedBody:
    if ref.ordinal >= len(committed):
        raise _corrupt(stream, ref, "its fact commits to no such body")
    return RecordedBody(ref=ref, commitment=committed[ref.ordinal])


def _commitments(
    store: Store, stream: StreamId, positions: Collection[Position]
) -> dict[Position, Sequence[Commitment]]:
    """
    Read what facts commit to, in pages, each from the first that was not read yet on; some may be
    missing.
    """
    found: dict[Position, Sequence[Commitment]] = {}
    page: dict[Position, Record] = {}
    last = max(positions, default=FIRST)
    read_to = Position(-1)
    for position in sorted(positions):
        if position > read_to:
            page = _page(store, stream, position, last)
            read_to = max(page, default=last)
        if position in page:
            found[position] = decode_commitments(stream, page[position])
    return found


def _page(
    store: Store, stream: StreamId, first: Position, last: Position
) -> dict[Position, Record]:
    """Read records from ``first`` on, up to ``last`` at most."""
    records = store.read(stream, first, min(RECORDS_PER_PAGE, last - first + 1))
    return {record.position: record for record in records}


def _decoded(
    stream: StreamId, recorded: RecordedBody, stored: StoredBody | None, kind: type[_C]
) -> _C:
    body = require_recorded(stream, recorded, stored)
    try:
        return decode_content(body.content, recorded.commitment.media_type, kind)
    except UndecodableValue as cause:
        raise _corrupt(stream, recorded.ref, cause.summary()) from cause


def _corrupt(stream: StreamId, ref: BodyRef, reason: str) -> CorruptBody:
    return CorruptBody(
        session_id=stream.session_id, position=ref.position, ordinal=ref.ordinal, reason=reason
    )


def read_nodes(store: Store, stream: StreamId, leaf: Leaf | None) -> tuple[Node, ...]:
    """List the nodes of the active path, oldest first. Cost: as ``read_commits``."""
    commits = tuple(read_commits(store, stream, None if leaf is None else leaf.commit))
    return tuple(node for commit in reversed(commits) for node in commit.nodes)


def read_commits(store: Store, stream: StreamId, last: Position | None) -> Iterator[KeptCommit]:
    """
    Read the turns of the path that ends with the commit at ``last``, newest first, as far as they
    are asked for; those whose facts were trimmed, from what was kept of them.

    Raises:
        CorruptHistory: a fact of the path is missing, or is no commit.

    Cost: one query for the newest; then one per 256 facts, but no more than one per turn.
    """
    kept: Mapping[Position, KeptCommit] | None = None
    page: dict[Position, Record] = {}
    reach = 0  # Who follows a session needs the newest, and nothing in front of it.
    while last is not None:
        # Nothing comes in front of what was trimmed but what was trimmed as well.
        if last not in page and kept is None:
            page = _page(store, stream, Position(max(0, last - reach)), last)
            reach = RECORDS_PER_PAGE - 1
        if last in page:
            commit = _commit(stream, page[last])
        else:
            kept = from_kept(store, stream, KeptHistory.commits) if kept is None else kept
            if kept is None or last not in kept:
                raise _missing(store, stream, last)
            commit = kept[last]
        yield commit
        last = commit.parent


def _commit(stream: StreamId, record: Record) -> KeptCommit:
    event = read_event(stream, record)
    if not isinstance(event, TurnCommitted | LeafMoved | FrameOpened | NodesAppended):
        raise CorruptHistory(
            session_id=stream.session_id, position=record.position, reason="expected a commit"
        )
    return KeptCommit(position=record.position, parent=event.parent, nodes=event.nodes)


def read_events(
    store: Store, stream: StreamId, first: Position, last: Position
) -> Iterable[tuple[Position, Event]]:
    """
    Read the facts from ``first`` to ``last``, both included.

    Raises:
        CorruptHistory: one is missing.
        HistoryTrimmedBelow: one was trimmed.

    Cost: one query per 256.
    """
    position = first
    while position <= last:
        page = store.read(stream, position, min(RECORDS_PER_PAGE, last - position + 1))
        if not page:
            raise _missing(store, stream, position)
        for record in page:
            if record.position != position:
                raise _missing(store, stream, position)
            yield position, read_event(stream, record)
            position = Position(position + 1)


def _missing(store: Store, stream: StreamId, position: Position) -> LashError:
    head = store.head(stream)
    if head is not None and position < head.oldest:
        return HistoryTrimmedBelow(
            session_id=stream.session_id, asked=position, oldest=head.oldest
        )
    return CorruptHistory(session_id=stream.session_id, position=position, reason="missing")
