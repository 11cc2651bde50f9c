"""
Goal: whatever a seed does to processes, clocks and answers, a session keeps its promises.

Method: run seeds on real stores in a virtual time. That oracles can fail is shown in
``test_oracles.py``.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from random import Random

import pytest
from attrs import evolve as with_changes

from lash_es import Durability, MemoryStore, SQLiteStore
from lash_es.codec.errors import CorruptHistory
from lash_es.codec.records import Record
from lash_es.codec.streams import StreamId
from lash_es.core.events import (
    Event,
    LeaseAcquired,
    TurnCommitted,
    TurnContinued,
    TurnEnded,
    TurnInputsAccepted,
    TurnInputsDeferred,
    TurnInputTombstonesPruned,
)
from lash_es.core.graph_events import (
    FrameOpened,
    NodesAppended,
    NodesForgotten,
    NodesTombstoned,
    SessionBegunAnew,
)
from lash_es.core.ids import (
    Position,
    SessionId,
)
from lash_es.core.outcomes import FrameSwitched
from lash_es.core.work_events import (
    FinishedWorkPruned,
    WorkCancelled,
    WorkClaimed,
    WorkCompleted,
    WorkEnqueued,
)
from lash_es.log.loading import refold
from lash_es.verify.checkers import ORACLES, violations
from lash_es.verify.simulation import simulate
from lash_es.verify.traces import (
    BROKEN,
    TraceDiffers,
    minimised,
    packed,
    replay,
    run_seed,
    traced,
    unpacked,
)
from lash_es.verify.virtual_clocks import VirtualClock
from lash_es.verify.workloads import PROFILES, Verb, profile_of, shard, workload
from tests.verify.plants import lets_stale_owners_write
from tests.verify.simulated import FAST, SEEDS, UNFENCED_SEED, evidence_of

SCENARIOS = {
    "sim_01": "opened_once",
    "sim_02": "isolated",
    "sim_03": "observed_to_the_end",
    "sim_04": "observed_to_the_end",
    "sim_05": "source_keys_kept",
    "sim_06": "inputs_settled",
    "sim_07": "cancelled_is_gone",
    "sim_10": "commits_counted",
    "sim_11": "graph_is_sound",
    "sim_12": "frames_followed",
    "sim_13": "usage_conserved",
    "sim_16": "told_once",
    "sim_18": "fenced",
    "sim_20": "generations_rise",
    "sim_30": "delivered_in_order",
    "sim_31": "completions_registered",
}
"""Which oracle a scenario asks for; the scenarios that ask for more have a test of their own."""


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_scenario_holds_of_every_seed(scenario: str) -> None:
    oracle = ORACLES[SCENARIOS[scenario]]

    assert [(seed, *each) for seed in SEEDS for each in oracle(evidence_of(seed))] == []
    assert scenario.replace("_", "-").upper() in (oracle.__doc__ or "")


@pytest.mark.parametrize("seed", SEEDS)
def test_every_oracle_holds(seed: int) -> None:
    assert violations(evidence_of(seed)) == ()


def test_sim_33_a_seed_makes_the_same_bytes_every_time() -> None:
    again = simulate(workload(3, FAST), MemoryStore())

    assert again.digests == evidence_of(3).digests
    assert again.around.clock.deliveries == evidence_of(3).around.clock.deliveries


@pytest.mark.parametrize("seed", [0, 5])
def test_sim_34_memory_and_sqlite_hold_the_same_bytes(seed: int, tmp_path: Path) -> None:
    path = tmp_path / "simulated.db"
    store = SQLiteStore.open(path, create=True, durability=Durability.NORMAL)

    evidence = simulate(workload(seed, FAST), store)
    store.close()

    assert evidence.digests == evidence_of(seed).digests
    assert evidence.states == evidence_of(seed).states
    assert violations(evidence) == ()


# What has to happen sometimes, or the seeds prove little


def all_facts(kind: type[Event]) -> list[tuple[int, int, Event]]:
    return [
        (seed, session, event)
        for seed in SEEDS
        for session, facts in evidence_of(seed).facts.items()
        for event in facts
        if isinstance(event, kind)
    ]


def test_sim_18_another_owner_goes_on_and_the_first_is_refused() -> None:
    continued = [each for each in all_facts(TurnContinued) if isinstance(each[2], TurnContinued)]
    refusals = [line for seed in SEEDS for line in evidence_of(seed).around.refusals]

    assert any(event.generation > 1 for _, _, event in continued if hasattr(event, "generation"))
    assert any("lease" in line for line in refusals)


def test_sim_19_a_healthy_turn_of_three_ttls_commits() -> None:
    committed = {
        event.turn_id for _, _, event in all_facts(TurnCommitted) if hasattr(event, "turn_id")
    }
    long = [
        (turn_id, elapsed_ms, sleeps)
        for seed in SEEDS
        for turn_id, (elapsed_ms, sleeps) in evidence_of(seed).around.longest_ms.items()
        if elapsed_ms >= 90_000 and sleeps >= 3 and turn_id in committed
    ]

    assert long


def test_what_is_rare_happens_in_these_seeds() -> None:
    commits = [event for _, _, event in all_facts(TurnCommitted)]
    assert len(commits) > 2 * len(SEEDS) * FAST.sessions
    assert any(evidence_of(seed).promises.cancelled for seed in SEEDS)
    assert any(evidence_of(seed).around.ledgers.unknowns for seed in SEEDS)
    assert any(
        isinstance(e, TurnEnded) and e.returned_input_ids for _, _, e in all_facts(TurnEnded)
    )
    assert all_facts(LeaseAcquired)
    assert any(
        isinstance(event, TurnCommitted | TurnEnded) and event.deferred_input_ids
        for kind in (TurnCommitted, TurnEnded)
        for _, _, event in all_facts(kind)
    )


def test_what_concerns_work_and_the_graph_happens_in_these_seeds() -> None:
    happened: Mapping[type[Event], int] = {
        kind: len(all_facts(kind)) for kind in (*WORK_FACTS, *GRAPH_FACTS)
    }
    claims = [e for _, _, e in all_facts(WorkClaimed) if isinstance(e, WorkClaimed)]
    commits = [e for _, _, e in all_facts(TurnCommitted) if isinstance(e, TurnCommitted)]

    assert [kind.__name__ for kind, count in happened.items() if not count] == []
    assert any(len(event.batch_ids) > 1 for event in claims)
    assert any(event.turn_id is not None for event in claims)
    assert any(isinstance(event.outcome, FrameSwitched) for event in commits)
    # A claim that nobody could use any more was followed by another one of the same batch.
    assert any(event.claim_id.endswith(":2") for event in claims)


WORK_FACTS = (WorkEnqueued, WorkClaimed, WorkCompleted, WorkCancelled, FinishedWorkPruned)
GRAPH_FACTS = (
    FrameOpened,
    NodesAppended,
    NodesTombstoned,
    NodesForgotten,
    SessionBegunAnew,
    TurnInputsAccepted,
    TurnInputsDeferred,
    TurnInputTombstonesPruned,
)


# Workloads, traces


def test_sim_36_a_workload_is_a_function_of_its_seed() -> None:
    assert workload(5, FAST) == workload(5, FAST)
    assert workload(5, FAST) != workload(6, FAST)
    assert {each.verb for seed in SEEDS for each in workload(seed, FAST).disturbances} == set(Verb)


def test_sim_36_shards_are_all_seeds_once() -> None:
    shards = [shard(range(100), index, 9) for index in range(1, 10)]

    assert sorted(seed for each in shards for seed in each) == list(range(100))
    with pytest.raises(ValueError, match="shard 10 of 9"):
        shard(range(100), 10, 9)


def test_sim_36_an_unknown_profile_is_refused() -> None:
    with pytest.raises(ValueError, match="no profile 'slow': there are fast, full"):
        profile_of("slow")


def test_sim_37_a_failing_seed_is_made_small_and_can_be_replayed() -> None:
    trace = run_seed(UNFENCED_SEED, "fast", MemoryStore(), lets_stale_owners_write)

    smallest = minimised(trace, MemoryStore, lets_stale_owners_write)

    # Something to do, an owner that is frozen while it does it, and another draw of the schedule.
    verbs = [d.verb for d in smallest.workload.disturbances]
    assert verbs == [Verb.ENQUEUE, Verb.FREEZE, Verb.CRASH]
    assert smallest.violations[0].oracle == "fenced"
    kept = unpacked(packed(smallest))
    assert kept == smallest
    assert replay(kept, MemoryStore(), lets_stale_owners_write) == smallest
    # On rules that fence, the same workload comes to another verdict, or to other facts.
    with pytest.raises(TraceDiffers):
        replay(kept, MemoryStore())


def test_sim_37_a_run_that_breaks_off_is_a_violation() -> None:
    def broken(*_: object) -> tuple[Event, ...]:
        raise RuntimeError("no rules")

    trace = traced(workload(1, PROFILES["full"]), MemoryStore(), broken)

    assert [each.oracle for each in trace.violations] == [BROKEN]
    assert "no rules" in trace.violations[0].witness
    assert trace.line == "python -m tests.check replay 0x1 --profile full"


def test_sim_40_a_trace_that_was_tampered_with_is_refused() -> None:
    trace = run_seed(1, "fast", MemoryStore())
    kept = json.loads(packed(trace))

    with pytest.raises(TraceDiffers, match="facts"):
        replay(with_changes(trace, digests=("0" * 64, *trace.digests[1:])), MemoryStore())
    fewer = with_changes(trace.workload, disturbances=trace.workload.disturbances[1:])
    with pytest.raises(TraceDiffers, match="facts"):
        replay(with_changes(trace, workload=fewer), MemoryStore())
    with pytest.raises(TraceDiffers, match="version 99"):
        unpacked(json.dumps({**kept, "version": 99}))


class Tampering(MemoryStore):
    """Shows one record otherwise than it was written."""

    at: Position | None = None

    def read(self, stream: StreamId, first: Position, records_max: int) -> tuple[Record, ...]:
        found = super().read(stream, first, records_max)
        return tuple(
            with_changes(record, header=record.header.replace(b"s0", b"s9"))
            if record.position == self.at
            else record
            for record in found
        )


def test_sim_40_a_log_that_was_tampered_with_is_refused_with_the_position() -> None:
    store = Tampering()
    simulate(workload(1, FAST), store)
    stream = StreamId("default", SessionId("s0"))
    assert refold(store, stream).version > 5
    store.at = Position(4)

    with pytest.raises(CorruptHistory) as refusal:
        refold(store, stream)

    assert refusal.value.position == 4


# The clock


def test_sleepers_wake_in_the_order_of_their_deadlines() -> None:
    clock, woken = VirtualClock(Random(1)), list[tuple[str, int]]()

    def sleeper(name: str, *durations_ms: int):  # type: ignore[no-untyped-def] # noqa: ANN202
        for duration_ms in durations_ms:
            woken.append((name, clock.running_ms))
            yield duration_ms

    clock.start("slow", sleeper("slow", 50, 50))
    clock.start("fast", sleeper("fast", 20, 20, 20), in_ms=5)
    clock.start("stopped", sleeper("stopped", 1), in_ms=30)
    clock.stop("stopped")
    clock.delay("slow", 7)
    clock.run(100, crashed=pytest.fail)

    assert woken == [("fast", 5), ("slow", 7), ("fast", 25), ("fast", 45), ("slow", 57)]
    assert clock.running_ms == 100
