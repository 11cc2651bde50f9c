"""
Reading what a trim has kept: index entries, commits of the active path, commitments of bodies.

Their facts are gone. What stands for them was committed to by the trim, whose own fact is in the
chain.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeVar, cast

from attrs import frozen

from lash_es.codec.errors import CorruptBody, StoredDataError, UndecodableValue
from lash_es.codec.streams import StreamId
from lash_es.codec.trims import decode_trim_content
from lash_es.codec.wire_names import BODY_TYPES
from lash_es.core.bodies import BodyRef, RecordedBody
from lash_es.core.ids import Position, Version
from lash_es.core.known import (
    AppendEntry,
    BatchEntry,
    FrameEntry,
    IndexEntry,
    IndexKey,
    IndexKind,
    InputEntry,
    SequenceEntry,
    SourceKeyEntry,
    TombstoneEntry,
    TurnEntry,
    WorkKeyEntry,
)
from lash_es.core.trims import BodyPage, CommitPage, IndexPage, KeptCommit, KeptEntry, TrimPage
from lash_es.log.commitments import body_refs, require_body
from lash_es.log.loading import (
    Fact,
    read_trim,
    trim_event,
    was_trimmed_since,
)
from lash_es.log.port import Store

_P = TypeVar("_P", bound=TrimPage)
_R = TypeVar("_R")

_INDEX_KINDS: Final[Mapping[type[IndexEntry], IndexKind]] = {
    SourceKeyEntry: IndexKind.SOURCE_KEY,
    InputEntry: IndexKind.INPUT,
    SequenceEntry: IndexKind.SEQUENCE,
    TurnEntry: IndexKind.TURN,
    WorkKeyEntry: IndexKind.WORK_KEY,
    BatchEntry: IndexKind.BATCH,
    FrameEntry: IndexKind.FRAME,
    AppendEntry: IndexKind.APPEND,
    TombstoneEntry: IndexKind.TOMBSTONE,
}


@frozen(kw_only=True)
class KeptHistory:
    """What is left of the facts in front of a trim; each part is read when it is asked for."""

    store: Store
    fact: Fact

    @property
    def below(self) -> Version:
        """The version in front of which facts may be gone."""
        return trim_event(self.fact).below

    def entries(self) -> dict[IndexKey, IndexEntry]:
        """Return the index as it was."""
        return {
            kept_key(kept): kept.entry for page in self._pages(IndexPage) for kept in page.entries
        }

    def commits(self) -> dict[Position, KeptCommit]:
        """Return the commits of the active path, oldest first."""
        pages = self._pages(CommitPage)
        return {commit.position: commit for page in pages for commit in page.commits}

    def bodies(self) -> dict[BodyRef, RecordedBody]:
        """Return the bodies that stay although their facts go."""
        return {body.ref: body for page in self._pages(BodyPage) for body in page.bodies}

    def _pages(self, kind: type[_P]) -> Iterator[_P]:
        """Read the pages of a kind, one at a time."""
        header = self.fact.header
        for ref, commitment in zip(body_refs(header), header.bodies, strict=True):
            if commitment.media_type.partition(";")[0] != BODY_TYPES[kind][0]:
                continue
            found = self.store.read_bodies(self.fact.stream, (ref,)).get(ref)
            body = require_body(header, ref.ordinal, found)
            try:
                yield cast("_P", decode_trim_content(body.content, body.media_type))
            except UndecodableValue as cause:
                raise CorruptBody(
                    session_id=self.fact.stream.session_id,
                    position=ref.position,
                    ordinal=ref.ordinal,
                    reason=cause.summary(),
                ) from cause


def kept_key(kept: KeptEntry) -> IndexKey:
    """Return the key of an index entry as a trim keeps it."""
    return IndexKey(_INDEX_KINDS[type(kept.entry)], kept.key)


def from_kept(store: Store, stream: StreamId, read: Callable[[KeptHistory], _R]) -> _R | None:
    """
    Read from what the last trim has kept; none if nothing was trimmed.

    Raises:
        CorruptHistory: the head row points at no trim.
        CorruptBody: a page is not the one that was committed to.
    """
    while True:
        head = store.head(stream)
        if head is None or head.trim_position is None:
            return None
        try:
            return read(KeptHistory(store=store, fact=read_trim(store, head, head.trim_position)))
        except StoredDataError:
            if not was_trimmed_since(store, head):  # or the next trim has let go of this one
                raise
