"""Slice: pending turn input. What each of its facts leaves behind, to the last field."""

import attrs
import pytest

from lash_es.core.events import (
    Event,
    TurnCommitted,
    TurnEnded,
    TurnInputCancelled,
    TurnInputClaimAbandoned,
    TurnInputsCancelled,
    TurnInputsDeferred,
    TurnInputTombstonesPruned,
)
from lash_es.core.evolve import evolve, fold
from lash_es.core.ids import Generation, InputId, Position
from lash_es.core.ingress import ActiveTurn, NextTurn
from lash_es.core.inputs import Claim, Inputs, PendingInput
from lash_es.core.outcomes import Stopped, StopReason
from lash_es.core.state import Open
from tests.core.examples import (
    ANSWER,
    CLAIM,
    COMMITTED_FACT,
    FENCE,
    GOODBYE,
    HELLO,
    I1,
    I2,
    I3,
    TURN,
    USAGE,
    enqueued,
)
from tests.core.test_steering import accepted

I4 = InputId("i4")
KEY = "host:k1"
INTO = ActiveTurn(TURN)
HISTORY: tuple[Event, ...] = (
    *ANSWER,
    enqueued(I4, 1, at_ms=71),
    TurnInputCancelled(at_ms=72, input_id=I4),
    TurnInputTombstonesPruned(at_ms=73, tombstones_count=1),
    enqueued(I1, 2, source_key=KEY, ingress=INTO, body=GOODBYE, at_ms=74),
    enqueued(I2, 3, at_ms=75),
    enqueued(I3, 4, at_ms=76),
    TurnInputCancelled(at_ms=77, input_id=I3),
)
"""Two inputs wait, one was settled, and one was settled and forgotten."""

FIRST = PendingInput(
    input_id=I1,
    sequence=2,
    source_key=KEY,
    submitted=INTO,
    ingress=INTO,
    enqueued_at_ms=74,
    position=Position(8),
    commitment=GOODBYE.commitment,
)
SECOND = PendingInput(
    input_id=I2,
    sequence=3,
    source_key=None,
    submitted=NextTurn(),
    ingress=NextTurn(),
    enqueued_at_ms=75,
    position=Position(9),
    commitment=HELLO.commitment,
)
HELD = attrs.evolve(
    FIRST,
    claim=Claim(claim_id=CLAIM, token="claim-token", generation=FENCE.generation),
    claims_count=1,
)
TAKEN = attrs.evolve(accepted(I1, at_ms=78), claim_id=CLAIM)
ENDED = TurnEnded(
    at_ms=80,
    generation=Generation(1),
    turn_id=TURN,
    outcome=Stopped(reason=StopReason.RUNTIME_ERROR),
    usage=USAGE,
    returned_input_ids=(),
    failed_input_ids=(),
    deferred_input_ids=(),
)


def inputs_after(*events: Event) -> Inputs:
    state = fold((*HISTORY, *events))
    assert isinstance(state, Open)
    return state.inputs


def slice_of(*entries: PendingInput, settled_count: int = 1, pruned_below: int = 7) -> Inputs:
    return Inputs(
        pending={entry.input_id: entry for entry in entries},
        next_sequence=5,
        settled_count=settled_count,
        pruned_below=Position(pruned_below),
    )


def commit(completed: tuple[InputId, ...], deferred: tuple[InputId, ...]) -> TurnCommitted:
    return attrs.evolve(COMMITTED_FACT, completed_input_ids=completed, deferred_input_ids=deferred)


LATER = attrs.evolve(HELD, ingress=NextTurn(), claim=None)

FACTS: dict[str, tuple[tuple[Event, ...], Inputs]] = {
    "nothing": ((), slice_of(FIRST, SECOND)),
    "accepted": ((TAKEN,), slice_of(HELD, SECOND)),
    "given back": (
        (TAKEN, TurnInputClaimAbandoned(at_ms=79, claim_id=CLAIM, input_ids=(I1,))),
        slice_of(attrs.evolve(HELD, claim=None), SECOND),
    ),
    "deferred": (
        (TAKEN, TurnInputsDeferred(at_ms=79, input_ids=(I1,))),
        slice_of(LATER, SECOND),
    ),
    "cancelled": (
        (TurnInputCancelled(at_ms=79, input_id=I2),),
        slice_of(FIRST, settled_count=2),
    ),
    "cancelled together": (
        (TurnInputsCancelled(at_ms=79, input_ids=(I1, I2)),),
        slice_of(settled_count=3),
    ),
    "pruned": (
        (TurnInputTombstonesPruned(at_ms=79, tombstones_count=1),),
        slice_of(FIRST, SECOND, settled_count=0, pruned_below=12),
    ),
    "committed": ((TAKEN, commit((I1,), ())), slice_of(SECOND, settled_count=2)),
    "missed by a commit": ((TAKEN, commit((), (I1,))), slice_of(LATER, SECOND)),
    "returned by an end": (
        (TAKEN, attrs.evolve(ENDED, returned_input_ids=(I1,))),
        slice_of(attrs.evolve(HELD, claim=None, attempts=1), SECOND),
    ),
    "failed by an end": (
        (TAKEN, attrs.evolve(ENDED, failed_input_ids=(I1,))),
        slice_of(SECOND, settled_count=2),
    ),
    "missed by an end": (
        (TAKEN, attrs.evolve(ENDED, deferred_input_ids=(I1,))),
        slice_of(LATER, SECOND),
    ),
}


@pytest.mark.parametrize("name", FACTS)
def test_a_fact_of_inputs_changes_this_and_nothing_else(name: str) -> None:
    events, expected = FACTS[name]

    found = inputs_after(*events)

    assert found == expected
    assert list(found.pending) == list(expected.pending)


def test_a_claim_of_an_input_counts_up_and_attempts_are_kept() -> None:
    twice = (
        TAKEN,
        TurnInputClaimAbandoned(at_ms=79, claim_id=CLAIM, input_ids=(I1,)),
        attrs.evolve(TAKEN, at_ms=79),
    )

    assert inputs_after(*twice).pending[I1] == attrs.evolve(HELD, claims_count=2)
    returned = attrs.evolve(ENDED, returned_input_ids=(I1,))
    after = inputs_after(*twice, returned, TurnInputsDeferred(at_ms=81, input_ids=(I1,)))
    assert (after.pending[I1].claims_count, after.pending[I1].attempts) == (2, 1)


def test_an_input_that_was_enqueued_has_its_content_where_its_fact_is() -> None:
    state = evolve(fold(HISTORY[:-3]), HISTORY[-3])
    assert isinstance(state, Open)

    content = state.inputs.pending[I2].content
    assert (content.ref.position, content.ref.ordinal) == (9, 0)
    assert content.commitment == HELLO.commitment
