"""Goal and method as in ``tests/concurrency/test_concurrency.py``, on PostgreSQL."""

from tests.concurrency.lying import Stale
from tests.concurrency.running import run
from tests.growth.grounds import Schema
from tests.postgres.postgres_server import Database


def test_what_processes_are_told_is_what_one_after_the_other_would_say(
    database: Database,
) -> None:
    found = run(Schema(database), clients=5, steps=160, seed=1)

    assert found.wrong == ()
    assert len(found.entries) == 5 * 160
    assert found.never == []


def test_a_store_that_answers_a_stale_receipt_is_caught(database: Database) -> None:
    found = run(Schema(database), clients=3, steps=60, seed=2, distortions={0: Stale})

    assert any(each.startswith("stale: client 0") for each in found.wrong)
