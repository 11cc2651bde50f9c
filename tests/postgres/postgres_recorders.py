"""The library's own recorder, opened on a schema of ours."""

import psycopg
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore

from tests.postgres.postgres_server import Database


def stock_recorder(database: Database) -> PostgresApplicationRecorder:
    """Open the recorder, as its documentation does; its table is there, so it makes none."""
    with psycopg.connect(database.url) as connection:
        info = connection.info
        datastore = PostgresDatastore(
            dbname=info.dbname,
            host=info.host,
            port=str(info.port),
            user=info.user,
            password=info.password,
            schema=database.schema,
            originator_id_type="text",
        )
    recorder = PostgresApplicationRecorder(datastore)
    recorder.create_table()
    return recorder
