"""
Two real processes on one SQLite file, one of them under a system clock that is an hour off.

The clock is Debian's faketime, set for one process alone, so that the two disagree from the start;
or it is set for both, in the middle of a turn, as a person would set a machine's.
"""

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from lash_es import SQLiteStore
from lash_es.core.events import LeaseAcquired, TurnInputEnqueued
from tests.faketime import FakedClock
from tests.session.clocked import BUSY, PAUSE_S, TIMINGS, process, said_by
from tests.session.stores import facts, names

HOUR_S = 3_600
BOTH_WAYS = (HOUR_S, -HOUR_S)
Scene = Callable[[Path, int], None]


def _in_parallel(scene: Scene, folder: Path) -> None:
    """Play a scene with the clock off both ways, each on a file of its own."""
    with ThreadPoolExecutor(len(BOTH_WAYS)) as pool:
        played = [pool.submit(scene, folder / f"{ahead}.db", ahead) for ahead in BOTH_WAYS]
    for each in played:
        each.result()


def _clock(path: Path, whose: str, ahead_s: int) -> FakedClock:
    clock = FakedClock(path.with_suffix(f".{whose}"))
    clock.set_ahead(ahead_s)
    return clock


def _faked(clock: FakedClock) -> Mapping[str, str]:
    return {**os.environ, **clock.environment}


def _hours_ahead(begun: str) -> int:
    word, told_s = begun.split()
    assert word == "begun"
    return round((int(told_s) - time.time()) / HOUR_S)


@contextmanager
def _owner_and_rival(
    path: Path, clocks: tuple[FakedClock, FakedClock], *, believes: bool = False
) -> Iterator[tuple["subprocess.Popen[str]", "subprocess.Popen[str]", str]]:
    """Start both, each under its clock; yields them, and the input that the rival enqueued."""
    with ExitStack() as stack:
        started: list[subprocess.Popen[str]] = []
        for role, clock in zip(("owner", "rival"), clocks, strict=True):
            ahead_s = int(clock.difference.read_text("ascii").rstrip("s\n"))
            one = process(role, path, environment=_faked(clock), believes=believes)
            started.append(stack.enter_context(one))
            # It is really so late there.
            assert _hours_ahead(said_by(started[-1])) == ahead_s // HOUR_S
        owner, rival = started
        assert said_by(rival) == BUSY
        yield owner, rival, said_by(rival)


def _generations(store: SQLiteStore) -> list[int]:
    return [fact.generation for fact in facts(store) if isinstance(fact, LeaseAcquired)]


def _enqueued(store: SQLiteStore) -> list[str]:
    return [fact.input_id for fact in facts(store) if isinstance(fact, TurnInputEnqueued)]


def _the_owner_goes_on(
    path: Path, clocks: tuple[FakedClock, FakedClock], *, jump_s: int = 0, believes: bool = False
) -> None:
    """Hold a turn for longer than its lease while the rival tries; then let it end."""
    with _owner_and_rival(path, clocks, believes=believes) as (owner, rival, sent):
        if jump_s:
            for clock in clocks:
                clock.set_ahead(jump_s)
        assert [said_by(rival) for _ in range(3)] == [BUSY] * 3
        rival.kill()
        rival.wait()
        assert owner.communicate("\n", timeout=25)[0] == "by the owner\n"
    with closing(SQLiteStore.open(path, create=False)) as store:
        assert _generations(store) == [1]
        assert _enqueued(store) == [sent]
        assert names(store)[-1] == "LeaseReleased"


def _a_rival_is_off(path: Path, ahead_s: int) -> None:
    """The same as an owner that is off the other way: nothing else tells the time."""
    _the_owner_goes_on(path, (_clock(path, "owner", 0), _clock(path, "rival", ahead_s)))


def _the_machine_s_clock_is_set(path: Path, ahead_s: int) -> None:
    clock = _clock(path, "all", 0)
    _the_owner_goes_on(path, (clock, clock), jump_s=ahead_s)


@pytest.mark.parametrize(
    "scene",
    [_a_rival_is_off, _the_machine_s_clock_is_set],
    ids=lambda scene: scene.__name__.strip("_"),
)
def test_a_live_lease_is_not_stolen_and_nothing_is_lost_when(scene: Scene, tmp_path: Path) -> None:
    assert TIMINGS.ttl_ms < 4 * PAUSE_S * 1_000
    _in_parallel(scene, tmp_path)


def _the_owner_dies(path: Path, ahead_s: int) -> None:
    """Kill the owner; the rival, whose clock is off, is free to take over by and by."""
    clocks = (_clock(path, "owner", 0), _clock(path, "rival", ahead_s))
    with _owner_and_rival(path, clocks) as (owner, rival, sent):
        owner.kill()
        owner.wait()
        said: list[str] = []
        while not said or said[-1] == BUSY:
            said.append(said_by(rival))
        # Not after an hour: it watched for a ttl, and tries twice in each.
        assert said[-1] == "by the rival"
        assert len(said) <= 5
        rival.wait(20)
    with closing(SQLiteStore.open(path, create=False)) as store:
        assert _generations(store) == [1, 2]
        assert names(store)[-2:] == ["TurnCommitted", "LeaseReleased"]
        assert sent in _enqueued(store)


def test_a_dead_owner_s_lease_is_free_after_its_ttl_and_not_after_an_hour(tmp_path: Path) -> None:
    _in_parallel(_the_owner_dies, tmp_path)


def test_a_rival_that_believes_every_clock_is_caught(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    clocks = (_clock(path, "owner", 0), _clock(path, "rival", HOUR_S))
    with pytest.raises(AssertionError, match="by the rival"):
        _the_owner_goes_on(path, clocks, believes=True)
