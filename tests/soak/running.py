"""Runs a soak: its processes, and what they leave behind."""

import multiprocessing
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Final

from attrs import frozen

from lash_es.log.stores.sqlite import SQLiteStore
from tests.postgres.postgres_server import Database
from tests.soak.evidence import Evidence, of_database, of_file
from tests.soak.feeding import read_feeds
from tests.soak.plans import Plan
from tests.soak.processes import BARRIER_WAIT_S, CATCH_UP_S, write_and_follow

_CONTEXT: Final = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.soak.feeding"])

SLOW_COMMITS: Final = (
    """
    CREATE FUNCTION slow_commit() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_sleep(0.02); RETURN NULL; END $$
    """,
    """
    CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT ON stored_events
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
        WHEN (NEW.notification_id %% 16 = 0) EXECUTE FUNCTION slow_commit()
    """,
)
"""Some facts wait between drawing their number and being seen, as on a server that is busy."""


@frozen
class InFile:
    """A database file."""

    path: Path

    def store(self, *, create: bool = True) -> SQLiteStore:
        """Open it at full durability."""
        return SQLiteStore.open(self.path, create=create)


@contextmanager
def scratch() -> Iterator[Path]:
    """Make a folder for ledgers."""
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def soak(plan: Plan, folder: Path) -> Evidence:
    """Run all processes to their end, and collect what they left."""
    plan.ground.store().close()
    match plan.ground:
        case Database() as database:
            for statement in SLOW_COMMITS:
                database.sql(statement)
            written = _CONTEXT.Event()
            feeding = _CONTEXT.Process(target=read_feeds, args=(database, folder, written))
            feeding.start()
            _run(plan, folder)
            written.set()
            _join([feeding], CATCH_UP_S)
            return of_database(database, folder)
        case InFile() as file:
            _run(plan, folder)
            return of_file(file.path, folder)
        case other:
            raise TypeError(f"nobody knows how to look into {other!r}")


def _run(plan: Plan, folder: Path) -> None:
    barriers = (_CONTEXT.Barrier(plan.processes), _CONTEXT.Barrier(plan.processes))
    children = [
        _CONTEXT.Process(target=write_and_follow, args=(plan, number, folder, *barriers))
        for number in range(plan.processes)
    ]
    for child in children:
        child.start()
    _join(children, plan.seconds + BARRIER_WAIT_S + CATCH_UP_S)


def _join(children: list[ForkServerProcess], wait_s: float) -> None:
    """Wait for processes; one that does not end, or fails, fails the soak."""
    for child in children:
        child.join(wait_s)
        if child.exitcode is None:
            child.terminate()
    codes = [child.exitcode for child in children]
    if any(code != 0 for code in codes):
        raise RuntimeError(f"processes ended with {codes}")
