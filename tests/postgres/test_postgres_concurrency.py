"""Goal and method as in ``tests/concurrency/test_concurrency.py``, on PostgreSQL."""

from tests.concurrency.lying import Stale
from tests.concurrency.running import run, run_until_rare
from tests.growth.grounds import Schema
from tests.postgres.postgres_server import Database, drop_all, new_database, server_url


def test_what_processes_are_told_is_what_one_after_the_other_would_say() -> None:
    databases: list[Database] = []

    def ground(_: int) -> Schema:
        databases.append(new_database(server_url()))
        return Schema(databases[-1])

    wrong, never = run_until_rare(ground, clients=5, steps=120)
    drop_all(databases)

    assert (wrong, never) == ((), [])


def test_a_store_that_answers_a_stale_receipt_is_caught(database: Database) -> None:
    found = run(Schema(database), clients=3, steps=100, seed=2, distortions={0: Stale})

    assert any(each.startswith("stale: client 0") for each in found.wrong)
