"""
What is still needed of the facts in front of a version: read once, put on pages, committed to.

The state, the index and the last digest come from one fold up to the version. What stays of bodies
is decided by the active path as it is now: a person's words may be older than the version and the
turn that took them younger.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from attrs import Factory, define, frozen

from lash_es.codec.streams import StreamId
from lash_es.codec.trims import TrimContent, pages_of
from lash_es.core.bodies import BodyRef, RecordedBody
from lash_es.core.ids import Version
from lash_es.core.index import index_rows
from lash_es.core.known import IndexEntry, IndexKey
from lash_es.core.state import Deleted, Open, State
from lash_es.core.transcripts import FromInputs, FromReply, FromResults, FromWork, Node
from lash_es.core.trims import BodyPage, CommitPage, IndexPage, KeptCommit, KeptEntry, KeptState
from lash_es.log.commitments import body_refs
from lash_es.log.contents import read_commits
from lash_es.log.encoding import Folded
from lash_es.log.loading import (
    Fact,
    begin,
    load_facts,
)
from lash_es.log.port import Store
from lash_es.log.trims import KeptHistory

PAGE_BYTES_MAX: Final = 256 * 1024


@frozen(kw_only=True)
class Gathered:
    """All that a trim below ``folded.version`` keeps."""

    folded: Folded
    state: Open | Deleted
    entries: tuple[KeptEntry, ...]
    commits: tuple[KeptCommit, ...]
    bodies: tuple[RecordedBody, ...]

    def contents(self, page_bytes_max: int = PAGE_BYTES_MAX) -> Iterator[TrimContent]:
        """Yield what the trim's bodies hold, the state first."""
        yield KeptState(state=self.state)
        yield from pages_of(self.entries, lambda taken: IndexPage(entries=taken), page_bytes_max)
        yield from pages_of(self.commits, lambda taken: CommitPage(commits=taken), page_bytes_max)
        yield from pages_of(self.bodies, lambda taken: BodyPage(bodies=taken), page_bytes_max)


def gather(store: Store, now: Folded, below: Version) -> Gathered:
    """
    Gather what is needed of the facts in front of ``below``.

    Args:
        store: where the stream is.
        now: the stream as it is; its leaf says what the active path is.
        below: behind the last trim's, and up to the version of ``now``.

    Raises:
        CorruptHistory, CorruptBody: what is there cannot be trusted, so nothing may go.

    Cost: reads every fact that is kept in front of ``below`` once, and a fact for each commit of
    the active path.
    """
    path = _path(store, now)
    wanted = {ref for commit in path for ref in named_bodies(commit.nodes) if ref.position < below}
    reading = _Reading(wanted)
    folded = reading.fold(store, now.stream, below)
    assert isinstance(folded.state, Open | Deleted)
    return Gathered(
        folded=folded,
        state=folded.state,
        entries=tuple(_entries(reading.index)),
        commits=tuple(commit for commit in path if commit.position < below),
        bodies=tuple(reading.bodies[ref] for ref in sorted(reading.bodies, key=_place)),
    )


@define
class _Reading:
    """What has been read so far."""

    wanted: set[BodyRef]
    index: dict[IndexKey, IndexEntry] = Factory(dict[IndexKey, IndexEntry])
    bodies: dict[BodyRef, RecordedBody] = Factory(dict[BodyRef, RecordedBody])

    def fold(self, store: Store, stream: StreamId, below: Version) -> Folded:
        """Fold from where the stream begins up to ``below``."""
        begun = begin(store, stream)
        folded = begun.folded
        if begun.trim is not None:
            self._take_kept(KeptHistory(store=store, fact=begun.trim))
        facts = load_facts(store, folded, begun.trim)
        for fact, after in islice(facts, below - folded.version):
            self._take(folded.state, fact)
            folded = after
        return folded

    def _take_kept(self, kept: KeptHistory) -> None:
        self.index.update(kept.entries())
        bodies = kept.bodies().items()
        self.bodies.update((ref, body) for ref, body in bodies if ref in self.wanted)

    def _take(self, before: State, fact: Fact) -> None:
        self.index.update(index_rows(before, fact.event))
        for ref, commitment in zip(body_refs(fact.header), fact.header.bodies, strict=True):
            if ref in self.wanted:
                self.bodies[ref] = RecordedBody(ref=ref, commitment=commitment)


def _path(store: Store, now: Folded) -> Sequence[KeptCommit]:
    """Read the commits of the active path, oldest first; a deleted session has none any more."""
    leaf = now.state.head.leaf if isinstance(now.state, Open) else None
    return tuple(read_commits(store, now.stream, None if leaf is None else leaf.commit))[::-1]


def _entries(index: dict[IndexKey, IndexEntry]) -> Iterator[KeptEntry]:
    for key in sorted(index, key=lambda key: (key.kind.value, key.key)):
        yield KeptEntry(key=key.key, entry=index[key])


def named_bodies(nodes: Iterable[Node]) -> Iterator[BodyRef]:
    """List the bodies that the words of nodes are made of."""
    for node in nodes:
        source = node.source
        if isinstance(source, FromInputs | FromWork):
            yield from source.bodies
        elif isinstance(source, FromReply):
            yield source.body
        elif isinstance(source, FromResults):
            yield from (result.body for result in source.results if result.body)


def _place(ref: BodyRef) -> tuple[int, int]:
    return (ref.position, ref.ordinal)
