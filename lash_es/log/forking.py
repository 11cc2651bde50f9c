"""
Forking: a new session that begins where another one stood, in the same store.

A fork is laid out as a session whose facts in front of that version were trimmed (ADR 0051): its
first fact is at the position where the parent went on, and commits to the state, the commits of
the path and their bodies, which are copied as they lie. Reading it needs no other session.

A crash leaves nothing, or a head row that is ``arriving``; the same call made again goes on.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import ClassVar, Final

import attrs
from attrs import define, frozen

from lash_es.codec.records import Caused, decode_header, encode_records
from lash_es.codec.streams import StreamId
from lash_es.codec.trims import encode_trim_content
from lash_es.core.bodies import BodyRef, NewBody
from lash_es.core.errors import SessionDeleted
from lash_es.core.evolve import evolve
from lash_es.core.fork_events import SessionForked
from lash_es.core.forks import inherited
from lash_es.core.ids import AppendId, Position, Version
from lash_es.core.known import IndexKind
from lash_es.core.limits import DEFAULT_LIMITS, Limits
from lash_es.core.rules.bounds import require_name
from lash_es.core.state import Open
from lash_es.log.appends import Conflict, IndexRow, StoredBody, StreamAppend, Unknown
from lash_es.log.encoding import encode_index_row, generation, status
from lash_es.log.errors import StorageError, StoreFailed
from lash_es.log.formats import require_trims
from lash_es.log.gathering import PAGE_BYTES_MAX, Gathered, gather
from lash_es.log.port import Store, StreamHead
from lash_es.log.retaining import Beginning
from lash_es.log.snapshotting import load_as_of
from lash_es.log.trims import kept_key

ARRIVING: Final = "arriving"
BODIES_PER_PAGE: Final = 256
_NOT_INHERITED: Final = (
    IndexKind.SOURCE_KEY,
    IndexKind.INPUT,
    IndexKind.SEQUENCE,
    IndexKind.WORK_KEY,
    IndexKind.BATCH,
)
"""What the index knows of queues."""


@define(kw_only=True)
class SessionExists(StorageError):
    """A session of this id is there already, and a fork would begin it."""

    session_id: str
    terminal_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        return f"cannot fork to session {self.session_id!r}: it exists already"


@frozen(kw_only=True)
class Forked:
    """What a fork came to: how many facts its parent had, and how many bodies were copied."""

    stream: StreamId
    version: Version
    bodies_count: int


@frozen(kw_only=True)
class Forking:
    """
    How sessions of a store are forked.

    Args:
        store: where they are, used by this thread alone meanwhile.
        now_ms: where the time comes from.
        token: where ids come from.
        salt: where salts come from.
        limits: what bounds names and bodies.
    """

    store: Store
    now_ms: Callable[[], int]
    token: Callable[[], str]
    salt: Callable[[], bytes]
    limits: Limits = DEFAULT_LIMITS

    def fork(self, parent: StreamId, version: int, child: StreamId) -> Forked:
        """
        Begin a session where another one stood when it held ``version`` facts.

        Args:
            parent: whose history it begins with.
            version: between two turns.
            child: an id that was never used.

        Raises:
            FormatTooOld: the database has to be upgraded first.
            SessionExists, SessionDeleted: the id is taken, or was.
            BusyWithTurn, SessionNotOpen: there the parent cannot be forked.
            VersionOutOfRange, HistoryTrimmedBelow: there is no such version, or no more.
            CorruptHistory, CorruptBody: what is there cannot be trusted.

        Cost: folds the parent up to there, and copies the bodies of its active path.
        """
        require_trims(self.store)
        require_name("session_id", child.session_id, self.limits.session_id_chars_max)
        self._require_free(child)
        then = load_as_of(self.store, parent, version)
        start = inherited(then.state, child.session_id)
        gathered = _inherited(gather(self.store, then, then.version), start)
        page_bytes_max = min(PAGE_BYTES_MAX, self.limits.body_bytes_max)
        bodies = [
            encode_trim_content(content, self.salt())
            for content in gathered.contents(page_bytes_max)
        ]
        event = SessionForked(
            at_ms=max(self.now_ms(), start.at_ms),
            session_id=child.session_id,
            parent=parent.session_id,
            below=then.version,
            digest=then.digest.hex(),
            bodies=tuple(body.commitment for body in bodies),
        )
        copied = tuple(self._copied(parent, gathered))
        self._begin(child, event, then.digest, start.at_ms)
        self._append(child, event, gathered, [*_own(event, bodies), *copied])
        return Forked(stream=child, version=then.version, bodies_count=len(copied))

    def _require_free(self, child: StreamId) -> None:
        head = self.store.head(child)
        if head is None or head.status == ARRIVING:
            return
        if head.status == "deleted":
            raise SessionDeleted(session_id=child.session_id)
        raise SessionExists(session_id=child.session_id)

    def _copied(self, parent: StreamId, gathered: Gathered) -> Iterator[StoredBody]:
        """Read the bodies of the path as they lie; what was erased there is not here either."""
        refs = iter([body.ref for body in gathered.bodies])
        while page := tuple(islice(refs, BODIES_PER_PAGE)):
            found = self.store.as_stored.read_bodies(parent, page)
            yield from (found[ref] for ref in page if ref in found)

    def _begin(self, child: StreamId, event: SessionForked, digest: bytes, at_ms: int) -> None:
        """Make the head row, or find the one that a call before has made for the same place."""
        beginning = Beginning(
            stream=child,
            version=event.below,
            digest=digest,
            trim=Position(event.below),
            at_ms=at_ms,
        )
        if not self.store.begin_trimmed(beginning) and not _is_of(
            self.store.head(child), beginning
        ):
            raise SessionExists(session_id=child.session_id)

    def _append(
        self,
        child: StreamId,
        event: SessionForked,
        gathered: Gathered,
        bodies: list[StoredBody],
    ) -> None:
        state = evolve(gathered.state, event)
        append_id, here = AppendId(self.token()), Position(event.below)
        facts = [Caused(event=event, cause=None)]
        records = encode_records(child, here, bytes.fromhex(event.digest), append_id, facts)
        append = StreamAppend(
            stream=child,
            expected_version=event.below,
            append_id=append_id,
            records=records,
            bodies=tuple(bodies),
            index=tuple(_rows(gathered)),
            generation=generation(state),
            status=status(state),
            at_ms=event.at_ms,
        )
        result = self.store.append((append,))
        if isinstance(result, Conflict):
            raise SessionExists(session_id=child.session_id)
        if isinstance(result, Unknown) and not self._is_there(child, here, append_id):
            raise StoreFailed(where=self.store.where, reason=result.reason)

    def _is_there(self, child: StreamId, here: Position, append_id: AppendId) -> bool:
        """Look whether an append whose answer was lost has happened."""
        records = self.store.read(child, here, 1)
        return any(decode_header(child, each).append_id == append_id for each in records)


def _inherited(gathered: Gathered, start: Open) -> Gathered:
    """Leave out what the index knows of queues: a key that was used there is free here."""
    entries = [each for each in gathered.entries if kept_key(each).kind not in _NOT_INHERITED]
    return attrs.evolve(gathered, state=start, entries=tuple(entries))


def _is_of(head: StreamHead | None, beginning: Beginning) -> bool:
    """Tell whether a head row waits for the fact of this very fork."""
    return head is not None and (head.version, head.digest, head.status) == (
        beginning.version,
        beginning.digest,
        ARRIVING,
    )


def _own(event: SessionForked, bodies: list[NewBody]) -> Iterator[StoredBody]:
    for ordinal, body in enumerate(bodies):
        yield StoredBody(
            ref=BodyRef(position=Position(event.below), ordinal=ordinal),
            media_type=body.media_type,
            salt=body.salt,
            content=body.content,
        )


def _rows(gathered: Gathered) -> Iterator[IndexRow]:
    for kept in gathered.entries:
        yield encode_index_row(kept_key(kept), kept.entry)
