"""
Checking a stored session whole: chain, fold, head row, bodies, snapshots, index. The verdict names
what is wrong, and where.
"""

from collections.abc import Callable

from attrs import frozen

from lash_es.codec.errors import CorruptBody, StoredDataError, UndecodableValue
from lash_es.codec.streams import StreamId
from lash_es.core.bodies import RecordedBody
from lash_es.core.errors import HistoryTrimmedBelow
from lash_es.core.ids import Position, Version
from lash_es.log.appends import StoredSnapshot
from lash_es.log.commitments import body_refs, require_recorded
from lash_es.log.encoding import Folded, generation, status
from lash_es.log.loading import (
    FIRST,
    Fact,
    was_trimmed_since,
)
from lash_es.log.port import Store, StreamHead
from lash_es.log.reindexing import IndexFold, compared
from lash_es.log.sealing_errors import BodySealed
from lash_es.log.snapshots import snapshot_of
from lash_es.log.trims import KeptHistory


@frozen(kw_only=True)
class Problem:
    """
    Something that is not as it was written.

    ``position`` is the fact concerned, none for an index row.
    """

    check: str
    position: Position | None
    reason: str


@frozen(kw_only=True)
class Verdict:
    """
    What was checked, and what was found. ``digest`` is the last record's, in hexadecimal.

    ``bodies_sealed_count`` bodies could not be checked, since their keys are not there; nor the
    facts in front of ``oldest``, which were trimmed.
    """

    session_id: str
    version: Version
    digest: str
    bodies_count: int
    bodies_bytes: int
    bodies_sealed_count: int
    index_rows_count: int
    problems: tuple[Problem, ...]
    oldest: Position = FIRST

    @property
    def is_sound(self) -> bool:
        """Tell whether nothing was found."""
        return not self.problems


def _nothing() -> None:
    """Tell nobody."""


def verify_session(
    store: Store, stream: StreamId, *, on_fact: Callable[[], object] = _nothing
) -> Verdict:
    """
    Check everything that is stored of a session, from its first fact on.

    A damaged chain ends the check: what follows a damaged fact cannot be trusted. Damaged bodies,
    snapshots and index rows are all listed. Others may append meanwhile: a row of the index is
    right if it was at any time since it was read. ``on_fact`` is called after each fact.

    What was trimmed cannot be checked, and ``oldest`` says from where on it was; that what was
    kept of it is what the trim committed to, can.

    Cost: reads every record, body, snapshot and index row once.
    """
    while True:
        head = store.head(stream)
        try:
            verdict = _checked(_Check(store, stream, on_fact))
        except HistoryTrimmedBelow:
            continue  # It was trimmed meanwhile, and can be read from there on.
        if verdict.is_sound or head is None or not was_trimmed_since(store, head):
            return verdict


def _checked(check: "_Check") -> Verdict:
    try:
        check.snapshots()
        check.facts()
        check.index()
        check.facts()
    except UndecodableValue as damage:
        check.add("index", None, damage.summary())
    except StoredDataError as damage:
        position = damage.fields.get("position")
        at = Position(position) if isinstance(position, int) else None
        check.add("chain", at, damage.summary())
    return check.verdict()


class _Check:
    """What has been seen so far."""

    def __init__(self, store: Store, stream: StreamId, on_fact: Callable[[], object]) -> None:
        self._on_fact = on_fact
        self._problems: list[Problem] = []
        self._store = store
        self._stream = stream
        self._index = IndexFold(store, stream)
        self._oldest = FIRST
        self._snapshots: dict[Version, StoredSnapshot] = {}
        self._bodies_count = 0
        self._bodies_bytes = 0
        self._bodies_sealed_count = 0
        self._index_rows_count = 0

    def snapshots(self) -> None:
        """Read the snapshots, each to be compared when its version is folded."""
        newest = Version(2**53)
        while (stored := self._store.read_snapshot(self._stream, newest)) is not None:
            self._snapshots[stored.version] = stored
            newest = Version(stored.version - 1)

    def facts(self) -> None:
        """Check what was not folded yet."""
        head = self._store.head(self._stream)
        if not self._index.folded.version:
            self._begin()
        for fact, folded in self._index.facts():
            self._bodies(fact)
            self._snapshot(folded)
            if head is not None and head.version == folded.version:
                self._head(head, fact)
            self._on_fact()
        for version in self._snapshots:
            self.add("snapshots", None, f"the snapshot of version {version} is of no fact")
        self._snapshots.clear()

    def _begin(self) -> None:
        """Go to where the facts begin, and check what was kept of those in front."""
        folded = self._index.begin()
        if self._index.trim is None:
            return
        self._oldest = Position(folded.version)
        for version in [each for each in self._snapshots if each < folded.version]:
            del self._snapshots[version]
        self._snapshot(folded)
        kept = KeptHistory(store=self._store, fact=self._index.trim)
        for recorded in kept.bodies().values():
            self._body(recorded)

    def _snapshot(self, folded: Folded) -> None:
        """Compare a snapshot with the fold; of a foreign one only the digest can be compared."""
        stored = self._snapshots.pop(folded.version, None)
        if stored is None:
            return
        due = snapshot_of(folded.state, folded.digest, is_kept=stored.is_kept)
        is_foreign = due is None or stored.fingerprint != due.fingerprint
        if stored.digest != folded.digest or not (is_foreign or stored == due):
            last = Position(folded.version - 1)
            reason = f"the snapshot of version {folded.version} is not what the facts say"
            self.add("snapshots", last, reason)

    def _head(self, head: StreamHead, last: Fact) -> None:
        """Compare what the head row says besides version and digest, which loading compares."""
        state = self._index.folded.state
        found = (head.generation, head.status, head.at_ms)
        expected = (generation(state), status(state), last.event.at_ms)
        if found != expected:
            reason = f"the head row says {found}, the facts say {expected}"
            self.add("head", last.position, reason)

    def _bodies(self, fact: Fact) -> None:
        for ref, commitment in zip(body_refs(fact.header), fact.header.bodies, strict=True):
            self._body(RecordedBody(ref=ref, commitment=commitment))

    def _body(self, recorded: RecordedBody) -> None:
        ref = recorded.ref
        try:
            stored = self._store.read_bodies(self._stream, (ref,)).get(ref)
            body = require_recorded(self._stream, recorded, stored)
        except CorruptBody as damage:
            self.add("bodies", ref.position, damage.reason)
        except BodySealed:
            self._bodies_sealed_count += 1
        else:
            self._bodies_count += 1
            self._bodies_bytes += len(body.content)

    def index(self) -> None:
        """Compare the index with the facts, and with those that came while it was read."""
        report = compared(self._index, self.facts)
        self._index_rows_count = report.rows_count
        for keys, what in (
            (report.missing, "is missing"),
            (report.wrong, "is not what the facts say"),
            (report.extra, "follows from no fact"),
        ):
            for key in keys:
                self.add("index", None, f"{key.kind.value} {key.key!r} {what}")

    def add(self, check: str, position: Position | None, reason: str) -> None:
        """Note a problem."""
        self._problems.append(Problem(check=check, position=position, reason=reason))

    def verdict(self) -> Verdict:
        """Put it together."""
        return Verdict(
            session_id=self._stream.session_id,
            version=self._index.folded.version,
            digest=self._index.folded.digest.hex(),
            bodies_count=self._bodies_count,
            bodies_bytes=self._bodies_bytes,
            bodies_sealed_count=self._bodies_sealed_count,
            index_rows_count=self._index_rows_count,
            oldest=self._oldest,
            problems=tuple(self._problems),
        )
