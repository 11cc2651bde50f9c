"""
Goal: whatever a seed does to processes, clocks and answers, a session keeps its promises; and an
oracle that does not hold says so.

Method: run seeds on real stores in a virtual time. Then forge the evidence of a run, one lie for
each oracle; and run seeds on rules that do not fence.
"""

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from random import Random

import pytest
from attrs import evolve as with_changes

from lash_es import Durability, MemoryStore, SQLiteStore
from lash_es.codec.errors import CorruptHistory
from lash_es.codec.records import Record
from lash_es.codec.streams import StreamId
from lash_es.core.bodies import BodyRef
from lash_es.core.events import (
    EffectSettled,
    Event,
    LeaseAcquired,
    TurnCommitted,
    TurnContinued,
    TurnEnded,
    TurnInputCancelled,
    TurnInputEnqueued,
    TurnInputsClaimed,
)
from lash_es.core.evolve import fold
from lash_es.core.ids import Generation, InputId, Position, Revision, SessionId
from lash_es.core.transcripts import FromInputs
from lash_es.log.loading import refold
from lash_es.verify.checkers import ORACLES, violations
from lash_es.verify.simulation import Evidence, simulate
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
from lash_es.verify.worlds import Decide
from tests.verify.plants import PLANTS, lets_stale_owners_write

FAST = PROFILES["fast"]
SEEDS = range(16)
UNFENCED_SEED = 7
"""One of those in which an owner that was frozen writes after it was taken over."""


@cache
def evidence_of(seed: int) -> Evidence:
    return simulate(workload(seed, FAST), MemoryStore())


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
    "sim_13": "usage_conserved",
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
    assert any(evidence_of(seed).cancelled for seed in SEEDS)
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


# Every oracle can fail: one lie each


Forgery = Callable[[Evidence], Evidence]


def with_facts(evidence: Evidence, *changed: Event | None, at: int, session: int = 0) -> Evidence:
    """Put other facts in the place of one."""
    facts = evidence.facts[session]
    forged = (*facts[:at], *(event for event in changed if event), *facts[at + 1 :])
    return with_changes(evidence, facts={**evidence.facts, session: forged})


def first(evidence: Evidence, kind: type[Event], nth: int = 0) -> tuple[int, Event]:
    found = [(n, e) for n, e in enumerate(evidence.facts[0]) if isinstance(e, kind)]
    return found[nth]


def twice(kind: type[Event]) -> Forgery:
    def forged(evidence: Evidence) -> Evidence:
        position, event = first(evidence, kind)
        return with_facts(evidence, event, event, at=position)

    return forged


def changed(kind: type[Event], nth: int = 0, **values: object) -> Forgery:
    def forged(evidence: Evidence) -> Evidence:
        position, event = first(evidence, kind, nth)
        return with_facts(evidence, with_changes(event, **values), at=position)  # type: ignore[arg-type]

    return forged


def missing(kind: type[Event]) -> Forgery:
    return lambda evidence: with_facts(evidence, at=first(evidence, kind)[0])


def opened_later(evidence: Evidence) -> Evidence:
    return with_facts(evidence, at=0)


def telling_of_another(evidence: Evidence) -> Evidence:
    ref = BodyRef(position=Position(0), ordinal=0)
    return with_changes(evidence, texts={**evidence.texts, 0: {ref: '"s1 wants it"'}})


def observed(*seen: int) -> Forgery:
    return lambda e: with_changes(e, observed={**e.observed, 0: seen})


def forgotten(evidence: Evidence) -> Evidence:
    return with_changes(evidence, acknowledged={(0, InputId("never")): "never"})


def cancelled_after_all(evidence: Evidence) -> Evidence:
    """Say that an input was cancelled which is in the transcript."""
    _, commit = first(evidence, TurnCommitted)
    assert isinstance(commit, TurnCommitted)
    source = commit.nodes[0].source
    assert isinstance(source, FromInputs)
    event = evidence.facts[0][source.bodies[0].position]
    assert isinstance(event, TurnInputEnqueued)
    cancel = TurnInputCancelled(at_ms=event.at_ms, input_id=event.input_id)
    forged = (*evidence.facts[0], cancel)
    return with_changes(
        evidence,
        facts={**evidence.facts, 0: forged},
        cancelled=frozenset({(0, event.input_id)}),
    )


def never_cancelled(evidence: Evidence) -> Evidence:
    return with_changes(evidence, cancelled=frozenset({(0, InputId("never"))}))


def nodes_repeated(evidence: Evidence) -> Evidence:
    position, commit = first(evidence, TurnCommitted)
    assert isinstance(commit, TurnCommitted)
    nodes = (*commit.nodes, commit.nodes[0])
    return with_facts(evidence, with_changes(commit, nodes=nodes), at=position)


def overcharged(evidence: Evidence, by: int = 1) -> Evidence:
    position, commit = first(evidence, TurnCommitted)
    assert isinstance(commit, TurnCommitted)
    tokens = commit.usage.input_tokens + by
    usage = with_changes(commit.usage, input_tokens=tokens)
    return with_facts(evidence, with_changes(commit, usage=usage), at=position)


def written_by_another(evidence: Evidence) -> Evidence:
    """Say that somebody else's lease stood when facts were written."""
    return changed(LeaseAcquired, token="another")(evidence)


def begun_again(evidence: Evidence) -> Evidence:
    performed = evidence.around.performed
    late = with_changes(performed[0], version=10_000)
    around = with_changes(evidence.around, performed=[*performed, late])
    return with_changes(evidence, around=around)


def left_open(evidence: Evidence) -> Evidence:
    """Hand in the state of a run in mid-turn."""
    facts = evidence.facts[0]
    position = next(n for n, e in enumerate(facts) if isinstance(e, EffectSettled))
    return with_changes(evidence, states={0: fold(facts[:position])})


def delivered_early(evidence: Evidence) -> Evidence:
    around = evidence.around
    clock = VirtualClock(around.clock._pick)
    clock.deliveries = [with_changes(each, sequence=0) for each in around.clock.deliveries]
    return with_changes(evidence, around=with_changes(around, clock=clock))


def unannounced(evidence: Evidence) -> Evidence:
    return with_changes(evidence, around=with_changes(evidence.around, registered=[]))


FORGERIES: Mapping[str, tuple[Forgery, ...]] = {
    "opened_once": (opened_later,),
    "isolated": (telling_of_another,),
    "observed_to_the_end": (observed(), observed(3, 2), observed(1)),
    "source_keys_kept": (forgotten,),
    "inputs_settled": (missing(TurnCommitted), twice(TurnCommitted)),
    "cancelled_is_gone": (cancelled_after_all, never_cancelled),
    "commits_counted": (changed(TurnCommitted, revision=Revision(9)),),
    "graph_is_sound": (changed(TurnCommitted, parent=Position(1)), nodes_repeated),
    "usage_conserved": (overcharged, lambda e: overcharged(e, -1_000_000)),
    "fenced": (written_by_another,),
    "generations_rise": (changed(TurnInputsClaimed, generation=Generation(99)),),
    "times_never_fall": (changed(TurnInputEnqueued, nth=-1, at_ms=0),),
    "claimed_by_one": (twice(TurnInputsClaimed),),
    "settled_once": (twice(EffectSettled),),
    "never_performed_again": (begun_again,),
    "nothing_is_owed": (left_open,),
    "delivered_in_order": (delivered_early,),
    "completions_registered": (unannounced,),
}


def test_every_oracle_has_a_forgery() -> None:
    assert list(FORGERIES) == list(ORACLES)


@pytest.mark.parametrize("oracle", ORACLES)
def test_sim_38_an_oracle_sees_through_every_forgery(oracle: str) -> None:
    evidence = evidence_of(2)
    assert list(ORACLES[oracle](evidence)) == []

    for forgery in FORGERIES[oracle]:
        witnesses = list(ORACLES[oracle](forgery(evidence)))

        assert witnesses, forgery
        assert all(witness for _, witness in witnesses)


def test_sim_38_rules_that_do_not_fence_are_caught() -> None:
    trace = run_seed(UNFENCED_SEED, "fast", MemoryStore(), lets_stale_owners_write)

    assert "fenced" in [each.oracle for each in trace.violations]
    assert trace.line == "python -m tests.check replay 0x7"


@pytest.mark.parametrize(
    ("rule", "oracle"),
    [
        (
            "A commit completes what its turn took, and defers what wanted into it",
            "inputs_settled",
        ),
        ("An effect is settled once, and only if it was asked for", BROKEN),
    ],
)
def test_rules_with_a_planted_bug_are_caught_by_some_seed(rule: str, oracle: str) -> None:
    planted: Decide = PLANTS[rule].decide

    found = [
        each.oracle
        for seed in SEEDS
        for each in run_seed(seed, "fast", MemoryStore(), planted).violations
    ]

    assert oracle in found


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

    # Something to do, and an owner that is frozen while it does it.
    assert [d.verb for d in smallest.workload.disturbances] == [Verb.ENQUEUE, Verb.FREEZE]
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
