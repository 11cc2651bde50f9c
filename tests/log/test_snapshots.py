"""
Goal: a log opens to the same state with snapshots and without, whatever became of them, and in the
same number of reads however long it is.

Method: random lives with many snapshots, of which any are damaged; and statements and rows counted
on SQLite at three lengths.
"""

import itertools
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash_es.codec.errors import CorruptHistory
from lash_es.codec.records import Record
from lash_es.codec.streams import StreamId
from lash_es.core.bodies import NewBody
from lash_es.core.commands import (
    CancelTurnInput,
    Command,
    EnqueueTurnInput,
    OpenSession,
    new_bodies,
)
from lash_es.core.decide import decide
from lash_es.core.events import Event
from lash_es.core.evolve import fold
from lash_es.core.heads import Ledger, UsageKey
from lash_es.core.ids import AppendId, InputId, Position, SessionId, Version
from lash_es.core.ingress import NextTurn
from lash_es.core.known import Known
from lash_es.core.messages import TokenUsage
from lash_es.core.state import Open, State
from lash_es.log.appends import Appended, StoredSnapshot
from lash_es.log.encoding import Folded, encode_append, nothing_folded
from lash_es.log.errors import VersionOutOfRange
from lash_es.log.loading import load, open_stream, refold
from lash_es.log.port import Store
from lash_es.log.snapshots import FACTS_PER_SNAPSHOT, SNAPSHOTS_TRIED_MAX, snapshot_of
from lash_es.log.snapshotting import load_as_of, write_snapshot
from lash_es.log.stores.memory import MemoryStore
from lash_es.log.stores.sqlite import Durability, SQLiteStore
from tests.core.effort import effort
from tests.core.lives import SESSION as LIVED
from tests.core.lives import Life, lives
from tests.log.conformance import snapshots_of
from tests.log.tapes import POLICY, SESSION, STREAM, play, said

BODY: Final = said("again and again")
LIFE_STREAM: Final = StreamId("default", LIVED)


def append(store: Store, folded: Folded, events: list[Event], *, every: int) -> Folded:
    bodies: tuple[NewBody, ...] = (BODY,)
    made, after = encode_append(folded, events, bodies, AppendId("a"), facts_per_snapshot=every)
    assert store.append((made,)) == Appended(versions=(after.version,))
    return after


def queue_commands() -> Iterator[Command]:
    """Open a session, then enqueue and cancel for ever: what is open does not grow."""
    yield OpenSession(now_ms=1, session_id=SESSION, policy=POLICY)
    for number in itertools.count():
        input_id = InputId(f"i{number}")
        yield EnqueueTurnInput(
            now_ms=2, input_id=input_id, source_key=None, ingress=NextTurn(), body=BODY
        )
        yield CancelTurnInput(now_ms=3, input_id=input_id)


def grown(
    store: Store, facts_count: int, stream: StreamId = STREAM, facts_per_append: int = 50
) -> Folded:
    """Append so many facts to a stream."""
    folded, state = nothing_folded(stream), nothing_folded(stream).state
    events: list[Event] = []
    tape = queue_commands()
    for count in range(1, facts_count + 1):
        command = next(tape)
        if isinstance(command, OpenSession):
            command = attrs.evolve(command, session_id=stream.session_id)
        new = decide(state, command, Known(entries={}))
        state = fold(new, state)
        events.extend(new)
        if len(events) == facts_per_append or count == facts_count:
            folded = append(store, folded, events, every=FACTS_PER_SNAPSHOT)
            events = []
    return folded


def same(found: Folded, expected: Folded) -> bool:
    """Equal also in the order of mappings, which equality does not see."""
    return found == expected and repr(found.state) == repr(expected.state)


# When one is written


def test_one_comes_with_the_append_that_passes_the_next_multiple() -> None:
    store = MemoryStore()
    folded = grown(store, 1)
    versions: list[tuple[int, ...]] = []
    for count in (1, 1, 3, 1, 1, 9, 1):
        folded = append(store, folded, further(folded, count), every=4)
        versions.append(tuple(each.version for each in snapshots_of(store, STREAM)))

    assert versions == [(), (), (6,), (6,), (8, 6), (17, 8), (17, 8)]


def test_one_comes_when_a_session_is_parked() -> None:
    parked = [each for each in play(MemoryStore()).appends if each.snapshot is not None]

    assert [each.records[-1].name for each in parked] == ["session.parked"]
    assert [each.snapshot.version for each in parked if each.snapshot] == [parked[0].version]


def test_a_sum_that_outgrew_exact_integers_stops_no_append() -> None:
    store = MemoryStore()
    folded = grown(store, 1)
    assert isinstance(folded.state, Open)
    rows = {UsageKey("turn", "m"): TokenUsage(input_tokens=2**53)}
    heavy = attrs.evolve(folded.state, ledger=Ledger(rows=rows))
    append(store, attrs.evolve(folded, state=heavy), further(folded, 1), every=1)

    assert snapshots_of(store, STREAM) == ()
    assert load(store, STREAM).version == 2
    assert snapshot_of(nothing_folded(STREAM).state, bytes(32)) is None


def further(folded: Folded, count: int) -> list[Event]:
    """Go on in the queue, wherever it is."""
    events: list[Event] = []
    state = folded.state
    for _ in range(count):
        assert isinstance(state, Open)
        pending = next(iter(state.inputs.pending), None)
        command: Command = CancelTurnInput(now_ms=3, input_id=pending or InputId("x"))
        if pending is None:
            command = EnqueueTurnInput(
                now_ms=2,
                input_id=InputId(f"n{state.version}"),
                source_key=None,
                ingress=NextTurn(),
                body=BODY,
            )
        new = decide(state, command, Known(entries={}))
        events.extend(new)
        state = fold(new, state)
    return events


# When one is used


def lived(life: Life, every: int) -> tuple[MemoryStore, Folded, list[StoredSnapshot]]:
    """Append a life, keeping every snapshot on the way."""
    store, folded = MemoryStore(), nothing_folded(LIFE_STREAM)
    written: list[StoredSnapshot] = []
    for decision in life:
        if not decision.events:
            continue
        bodies = new_bodies(decision.command)
        made, folded = encode_append(
            folded, decision.events, bodies, AppendId("a"), facts_per_snapshot=every
        )
        assert store.append((made,)) == Appended(versions=(folded.version,))
        if made.snapshot is not None:
            written.append(made.snapshot)
            assert store.write_snapshot(LIFE_STREAM, attrs.evolve(made.snapshot, is_kept=True))
    return store, folded, written


def flipped(snapshot: StoredSnapshot) -> StoredSnapshot:
    middle = len(snapshot.content) // 2
    turned = bytes((snapshot.content[middle] ^ 1,))
    content = snapshot.content[:middle] + turned + snapshot.content[middle + 1 :]
    return attrs.evolve(snapshot, content=content)


OTHER_FACTS: Final = grown(MemoryStore(), 1, LIFE_STREAM).state
OWN_FACTS: Final = grown(MemoryStore(), 1, STREAM).state


def resealed(snapshot: StoredSnapshot, state: State) -> StoredSnapshot:
    """Forge one that is whole in itself, and of facts that never were."""
    assert isinstance(state, Open)
    forged = snapshot_of(attrs.evolve(state, version=snapshot.version), bytes(32))
    assert forged is not None
    return forged


Damage = Callable[[StoredSnapshot], StoredSnapshot]
DAMAGES: Final[dict[str, Damage]] = {
    "a byte is flipped": flipped,
    "it is empty": lambda snapshot: attrs.evolve(snapshot, content=b""),
    "it is cut off": lambda snapshot: attrs.evolve(snapshot, content=snapshot.content[:-1]),
    "its digest is another": lambda snapshot: attrs.evolve(snapshot, digest=bytes(32)),
    "it is foreign": lambda snapshot: attrs.evolve(snapshot, fingerprint="older"),
    "it is moved": lambda snapshot: attrs.evolve(snapshot, version=Version(snapshot.version - 1)),
    "it is of other facts": lambda snapshot: resealed(snapshot, OTHER_FACTS),
    "it is of facts that the session had not": lambda snapshot: resealed(snapshot, OWN_FACTS),
}


def damage(store: MemoryStore, stream: StreamId, old: StoredSnapshot, how: Damage) -> None:
    kept = store._streams[stream.key]
    kept.snapshots = tuple(
        how(each) if each.version == old.version else each for each in kept.snapshots
    )


def test_a_log_loads_to_the_same_whatever_became_of_its_snapshots() -> None:
    met: Counter[str] = Counter()

    @effort(40)
    @given(life=lives(), every=st.integers(1, 9), data=st.data())
    def check(life: Life, every: int, data: st.DataObject) -> None:
        store, folded, written = lived(life, every)
        for snapshot in written:
            how = data.draw(st.sampled_from(["sound", *DAMAGES]))
            if how != "sound":
                damage(store, LIFE_STREAM, snapshot, DAMAGES[how])
        opened = open_stream(store, LIFE_STREAM)
        assert same(opened.folded, folded)
        assert same(refold(store, LIFE_STREAM), folded)
        version = data.draw(st.integers(0, folded.version))
        assert same(load_as_of(store, LIFE_STREAM, version), prefix(life, version))
        met["from a snapshot"] += opened.start > 0
        met["from the start, past unusable ones"] += opened.start == 0 < len(opened.ignored)
        met["past unusable ones"] += opened.start > 0 < len(opened.ignored)
        met["as of a version before a snapshot"] += 0 < version < folded.version

    check()
    assert min(met.values()) > 0, met


def prefix(life: Life, version: int) -> Folded:
    """Fold the first facts of a life without any store."""
    folded = nothing_folded(LIFE_STREAM)
    for decision in life:
        events = decision.events[: version - folded.version]
        if events:
            bodies = new_bodies(decision.command)
            _, folded = encode_append(folded, events, bodies, AppendId("a"))
    return folded


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_one_is_passed_over_and_said(how: str) -> None:
    store = MemoryStore()
    folded = grown(store, 3 * FACTS_PER_SNAPSHOT, facts_per_append=1)
    newest, older = snapshots_of(store, STREAM)
    damage(store, STREAM, newest, DAMAGES[how])

    opened = open_stream(store, STREAM)

    assert same(opened.folded, folded)
    assert opened.start == older.version
    assert opened.facts_count == folded.version - older.version
    (ignored,) = opened.ignored
    assert newest.version - ignored.version == (1 if how == "it is moved" else 0)
    assert ignored.reason
    assert same(load_as_of(store, STREAM, folded.version), folded)


def test_one_that_is_ahead_of_a_shortened_log_is_passed_over() -> None:
    store, short = MemoryStore(), MemoryStore()
    grown(store, 3 * FACTS_PER_SNAPSHOT)
    folded = grown(short, FACTS_PER_SNAPSHOT - 1)
    short._streams[STREAM.key].snapshots = store._streams[STREAM.key].snapshots

    assert open_stream(short, STREAM).start == 0
    after = append(short, folded, further(folded, 1), every=FACTS_PER_SNAPSHOT)
    assert [each.version for each in snapshots_of(short, STREAM)] == [after.version]
    assert len(short._streams[STREAM.key].snapshots) == 1


def test_only_so_many_are_tried() -> None:
    store = MemoryStore()
    folded = grown(store, 10)
    for version in range(1, 10):
        assert write_snapshot(store, STREAM, version) is not None
        damage(store, STREAM, snapshots_of(store, STREAM)[0], flipped)

    opened = open_stream(store, STREAM)

    assert [each.version for each in opened.ignored] == [9, 8, 7, 6][:SNAPSHOTS_TRIED_MAX]
    assert (opened.start, opened.folded) == (0, folded)
    assert same(load_as_of(store, STREAM, 9), load_as_of(MemoryCopy(store), STREAM, 9))


class MemoryCopy(MemoryStore):
    """The same facts without snapshots."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__()
        self._recorder = store._recorder
        self._streams = store._streams

    def read_snapshot(self, stream: StreamId, version_max: Version) -> StoredSnapshot | None:
        del stream, version_max
        return None


def test_a_log_that_was_folded_whole_gets_one_with_its_next_append() -> None:
    store = MemoryStore()
    grown(store, 2 * FACTS_PER_SNAPSHOT + 2)
    store._streams[STREAM.key].snapshots = ()
    opened = load(store, STREAM)
    after = append(store, opened, further(opened, 1), every=FACTS_PER_SNAPSHOT)

    assert (opened.is_overdue, after.is_overdue) == (True, False)
    assert [each.version for each in snapshots_of(store, STREAM)] == [after.version]
    assert not load(store, STREAM).is_overdue


def test_corrupt_facts_behind_a_snapshot_are_refused_and_none_before_it_is_looked_at() -> None:
    store = MemoryStore()
    folded = grown(store, FACTS_PER_SNAPSHOT + 5, facts_per_append=1)

    class Damaged(MemoryCopy):
        def __init__(self, position: int) -> None:
            super().__init__(store)
            self.position = position

        def read_snapshot(self, stream: StreamId, version_max: Version) -> StoredSnapshot | None:
            return MemoryStore.read_snapshot(self, stream, version_max)

        def read(self, stream: StreamId, first: Position, most: int) -> tuple[Record, ...]:
            return tuple(
                attrs.evolve(record, header=b"{}") if record.position == self.position else record
                for record in super().read(stream, first, most)
            )

    with pytest.raises(CorruptHistory) as caught:
        load(Damaged(FACTS_PER_SNAPSHOT + 2), STREAM)
    assert caught.value.position == FACTS_PER_SNAPSHOT + 2
    assert load(Damaged(3), STREAM) == folded
    with pytest.raises(CorruptHistory):
        refold(Damaged(3), STREAM)


# The past


def test_the_past_is_folded_from_the_snapshot_before_it() -> None:
    store = ReadCounter()
    grown(store, 300)
    assert write_snapshot(store, STREAM, 100) is not None
    expected = load_as_of(MemoryCopy(store), STREAM, 110)
    store.firsts.clear()

    assert same(load_as_of(store, STREAM, 110), expected)
    assert store.firsts == [99, 100]
    assert load_as_of(store, STREAM, 0) == nothing_folded(STREAM)
    assert write_snapshot(store, STREAM, 0) is None
    for version in (-1, 301):
        with pytest.raises(VersionOutOfRange) as caught:
            load_as_of(store, STREAM, version)
        assert (caught.value.requested, caught.value.version) == (version, 300)


class ReadCounter(MemoryStore):
    """Notes where reading begins, and cuts off what ``cut`` says."""

    def __init__(self) -> None:
        super().__init__()
        self.firsts: list[int] = []
        self.cut = 2**53

    def read(self, stream: StreamId, first: Position, records_max: int) -> tuple[Record, ...]:
        self.firsts.append(first)
        found = super().read(stream, first, records_max)
        return tuple(record for record in found if record.position < self.cut)


def test_a_past_that_was_cut_off_is_corrupt() -> None:
    store = ReadCounter()
    grown(store, 20)
    store.cut = 7

    with pytest.raises(CorruptHistory) as caught:
        load_as_of(store, STREAM, 9)
    assert caught.value.position == 7


# Counts


LENGTHS: Final = (10, 1_000, 10_000)


def stream_of(length: int) -> StreamId:
    return StreamId("default", SessionId(f"of-{length}"))


class CountingStore(SQLiteStore):
    """Counts the records that it hands out."""

    records_count = 0

    def read(self, stream: StreamId, first: Position, records_max: int) -> tuple[Record, ...]:
        found = super().read(stream, first, records_max)
        self.records_count += len(found)
        return found


@pytest.fixture(scope="module")
def long_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("long") / "log.db"
    with closing(SQLiteStore.open(path, create=True, durability=Durability.NORMAL)) as store:
        for length in LENGTHS:
            grown(store, length, stream_of(length), facts_per_append=7)
    return path


@pytest.mark.parametrize("length", LENGTHS)
def test_opening_costs_the_same_at_any_length(long_log: Path, length: int) -> None:
    with closing(CountingStore.open(long_log, create=False)) as store:
        assert isinstance(store, CountingStore)
        statements: list[str] = []
        store._connections._sqlite_reader.set_trace_callback(statements.append)
        opened = open_stream(store, stream_of(length))
        store._connections._sqlite_reader.set_trace_callback(None)

        # A snapshot, the head row, the facts, and what is behind them.
        assert opened.folded.version == length
        assert [words.split()[0] for words in statements].count("SELECT") == 4
        assert store.records_count == opened.facts_count < FACTS_PER_SNAPSHOT
        assert (opened.start > 0) == (length > FACTS_PER_SNAPSHOT)


def test_committing_reads_a_head_row_and_nothing_else(long_log: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(long_log, tmp_path))
    with closing(CountingStore.open(path, create=False)) as store:
        assert isinstance(store, CountingStore)
        verbs: list[list[str]] = []
        for every in (1_000_000, 1):
            for length in LENGTHS:
                folded = load(store, stream_of(length))
                events = further(folded, 2)
                store.records_count = 0
                act = partial(append, store, folded, events, every=every)
                verbs.append(traced(store, act))
        plain, with_snapshot = verbs[: len(LENGTHS)], verbs[len(LENGTHS) :]

    assert store.records_count == 0
    assert plain == [plain[0]] * len(LENGTHS)
    assert plain[0].count("SELECT") == 1
    commit = plain[0].index("COMMIT")
    assert with_snapshot == [[*plain[0][:commit], "INSERT", "DELETE", *plain[0][commit:]]] * len(
        LENGTHS
    )


def traced(store: SQLiteStore, act: Callable[[], object]) -> list[str]:
    """List the statements of the writer; the reader must have none."""
    statements: list[str] = []
    reads: list[str] = []
    store._connections._sqlite_writer.set_trace_callback(statements.append)
    store._connections._sqlite_reader.set_trace_callback(reads.append)
    act()
    store._connections._sqlite_writer.set_trace_callback(None)
    store._connections._sqlite_reader.set_trace_callback(None)
    assert reads == []
    return [statement.split()[0] for statement in statements]
