"""
Through SQL on a real file, as somebody with a text editor and bad intentions would.

Whatever is done to a record's bytes, its place or its head row, loading refuses with the position.
"""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash_es.codec.errors import CorruptHistory, UndecodableValue
from lash_es.codec.records import DIGEST_BYTES, chain_digest
from lash_es.codec.streams import StreamId
from lash_es.core.ids import SessionId
from lash_es.log.loading import load, refold
from lash_es.log.stores.sqlite import SQLiteStore
from tests.core.effort import effort
from tests.log.conformance import A
from tests.log.tapes import STREAM, play

OTHER = StreamId("default", SessionId("other"))
FACTS_COUNT = 28


class Scene:
    """A store with two played sessions, and a second connection for whoever tampers."""

    def __init__(self, path: Path) -> None:
        self.store = SQLiteStore.open(path, create=False)
        self.sql = sqlite3.connect(path, isolation_level=None)

    def close(self) -> None:
        self.sql.close()
        self.store.close()

    def state(self, position: int, stream: StreamId = STREAM) -> bytes:
        """Read a record's bytes as they are stored."""
        (found,) = self.sql.execute(
            "SELECT state FROM stored_events WHERE originator_id = ? AND originator_version = ?",
            (stream.key, position),
        ).fetchone()
        assert isinstance(found, bytes)
        return found

    def replace(self, position: int, state: object) -> None:
        self.sql.execute(
            "UPDATE stored_events SET state = ? "
            "WHERE originator_id = ? AND originator_version = ?",
            (state, STREAM.key, position),
        )

    def remove(self, position: int) -> None:
        self.sql.execute(
            "DELETE FROM stored_events WHERE originator_id = ? AND originator_version = ?",
            (STREAM.key, position),
        )

    def move(self, position: int, to: int) -> None:
        self.sql.execute(
            "UPDATE stored_events SET originator_version = ? "
            "WHERE originator_id = ? AND originator_version = ?",
            (to, STREAM.key, position),
        )

    def insert(self, position: int, topic: str, state: bytes) -> None:
        self.sql.execute(
            "INSERT INTO stored_events VALUES (?, ?, ?, ?)", (STREAM.key, position, topic, state)
        )

    def edit_head(self, change: str) -> None:
        self.sql.execute(f"UPDATE lash_es_heads SET {change} WHERE stream = ?", (STREAM.key,))

    def refusal(self) -> CorruptHistory:
        """Load, and return the refusal that is due."""
        with pytest.raises(CorruptHistory) as caught:
            refold(self.store, STREAM)
        assert caught.value.session_id == STREAM.session_id
        return caught.value


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Play once; every scene is a copy."""
    path = tmp_path_factory.mktemp("tampering") / "played.db"
    store = SQLiteStore.open(path, create=True)
    play(store)
    play(store, OTHER)
    store.close()
    return path


@pytest.fixture(scope="module")
def kept_scene(played: Path) -> Iterator[Scene]:
    """One scene for several tests: each puts back what it changed."""
    made = Scene(Path(shutil.copy(played, played.parent / "kept.db")))
    assert load(made.store, STREAM).version == FACTS_COUNT
    yield made
    made.close()


@pytest.fixture
def scene(played: Path, tmp_path: Path) -> Iterator[Scene]:
    made = Scene(Path(shutil.copy(played, tmp_path / "log.db")))
    yield made
    made.close()


def test_every_byte_of_a_record_is_guarded(kept_scene: Scene) -> None:
    for position in (0, 12):
        state = kept_scene.state(position)
        for place in range(len(state)):
            flipped = bytearray(state)
            flipped[place] ^= 1 << (place % 8)
            kept_scene.replace(position, bytes(flipped))
            assert kept_scene.refusal().position == position
        kept_scene.replace(position, state)

    assert load(kept_scene.store, STREAM).version == FACTS_COUNT


@effort(40)
@given(data=st.data())
def test_any_other_bytes_in_the_place_of_a_record_are_refused(
    kept_scene: Scene, data: st.DataObject
) -> None:
    position = data.draw(st.integers(0, FACTS_COUNT - 1))
    state = kept_scene.state(position)
    start = data.draw(st.integers(0, len(state)))
    end = data.draw(st.integers(start, len(state)))
    changed = state[:start] + data.draw(st.binary(max_size=40)) + state[end:]
    kept_scene.replace(position, changed)
    try:
        if changed != state:
            assert kept_scene.refusal().position == position
    finally:
        kept_scene.replace(position, state)


@pytest.mark.parametrize("other", ["text instead of bytes", None, 5, b""])
def test_a_record_that_is_no_bytes_is_refused(scene: Scene, other: object) -> None:
    scene.replace(7, other)

    assert scene.refusal().position == 7


def test_another_wire_name_is_refused(scene: Scene) -> None:
    scene.sql.execute(
        "UPDATE stored_events SET topic = 'session.parked' WHERE originator_version = 9"
    )

    error = scene.refusal()
    assert (error.position, "input.claimed at position 9" in error.reason) == (9, True)


@pytest.mark.parametrize("position", [0, 1, 13, FACTS_COUNT - 2])
def test_a_removed_fact_is_missed(scene: Scene, position: int) -> None:
    scene.remove(position)

    error = scene.refusal()
    assert error.position == position
    assert "missing" in error.reason


def test_a_removed_fact_is_missed_when_the_later_ones_close_the_gap(scene: Scene) -> None:
    scene.remove(13)
    for position in range(14, FACTS_COUNT):
        scene.move(position, position - 1)

    assert scene.refusal().position == 13


def test_two_swapped_facts_are_refused_at_the_first(scene: Scene) -> None:
    for first, second in ((13, 14), (3, 20)):
        one, other = scene.state(first), scene.state(second)
        scene.replace(first, other)
        scene.replace(second, one)
        assert scene.refusal().position == first
        scene.replace(first, one)
        scene.replace(second, other)


def test_two_facts_swapped_with_their_names_are_refused_at_the_first(scene: Scene) -> None:
    scene.move(13, 999)
    scene.move(14, 13)
    scene.move(999, 14)

    assert scene.refusal().position == 13


def test_a_fact_inserted_in_the_middle_is_refused(scene: Scene) -> None:
    for position in range(FACTS_COUNT - 1, 9, -1):
        scene.move(position, position + 1)
    scene.insert(10, "input.claimed", scene.state(9))

    assert scene.refusal().position == 10


def test_a_fact_inserted_in_the_middle_with_a_right_digest_breaks_the_next(scene: Scene) -> None:
    for position in range(FACTS_COUNT - 1, 9, -1):
        scene.move(position, position + 1)
    header = scene.state(9)[DIGEST_BYTES:].replace(b'"pos":9', b'"pos":10')
    digest = chain_digest(scene.state(9)[:DIGEST_BYTES], header)
    scene.insert(10, "input.claimed", digest + header)

    # The inserted fact is well made, so it is the next one that no longer follows.
    assert scene.refusal().position == 11


def test_a_fact_that_cannot_follow_is_refused_although_the_chain_holds(scene: Scene) -> None:
    header = scene.state(0)[DIGEST_BYTES:].replace(b'"pos":0', b'"pos":1')
    digest = chain_digest(scene.state(0)[:DIGEST_BYTES], header)
    for position in range(1, FACTS_COUNT):
        scene.remove(position)
    scene.insert(1, "session.opened", digest + header)
    scene.sql.execute(
        "UPDATE lash_es_heads SET version = 2, digest = ? WHERE stream = ?", (digest, STREAM.key)
    )

    error = scene.refusal()
    assert error.position == 1
    assert "cannot follow" in error.reason


def test_a_fact_added_at_the_end_is_refused_by_the_head_row(scene: Scene) -> None:
    header = scene.state(FACTS_COUNT - 1)[DIGEST_BYTES:].replace(b'"pos":27', b'"pos":28')
    digest = chain_digest(scene.state(FACTS_COUNT - 1)[:DIGEST_BYTES], header)
    scene.insert(FACTS_COUNT, "session.tombstoned", digest + header)

    error = scene.refusal()
    assert error.position == FACTS_COUNT
    assert "head row counts only 28" in error.reason


@pytest.mark.parametrize("kept", [0, 1, 20, FACTS_COUNT - 1])
def test_a_tail_that_was_cut_off_is_refused_by_the_head_row(scene: Scene, kept: int) -> None:
    for position in range(kept, FACTS_COUNT):
        scene.remove(position)

    error = scene.refusal()
    assert error.position == kept
    assert "cut off: the head row counts 28" in error.reason


@pytest.mark.parametrize(
    ("change", "position"),
    [
        ("version = 27", 26),
        ("version = -3", 0),
        ("version = 29", 28),
        ("version = 0", 0),
        ("version = 'none'", 0),
        ("digest = zeroblob(32)", 27),
        ("digest = 'text'", 27),
    ],
)
def test_an_edited_head_row_is_refused(scene: Scene, change: str, position: int) -> None:
    scene.edit_head(change)

    assert scene.refusal().position == position


def test_a_removed_head_row_is_refused(scene: Scene) -> None:
    scene.sql.execute("DELETE FROM lash_es_heads WHERE stream = ?", (STREAM.key,))

    error = scene.refusal()
    assert (error.position, "counts only 0" in error.reason) == (0, True)


@pytest.mark.parametrize("position", [0, 5])
def test_a_fact_copied_from_another_session_is_refused(scene: Scene, position: int) -> None:
    scene.replace(position, scene.state(position, OTHER))

    assert scene.refusal().position == position


def test_a_whole_history_copied_from_another_session_is_refused(scene: Scene) -> None:
    for position in range(FACTS_COUNT):
        scene.replace(position, scene.state(position, OTHER))
    digest = scene.state(FACTS_COUNT - 1)[:DIGEST_BYTES]
    scene.sql.execute("UPDATE lash_es_heads SET digest = ? WHERE stream = ?", (digest, STREAM.key))

    assert scene.refusal().position == 0


@pytest.mark.parametrize(
    "tamper",
    [
        lambda scene: scene.remove(3),
        lambda scene: scene.edit_head("version = 5"),
        lambda scene: scene.insert(99, "x", b""),
    ],
    ids=["removed", "head", "inserted"],
)
def test_a_session_that_was_not_touched_still_loads(
    scene: Scene, tamper: Callable[[Scene], None]
) -> None:
    tamper(scene)

    assert load(scene.store, OTHER).version == FACTS_COUNT
    assert load(scene.store, A).version == 0


# What is no fact


def test_an_index_row_of_an_unknown_kind_is_refused(scene: Scene) -> None:
    scene.sql.execute("UPDATE lash_es_index SET kind = 'odd' WHERE key = 't1'")

    with pytest.raises(UndecodableValue, match="no kind 'odd'"):
        scene.store.read_index_page(STREAM, None, 99)
