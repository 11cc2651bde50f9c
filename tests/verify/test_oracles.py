"""
Goal: an oracle of the simulation that does not hold says so.

Method: forge the evidence of a run, one lie for each thing that an oracle looks at; and run seeds
on rules with a planted bug.
"""

from collections.abc import Callable, Mapping

import pytest
from attrs import evolve as with_changes

from lash_es import MemoryStore
from lash_es.core.batches import (
    DeliveryPolicy,
    NeverMerge,
    SlotPolicy,
    WorkKind,
)
from lash_es.core.bodies import BodyRef
from lash_es.core.events import (
    EffectSettled,
    Event,
    LeaseAcquired,
    TurnCommitted,
    TurnInputCancelled,
    TurnInputEnqueued,
    TurnInputsClaimed,
    TurnInputTombstonesPruned,
)
from lash_es.core.evolve import fold
from lash_es.core.graph_events import (
    FrameOpened,
    NodesAppended,
    NodesForgotten,
    NodesTombstoned,
    SessionBegunAnew,
)
from lash_es.core.ids import (
    BatchId,
    FrameId,
    Generation,
    InputId,
    NodeId,
    Position,
    Revision,
)
from lash_es.core.work_events import (
    FinishedWorkPruned,
    WorkClaimed,
    WorkCompleted,
    WorkEnqueued,
)
from lash_es.verify.checkers import ORACLES
from lash_es.verify.evidence import Evidence, Wish
from lash_es.verify.traces import (
    BROKEN,
    run_seed,
)
from lash_es.verify.virtual_clocks import VirtualClock
from lash_es.verify.worlds import Decide
from tests.verify.deciding import DECIDING, unsaid
from tests.verify.plants import PLANTS, lets_stale_owners_write
from tests.verify.simulated import SEEDS, UNFENCED_SEED, evidence_of

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


def promising(evidence: Evidence, **promised: object) -> Evidence:
    """Say that something else was promised."""
    promises = with_changes(evidence.promises, **promised)  # type: ignore[arg-type]
    return with_changes(evidence, promises=promises)


def forgotten(evidence: Evidence) -> Evidence:
    return promising(evidence, inputs={(0, InputId("never")): "never"})


def completing(evidence: Evidence) -> tuple[int, TurnCommitted]:
    """Find a commit that completes an input."""
    found = [
        (position, event)
        for position, event in enumerate(evidence.facts[0])
        if isinstance(event, TurnCommitted) and event.completed_input_ids
    ]
    return found[0]


def completed_never(evidence: Evidence) -> Evidence:
    return with_facts(evidence, at=completing(evidence)[0])


def completed_twice(evidence: Evidence) -> Evidence:
    position, commit = completing(evidence)
    return with_facts(evidence, commit, commit, at=position)


def cancelled_after_all(evidence: Evidence) -> Evidence:
    """Say that an input was cancelled which is in the transcript."""
    input_id = completing(evidence)[1].completed_input_ids[0]
    cancel = TurnInputCancelled(at_ms=0, input_id=input_id)
    forged = with_changes(evidence, facts={**evidence.facts, 0: (*evidence.facts[0], cancel)})
    return promising(forged, cancelled={(0, input_id)})


def never_cancelled(evidence: Evidence) -> Evidence:
    return promising(evidence, cancelled={(0, InputId("never"))})


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


def no_longer_told(evidence: Evidence) -> Evidence:
    """Leave out of a commit what the work said that it completes."""
    facts = {**evidence.facts, 0: tuple(map(unsaid, evidence.facts[0]))}
    if facts == evidence.facts:
        raise IndexError
    return with_changes(evidence, facts=facts)


def never_queued(evidence: Evidence) -> Evidence:
    return promising(evidence, batches={(0, BatchId("never")): "never"})


def never_withdrawn(evidence: Evidence) -> Evidence:
    return promising(evidence, withdrawn={(0, BatchId("never"))})


def never_granted(evidence: Evidence) -> Evidence:
    return promising(evidence, granted=[(0, Wish(name="never", is_frame=False))])


def hidden_and_shown(evidence: Evidence) -> Evidence:
    return promising(evidence, hidden={(0, evidence.shown[0][0])})


def showing_nothing(evidence: Evidence) -> Evidence:
    return with_changes(evidence, shown={**evidence.shown, 0: evidence.shown[0][1:]})


def claimed(*batch_ids: str) -> Forgery:
    return changed(WorkClaimed, batch_ids=tuple(map(BatchId, batch_ids)))


def enqueued_otherwise(share: int = 2, **values: object) -> Forgery:
    """Say that the last batch of a claim, of so many at least, was another one."""

    def forged(evidence: Evidence) -> Evidence:
        claims = [e for e in evidence.facts[0] if isinstance(e, WorkClaimed)]
        last = [e.batch_ids[-1] for e in claims if len(e.batch_ids) >= share]
        return enqueuing_otherwise(evidence, last[0], **values)

    return forged


def enqueuing_otherwise(evidence: Evidence, batch_id: BatchId, **values: object) -> Evidence:
    position, event = next(
        (n, e)
        for n, e in enumerate(evidence.facts[0])
        if isinstance(e, WorkEnqueued) and e.batch_id == batch_id
    )
    return with_facts(evidence, with_changes(event, **values), at=position)  # type: ignore[arg-type]


def delivered_too_early(evidence: Evidence) -> Evidence:
    """Say that work which joined a turn was to wait for the turn's end."""
    claims = [e for e in evidence.facts[0] if isinstance(e, WorkClaimed)]
    joined = [e.batch_ids[0] for e in claims if e.turn_id is not None]
    late = DeliveryPolicy.AFTER_CURRENT_TURN_COMMIT
    return enqueuing_otherwise(evidence, joined[0], delivery=late)


FORGERIES: Mapping[str, tuple[Forgery, ...]] = {
    "opened_once": (opened_later,),
    "isolated": (telling_of_another,),
    "observed_to_the_end": (observed(), observed(3, 2), observed(1)),
    "source_keys_kept": (forgotten, twice(TurnInputEnqueued)),
    "inputs_settled": (completed_never, completed_twice),
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
    "work_keys_kept": (never_queued, twice(WorkEnqueued)),
    "work_finished_once": (never_withdrawn, twice(WorkCompleted), missing(WorkCompleted)),
    "work_claimed_in_order": (
        claimed("nobody"),
        twice(WorkClaimed),
        enqueued_otherwise(share=1, available_at_ms=2**50),
        enqueued_otherwise(slot=SlotPolicy.EXCLUSIVE),
        enqueued_otherwise(merge_key=NeverMerge()),
        enqueued_otherwise(kinds=(WorkKind.RESET_SESSION,)),
        delivered_too_early,
    ),
    "told_once": (no_longer_told, nodes_repeated, missing(WorkCompleted)),
    "commands_done_once": (missing(SessionBegunAnew), twice(SessionBegunAnew)),
    "frames_followed": (
        twice(FrameOpened),
        missing(FrameOpened),
        changed(FrameOpened, previous_frame_id=FrameId("another")),
        changed(FrameOpened, frame_id=FrameId("another")),
    ),
    "shown_as_made": (showing_nothing,),
    "wishes_granted_once": (never_granted, twice(NodesAppended), missing(NodesAppended)),
    "hidden_once": (
        hidden_and_shown,
        twice(NodesTombstoned),
        changed(NodesTombstoned, node_ids=(NodeId("nobody:m1"),)),
    ),
    "maintenance_counts": (
        changed(TurnInputTombstonesPruned, tombstones_count=99),
        changed(FinishedWorkPruned, batches_count=99),
        changed(NodesForgotten, nodes_count=99),
    ),
}


def test_every_oracle_has_a_forgery() -> None:
    assert list(FORGERIES) == list(ORACLES)


def forged(forgery: Forgery) -> Evidence:
    """Forge the evidence of the first run in which there is what the lie is about."""
    for seed in SEEDS:
        try:
            return forgery(evidence_of(seed))
        except IndexError:
            continue
    raise AssertionError(f"{forgery}: no seed has what it is about")


@pytest.mark.parametrize("oracle", ORACLES)
def test_sim_38_an_oracle_sees_through_every_forgery(oracle: str) -> None:
    for forgery in FORGERIES[oracle]:
        witnesses = list(ORACLES[oracle](forged(forgery)))

        assert witnesses, forgery
        assert all(witness for _, witness in witnesses)


def test_sim_38_rules_that_do_not_fence_are_caught() -> None:
    trace = run_seed(UNFENCED_SEED, "fast", MemoryStore(), lets_stale_owners_write)

    assert "fenced" in [each.oracle for each in trace.violations]
    assert trace.line == "python -m tests.check replay 0x5f"


@pytest.mark.parametrize(
    ("rule", "oracle"),
    [
        (
            "A commit completes what its turn took and what it names, and defers what missed it",
            "inputs_settled",
        ),
        ("An effect is settled once, and only if it was asked for", BROKEN),
        ("A commit says what the work says that it completes", "told_once"),
        ("A key that is remembered takes nothing more", "work_keys_kept"),
        (
            "Work that waits for the turn's end is not taken at a checkpoint",
            "work_claimed_in_order",
        ),
        ("A reset begins the session anew", "commands_done_once"),
        ("A message is hidden once", "hidden_once"),
    ],
)
def test_rules_with_a_planted_bug_are_caught_by_some_seed(rule: str, oracle: str) -> None:
    planted: Decide = DECIDING[rule] if rule in DECIDING else PLANTS[rule].decide

    assert any(
        each.oracle == oracle
        for seed in SEEDS
        for each in run_seed(seed, "fast", MemoryStore(), planted).violations
    )
