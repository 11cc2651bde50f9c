"""
Folds of the past, from the newest snapshot before it, and snapshots that somebody asks for.

With one every so many facts, the state at any version is a bounded fold.
"""

from itertools import islice

from lash_es.codec.errors import CorruptHistory, UndecodableValue
from lash_es.codec.streams import StreamId
from lash_es.core.errors import HistoryTrimmedBelow
from lash_es.core.ids import Position, Version
from lash_es.log.appends import StoredSnapshot
from lash_es.log.encoding import Folded
from lash_es.log.errors import VersionOutOfRange
from lash_es.log.loading import begin, read_facts, step
from lash_es.log.port import Store
from lash_es.log.snapshots import SNAPSHOTS_TRIED_MAX, snapshot_of, state_of


def load_as_of(store: Store, stream: StreamId, version: int) -> Folded:
    """
    Fold the first ``version`` facts of a stream, from the newest usable snapshot of them on.

    Raises:
        VersionOutOfRange: it has fewer.
        HistoryTrimmedBelow: it had so many once, and that was trimmed.
        CorruptHistory, WrittenByNewerVersion: a fact that was folded cannot be read.
    """
    newest = asked = _checked(store, stream, version)
    for _ in range(SNAPSHOTS_TRIED_MAX):
        stored = store.read_snapshot(stream, newest)
        if stored is None:
            break
        try:
            return _folded_to(store, _start(store, stream, stored), version)
        except (UndecodableValue, CorruptHistory):
            newest = Version(stored.version - 1)
    return _folded_from_the_oldest(store, stream, asked)


def write_snapshot(store: Store, stream: StreamId, version: int) -> StoredSnapshot | None:
    """
    Fold to ``version``, from the first fact that is kept on, and keep a snapshot of it.

    Returns:
        What was written; nothing, if there is nothing at version 0, or what cannot be encoded.

    Raises:
        As ``load_as_of``.
    """
    folded = _folded_from_the_oldest(store, stream, _checked(store, stream, version))
    snapshot = snapshot_of(folded.state, folded.digest, is_kept=True)
    if snapshot is not None and store.write_snapshot(stream, snapshot):
        return snapshot
    return None


def _checked(store: Store, stream: StreamId, version: int) -> Version:
    head = store.head(stream)
    found = Version(0 if head is None else head.version)
    if not 0 <= version <= found:
        raise VersionOutOfRange(session_id=stream.session_id, requested=version, version=found)
    return Version(version)


def _start(store: Store, stream: StreamId, stored: StoredSnapshot) -> Folded:
    """Compare a snapshot with the fact that it claims to end with."""
    state = state_of(stream, stored)
    last = store.read(stream, Position(stored.version - 1), 1)
    if not last or last[0].digest != stored.digest:
        what = f"snapshot of version {stored.version}"
        raise UndecodableValue(what=what, reason="it is of other facts")
    return Folded(stream=stream, state=state, digest=stored.digest)


def _folded_from_the_oldest(store: Store, stream: StreamId, version: Version) -> Folded:
    start = begin(store, stream).folded
    if version < start.version:
        raise HistoryTrimmedBelow(
            session_id=stream.session_id,
            asked=Position(version),
            oldest=Position(start.version),
        )
    return _folded_to(store, start, version)


def _folded_to(store: Store, folded: Folded, version: int) -> Folded:
    stream = folded.stream
    facts = read_facts(store, stream, Position(folded.version), folded.digest)
    for fact in islice(facts, version - folded.version):
        state = step(folded.state, fact)
        folded = Folded(stream=stream, state=state, digest=fact.digest)
    if folded.version < version:
        raise CorruptHistory(
            session_id=stream.session_id, position=Position(folded.version), reason="missing"
        )
    return folded
