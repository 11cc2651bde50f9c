"""
Goal: whatever is damaged in a stored session is found, and named with its place; and what is sound
is never accused, also while someone writes.

Method: one damage at a time is planted by SQL in a real file that holds a session in which every
kind of fact happens.
"""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from lash_es.codec.streams import StreamId
from lash_es.core.commands import AcquireLease, CancelTurnInput, EnqueueTurnInput
from lash_es.core.ids import InputId, SessionId
from lash_es.core.ingress import NextTurn
from lash_es.core.known import IndexKey, IndexKind
from lash_es.log.appends import IndexRow
from lash_es.log.reindexing import INDEX_ROWS_PER_PAGE
from lash_es.log.sealed import SealedStore
from lash_es.log.sealing import AtRest, KeyRing
from lash_es.log.stores.memory import MemoryStore
from lash_es.log.stores.sqlite import SQLiteStore
from lash_es.timetravel.history import open_history
from lash_es.timetravel.verifying import Verdict, verify_session
from tests.log.sealed_stores import OLD_KEYS, sealed
from tests.log.tapes import BOB, SESSION, STREAM, Player, commands, play, said

# Where the tape has what the damages are about.
SECOND_INPUT: Final = 3
PARKED: Final = 26
LAST: Final = 27
TABLES: Final = (
    "stored_events",
    "lash_es_heads",
    "lash_es_bodies",
    "lash_es_index",
    "lash_es_activity",
    "lash_es_format",
    "lash_es_snapshots",
)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound session in a file, and another one beside it, which no damage is about."""
    path = tmp_path_factory.mktemp("sound") / "log.db"
    store = SQLiteStore.open(path, create=True)
    play(store)
    play(store, StreamId("default", SessionId("beside")))
    store.close()
    return path


@pytest.fixture
def path(sound: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    return Path(shutil.copy(sound, tmp_path / "log.db"))


def verified(path: Path, stream: StreamId = STREAM) -> Verdict:
    store = SQLiteStore.open(path, create=False)
    try:
        return verify_session(store, stream)
    finally:
        store.close()


def one(path: Path, question: str) -> tuple[object, ...]:
    with closing(sqlite3.connect(path)) as connection:
        row: tuple[object, ...] = connection.execute(question).fetchone()
        return row


OURS: Final = "stream_no = (SELECT stream_no FROM lash_es_heads WHERE stream = 'default/taped')"
FACT: Final = "originator_id = 'default/taped' AND originator_version ="


def test_a_sound_session_is_sound_and_counted(path: Path) -> None:
    verdict = verified(path)

    assert verdict.problems == ()
    assert verdict.is_sound
    assert (verdict.session_id, verdict.version) == (SESSION, LAST + 1)
    assert (verdict.bodies_count, verdict.bodies_bytes) == one(
        path, f"SELECT count(*), sum(length(content)) FROM lash_es_bodies WHERE {OURS}"
    )
    assert (verdict.index_rows_count,) == one(
        path, f"SELECT count(*) FROM lash_es_index WHERE {OURS}"
    )
    assert (verdict.digest,) == one(
        path, f"SELECT lower(hex(digest)) FROM lash_es_heads WHERE {OURS}"
    )


def test_a_session_that_does_not_exist_is_sound_and_empty(path: Path) -> None:
    verdict = verified(path, StreamId("default", SessionId("nobody")))

    assert verdict.is_sound
    assert (verdict.version, verdict.bodies_count, verdict.index_rows_count) == (0, 0, 0)


def test_a_session_is_sound_after_each_of_its_facts() -> None:
    player = Player(MemoryStore())
    for count, command in enumerate(commands(), start=1):
        player.send(command)

        verdict = verify_session(player.store, STREAM)

        assert (verdict.problems, verdict.version) == ((), len(player.events))
        assert verdict.version >= count


DAMAGES: Final[dict[str, tuple[str, list[tuple[str, int | None, str]]]]] = {
    # The chain. In a stored record 32 bytes of digest come before the header.
    "a byte of a header is flipped": (
        f"""UPDATE stored_events SET state = CAST(substr(state, 1, 50) || x'21'
            || substr(state, 52) AS BLOB) WHERE {FACT} 7""",
        [("chain", 7, "digest does not match")],
    ),
    "a byte of a digest is flipped": (
        f"""UPDATE stored_events SET state = CAST(x'21' || substr(state, 2) AS BLOB)
            WHERE {FACT} 7""",
        [("chain", 7, "digest does not match")],
    ),
    "a record is text": (
        f"UPDATE stored_events SET state = 'text' WHERE {FACT} 7",
        [("chain", 7, "digest does not match")],
    ),
    "a fact is removed": (
        f"DELETE FROM stored_events WHERE {FACT} 7",
        [("chain", 7, "the next record is at 8")],
    ),
    "two facts are swapped": (
        f"""UPDATE stored_events SET originator_version = -1 WHERE {FACT} 7;
            UPDATE stored_events SET originator_version = 7 WHERE {FACT} 8;
            UPDATE stored_events SET originator_version = 8 WHERE {FACT} -1""",
        [("chain", 7, "digest does not match")],
    ),
    "a fact is inserted": (
        f"""UPDATE stored_events SET originator_version = -1 - originator_version
            WHERE originator_id = 'default/taped' AND originator_version >= 7;
            UPDATE stored_events SET originator_version = -originator_version
            WHERE originator_id = 'default/taped' AND originator_version < 0;
            INSERT INTO stored_events SELECT originator_id, 7, topic, state
            FROM stored_events WHERE {FACT} 6""",
        [("chain", 7, "digest does not match")],
    ),
    "a fact gets another name": (
        f"UPDATE stored_events SET topic = 'session.parked' WHERE {FACT} 7",
        [("chain", 7, "the header is of")],
    ),
    "the last fact is cut off": (
        f"DELETE FROM stored_events WHERE {FACT} {LAST}",
        [("chain", LAST, "cut off: the head row counts 28 facts")],
    ),
    "all facts are cut off": (
        "DELETE FROM stored_events WHERE originator_id = 'default/taped'",
        [("chain", 0, "cut off: the head row counts 28 facts")],
    ),
    "a fact of another session is added": (
        f"""INSERT INTO stored_events SELECT 'default/taped', {LAST + 1}, topic, state
            FROM stored_events WHERE {FACT} {LAST}""",
        [("chain", LAST + 1, "the head row counts only 28 facts")],
    ),
    # The head row.
    "the head row counts one fact less": (
        f"UPDATE lash_es_heads SET version = {LAST} WHERE {OURS}",
        # Its status and time are those of the last fact too, and not of the one before it.
        [
            ("head", LAST - 1, "'deleted', 2007), the facts say (2, 'parked', 2006)"),
            ("chain", LAST - 1, "the head row holds another digest"),
        ],
    ),
    "the head row counts one fact more": (
        f"UPDATE lash_es_heads SET version = {LAST + 2} WHERE {OURS}",
        [("chain", LAST + 1, "cut off")],
    ),
    "the head row has another digest": (
        f"UPDATE lash_es_heads SET digest = zeroblob(32) WHERE {OURS}",
        [("chain", LAST, "the head row holds another digest")],
    ),
    "the head row is missing": (
        f"DELETE FROM lash_es_heads WHERE {OURS}",
        [("chain", 0, "the head row counts only 0 facts")],
    ),
    "the head row has another generation": (
        f"UPDATE lash_es_heads SET generation = 7 WHERE {OURS}",
        [("head", LAST, "the head row says (7, 'deleted', 2007)")],
    ),
    "the head row calls a deleted session open": (
        f"UPDATE lash_es_heads SET status = 'open' WHERE {OURS}",
        [("head", LAST, "the facts say (2, 'deleted', 2007)")],
    ),
    "the head row has another time": (
        f"UPDATE lash_es_heads SET at_ms = 'noon' WHERE {OURS}",
        [("head", LAST, "the head row says (2, 'deleted', 'noon')")],
    ),
    # Bodies.
    "a body's bytes are altered": (
        f"""UPDATE lash_es_bodies SET content = CAST('!' || substr(content, 2) AS BLOB)
            WHERE {OURS} AND position = {SECOND_INPUT}""",
        [("bodies", SECOND_INPUT, "not those that were committed to")],
    ),
    "a body's salt is altered": (
        f"""UPDATE lash_es_bodies SET salt = zeroblob(16)
            WHERE {OURS} AND position = {SECOND_INPUT}""",
        [("bodies", SECOND_INPUT, "not those that were committed to")],
    ),
    "a body is text": (
        f"""UPDATE lash_es_bodies SET content = 'text'
            WHERE {OURS} AND position = {SECOND_INPUT}""",
        [("bodies", SECOND_INPUT, "not those that were committed to")],
    ),
    "a body has another media type": (
        f"""UPDATE lash_es_bodies SET media_type = 'text/html'
            WHERE {OURS} AND position = {SECOND_INPUT}""",
        [("bodies", SECOND_INPUT, "its media type is not the one")],
    ),
    "two bodies are missing": (
        f"DELETE FROM lash_es_bodies WHERE {OURS} AND position IN (2, 4)",
        [("bodies", 2, "it is missing"), ("bodies", 4, "it is missing")],
    ),
    # Snapshots. The tape has one, of the version at which the session is parked.
    "a snapshot's bytes are altered": (
        f"UPDATE lash_es_snapshots SET content = zeroblob(99) WHERE {OURS}",
        [("snapshots", PARKED, "the snapshot of version 27 is not what the facts say")],
    ),
    "a snapshot has another digest": (
        f"""UPDATE lash_es_snapshots SET digest = zeroblob(32), fingerprint = 'foreign'
            WHERE {OURS}""",
        [("snapshots", PARKED, "the snapshot of version 27 is not what the facts say")],
    ),
    "a snapshot is of another version": (
        f"UPDATE lash_es_snapshots SET version = 20 WHERE {OURS}",
        [("snapshots", 19, "the snapshot of version 20 is not what the facts say")],
    ),
    "a snapshot is of no version": (
        f"UPDATE lash_es_snapshots SET version = -1 WHERE {OURS}",
        [("snapshots", None, "the snapshot of version -1 is of no fact")],
    ),
    # The index.
    "two index rows are missing": (
        f"DELETE FROM lash_es_index WHERE {OURS} AND kind = 'source_key'",
        [
            ("index", None, "source_key 'mail/1' is missing"),
            ("index", None, "source_key 'mail/3' is missing"),
        ],
    ),
    "an index row is altered": (
        f"""UPDATE lash_es_index SET value = replace(value, 'true', 'false')
            WHERE {OURS} AND kind = 'turn' AND key = 't1'""",
        [("index", None, "turn 't1' is not what the facts say")],
    ),
    "an index row is another one's": (
        f"""UPDATE lash_es_index SET value = (SELECT value FROM lash_es_index
            WHERE {OURS} AND kind = 'turn' AND key = 't2')
            WHERE {OURS} AND kind = 'turn' AND key = 't1'""",
        [("index", None, "turn 't1' is not what the facts say")],
    ),
    "an index row is made up": (
        f"""INSERT INTO lash_es_index SELECT stream_no, kind, 't9', value FROM lash_es_index
            WHERE {OURS} AND kind = 'turn' AND key = 't1'""",
        [("index", None, "turn 't9' follows from no fact")],
    ),
    "an index row is of a made-up kind": (
        f"""INSERT INTO lash_es_index SELECT stream_no, 'wish', key, value FROM lash_es_index
            WHERE {OURS} AND kind = 'turn' AND key = 't1'""",
        [("index", None, "no kind 'wish'")],
    ),
    # Several at once.
    "a body, an index row and the head row": (
        f"""DELETE FROM lash_es_bodies WHERE {OURS} AND position = 2;
            DELETE FROM lash_es_index WHERE {OURS} AND kind = 'input' AND key = 'i2';
            UPDATE lash_es_heads SET at_ms = 1 WHERE {OURS}""",
        [
            ("bodies", 2, "it is missing"),
            ("head", LAST, "the head row says"),
            ("index", None, "input 'i2' is missing"),
        ],
    ),
    "a chain that breaks hides what comes after it, not what came before": (
        f"""DELETE FROM lash_es_bodies WHERE {OURS} AND position IN (2, 12);
            DELETE FROM lash_es_index WHERE {OURS};
            DELETE FROM stored_events WHERE {FACT} 7""",
        [("bodies", 2, "it is missing"), ("chain", 7, "the next record is at 8")],
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damage_is_found_with_its_check_and_its_place(path: Path, damage: str) -> None:
    statements, expected = DAMAGES[damage]
    with closing(sqlite3.connect(path)) as connection:
        before = connection.total_changes
        connection.executescript(f"BEGIN; {statements}; COMMIT")
        assert connection.total_changes > before

    verdict = verified(path)

    assert not verdict.is_sound
    assert [(each.check, each.position) for each in verdict.problems] == [
        (check, position) for check, position, _ in expected
    ]
    for problem, (_, _, reason) in zip(verdict.problems, expected, strict=True):
        assert reason in problem.reason
    assert verified(path, StreamId("default", SessionId("beside"))).is_sound


def test_a_verdict_on_a_broken_chain_says_how_far_it_held(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"DELETE FROM stored_events WHERE {FACT} 7")

    assert verified(path).version == 7


def test_a_snapshot_of_another_version_of_the_library_is_no_damage(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"UPDATE lash_es_snapshots SET fingerprint = 'older' WHERE {OURS}")

    assert verified(path).is_sound


def test_looking_writes_nothing(path: Path) -> None:
    before = path.read_bytes(), dump(path)

    history = open_history(path, SESSION)
    _ = history.as_of(5).state
    assert verified(path).is_sound

    assert (path.read_bytes(), dump(path)) == before


def dump(path: Path) -> dict[str, list[tuple[object, ...]]]:
    with closing(sqlite3.connect(path)) as connection:
        return {table: list(connection.execute(f"SELECT * FROM {table}")) for table in TABLES}


# While someone writes


class BusyStore(MemoryStore):
    """A store on which someone does something whenever a page of the index is read."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], object] = lambda: None

    def read_index_page(
        self, stream: StreamId, after: IndexKey | None, rows_max: int
    ) -> tuple[IndexRow, ...]:
        """Read as always, between two writes of someone else."""
        self.meanwhile()
        page = super().read_index_page(stream, after, rows_max)
        self.meanwhile()
        return page

    def forget(self, key: str) -> None:
        """Damage the index."""
        del self._streams[STREAM.key].index[IndexKey(IndexKind.SOURCE_KEY, key)]


@pytest.fixture
def busy() -> Player:
    """A session of which the rest is written while its index is read."""
    player = Player(BusyStore())
    tape = commands()
    for _ in range(10):
        player.send(next(tape))
    store = player.store
    assert isinstance(store, BusyStore)

    def meanwhile() -> None:
        for command in tape:
            player.send(command)
            return

    store.meanwhile = meanwhile
    return player


def test_a_session_that_someone_writes_to_is_sound(busy: Player) -> None:
    before = len(busy.events)

    verdict = verify_session(busy.store, STREAM)

    assert verdict.problems == ()
    assert verdict.version == len(busy.events) > before


def test_a_damage_is_found_also_while_someone_writes(busy: Player) -> None:
    assert isinstance(busy.store, BusyStore)
    busy.store.forget("mail/1")

    (problem,) = verify_session(busy.store, STREAM).problems

    assert problem.reason == "source_key 'mail/1' is missing"


def test_an_index_of_several_pages_is_compared_whole() -> None:
    player = Player(MemoryStore())
    player.send(next(commands()))
    player.send(AcquireLease(now_ms=20, owner=BOB, token="t", ttl_ms=1_000))
    count = 2 * INDEX_ROWS_PER_PAGE + 1
    for number in range(count):
        player.send(
            EnqueueTurnInput(
                now_ms=21,
                input_id=InputId(f"i{number}"),
                source_key=f"mail/{number}",
                ingress=NextTurn(),
                body=said("hello"),
            )
        )
    player.send(CancelTurnInput(now_ms=22, input_id=InputId("i0")))

    verdict = verify_session(player.store, STREAM)

    assert verdict.is_sound
    assert verdict.index_rows_count == count + 2  # The withdrawn one by its id and its place.


def test_what_has_no_key_is_counted_and_not_accused() -> None:
    inner = MemoryStore()
    with_key = sealed(inner, "all")
    play(with_key)
    without = SealedStore(inner, AtRest())

    seen, blind, bare = (verify_session(each, STREAM) for each in (with_key, without, inner))
    assert seen.is_sound
    assert (seen.bodies_count, seen.bodies_sealed_count) == (8, 0)
    assert blind == bare
    assert blind.is_sound
    assert (blind.bodies_count, blind.bodies_sealed_count) == (0, 8)
    assert (blind.digest, blind.version) == (seen.digest, seen.version)


def test_a_seal_that_does_not_open_is_damage() -> None:
    inner = MemoryStore()
    play(sealed(inner, "encrypted"))
    wrong = KeyRing(writes="new", ciphers={"new": OLD_KEYS.ciphers["old"]})
    verdict = verify_session(SealedStore(inner, AtRest(keys=wrong)), STREAM)

    assert [problem.check for problem in verdict.problems] == ["bodies"] * 8
    assert "key 'new' does not open it" in verdict.problems[0].reason
