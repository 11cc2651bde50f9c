"""
The library's own test cases, by its stock recorder on our tables: a smoke test of their shape.

Our store does not use the recorder, but whoever has one must be able to read the log with it.
"""

from uuid import UUID, uuid4

from eventsourcing.persistence import ApplicationRecorder
from eventsourcing.tests import persistence

from tests.postgres.postgres_recorders import stock_recorder
from tests.postgres.postgres_server import new_database, server_url


class TestStockRecorderOnOurTables(persistence.ApplicationRecorderTestCase[ApplicationRecorder]):
    INITIAL_VERSION = 0
    # An insert that is refused uses numbers up.
    EXPECT_CONTIGUOUS_NOTIFICATION_IDS = False

    def new_originator_id(self) -> UUID | str:
        return str(uuid4())

    def create_recorder(self) -> ApplicationRecorder:
        database = new_database(server_url())
        self.addCleanup(database.drop)
        database.store().close()
        recorder = stock_recorder(database)
        self.addCleanup(recorder.datastore.close)
        return recorder
