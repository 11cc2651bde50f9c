"""Several processes on one SQLite file, and one that is killed in the middle of its work."""

import multiprocessing
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from lash_es.core.ids import Position
from lash_es.core.index import index_rows
from lash_es.core.known import IndexKey
from lash_es.core.state import NOT_OPENED, State
from lash_es.log.appends import IndexRow
from lash_es.log.encoding import encode_index_row
from lash_es.log.loading import load, read_facts, step
from lash_es.log.stores.sqlite import SQLiteStore
from tests.log import processes
from tests.log.conformance import A, an_append
from tests.log.processes import STREAM

ROOT = Path(__file__).parents[2]


def _pool(processes_count: int) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.log.processes"])
    return ProcessPoolExecutor(processes_count, mp_context=context)


@pytest.fixture
def pool() -> Iterator[ProcessPoolExecutor]:
    with _pool(4) as made:
        yield made


def test_sixteen_first_opens_of_one_database_all_succeed(tmp_path: Path) -> None:
    path = str(tmp_path / "log.db")
    with _pool(16) as pool:
        futures = [pool.submit(processes.open_and_append, path, n) for n in range(16)]
        results = [future.result() for future in futures]
    store = SQLiteStore.open(path, create=False)
    heads = store.heads("default", after="", heads_max=99)
    store.close()

    assert results == ["Appended"] * 16
    assert len(heads) == 16


def test_sixteen_threads_open_one_new_database_at_once(tmp_path: Path) -> None:
    for attempt in range(4):
        path = str(tmp_path / f"{attempt}.db")
        start, results = threading.Barrier(16), list[str]()

        def work(number: int, path: str = path, start: threading.Barrier = start) -> None:
            start.wait()
            results.append(processes.open_and_append(path, number))  # noqa: B023 - joined below

        threads = [threading.Thread(target=work, args=(n,)) for n in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert results == ["Appended"] * 16


def test_one_writer_wins_each_version(tmp_path: Path, pool: ProcessPoolExecutor) -> None:
    path = str(tmp_path / "log.db")
    store = SQLiteStore.open(path, create=True)
    futures = [pool.submit(processes.race, path, number, 50) for number in range(4)]
    won = [future.result() for future in futures]
    records = store.read(A, Position(0), 999)
    store.close()

    assert sorted(version for mine in won for version in mine) == list(range(200))
    for number, mine in enumerate(won):
        for version in mine:
            assert records[version] == an_append(A, version, text=f"by {number}").records[0]


def test_threads_with_stores_of_their_own_race_as_processes_do(tmp_path: Path) -> None:
    path = str(tmp_path / "log.db")
    SQLiteStore.open(path, create=True).close()
    won: list[int] = []
    threads = [
        threading.Thread(target=lambda n=n: won.extend(processes.race(path, n, 25)))
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(won) == list(range(100))


def _kill_after(path: Path, appends_min: int, delay_s: float) -> list[int]:
    """
    Run a writer, kill it so many appends and a while later, and return what it had acknowledged.
    """
    command = [sys.executable, "-m", "tests.log.processes", str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        lines = [child.stdout.readline() for _ in range(appends_min)]
        time.sleep(delay_s)
        child.kill()
        lines += child.stdout.read().splitlines()
    assert child.returncode == -signal.SIGKILL
    return [int(line) for line in lines]


def test_what_was_acknowledged_survives_a_kill_at_any_moment(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    acknowledged: list[int] = []
    for number in range(10):
        # However busy the machine is, some are killed at the start and some later.
        acknowledged += _kill_after(path, number % 4, chance.uniform(0.001, 0.05))
        store = SQLiteStore.open(path, create=False)
        folded = load(store, STREAM)
        kept = _folded_index(store)
        stored = store.read_index_page(STREAM, None, 9_999)
        store.close()

        # At most the one append that was on its way when the kill came is there unacknowledged.
        last = acknowledged[-1] if acknowledged else 0
        assert last <= folded.version <= last + 1, f"seed {seed}"
        assert {row.key: row for row in stored} == kept
        acknowledged += range(last + 1, folded.version + 1)

    assert acknowledged == list(range(1, len(acknowledged) + 1))
    assert len(acknowledged) > 10


def _folded_index(store: SQLiteStore) -> dict[IndexKey, IndexRow]:
    rows: dict[IndexKey, IndexRow] = {}
    state: State = NOT_OPENED
    for fact in read_facts(store, STREAM):
        rows.update(
            (key, encode_index_row(key, entry)) for key, entry in index_rows(state, fact.event)
        )
        state = step(state, fact)
    return rows


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that a user without rights can reach, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("folder_mode", "happened"),
    [(0o777, ["1", "StoreReadOnly"]), (0o555, ["StoreReadOnly"])],
)
def test_a_read_only_log_says_so(
    open_folder: Path, pool: ProcessPoolExecutor, folder_mode: int, happened: list[str]
) -> None:
    path = open_folder / "log.db"
    store = SQLiteStore.open(path, create=True)
    store.append([an_append(A, 0)])
    store.close()
    path.chmod(0o444)
    open_folder.chmod(folder_mode)

    assert pool.submit(processes.append_without_rights, str(path)).result() == happened


def test_a_file_without_any_rights_cannot_be_opened(
    open_folder: Path, pool: ProcessPoolExecutor
) -> None:
    path = open_folder / "log.db"
    SQLiteStore.open(path, create=True).close()
    path.chmod(0)

    found = pool.submit(processes.append_without_rights, str(path)).result()
    assert found == ["StoreUnavailable"]


def test_a_file_that_may_not_grow_leaves_the_outcome_unknown(
    tmp_path: Path, pool: ProcessPoolExecutor
) -> None:
    path = str(tmp_path / "log.db")
    found = pool.submit(processes.append_with_a_small_file_limit, path).result()

    assert found == ["Unknown+Unknown", "1", "Appended"]
    store = SQLiteStore.open(path, create=False)
    assert len(store.read(A, Position(0), 9)) == 2
    store.close()
