"""Our recorders are the library's: what it writes through them, it reads back through them."""

from pathlib import Path

import pytest
from eventsourcing.persistence import StoredEvent

from lash_es.log.stores.memory_trims import MemoryRecorder
from lash_es.log.stores.sqlite import SQLiteStore


def stored(events_count: int) -> list[StoredEvent]:
    return [StoredEvent("stream", position, "topic", b"state") for position in range(events_count)]


def test_the_library_inserts_and_selects_through_the_recorder(tmp_path: Path) -> None:
    store = SQLiteStore.open(tmp_path / "log.db", create=True)
    recorder = store._recorder
    first = recorder.insert_events(stored(3))
    assert first is not None
    assert list(first) == list(range(first[0], first[0] + 3))
    assert list(recorder.select_events("stream")) == stored(3)
    store.close()


@pytest.mark.parametrize("events_count", [0, 1, 3])
def test_a_page_is_what_the_library_selects(events_count: int) -> None:
    recorder = MemoryRecorder()
    recorder.insert_events(stored(events_count))

    for first in range(events_count + 2):
        for most in range(events_count + 2):
            selected = recorder.select_events("stream", gt=first - 1, limit=most) if most else []
            assert list(recorder.select_page("stream", first, most)) == selected
