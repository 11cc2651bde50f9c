"""A trim lets go of facts and of nothing that is needed: on memory and on SQLite."""

import itertools
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import attrs
import pytest

from lash_es.codec.contents import encode_content
from lash_es.codec.errors import CorruptBody, CorruptHistory
from lash_es.codec.records import decode_header
from lash_es.codec.trims import decode_trim_content
from lash_es.core.bodies import BodyRef
from lash_es.core.commands import (
    CancelTurnInput,
    DeleteSession,
    EnqueueTurnInput,
    OpenSession,
)
from lash_es.core.errors import (
    HistoryTrimmedBelow,
    SessionNotOpen,
    TrimHeldBack,
    TrimOutOfRange,
)
from lash_es.core.events import body_ref
from lash_es.core.ids import InputId, Position, Version
from lash_es.core.ingress import NextTurn
from lash_es.core.known import IndexKey, IndexKind
from lash_es.core.messages import ModelReply, TurnInput
from lash_es.core.retention import Pin
from lash_es.core.state import Deleted, Open
from lash_es.core.trims import BodyPage, CommitPage, IndexPage, KeptState
from lash_es.log.appends import Appended, AppendResult, Conflict, StreamAppend, Unknown
from lash_es.log.contents import (
    read_commits,
    read_content,
    read_contents,
    read_events,
    read_header,
    read_nodes,
)
from lash_es.log.encoding import decode_index_entry
from lash_es.log.errors import StoreFailed
from lash_es.log.formats import FormatTooOld, upgrade
from lash_es.log.gathering import named_bodies
from lash_es.log.loading import begin, load, load_facts, refold
from lash_es.log.port import Store
from lash_es.log.reindexing import compare_index, rebuild_index
from lash_es.log.removing import FACTS_PER_REMOVAL_MAX
from lash_es.log.retaining import RecordFormats, Removal
from lash_es.log.stores.memory import MemoryStore
from lash_es.log.stores.sqlite import SQLiteStore
from lash_es.log.trims import KeptHistory, from_kept
from lash_es.turns.transcript import content_kinds
from tests.log.tapes import I3, POLICY, SESSION, STREAM, Player, said
from tests.log.trims import Archived, lived, trimming

COMMIT = 21
"""Where the tape's turn is committed."""


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made: Store = MemoryStore()
    if request.param == "sqlite":
        made = SQLiteStore.open(tmp_path / "log.db", create=True)
    yield made
    made.close()


def _over(store: Store) -> Player:
    """Play the tape, and withdraw the input that still waits: nothing is open."""
    player = lived(store)
    player.send(CancelTurnInput(now_ms=2_900, input_id=I3))
    return player


def _opened(store: Store) -> Open:
    state = load(store, STREAM).state
    assert isinstance(state, Open)
    return state


def _facts_kept(store: Store) -> list[int]:
    return [record.position for record in store.read(STREAM, Position(0), 999)]


# What goes, and what stays


@pytest.mark.parametrize("below", [1, 3, 13, COMMIT, COMMIT + 1, 28])
def test_facts_go_and_the_state_stays(store: Store, below: int) -> None:
    player = _over(store)
    before = _opened(store)

    done = trimming(store).trim(STREAM, Version(below))

    head = store.head(STREAM)
    assert head is not None
    assert (done.is_new, done.removed.below, done.removed.facts_count) == (True, below, below)
    assert (head.oldest, head.trim_position, head.version) == (below, 28, 29)
    assert _facts_kept(store) == list(range(below, 29))
    for after in (load(store, STREAM), refold(store, STREAM), load(store, STREAM, player.folded)):
        assert after.digest == head.digest
        assert isinstance(after.state, Open)
        assert after.state.trim is not None
        as_before = attrs.evolve(after.state, version=before.version, at_ms=2_900, trim=None)
        assert as_before == before


def test_the_transcript_is_read_across_trims_as_it_was(store: Store) -> None:
    _over(store)
    leaf = _opened(store).head.leaf
    nodes = read_nodes(store, STREAM, leaf)
    kinds = {ref: kind for node in nodes for ref, kind in content_kinds(node).items()}
    contents = read_contents(store, STREAM, kinds)

    for below in (5, 15, 28, None):
        trimming(store).trim(STREAM, None if below is None else Version(below))

        assert read_nodes(store, STREAM, leaf) == nodes
        assert read_contents(store, STREAM, kinds) == contents
        for ref, kind in kinds.items():
            assert read_content(store, STREAM, ref, kind) == contents[ref]


def test_bodies_off_the_active_path_go_with_their_facts(store: Store) -> None:
    _over(store)
    nodes = read_nodes(store, STREAM, _opened(store).head.leaf)
    refs = [BodyRef(position=Position(place), ordinal=0) for place in range(28)]
    there = set(store.read_bodies(STREAM, refs))
    on_path = set(named_bodies(nodes))

    done = trimming(store).trim(STREAM)

    assert set(store.read_bodies(STREAM, refs)) == on_path < there
    assert done.removed.bodies_count == len(there - on_path)


def test_what_was_said_off_the_path_is_trimmed_and_not_corrupt(store: Store) -> None:
    _over(store)
    trimming(store).trim(STREAM)

    with pytest.raises(HistoryTrimmedBelow) as caught:
        read_content(store, STREAM, body_ref(Position(3)), TurnInput)
    assert (caught.value.asked, caught.value.oldest) == (3, 28)


def test_reading_below_the_oldest_says_what_is_kept(store: Store) -> None:
    _over(store)
    trimming(store).trim(STREAM, Version(9))

    for read in (
        lambda: read_header(store, STREAM, Position(8)),
        lambda: list(read_events(store, STREAM, Position(2), Position(12))),
        lambda: list(load_facts(store, attrs.evolve(begin(store, STREAM).folded, state=OLD))),
    ):
        with pytest.raises(HistoryTrimmedBelow) as caught:
            read()
        assert caught.value.oldest == 9
    assert len(list(read_events(store, STREAM, Position(9), Position(12)))) == 4


OLD = lived(MemoryStore()).folded.state
assert isinstance(OLD, Open)
OLD = attrs.evolve(OLD, version=Version(4))


def test_a_fold_that_lags_behind_a_trim_goes_on_at_the_trim(store: Store) -> None:
    player = _over(store)
    behind = begin(store, STREAM).folded
    for fact, folded in load_facts(store, behind):
        behind = folded
        if fact.position == 5:
            break
    trimming(store).trim(STREAM, Version(20))

    after = load(store, STREAM, behind)
    assert after.version == 29
    assert after.digest == load(store, STREAM).digest
    player.folded = after
    player.send(DeleteSession(now_ms=4_000))


def test_source_keys_inputs_and_turns_keep_their_answers(store: Store) -> None:
    player = _over(store)
    keys = list(player.entries)
    before = store.read_index(STREAM, keys)

    trimming(store, page_bytes_max=300).trim(STREAM)

    assert store.read_index(STREAM, keys) == before
    assert compare_index(store, STREAM).different == ()
    kept = from_kept(store, STREAM, KeptHistory.entries)
    assert kept == {key: decode_index_entry(key, value) for key, value in before.items()}


def test_the_index_is_rebuilt_from_what_the_trim_kept(store: Store) -> None:
    player = _over(store)
    trimming(store).trim(STREAM)
    keys = list(player.entries)
    before = store.read_index(STREAM, keys)
    assert store.rewrite_index(STREAM, version=Version(29), rows=(), gone=keys[:3])

    assert set(rebuild_index(store, STREAM).missing) == set(keys[:3])
    assert store.read_index(STREAM, keys) == before


def test_what_comes_after_a_trim_is_folded_onto_it(store: Store) -> None:
    player = _over(store)
    trimming(store).trim(STREAM)
    player.folded = load(store, STREAM)
    player.send(
        EnqueueTurnInput(
            now_ms=4_000,
            input_id=InputId("i9"),
            source_key="mail/9",
            ingress=NextTurn(),
            body=said("once more"),
        )
    )

    assert list(_opened(store).inputs.pending) == ["i9"]
    assert refold(store, STREAM) == load(store, STREAM) == player.folded
    assert compare_index(store, STREAM).different == ()


def test_the_pages_of_a_trim_are_small_and_together_hold_everything(store: Store) -> None:
    _over(store)
    nodes = read_nodes(store, STREAM, _opened(store).head.leaf)
    trimming(store, page_bytes_max=300).trim(STREAM)
    header = decode_header(STREAM, store.read(STREAM, Position(28), 1)[0])
    refs = [BodyRef(position=Position(28), ordinal=n) for n in range(len(header.bodies))]
    stored = store.read_bodies(STREAM, refs)
    pages = [decode_trim_content(stored[ref].content, stored[ref].media_type) for ref in refs]

    assert isinstance(pages[0], KeptState)
    assert {type(page) for page in pages} == {KeptState, IndexPage, CommitPage, BodyPage}
    assert len(pages) > 6
    assert {body.ref for page in pages if isinstance(page, BodyPage) for body in page.bodies} == (
        set(named_bodies(nodes))
    )


def test_large_bodies_of_words_are_read_from_behind_a_trim(store: Store) -> None:
    _over(store)
    reply = BodyRef(position=Position(12), ordinal=0)
    before = read_content(store, STREAM, reply, ModelReply)
    trimming(store).trim(STREAM)
    assert read_content(store, STREAM, reply, ModelReply) == before


# Trims that follow each other, and that come to nothing


def test_trims_follow_each_other_and_the_last_one_counts(store: Store) -> None:
    _over(store)
    first = trimming(store).trim(STREAM, Version(4))
    second = trimming(store).trim(STREAM, Version(29))
    third = trimming(store).trim(STREAM, Version(30))

    assert [each.removed.facts_count for each in (first, second, third)] == [4, 25, 1]
    assert _facts_kept(store) == [30]
    assert _opened(store).version == 31
    assert compare_index(store, STREAM).different == ()


def test_a_trim_between_two_trims_leaves_the_earlier_fact_in_place(store: Store) -> None:
    _over(store)
    trimming(store).trim(STREAM, Version(4))
    trimming(store).trim(STREAM, Version(9))

    assert _facts_kept(store) == list(range(9, 30))
    assert refold(store, STREAM).version == 30


def test_the_same_trim_again_does_nothing(store: Store) -> None:
    _over(store)
    trimming(store).trim(STREAM, Version(9))
    archive = Archived()
    again = trimming(store, archive).trim(STREAM, Version(9))

    assert (again.is_new, again.removed.facts_count, archive.calls) == (False, 0, 0)
    assert len(_facts_kept(store)) == 20


def test_a_session_of_which_nothing_may_go_is_left_alone(store: Store) -> None:
    player = Player(store)
    player.send(OpenSession(now_ms=1, session_id=SESSION, policy=POLICY))
    store.pin(STREAM, Pin(name="all", version=Version(0)), at_ms=1)

    done = trimming(store).trim(STREAM)
    assert (done.is_new, done.removed.facts_count) == (False, 0)
    head = store.head(STREAM)
    assert head is not None
    assert (head.oldest, head.trim_position, head.version) == (0, None, 1)


@pytest.mark.parametrize(
    ("below", "error"), [(40, TrimOutOfRange), (5, TrimHeldBack), (-1, TrimOutOfRange)]
)
def test_what_is_refused_writes_nothing(store: Store, below: int, error: type[Exception]) -> None:
    lived(store)
    before = store.head(STREAM)
    with pytest.raises(error):
        trimming(store).trim(STREAM, Version(below))
    assert store.head(STREAM) == before


def test_open_work_is_where_a_trim_without_a_version_ends(store: Store) -> None:
    lived(store)
    assert trimming(store).trim(STREAM).removed.below == 4


def test_a_session_that_does_not_exist_is_not_trimmed(store: Store) -> None:
    with pytest.raises(SessionNotOpen):
        trimming(store).trim(STREAM)


def test_a_deleted_session_is_trimmed_to_its_tombstone(store: Store) -> None:
    player = _over(store)
    player.send(DeleteSession(now_ms=2_901))
    trimming(store).trim(STREAM)

    assert _facts_kept(store) == [29]
    state = load(store, STREAM).state
    assert isinstance(state, Deleted)
    assert state.session_id == SESSION
    refs = [BodyRef(position=Position(place), ordinal=0) for place in range(29)]
    assert store.read_bodies(STREAM, refs) == {}
    head = store.head(STREAM)
    assert head is not None
    assert head.status == "deleted"


def test_an_earlier_trim_s_bodies_go_when_the_session_is_deleted(store: Store) -> None:
    player = _over(store)
    trimming(store).trim(STREAM)
    player.folded = load(store, STREAM)
    player.send(DeleteSession(now_ms=4_000))
    archive = Archived()

    done = trimming(store, archive).trim(STREAM)

    refs = [BodyRef(position=Position(place), ordinal=0) for place in range(29)]
    assert store.read_bodies(STREAM, refs) == {}
    assert done.removed.bodies_count == len(archive.bodies)
    assert {body.ref.position for body in archive.bodies} >= {2, 12}


# The archive, and crashes


def test_all_that_goes_is_archived_before_it_goes(store: Store) -> None:
    player = _over(store)
    records = [record for append in player.appends for record in append.records]
    bodies = {body.ref: body for append in player.appends for body in append.bodies}
    archive = Archived()

    trimming(store, archive).trim(STREAM)

    assert archive.facts == records
    gone = {ref: body for ref, body in bodies.items() if not store.read_bodies(STREAM, (ref,))}
    assert {body.ref: body for body in archive.bodies} == gone
    assert gone


def test_an_archive_that_fails_stops_the_deletion_and_another_call_finishes_it(
    store: Store,
) -> None:
    _over(store)
    with pytest.raises(OSError, match="no room"):
        trimming(store, Archived(fails=True)).trim(STREAM, Version(9))
    assert _facts_kept(store) == list(range(29))
    assert _opened(store).trim is not None

    done = trimming(store).trim(STREAM, Version(9))
    assert (done.is_new, done.removed.facts_count) == (False, 9)


class Fragile(MemoryStore):
    """Fails at the n-th removal."""

    def __init__(self, removals_max: int) -> None:
        super().__init__()
        self.removals_max = removals_max
        self.removals: list[Removal] = []

    def remove_facts(self, removal: Removal) -> None:
        if len(self.removals) == self.removals_max:
            raise StoreFailed(where="memory", reason="killed")
        self.removals.append(removal)
        super().remove_facts(removal)


def _long(store: Store, facts_count: int) -> None:
    """Play the tape, and add inputs that are cancelled again."""
    player = _over(store)
    for number in range((facts_count - 28) // 2):
        input_id = InputId(f"n{number}")
        player.send(
            EnqueueTurnInput(
                now_ms=2_950,
                input_id=input_id,
                source_key=None,
                ingress=NextTurn(),
                body=said(f"never mind {number}"),
            )
        )
        player.send(CancelTurnInput(now_ms=2_951, input_id=input_id))


@pytest.mark.parametrize("crash_at", range(4))
def test_a_crash_between_any_two_removals_loses_nothing(crash_at: int) -> None:
    store = Fragile(crash_at)
    _long(store, 3 * FACTS_PER_REMOVAL_MAX - 100)
    whole = load(store, STREAM)
    leaf = _opened(store).head.leaf
    nodes = read_nodes(store, STREAM, leaf)
    with pytest.raises(StoreFailed):
        trimming(store).trim(STREAM)

    after = refold(store, STREAM)
    assert after.version == whole.version + 1
    assert after.digest == load(store, STREAM).digest
    assert read_nodes(store, STREAM, leaf) == nodes
    assert compare_index(store, STREAM).different == ()

    store.removals_max = 99
    trimming(store).trim(STREAM)
    assert _facts_kept(store) == [whole.version]
    assert refold(store, STREAM) == after
    assert sum(len(removal.bodies) for removal in store.removals) > 2 * FACTS_PER_REMOVAL_MAX - 200


def test_each_removal_is_small() -> None:
    store = Fragile(99)
    _long(store, 3 * FACTS_PER_REMOVAL_MAX)
    trimming(store).trim(STREAM)

    steps = [removal.below for removal in store.removals]
    sizes = [after - before for before, after in itertools.pairwise(steps)]
    assert max(sizes) == FACTS_PER_REMOVAL_MAX
    assert steps[0] == 0
    assert len(store.removals) == 4


def test_a_fact_that_is_missing_where_none_was_removed_stops_the_removal(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    store = SQLiteStore.open(path, create=True)
    _over(store)
    with pytest.raises(OSError, match="no room"):
        trimming(store, Archived(fails=True)).trim(STREAM)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("DELETE FROM stored_events WHERE originator_version = 4")
    connection.close()

    with pytest.raises(CorruptHistory, match="missing"):
        trimming(store).trim(STREAM)
    store.close()


# Races


class Raced(MemoryStore):
    """Answers the first append of a trim as somebody else's race would."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[Callable[[StreamAppend], AppendResult]] = []

    def really(self, append: StreamAppend) -> AppendResult:
        return super().append((append,))

    def append(self, appends: Sequence[StreamAppend]) -> AppendResult:
        (append,) = appends
        return self.answers.pop(0)(append) if self.answers else super().append(appends)


def _conflict(append: StreamAppend) -> AppendResult:
    return Conflict(stream=append.stream, expected=append.expected_version, found=Version(99))


def test_a_trim_that_loses_a_race_is_decided_again() -> None:
    store = Raced()
    _over(store)
    store.answers = [_conflict, _conflict]
    assert trimming(store).trim(STREAM).is_new


def test_a_trim_that_always_loses_gives_up() -> None:
    store = Raced()
    _over(store)
    store.answers = [_conflict] * 64
    with pytest.raises(StoreFailed, match="others were faster"):
        trimming(store).trim(STREAM)


@pytest.mark.parametrize("happened", [True, False])
def test_a_trim_whose_answer_is_lost_is_looked_up_and_never_doubled(happened: bool) -> None:
    store = Raced()
    _over(store)

    def lose(append: StreamAppend) -> AppendResult:
        if happened:
            assert isinstance(store.really(append), Appended)
        return Unknown(reason="the answer was lost")

    store.answers = [lose]
    assert trimming(store).trim(STREAM, Version(9)).is_new
    assert _facts_kept(store) == list(range(9, 29))


# Formats


def test_a_database_that_old_processes_write_is_not_trimmed_before_an_upgrade(
    tmp_path: Path,
) -> None:
    path = tmp_path / "log.db"
    store = SQLiteStore.open(path, create=True)
    _over(store)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("UPDATE lash_es_format SET reads_from = 1, writes = 1")
    connection.close()

    with pytest.raises(FormatTooOld, match="lash-es db upgrade") as caught:
        trimming(store).trim(STREAM)
    assert (caught.value.writes, caught.value.needed) == (1, 2)
    assert _facts_kept(store) == list(range(28))

    assert upgrade(store) == RecordFormats(reads_from=1, writes=1)
    assert upgrade(store) == RecordFormats(reads_from=1, writes=2)
    assert store.raise_format(1) == RecordFormats(reads_from=1, writes=2)
    assert store.record_formats() == RecordFormats(reads_from=1, writes=2)
    assert trimming(store).trim(STREAM).is_new
    store.close()


def test_a_store_in_memory_is_always_in_the_newest_format() -> None:
    store = MemoryStore()
    newest = RecordFormats(reads_from=2, writes=2)
    assert (store.record_formats(), upgrade(store)) == (newest, newest)


# Damage: what a trim commits to is checked, and so is where it stands


def _trimmed_file(path: Path, below: int = 22) -> SQLiteStore:
    store = SQLiteStore.open(path, create=True)
    _over(store)
    trimming(store).trim(STREAM, Version(below))
    return store


_TRIM_BODY = "UPDATE lash_es_bodies SET {} WHERE position = 28 AND media_type LIKE 'lash/kept-{}%'"


@pytest.mark.parametrize(
    ("statement", "error", "words"),
    [
        ("UPDATE lash_es_heads SET trim_position = 27", CorruptHistory, "something else"),
        ("UPDATE lash_es_heads SET trim_position = 99", CorruptHistory, "not there"),
        ("UPDATE lash_es_heads SET trim_position = 3", CorruptHistory, "not there"),
        ("UPDATE lash_es_heads SET trim_position = -1", CorruptHistory, "not there"),
        ("UPDATE lash_es_heads SET trim_position = NULL", CorruptHistory, "missing"),
        ("UPDATE lash_es_heads SET oldest = 25", CorruptHistory, "something else"),
        ("DELETE FROM stored_events WHERE originator_version = 23", CorruptHistory, "missing"),
        (_TRIM_BODY.format("content = 'x'", "state"), CorruptBody, "not those"),
        ("DELETE FROM lash_es_bodies WHERE position = 28", CorruptBody, "missing"),
        (
            (
                "UPDATE stored_events SET state = CAST(replace(CAST(state AS TEXT), "
                "'\"below\":22', '\"below\":23') AS BLOB) WHERE originator_version = 28"
            ),
            CorruptBody,
            "version 23",
        ),
    ],
)
def test_a_damaged_trim_is_refused(
    tmp_path: Path, statement: str, error: type[Exception], words: str
) -> None:
    path = tmp_path / "log.db"
    store = _trimmed_file(path)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("DELETE FROM lash_es_snapshots")
    connection.execute(statement)
    connection.close()

    with pytest.raises(error, match=words):
        load(store, STREAM)
    store.close()


@pytest.mark.parametrize("kind", ["index", "commits", "bodies"])
def test_a_damaged_page_is_refused_where_it_is_needed(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "log.db"
    store = _trimmed_file(path)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(_TRIM_BODY.format("content = '{}'", kind))
    connection.close()

    leaf = _opened(store).head.leaf
    reads: dict[str, Callable[[], object]] = {
        "index": lambda: compare_index(store, STREAM),
        "commits": lambda: read_nodes(store, STREAM, leaf),
        "bodies": lambda: read_content(store, STREAM, body_ref(Position(12)), ModelReply),
    }
    with pytest.raises(CorruptBody):
        reads[kind]()
    store.close()


def test_a_commit_that_neither_the_facts_nor_the_trim_know_is_missing(store: Store) -> None:
    _over(store)
    trimming(store).trim(STREAM)
    with pytest.raises(HistoryTrimmedBelow):
        list(read_commits(store, STREAM, Position(5)))


def test_source_keys_name_their_inputs_behind_a_trim(store: Store) -> None:
    _over(store)
    trimming(store).trim(STREAM)
    key = IndexKey(IndexKind.SOURCE_KEY, "mail/1")
    assert key in store.read_index(STREAM, (key,))
    assert encode_content(TurnInput(items=()), b"").content
