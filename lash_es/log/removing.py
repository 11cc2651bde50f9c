"""
What a recorded trim lets go of: how far it is gone, and how the rest goes.

Facts go from the oldest on, a few in each transaction, with their bodies; what the active path
names stays. The head row moves with each transaction. Bodies that an earlier trim kept and this
one does not go first, for as long as the earlier one can be asked what they were.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol

from attrs import field, frozen

from lash_es.codec.errors import CorruptHistory
from lash_es.codec.records import Record, decode_header
from lash_es.codec.streams import StreamId
from lash_es.core.bodies import BodyRef
from lash_es.core.ids import Position, Version
from lash_es.core.state import Deleted, Open
from lash_es.log.appends import StoredBody
from lash_es.log.commitments import body_refs
from lash_es.log.loading import (
    load,
    read_trim,
    trim_event,
)
from lash_es.log.port import Store, StreamHead
from lash_es.log.retaining import Removal
from lash_es.log.trims import KeptHistory

FACTS_PER_REMOVAL_MAX: Final = 256


@frozen(kw_only=True)
class Going:
    """
    What will be deleted: facts from ``first`` up to ``below``, and bodies.

    ``digest`` is that of the last fact. ``parts`` yields the facts in order, each with the bodies
    that go, as they lie; and last, without a fact, bodies of facts that went before. ``store``
    holds the blobs that they name.
    """

    store: Store = field(repr=False)
    stream: StreamId
    first: Position
    below: Version
    digest: bytes
    parts: Callable[[], Iterator[tuple[Record | None, tuple[StoredBody, ...]]]] = field(repr=False)


class Archive(Protocol):
    """What is handed the facts that will go; when it returns, it has them safe."""

    def keep(self, going: Going) -> None:
        """Keep all of it, or raise: then nothing is deleted."""
        ...


class NoArchive:
    """For hosts that want what goes to be gone."""

    def keep(self, going: Going) -> None:
        """Keep nothing."""


@frozen(kw_only=True)
class Removed:
    """How much went, and that all of it is gone now."""

    below: Version
    facts_count: int
    bodies_count: int


NOTHING_REMOVED: Final = Removed(below=Version(0), facts_count=0, bodies_count=0)


@frozen(kw_only=True)
class Removing:
    """A recorded trim, and how far what it lets go of is gone."""

    store: Store
    head: StreamHead
    kept: KeptHistory
    kept_bodies: frozenset[BodyRef]
    left_over: tuple[BodyRef, ...]

    @property
    def is_done(self) -> bool:
        """Tell whether nothing is left to remove."""
        is_there = self.head.trim_position == self.kept.fact.position
        return is_there and self.head.oldest >= self.kept.below

    def going(self) -> Going:
        """Describe what goes, for the archive."""
        return Going(
            store=self.store,
            stream=self.head.stream,
            first=self.head.oldest,
            below=self.kept.below,
            digest=bytes.fromhex(trim_event(self.kept.fact).digest),
            parts=self._parts,
        )

    def _parts(self) -> Iterator[tuple[Record | None, tuple[StoredBody, ...]]]:
        stream, as_stored = self.head.stream, self.store.as_stored
        for records in self._pages():
            refs = {record: self._refs(record) for record in records}
            found = as_stored.read_bodies(stream, [ref for each in refs.values() for ref in each])
            for record in records:
                yield record, tuple(found[ref] for ref in refs[record] if ref in found)
        for refs_left in _chunks(self.left_over):
            yield None, tuple(as_stored.read_bodies(stream, refs_left).values())

    def _pages(self) -> Iterator[tuple[Record, ...]]:
        """Read the facts that go, oldest first, a few at a time."""
        stream, first, below = self.head.stream, self.head.oldest, self.kept.below
        while first < below:
            count = min(FACTS_PER_REMOVAL_MAX, below - first)
            records = self.store.read(stream, first, count)
            positions = [record.position for record in records]
            if positions != list(range(first, first + count)):
                reason = "missing, although it was never removed"
                raise CorruptHistory(session_id=stream.session_id, position=first, reason=reason)
            yield records
            first = Position(first + count)

    def _refs(self, record: Record) -> tuple[BodyRef, ...]:
        header = decode_header(self.head.stream, record)
        return tuple(ref for ref in body_refs(header) if ref not in self.kept_bodies)

    def remove(self) -> Removed:
        """
        Delete all of it, piece by piece.

        First what the trim before this one had kept, while that can still be asked what it was.
        """
        facts_count = 0
        bodies_count = len(self.left_over)
        if not self.is_done:
            self._remove_left_over()
            for records in self._pages():
                refs = tuple(ref for record in records for ref in self._refs(record))
                self._remove(Version(records[-1].position + 1), refs, self.kept.fact.position)
                facts_count += len(records)
                bodies_count += len(refs)
        return Removed(
            below=self.kept.below,
            facts_count=facts_count,
            bodies_count=bodies_count,
        )

    def _remove_left_over(self) -> None:
        here = self.kept.fact.position
        for refs in _chunks(self.left_over):
            # Until all are gone, the trim that says which they are stays the one to begin at.
            self._remove(Version(self.head.oldest), refs, self.head.trim_position or here)
        self._remove(Version(self.head.oldest), (), here)

    def _remove(self, below: Version, bodies: tuple[BodyRef, ...], position: Position) -> None:
        self.store.remove_facts(
            Removal(stream=self.head.stream, below=below, trim=position, bodies=bodies)
        )


def removing(store: Store, stream: StreamId) -> Removing | None:
    """Find the last trim that was recorded, and what it lets go of; none if there is none."""
    state = load(store, stream).state
    head = store.head(stream)
    if head is None or not isinstance(state, Open | Deleted) or state.trim is None:
        return None
    kept = KeptHistory(store=store, fact=read_trim(store, head, state.trim.position))
    kept_bodies = frozenset(kept.bodies())
    return Removing(
        store=store,
        head=head,
        kept=kept,
        kept_bodies=kept_bodies,
        left_over=_left_over(store, head, state.trim.position, kept_bodies),
    )


def _left_over(
    store: Store, head: StreamHead, position: Position, kept_bodies: frozenset[BodyRef]
) -> tuple[BodyRef, ...]:
    """List the bodies that an earlier trim kept and this one does not."""
    if head.trim_position is None or head.trim_position == position:
        return ()
    before = KeptHistory(store=store, fact=read_trim(store, head, head.trim_position))
    return tuple(ref for ref in before.bodies() if ref not in kept_bodies)


def _chunks(refs: Sequence[BodyRef]) -> Iterator[tuple[BodyRef, ...]]:
    for first in range(0, len(refs), FACTS_PER_REMOVAL_MAX):
        yield tuple(refs[first : first + FACTS_PER_REMOVAL_MAX])
