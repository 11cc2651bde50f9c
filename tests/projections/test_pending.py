"""The queue of inputs as a host sees it: who waits, who is held, and by whom."""

from collections.abc import Sequence
from typing import Final

import attrs

from lash_es.core.events import Event
from lash_es.core.evolve import fold
from lash_es.core.ids import InputId
from lash_es.core.ingress import ActiveTurn, NextTurn
from lash_es.core.outcomes import InputStatus
from lash_es.core.state import Open
from lash_es.projections.pending import PendingEntry, PendingQueues, pending_queues
from tests.core.examples import (
    BOBS_FENCE,
    CLAIM,
    CLAIMED,
    DRAINING,
    I1,
    I2,
    I3,
    IDLE,
    LATER_MS,
    PENDING,
    TTL_MS,
    TURN,
    acquired,
    enqueued,
)

SOON_MS: Final = 100


def queues(history: Sequence[Event], now_ms: int = SOON_MS) -> PendingQueues:
    session = fold(history)
    assert isinstance(session, Open)
    return pending_queues(session, now_ms)


def waiting(input_id: InputId, sequence: int) -> PendingEntry:
    return PendingEntry(
        input_id=input_id,
        sequence=sequence,
        source_key=None,
        status=InputStatus.DEFERRED_NEXT_TURN,
        ingress=NextTurn(),
        enqueued_at_ms=20,
        claim_id=None,
        is_held=False,
    )


def test_an_empty_queue_is_empty() -> None:
    assert queues(IDLE) == PendingQueues(inputs=(), inputs_count=0)


def test_inputs_wait_in_the_order_of_their_sequence() -> None:
    assert queues(PENDING) == PendingQueues(
        inputs=(waiting(I1, 1), waiting(I2, 2)), inputs_count=2
    )


def test_an_input_says_what_it_came_with() -> None:
    for_this_turn = enqueued(I1, 1, source_key="mail/1", ingress=ActiveTurn(TURN), at_ms=25)

    assert queues((*IDLE, for_this_turn)).inputs == (
        attrs.evolve(
            waiting(I1, 1),
            source_key="mail/1",
            status=InputStatus.PENDING_ACTIVE,
            ingress=ActiveTurn(TURN),
            enqueued_at_ms=25,
        ),
    )


def held(input_id: InputId, sequence: int, *, is_held: bool = True) -> PendingEntry:
    return attrs.evolve(waiting(input_id, sequence), claim_id=CLAIM, is_held=is_held)


def test_a_claimed_input_is_held_and_not_counted() -> None:
    assert queues((*CLAIMED, enqueued(I3, 3))) == PendingQueues(
        inputs=(held(I1, 1), held(I2, 2), waiting(I3, 3)), inputs_count=1
    )


def test_a_claim_holds_for_as_long_as_its_lease() -> None:
    # The last fact of the owner is the claim, at 40 ms: its lease runs from there.
    assert queues(CLAIMED, 40 + TTL_MS - 1).inputs_count == 0
    assert queues(CLAIMED, 40 + TTL_MS) == PendingQueues(
        inputs=(held(I1, 1, is_held=False), held(I2, 2, is_held=False)), inputs_count=2
    )


def test_a_claim_of_a_superseded_owner_holds_nothing() -> None:
    taken_over = (*CLAIMED, acquired(BOBS_FENCE, at_ms=LATER_MS))

    assert queues(taken_over, LATER_MS).inputs_count == 2


def test_what_the_open_turn_took_is_held_whatever_becomes_of_the_lease() -> None:
    assert queues(DRAINING, LATER_MS) == PendingQueues(
        inputs=(held(I1, 1), held(I2, 2)), inputs_count=0
    )
