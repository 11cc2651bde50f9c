"""
Goal: neither a client that is killed nor a server that is costs anything but time.

A short form of the sweep of ``tests/crash``: the long one is ``python -m tests.check crashes``.
"""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attrs import evolve, frozen

from tests.crash.in_postgres import InPostgres
from tests.crash.judging import wrong
from tests.crash.ledgers import Ledger
from tests.crash.scripts import calling, queueing
from tests.crash.sites import Fate
from tests.crash.sweeping import calm, lives_of, passed, sweep, warm
from tests.postgres.postgres_server import (
    OwnServer,
    new_database,
    server_url,
    start_server,
    stop_server,
)


def test_a_client_can_be_killed_before_with_and_after_a_statement() -> None:
    warm(queueing)
    swept = sweep(InPostgres(new_database(server_url())), queueing, Fate(), stride=4)

    assert not swept.wrong, "\n".join(swept.wrong)
    places = Counter(case.place for case in swept.cases)
    assert {*places} >= {"before a statement", "with a statement sent", "after a statement"}
    assert len(swept.lengths) >= 5


@pytest.fixture
def own_server() -> Iterator[OwnServer]:
    server = start_server()
    yield server
    server.ensure_postgres_running()
    server.cleanup()


def crash(server: OwnServer) -> None:
    """Let the server say nothing to anybody, and recover when it starts again."""
    stop_server(server, "immediate")


def kill(server: OwnServer) -> None:
    """Kill the postmaster; its children notice, and go, and its file is nobody's any more."""
    told = Path(server.pgdata) / "postmaster.pid"
    children = new_database(server.get_uri()).sql("SELECT pid FROM pg_stat_activity")
    os.kill(int(told.read_text().splitlines()[0]), signal.SIGKILL)
    deadline_s = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for (pid,) in children):
        assert time.monotonic() < deadline_s, "the children of a dead postmaster live on"
        time.sleep(0.01)
    told.unlink()


@frozen(kw_only=True)
class Restarting(InPostgres):
    """Whoever looks into it finds that the server runs again."""

    server: OwnServer

    def ledger(self) -> Ledger:
        self.server.ensure_postgres_running()
        return super().ledger()


@pytest.mark.parametrize("strike", [crash, kill])
def test_a_server_that_dies_in_the_middle_of_an_append_loses_and_doubles_nothing(
    own_server: OwnServer, strike: Callable[[OwnServer], None]
) -> None:
    warm(calling)
    calmly = InPostgres(new_database(own_server.get_uri()))
    expected = calm(calmly, calling, Fate())
    for number in (2, 8, passed(expected) - 4):
        ground = Restarting(
            database=calmly.fresh().database, strike=lambda: strike(own_server), server=own_server
        )
        lives = lives_of(ground, calling, Fate(die_at=number))
        # The client lives on and is told; it is judged by what was acknowledged before.
        told = [line for line in lives.first if line[0] != "raised"]
        assert ("died", "with a statement sent") in told
        assert not wrong(evolve(lives, first=told), expected, has_other_ids=True)
