"""Withdrawing one, many, or all from one on; and forgetting what is settled."""

import attrs
import pytest

from lash_es.core import targets
from lash_es.core.cancel_receipts import (
    AnchorNotFound,
    CancelResult,
    Outcomes,
    SuffixCancelOutcome,
    cancelled_together,
    settled_after,
    suffix_cancelled,
)
from lash_es.core.commands import (
    CancelTurnInput,
    CancelTurnInputs,
    CancelTurnInputSuffix,
    EnqueueTurnInput,
)
from lash_es.core.errors import ImpossibleEvent, LimitExceeded, SourceKeyConflict
from lash_es.core.events import (
    Event,
    LeaseReleased,
    TurnInputCancelled,
    TurnInputEnqueued,
    TurnInputsCancelled,
    TurnInputTombstonesPruned,
)
from lash_es.core.evolve import evolve, fold
from lash_es.core.graph_commands import MaintainSession
from lash_es.core.ids import Generation, InputId
from lash_es.core.known import IndexKey, IndexKind, names, sequence_key
from lash_es.core.limits import Limits
from lash_es.core.outcomes import InputStatus
from lash_es.core.receipts import (
    AlreadyCancelled,
    AlreadyClaimed,
    Cancelled,
    NotFound,
    cancelled,
)
from lash_es.core.receipts import (
    enqueued as told_enqueued,
)
from lash_es.core.state import Open
from lash_es.core.targets import CancelTarget
from lash_es.verify.spec import Decision, Given, given
from tests.core.examples import (
    GOODBYE,
    HELLO,
    I1,
    I2,
    I3,
    LEASED,
    NEXT_TURN,
    PENDING,
    claimed,
    enqueued,
)

BY_ID = targets.InputId("i1")
BY_KEY = targets.SourceKey("k")
NOBODY = targets.InputId("nobody")
NO_KEY = targets.SourceKey("no key")
KEYED: tuple[Event, ...] = (
    *LEASED,
    enqueued(I1, 1, source_key="k"),
    enqueued(I2, 2),
    enqueued(I3, 3),
)
HELD: tuple[Event, ...] = (*KEYED, claimed(I2))
WITHDRAWN = TurnInputCancelled(at_ms=60, input_id=I1)


def many(*named: CancelTarget) -> CancelTurnInputs:
    return CancelTurnInputs(now_ms=80, targets=named)


def from_on(anchor: CancelTarget) -> CancelTurnInputSuffix:
    return CancelTurnInputSuffix(now_ms=80, anchor=anchor)


def gone(*input_ids: InputId) -> TurnInputsCancelled:
    return TurnInputsCancelled(at_ms=80, input_ids=input_ids)


def open_state(decision: Decision | Given) -> Open:
    assert isinstance(decision.state, Open)
    return decision.state


def results(decision: Decision) -> list[CancelResult]:
    command = decision.command
    assert isinstance(command, CancelTurnInputs)
    return cancelled_together(open_state(decision.given), command, decision.known, decision.events)


def outcomes(decision: Decision) -> SuffixCancelOutcome:
    """Answer as the runtime does: with what was settled looked up besides."""
    command = decision.command
    assert isinstance(command, CancelTurnInputSuffix)
    before, index = open_state(decision.given), decision.given.known
    keys = settled_after(before, command.anchor, decision.known)
    entries = dict(decision.known.entries)
    for key in keys:
        if key in index.entries:
            entries[key] = index.entries[key]
            at_id = IndexKey(IndexKind.INPUT, str(index.input_at(int(key.key))))
            entries[at_id] = index.entries[at_id]
    known = attrs.evolve(decision.known, entries=entries)
    return suffix_cancelled(before, command, known, decision.events)


def kinds(found: SuffixCancelOutcome) -> list[tuple[str, str]]:
    assert isinstance(found, Outcomes)
    return [
        ("", "") if isinstance(each, NotFound) else (type(each).__name__, each.input.input_id)
        for each in found.outcomes
    ]


# Many


def test_many_are_withdrawn_in_one_fact_by_id_and_by_key_in_the_order_asked() -> None:
    given(*KEYED).when(many(targets.InputId("i3"), BY_KEY)).then(gone(I3, I1))


def test_one_that_is_named_twice_was_cancelled_just_before() -> None:
    decision = given(*KEYED).when(many(BY_ID, BY_KEY)).then(gone(I1))
    first, second = results(decision)
    assert (first.target, second.target) == (BY_ID, BY_KEY)
    assert isinstance(first.outcome, Cancelled)
    assert isinstance(second.outcome, AlreadyCancelled)
    assert second.outcome.input.status is InputStatus.CANCELLED


def test_every_target_has_one_result_whatever_became_of_it() -> None:
    decision = given(*HELD).when(many(NOBODY, targets.InputId("i2"), NO_KEY, BY_KEY))
    decision.then(gone(I1))
    found = [(each.target, type(each.outcome)) for each in results(decision)]
    assert found == [
        (NOBODY, NotFound),
        (targets.InputId("i2"), AlreadyClaimed),
        (NO_KEY, NotFound),
        (BY_KEY, Cancelled),
    ]


def test_what_was_cancelled_before_is_told_to_whoever_names_it_again() -> None:
    decision = given(*KEYED, WITHDRAWN).when(many(BY_KEY)).nothing_happened()
    assert [type(each.outcome) for each in results(decision)] == [AlreadyCancelled]


def test_nothing_is_recorded_if_nothing_can_be_withdrawn() -> None:
    given(*KEYED).when(many(NOBODY, NO_KEY)).nothing_happened()
    given(*KEYED).when(many()).nothing_happened()


def test_how_many_may_be_named_is_limited() -> None:
    refusal = LimitExceeded(limit="cancel_targets_max", found=2, allowed=1)
    given(*KEYED, limits=Limits(cancel_targets_max=1)).when(many(BY_ID, BY_ID)).refused(refusal)


def test_what_is_looked_up_are_the_targets_once_each() -> None:
    assert names(many(BY_ID, BY_KEY, BY_ID)) == (
        IndexKey(IndexKind.INPUT, "i1"),
        IndexKey(IndexKind.SOURCE_KEY, "k"),
    )
    assert names(from_on(BY_KEY)) == (IndexKey(IndexKind.SOURCE_KEY, "k"),)


# From one on


def test_a_suffix_is_withdrawn_in_order_and_passes_over_what_is_held() -> None:
    decision = given(*HELD).when(from_on(BY_KEY)).then(gone(I1, I3))
    assert kinds(outcomes(decision)) == [
        ("Cancelled", "i1"),
        ("AlreadyClaimed", "i2"),
        ("Cancelled", "i3"),
    ]


def test_what_comes_before_the_anchor_is_left_alone() -> None:
    anchor = targets.InputId("i2")
    decision = given(*KEYED).when(from_on(anchor)).then(gone(I2, I3))
    told = outcomes(decision)
    assert kinds(told) == [("Cancelled", "i2"), ("Cancelled", "i3")]
    assert isinstance(told, Outcomes)
    assert told.anchor == anchor
    settled = given(*KEYED, WITHDRAWN, attrs.evolve(WITHDRAWN, input_id=I3))
    decision = settled.when(from_on(anchor)).then(gone(I2))
    assert kinds(outcomes(decision)) == [("Cancelled", "i2"), ("AlreadyCancelled", "i3")]
    assert settled_after(open_state(settled), anchor, decision.known) == (sequence_key(3),)


def test_an_anchor_may_be_settled_and_so_may_what_follows_it() -> None:
    settled = (*KEYED, WITHDRAWN, attrs.evolve(WITHDRAWN, input_id=I2))
    decision = given(*settled).when(from_on(BY_KEY)).then(gone(I3))
    assert kinds(outcomes(decision)) == [
        ("AlreadyCancelled", "i1"),
        ("AlreadyCancelled", "i2"),
        ("Cancelled", "i3"),
    ]


def test_without_its_anchor_nothing_is_withdrawn() -> None:
    decision = given(*KEYED).when(from_on(NO_KEY)).nothing_happened()
    assert outcomes(decision) == AnchorNotFound(NO_KEY)


def test_a_suffix_of_which_nothing_is_free_records_nothing() -> None:
    decision = given(*LEASED, enqueued(I1, 1), claimed(I1)).when(from_on(BY_ID))
    decision.nothing_happened()
    assert kinds(outcomes(decision)) == [("AlreadyClaimed", "i1")]


# Forgetting


PRUNED: tuple[Event, ...] = (
    *KEYED,
    WITHDRAWN,
    TurnInputTombstonesPruned(at_ms=70, tombstones_count=1),
)
PRUNE = MaintainSession(now_ms=80)


def test_what_is_settled_is_forgotten_and_what_waits_is_not() -> None:
    decision = given(*KEYED, WITHDRAWN).when(PRUNE)
    decision.then(TurnInputTombstonesPruned(at_ms=80, tombstones_count=1))
    inputs = open_state(decision).inputs
    assert list(inputs.pending) == [I2, I3]
    assert (inputs.settled_count, inputs.pruned_below, inputs.next_sequence) == (0, 6, 4)
    decision.when(PRUNE).nothing_happened()


def test_what_was_withdrawn_together_is_counted_one_by_one() -> None:
    given(*KEYED, gone(I1, I2)).when(PRUNE).then(
        TurnInputTombstonesPruned(at_ms=80, tombstones_count=2)
    )


def test_a_forgotten_input_is_not_found_by_id_by_key_or_as_an_anchor() -> None:
    forgotten = given(*PRUNED)
    one = forgotten.when(CancelTurnInput(now_ms=80, input_id=I1)).nothing_happened()
    assert cancelled(open_state(forgotten), I1, one.known, ()) == NotFound()
    found = results(forgotten.when(many(BY_ID, BY_KEY)).nothing_happened())
    assert [each.outcome for each in found] == [NotFound(), NotFound()]
    gone_anchor = forgotten.when(from_on(BY_KEY)).nothing_happened()
    assert outcomes(gone_anchor) == AnchorNotFound(BY_KEY)


def test_a_suffix_passes_over_what_was_forgotten() -> None:
    history = (*KEYED, attrs.evolve(WITHDRAWN, input_id=I2))
    history = (*history, TurnInputTombstonesPruned(at_ms=70, tombstones_count=1))
    decision = given(*history).when(from_on(BY_ID)).then(gone(I1, I3))
    assert kinds(outcomes(decision)) == [("Cancelled", "i1"), ("Cancelled", "i3")]


def test_the_key_of_a_forgotten_input_is_free_again() -> None:
    again = EnqueueTurnInput(
        now_ms=80, input_id=InputId("i9"), source_key="k", ingress=NEXT_TURN, body=GOODBYE
    )
    conflict = SourceKeyConflict(session_id="s1", source_key="k", existing_input_id=I1)
    given(*KEYED, WITHDRAWN, bodies=[HELLO]).when(again).refused(conflict)
    decision = given(*PRUNED, bodies=[HELLO]).when(again)
    (event,) = decision.events
    assert isinstance(event, TurnInputEnqueued)
    assert event.sequence == 4
    receipt = told_enqueued(open_state(decision), again, decision.known)
    assert receipt.input_id == "i9"


def test_the_index_finds_a_settled_input_by_its_place() -> None:
    known = given(*PENDING, gone(I1, I2)).known
    assert (known.input_at(1), known.input_at(2), known.input_at(3)) == (I1, I2, None)
    assert sequence_key(2) in known.entries


@pytest.mark.parametrize(
    "event",
    [gone(I1, InputId("nobody")), TurnInputTombstonesPruned(at_ms=80, tombstones_count=9)],
    ids=["together", "pruned"],
)
def test_nothing_unknown_is_withdrawn_and_no_other_count_forgotten(event: Event) -> None:
    with pytest.raises(ImpossibleEvent):
        evolve(fold(PENDING), event)


def test_what_a_dead_owner_claimed_is_withdrawn() -> None:
    released = LeaseReleased(at_ms=70, generation=Generation(1))
    given(*HELD, released).when(from_on(BY_KEY)).then(gone(I1, I2, I3))


def test_a_suffix_passes_over_what_an_older_index_has_no_place_for() -> None:
    decision = given(*KEYED, attrs.evolve(WITHDRAWN, input_id=I2)).when(from_on(BY_ID))
    before = open_state(decision.given)
    command = from_on(BY_ID)
    found = suffix_cancelled(before, command, decision.known, decision.events)
    assert kinds(found) == [("Cancelled", "i1"), ("Cancelled", "i3")]
