"""
Do today's reducers and upcasters make of stored facts what those of their day made of them?

Every snapshot is a state that somebody's code has folded and stored. The facts are folded again,
from the first that is kept on, and compared with each snapshot on the way. One of another
fingerprint was made by code of other shapes: it can only be counted. Source: Temporal's
``Replayer``, for state in place of commands.
"""

from collections.abc import Callable

from attrs import define, field, frozen

from lash_es.core.ids import Position, Version
from lash_es.log.appends import StoredSnapshot
from lash_es.log.encoding import Folded
from lash_es.log.loading import begin, load_facts
from lash_es.log.snapshots import snapshot_of
from lash_es.timetravel.past import FACTS_PER_REPORT, StoredHistory


@frozen(kw_only=True)
class Refolded:
    """
    What folding again came to.

    ``differs`` is the first version at which a stored state is another one than today's, none if
    none is; ``agrees`` the last one in front of it at which both were the same. The fact that
    makes the difference lies between the two.
    """

    version: Version
    compared_count: int
    foreign_count: int
    agrees: Version
    differs: Version | None

    @property
    def suspects(self) -> tuple[Position, Position] | None:
        """The first and the last fact that may make the difference."""
        if self.differs is None:
            return None
        return Position(self.agrees), Position(self.differs - 1)


def _nothing(_: int) -> None:
    """Tell nobody."""


def refold(past: StoredHistory, on_facts: Callable[[int], object] = _nothing) -> Refolded:
    """
    Fold a session again with today's code, and compare it with what was stored on its way.

    Raises:
        CorruptHistory, WrittenByNewerVersion: a fact cannot be read, or cannot follow any more.

    Cost: reads and folds every fact, and reads every snapshot.
    """
    begun = begin(past.store, past.stream)
    check = _Check.of(past, begun.folded.version)
    check.look(begun.folded)
    count = 0
    for count, (_, folded) in enumerate(load_facts(past.store, begun.folded, begun.trim), start=1):
        check.look(folded)
        if count % FACTS_PER_REPORT == 0:
            on_facts(FACTS_PER_REPORT)
        if check.differs is not None:
            break
    on_facts(count % FACTS_PER_REPORT)
    return Refolded(
        version=Version(begun.folded.version + count),
        compared_count=check.compared_count,
        foreign_count=check.foreign_count,
        agrees=check.agrees,
        differs=check.differs,
    )


@define(kw_only=True)
class _Check:
    """What was stored, oldest first, and what came of comparing it."""

    stored: list[StoredSnapshot]
    agrees: Version
    compared_count: int = 0
    foreign_count: int = 0
    differs: Version | None = field(default=None)

    @classmethod
    def of(cls, past: StoredHistory, oldest: Version) -> "_Check":
        found: list[StoredSnapshot] = []
        newest = past.version
        while (stored := past.store.read_snapshot(past.stream, newest)) is not None:
            if stored.version < oldest:
                break
            found.append(stored)
            newest = Version(stored.version - 1)
        return cls(stored=found, agrees=oldest)

    def look(self, folded: Folded) -> None:
        """Compare the state with the snapshot of its version, if there is one."""
        if not self.stored or self.stored[-1].version != folded.version:
            return
        stored = self.stored.pop()
        due = snapshot_of(folded.state, folded.digest, is_kept=stored.is_kept)
        if due is None or due.fingerprint != stored.fingerprint:
            self.foreign_count += 1
        elif due == stored:
            self.compared_count += 1
            self.agrees = folded.version
        else:
            self.compared_count += 1
            self.differs = folded.version
