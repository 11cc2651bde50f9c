"""Receipts: what the caller is told, from state, ``known`` and what was appended."""

import attrs
import pytest

from lash_es.core import receipts
from lash_es.core.commands import (
    AcquireLease,
    CancelTurnInput,
    Command,
    EnqueueTurnInput,
    StartTurn,
    WithInput,
)
from lash_es.core.events import (
    Event,
    LeaseReleased,
    LeaseRenewed,
    TurnCommitted,
    TurnEnded,
    TurnInputCancelled,
    TurnInputClaimAbandoned,
    TurnInputsAccepted,
)
from lash_es.core.evolve import fold
from lash_es.core.ids import Generation, InputId, Position
from lash_es.core.ingress import ActiveTurn, Boundary, NextTurn
from lash_es.core.known import NOTHING_KNOWN, TurnEntry
from lash_es.core.messages import TokenUsage
from lash_es.core.outcomes import InputStatus, Stopped, StopReason
from lash_es.core.owners import LeaseOwner
from lash_es.core.receipts import (
    Acquired,
    AlreadyCancelled,
    AlreadyClaimed,
    AlreadyCompleted,
    Busy,
    Cancelled,
    CancelOutcome,
    ClaimDiagnostics,
    NotFound,
    TurnInputReceipt,
    TurnOpen,
    TurnOver,
)
from lash_es.core.state import Open, State
from lash_es.verify.spec import Decision, given
from tests.core.examples import (
    ALICE,
    BEGUN,
    BOB,
    BOBS_FENCE,
    CLAIM,
    CLAIMED,
    COMMITTED,
    COMMITTED_FACT,
    DRAINING,
    FENCE,
    HELLO,
    HELLO_AGAIN,
    I1,
    I2,
    IDLE,
    LATER_MS,
    LEASED,
    PENDING,
    TTL_MS,
    TURN,
    acquired,
    at,
    drained,
    enqueued,
)

KEY = "host:k1"
KEYED = enqueued(I1, 1, source_key=KEY)
CANCELLED_FACT = TurnInputCancelled(at_ms=80, input_id=I1)
ENDED = TurnEnded(
    at_ms=80,
    generation=Generation(1),
    turn_id=TURN,
    outcome=Stopped(reason=StopReason.RUNTIME_ERROR),
    usage=TokenUsage(),
    returned_input_ids=(),
    failed_input_ids=(),
    deferred_input_ids=(),
)


def session(state: State) -> Open:
    assert isinstance(state, Open)
    return state


def ask(*history: Event, command: Command) -> Decision:
    return given(*history, bodies=[HELLO]).when(command)


def enqueue(input_id: InputId = I1, source_key: str | None = None) -> EnqueueTurnInput:
    return EnqueueTurnInput(
        now_ms=20,
        input_id=input_id,
        source_key=source_key,
        ingress=NextTurn(),
        body=HELLO_AGAIN,
    )


def told_of_enqueueing(*history: Event, command: EnqueueTurnInput) -> TurnInputReceipt:
    decision = ask(*history, command=command)
    return receipts.enqueued(session(decision.state), command, decision.known)


def told_of_cancelling(*history: Event, input_id: InputId = I1, now_ms: int = 80) -> CancelOutcome:
    command = CancelTurnInput(now_ms=now_ms, input_id=input_id)
    decision = ask(*history, command=command)
    before = session(decision.given.state)
    return receipts.cancelled(before, input_id, decision.known, decision.events)


def first(position: int, status: InputStatus = InputStatus.DEFERRED_NEXT_TURN) -> TurnInputReceipt:
    return TurnInputReceipt(
        input_id=I1,
        sequence=1,
        source_key=None,
        ingress=NextTurn(),
        status=status,
        enqueued_at_ms=20,
        body=at(position),
    )


# Of an enqueued input


def test_a_new_input_is_described() -> None:
    assert told_of_enqueueing(*IDLE, command=enqueue()) == first(1)


def test_an_input_for_a_running_turn_is_pending_active() -> None:
    into = ActiveTurn(TURN)
    command = attrs.evolve(enqueue(), ingress=into)

    receipt = told_of_enqueueing(*IDLE, command=command)

    assert (receipt.status, receipt.ingress) == (InputStatus.PENDING_ACTIVE, into)


def test_a_resubmission_is_told_of_the_input_that_waits() -> None:
    receipt = told_of_enqueueing(*IDLE, KEYED, command=enqueue(I2, KEY))

    assert receipt == attrs.evolve(first(1), source_key=KEY)


def test_a_resubmission_is_told_of_the_input_that_was_cancelled() -> None:
    receipt = told_of_enqueueing(*IDLE, KEYED, CANCELLED_FACT, command=enqueue(I2, KEY))

    assert receipt == attrs.evolve(first(1, InputStatus.CANCELLED), source_key=KEY)


def test_a_resubmission_is_told_of_the_input_that_was_completed() -> None:
    done = attrs.evolve(COMMITTED_FACT, completed_input_ids=(I1,))
    history = (*LEASED, KEYED, drained(I1), done)

    assert told_of_enqueueing(*history, command=enqueue(I2, KEY)).status is InputStatus.COMPLETED


def test_a_resubmission_is_told_whether_the_running_turn_has_its_input() -> None:
    into = ActiveTurn(TURN)
    keyed = attrs.evolve(KEYED, ingress=into, at_ms=55)
    again = attrs.evolve(enqueue(I2, KEY), ingress=into, now_ms=60)
    accepted = TurnInputsAccepted(
        at_ms=56,
        generation=Generation(1),
        turn_id=TURN,
        checkpoint=Boundary.AFTER_WORK,
        claim_id=CLAIM,
        token="claim-token",
        input_ids=(I1,),
    )

    waits = told_of_enqueueing(*BEGUN, keyed, command=again)
    held = told_of_enqueueing(*BEGUN, keyed, accepted, command=again)
    left = told_of_enqueueing(
        *BEGUN, keyed, accepted, command=attrs.evolve(again, now_ms=LATER_MS)
    )

    assert waits.status is InputStatus.PENDING_ACTIVE
    assert held.status is InputStatus.ACCEPTED
    assert left.status is InputStatus.PENDING_ACTIVE


def test_an_input_is_described_as_free_unless_it_is_said_to_be_held() -> None:
    into = attrs.evolve(enqueued(I1, 1), ingress=ActiveTurn(TURN))
    entry = session(fold((*IDLE, into))).inputs.pending[I1]

    assert receipts.waiting(entry).status is InputStatus.PENDING_ACTIVE
    assert receipts.waiting(entry, is_held=True).status is InputStatus.ACCEPTED


def test_there_is_no_receipt_for_what_is_nowhere() -> None:
    with pytest.raises(LookupError, match="'i1' is neither pending nor settled"):
        receipts.enqueued(session(fold(IDLE)), enqueue(), NOTHING_KNOWN)


# Of a wish to cancel


def test_a_cancelled_input_is_described_as_cancelled() -> None:
    assert told_of_cancelling(*PENDING) == Cancelled(first(2, InputStatus.CANCELLED))


def test_no_input_of_this_id_was_ever_enqueued() -> None:
    assert told_of_cancelling(*PENDING, input_id=InputId("nobody")) == NotFound()


def test_an_input_is_cancelled_once() -> None:
    outcome = told_of_cancelling(*PENDING, CANCELLED_FACT)

    assert outcome == AlreadyCancelled(first(2, InputStatus.CANCELLED))


def test_a_completed_input_is_not_cancelled() -> None:
    done = attrs.evolve(COMMITTED_FACT, completed_input_ids=(I1, I2))

    outcome = told_of_cancelling(*DRAINING, done)

    assert outcome == AlreadyCompleted(first(2, InputStatus.COMPLETED))


def test_a_failed_input_is_not_cancelled() -> None:
    failed = attrs.evolve(ENDED, failed_input_ids=(I1, I2))

    outcome = told_of_cancelling(*DRAINING, failed)

    assert outcome == AlreadyCompleted(first(2, InputStatus.FAILED))


def diagnostics_of(owner: LeaseOwner | None) -> ClaimDiagnostics:
    return ClaimDiagnostics(
        status=InputStatus.DEFERRED_NEXT_TURN,
        claim_id=CLAIM,
        generation=Generation(1),
        fencing=1,
        owner=owner,
    )


def test_a_claimed_input_is_told_with_its_claim() -> None:
    diagnostics = diagnostics_of(owner=ALICE)

    assert told_of_cancelling(*CLAIMED) == AlreadyClaimed(first(2), diagnostics)


def test_a_claim_older_than_the_lease_is_not_ascribed_to_the_new_owner() -> None:
    taken_over = (*DRAINING, acquired(BOBS_FENCE, at_ms=LATER_MS))
    diagnostics = diagnostics_of(owner=None)

    assert told_of_cancelling(*taken_over) == AlreadyClaimed(first(2), diagnostics)


def test_a_claim_of_an_owner_that_let_go_has_no_owner() -> None:
    released = LeaseReleased(at_ms=80, generation=Generation(1))
    diagnostics = diagnostics_of(owner=None)

    assert told_of_cancelling(*DRAINING, released) == AlreadyClaimed(first(2), diagnostics)


def test_what_a_turn_holds_without_a_claim_is_told_without_one() -> None:
    # No rule of today writes this; a fold accepts it, so the receipt has to.
    assert told_of_cancelling(*PENDING, drained(I1)) == AlreadyClaimed(first(2), None)


# Of the lease


def acquire(owner: LeaseOwner, now_ms: int) -> AcquireLease:
    return AcquireLease(now_ms=now_ms, owner=owner, token="bob-token", ttl_ms=TTL_MS)


def test_who_took_the_lease_is_given_its_fence() -> None:
    command = acquire(BOB, LATER_MS)
    decision = ask(*LEASED, command=command)

    receipt = receipts.leased(session(decision.state), command, decision.events)

    assert receipt == Acquired(BOBS_FENCE, is_new=True)


def test_who_held_the_lease_is_given_the_fence_that_it_had() -> None:
    command = acquire(ALICE, 100)
    decision = ask(*LEASED, command=command)

    receipt = receipts.leased(session(decision.state), command, decision.events)

    assert receipt == Acquired(FENCE, is_new=False)
    assert isinstance(decision.events[0], LeaseRenewed)


def test_who_came_late_is_told_who_holds_the_lease() -> None:
    command = acquire(BOB, 100)
    decision = ask(*LEASED, command=command)
    after = session(decision.state)

    holder = after.lease.holder
    assert holder is not None
    assert receipts.leased(after, command, decision.events) == Busy(holder)


def test_a_lease_that_was_asked_for_is_somebodys() -> None:
    with pytest.raises(
        LookupError, match=r"^a lease that was asked for is either taken or another"
    ):
        receipts.leased(session(fold(IDLE)), acquire(BOB, 100), ())


# Of a turn


def start() -> StartTurn:
    return StartTurn(now_ms=50, fence=FENCE, turn_id=TURN, source=WithInput(body=HELLO_AGAIN))


@pytest.mark.parametrize("history", [LEASED, BEGUN], ids=["started now", "started before"])
def test_a_turn_that_runs_is_open(history: tuple[Event, ...]) -> None:
    decision = ask(*history, command=start())

    assert receipts.started(start(), decision.known) == TurnOpen(TURN)


@pytest.mark.parametrize("last", [COMMITTED[-1], ENDED], ids=["committed", "ended"])
def test_a_turn_that_ran_before_is_over(last: TurnCommitted | TurnEnded) -> None:
    decision = ask(*COMMITTED[:-1], last, command=start())

    receipt = receipts.started(start(), decision.known)

    assert isinstance(receipt, TurnOver)
    entry = receipt.entry
    assert isinstance(entry, TurnEntry)
    assert (entry.started, entry.ended) == (2, Position(5))
    assert entry.is_committed == isinstance(last, TurnCommitted)


# Of the queue


def listed(*history: Event, now_ms: int = 100) -> list[InputId]:
    pending = receipts.pending(session(given(*history).state), now_ms)
    return [entry.input_id for entry in pending]


def test_waiting_inputs_are_listed_in_order() -> None:
    assert listed(*PENDING) == [I1, I2]


def test_claimed_inputs_are_not_listed() -> None:
    assert listed(*CLAIMED) == []


def test_inputs_are_listed_again_once_their_claim_is_dead() -> None:
    assert listed(*CLAIMED, now_ms=LATER_MS) == [I1, I2]


def test_inputs_are_listed_again_once_their_claim_is_given_back() -> None:
    abandoned = TurnInputClaimAbandoned(at_ms=80, claim_id=CLAIM, input_ids=(I2,))

    assert listed(*CLAIMED, abandoned) == [I2]


def test_what_a_turn_took_is_not_listed_even_if_its_lease_ran_out() -> None:
    assert listed(*DRAINING, now_ms=LATER_MS) == []
