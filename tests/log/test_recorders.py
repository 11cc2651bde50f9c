"""The library's own test cases on our recorders: a smoke test, no proof of order."""

import tempfile
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from eventsourcing.persistence import ApplicationRecorder, StoredEvent
from eventsourcing.tests import persistence

from lash_es.log.stores.memory import MemoryRecorder
from lash_es.log.stores.sqlite import SQLiteStore


class _Cases(persistence.ApplicationRecorderTestCase[ApplicationRecorder]):
    INITIAL_VERSION = 0

    def new_originator_id(self) -> UUID | str:
        return str(uuid4())


class TestMemoryRecorder(_Cases):
    def create_recorder(self) -> ApplicationRecorder:
        return MemoryRecorder()


class TestFactRecorder(_Cases):
    def create_recorder(self) -> ApplicationRecorder:
        folder = self.enterContext(tempfile.TemporaryDirectory())
        store = SQLiteStore.open(Path(folder) / "log.db", create=True)
        self.addCleanup(store.close)
        return store._recorder


@pytest.mark.parametrize("events_count", [0, 1, 3])
def test_a_page_is_what_the_library_selects(events_count: int) -> None:
    recorder = MemoryRecorder()
    events = [
        StoredEvent("stream", position, "topic", b"state") for position in range(events_count)
    ]
    recorder.insert_events(events)

    for first in range(events_count + 2):
        for most in range(events_count + 2):
            selected = recorder.select_events("stream", gt=first - 1, limit=most) if most else []
            assert list(recorder.select_page("stream", first, most)) == selected


del _Cases
