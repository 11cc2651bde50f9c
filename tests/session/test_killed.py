"""
Goal: a process that is killed at any moment of a turn costs nothing but time.

Method: a real process drives a turn on a real file and gets SIGKILL, ten times, when the log has
come to ten versions drawn at random and a random moment has passed. Another core waits until the
lease has run out and goes on. The transcript is compared with that of a turn that nobody has
disturbed; what was really asked for is counted in a file that both processes append to.

A failing case prints its seed: ``SEED`` replays the choice of positions and delays.
"""

import asyncio
import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from attrs import frozen

from lash_es import LashSession, LeaseTimings, Message, SQLiteStore
from lash_es.core.effects import ToolCall
from lash_es.core.events import (
    EffectRequested,
    EffectSettled,
    Event,
    TurnCommitted,
    TurnStarted,
)
from tests.session.host import messages
from tests.session.long_turn import INPUT, KILLABLE_VERSIONS, TURN_ID, Notes, alone, core
from tests.session.stores import facts, stream

# Each process is a fork of a small one that has imported what they need, and nothing else.
PROCESSES = get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.session.long_turn", "pydantic", "griffe"])

KILLS_COUNT = 10
POSITIONS_MIN = 8
EXTRA_KILLS_MAX = 10
TRIES_MAX = 5
SEED = int(os.environ.get("LASH_ES_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)


@frozen(kw_only=True)
class Kill:
    """A case: how far the log is when the process dies, and how long it lives on after that."""

    name: str
    version: int
    delay_s: float
    seed: int


def test_a_turn_that_is_killed_anywhere_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    expected = asyncio.run(undisturbed(Notes(tmp_path / "undisturbed.notes")))
    first = [drawn(chance, version) for version in chance.sample(KILLABLE_VERSIONS, KILLS_COUNT)]
    # Two at a time: most of it is waiting for processes to start and for leases to run out.
    with ThreadPoolExecutor(2) as pool:
        positions = {*pool.map(lambda kill: survived(tmp_path, kill, expected), first)}
    # On a busy machine some die later than they should: then the positions that are missing.
    for _ in range(EXTRA_KILLS_MAX):
        if len(positions) >= POSITIONS_MIN:
            break
        missing = sorted({*KILLABLE_VERSIONS} - positions)
        positions.add(survived(tmp_path, drawn(chance, chance.choice(missing)), expected))
    assert len(positions) >= POSITIONS_MIN, f"seed {SEED}: killed only at {sorted(positions)}"


def drawn(chance: random.Random, version: int) -> Kill:
    seed = chance.randrange(2**32)
    return Kill(name=f"killed-{seed}", version=version, delay_s=chance.uniform(0, 0.01), seed=seed)


async def undisturbed(notes: Notes) -> list[Message]:
    async with core(None, notes, 0) as running, running.session("calm").open() as session:
        assert (await session.turn(INPUT).turn_id(TURN_ID)).result.is_success
        return await messages(session)


def survived(place: Path, kill: Kill, expected: list[Message]) -> int:
    """Kill a turn, let another core go on with it, and say where it was killed."""
    try:
        case, before = in_time(place, kill)
        asyncio.run(case.gone_on(expected))
        check(before, case.facts(), case.notes)
        return len(before)
    except BaseException:
        print(f"\nLASH_ES_TEST_SEED={SEED} {kill}")  # noqa: T201 - the line that replays it
        raise


def in_time(place: Path, kill: Kill) -> "tuple[Case, list[Event]]":
    """Kill a turn before it is over; one that was quicker than we are is left and done again."""
    for number in range(TRIES_MAX):
        case = Case(place, f"{kill.name}-{number}", kill)
        before = case.killed()
        if not any(isinstance(fact, TurnCommitted) for fact in before):
            return case, before
    raise AssertionError(f"the turn was over before it could be killed, {TRIES_MAX} times")


@frozen
class Case:
    """One session that is killed, in the database that all of them share."""

    place: Path
    session_id: str
    kill: Kill

    @property
    def database(self) -> Path:
        return self.place / "log.db"

    @property
    def notes(self) -> Notes:
        return Notes(self.place / f"{self.session_id}.notes")

    def killed(self) -> list[Event]:
        """Run the turn in a process and kill it when the log is so far."""
        process = PROCESSES.Process(
            target=alone, args=(self.database, self.session_id, self.notes, self.kill.seed)
        )
        process.start()
        try:
            self.watch(process)
            time.sleep(self.kill.delay_s)
        finally:
            process.kill()
            process.join()
        before = self.facts()
        assert any(isinstance(fact, TurnStarted) for fact in before)
        return before

    def watch(self, process: BaseProcess) -> None:
        """Wait until the log is so far, by a connection of our own."""
        deadline = time.monotonic() + 30
        with closing(SQLiteStore.open(self.database, create=True)) as store:
            while process.is_alive():
                head = store.head(stream(self.session_id))
                if head is not None and head.version >= self.kill.version:
                    return
                assert time.monotonic() < deadline, f"it came only to {head}"
                time.sleep(0.0005)

    def facts(self) -> list[Event]:
        with closing(SQLiteStore.open(self.database, create=False)) as store:
            return facts(store, self.session_id)

    async def gone_on(self, expected: list[Message]) -> None:
        """Take the turn over as soon as the dead owner's lease has run out."""
        async with (
            core(self.database, self.notes, self.kill.seed + 1, LeaseTimings()) as other,
            other.session(self.session_id).open() as session,
        ):
            await when_free(session)
            assert await messages(session) == expected


async def when_free(session: LashSession) -> None:
    deadline = time.monotonic() + 30
    while (output := await session.queued_turn()) is None:
        assert time.monotonic() < deadline, "the lease of a dead owner does not run out"
        await asyncio.sleep(0.02)
    result = output.result
    assert (result.turn_id, result.is_success, result.takeovers) == (TURN_ID, True, 1)
    assert (await session.turn(INPUT).turn_id(TURN_ID)).result == result


def check(before: list[Event], after: list[Event], notes: Notes) -> None:
    """Compare what was recorded with what was really asked for."""
    assert after[: len(before)] == before
    requested = {
        fact.effect_id: label(fact) for fact in after if isinstance(fact, EffectRequested)
    }
    settled = [fact.effect_id for fact in after if isinstance(fact, EffectSettled)]
    assert sorted(settled) == sorted(requested), "each request has one outcome"
    at_death = {fact.effect_id for fact in before if isinstance(fact, EffectRequested)}
    recorded = {fact.effect_id for fact in before if isinstance(fact, EffectSettled)}
    counted = notes.counted()
    for effect_id, name in requested.items():
        in_flight = effect_id in at_death - recorded
        assert counted[name] == 1 or (in_flight and counted[name] == 2), (name, counted[name])
    assert {*counted} == {*requested.values()}


def label(fact: EffectRequested) -> str:
    """Name an effect as its line in the notes."""
    if isinstance(fact.request, ToolCall):
        return f"look {fact.request.call_id}"
    return f"model {fact.request.iteration}"


def test_the_count_notices_an_outcome_that_was_asked_for_twice(tmp_path: Path) -> None:
    notes, database = Notes(tmp_path / "notes"), tmp_path / "log.db"

    async def drive() -> None:
        async with core(database, notes, 0) as running, running.session("s").open() as session:
            await session.turn(INPUT).turn_id(TURN_ID)

    asyncio.run(drive())
    with closing(SQLiteStore.open(database, create=False)) as store:
        after = facts(store, "s")
    # All four calls of the first batch are recorded, and so are the requests of the second.
    before = after[:18]
    check(before, after, notes)
    notes.add("look a")
    with pytest.raises(AssertionError, match="look a"):
        check(before, after, notes)
