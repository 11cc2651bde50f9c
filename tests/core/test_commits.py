"""Rules of the commit: what it means, what is checked in which order, and all or nothing."""

import attrs
import pytest

from lash_es.core import receipts
from lash_es.core.commands import CommitTurn, InputCompletion
from lash_es.core.commit_errors import (
    HeadRevisionConflict,
    RuntimeTurnCommitConflict,
    SessionBindingMismatch,
)
from lash_es.core.errors import (
    EffectsUnsettled,
    SessionExecutionLeaseExpired,
    TurnInputClaimSuperseded,
    TurnNotOpen,
)
from lash_es.core.events import Event, LeaseReleased, TurnCommitted, TurnInputsClaimed
from lash_es.core.evolve import fold
from lash_es.core.ids import ClaimId, EffectId, Generation, Position, Revision, SessionId, TurnId
from lash_es.core.ingress import ActiveTurn
from lash_es.core.known import NOTHING_KNOWN, IndexKey, IndexKind, TurnEntry
from lash_es.core.messages import TokenUsage
from lash_es.core.outcomes import (
    EffectCancelled,
    Finished,
    ModelReplied,
    Stopped,
    StopReason,
    TurnOutcome,
)
from lash_es.core.owners import Fence
from lash_es.core.receipts import CommitReceipt
from lash_es.core.stamps import commit_hash
from lash_es.core.state import Open
from lash_es.core.turns import OpenTurn
from lash_es.verify.spec import Decision, given
from tests.core.examples import (
    ANSWER,
    ANSWERED,
    ASK,
    ASKING,
    BATCH_DONE,
    BOBS_FENCE,
    CALLING,
    CLAIM,
    CLAIMED,
    COMMITTED,
    COMMITTED_FACT,
    DRAINING,
    E1,
    E2,
    E3,
    FENCE,
    GOODBYE,
    HELLO,
    I1,
    I2,
    I3,
    LATER_MS,
    LEASED,
    OPENED,
    REPLY,
    RESULT,
    RETURNED,
    SESSION,
    TURN,
    acquired,
    enqueued,
    requested,
    settled,
    started,
)

FINISHED = Finished()
STOPPED = Stopped(reason=StopReason.CANCELLED)
BOTH = InputCompletion(claim_id=CLAIM, token="claim-token", input_ids=(I1, I2))
SUPERSEDED = TurnInputClaimSuperseded(session_id=SESSION, claim_id=CLAIM)
HOLDING: tuple[Event, ...] = (*CLAIMED, started())
"""A direct turn whose owner also holds both inputs."""


def turn_of(*events: Event) -> OpenTurn:
    state = fold(events)
    assert isinstance(state, Open)
    assert isinstance(state.turn, OpenTurn)
    return state.turn


def hashed(*events: Event) -> str:
    return commit_hash(turn_of(*events), FINISHED)


def commit(
    *,
    now_ms: int = 80,
    fence: Fence = FENCE,
    turn_id: TurnId = TURN,
    outcome: TurnOutcome = FINISHED,
    session_id: SessionId | None = None,
    expected_revision: int | None = None,
    commit_hash: str | None = None,
    input_completions: tuple[InputCompletion, ...] = (),
    releases_lease: bool = False,
) -> CommitTurn:
    return CommitTurn(
        now_ms=now_ms,
        fence=fence,
        turn_id=turn_id,
        outcome=outcome,
        session_id=session_id,
        expected_revision=None if expected_revision is None else Revision(expected_revision),
        commit_hash=commit_hash,
        input_completions=input_completions,
        releases_lease=releases_lease,
    )


def committed_fact(decision: Decision) -> TurnCommitted:
    (event,) = decision.events
    assert isinstance(event, TurnCommitted)
    return event


def conflict(presented: str, recorded: str) -> RuntimeTurnCommitConflict:
    return RuntimeTurnCommitConflict(
        session_id=SESSION, turn_id=TURN, presented_hash=presented, recorded_hash=recorded
    )


def fenced_off(reason: str, current: int = 1) -> SessionExecutionLeaseExpired:
    return SessionExecutionLeaseExpired(
        session_id=SESSION,
        presented_generation=Generation(1),
        current_generation=Generation(current),
        reason=reason,
    )


# What a commit means


def answered_by(
    fence: Fence, *, turn_id: TurnId = TURN, at_ms: int = 50, then: tuple[Event, ...] = ()
) -> tuple[Event, ...]:
    """Tell the life of ``ANSWER`` again: under another lease, at another time, after something."""
    first = fence.generation
    effect_id = EffectId(f"{turn_id}/1")
    return (
        *then,
        attrs.evolve(started(turn_id=turn_id, at_ms=at_ms), generation=first),
        attrs.evolve(requested(effect_id, ASK), generation=first, turn_id=turn_id, at_ms=at_ms),
        attrs.evolve(settled(effect_id, ANSWERED), generation=first, turn_id=turn_id, at_ms=at_ms),
    )


def test_ids_times_and_fences_are_not_hashed() -> None:
    taken_over = (acquired(), acquired(BOBS_FENCE, at_ms=LATER_MS))
    expected = hashed(*ANSWER)

    assert hashed(*LEASED, *answered_by(FENCE)) == expected
    assert hashed(*LEASED, *answered_by(FENCE, turn_id=TurnId("another"), at_ms=500)) == expected
    assert hashed(*LEASED, *answered_by(FENCE, then=(enqueued(I1, 1),))) == expected
    assert hashed(OPENED, *taken_over, *answered_by(BOBS_FENCE, at_ms=LATER_MS)) == expected


def test_calls_that_end_in_another_order_mean_the_same() -> None:
    ended = (settled(E2, RETURNED, RESULT), settled(E3, RETURNED, HELLO))

    assert hashed(*CALLING, *ended) == hashed(*CALLING, *reversed(ended))


@pytest.mark.parametrize(
    "events",
    [
        (*LEASED, started(body=GOODBYE), *ANSWER[3:]),
        (*ASKING, settled(E1, ANSWERED, GOODBYE)),
        (*ASKING, settled(E1, attrs.evolve(ANSWERED, usage=TokenUsage(input_tokens=11)))),
        (*CALLING, settled(E3, RETURNED, GOODBYE), settled(E2, RETURNED, RESULT)),
        (*CALLING, settled(E3, RETURNED, RESULT), settled(E2, RETURNED, GOODBYE)),
        (*CALLING, settled(E3, EffectCancelled(), None), settled(E2, RETURNED, RESULT)),
        BATCH_DONE,
    ],
)
def test_a_content_or_a_count_that_differs_has_another_hash(events: tuple[Event, ...]) -> None:
    assert hashed(*events) not in {hashed(*ANSWER), hashed(*DRAINING)}


def test_every_other_life_has_its_own_hash() -> None:
    lives = (
        ANSWER,
        BATCH_DONE,
        DRAINING,
        (*CALLING, settled(E3, RETURNED, GOODBYE), settled(E2, RETURNED, RESULT)),
        (*CALLING, settled(E3, RETURNED, RESULT), settled(E2, RETURNED, GOODBYE)),
        (*CALLING, settled(E3, EffectCancelled(), None), settled(E2, RETURNED, RESULT)),
    )
    assert len({hashed(*life) for life in lives}) == len(lives)


def test_the_outcome_and_the_remark_on_a_limit_are_hashed() -> None:
    turn = turn_of(*ANSWER)
    limited = Stopped(reason=StopReason.MAX_TURNS)
    coded = attrs.evolve(STOPPED, code="by_user")
    event = given(*ANSWER).when(commit(outcome=limited)).events[0]
    assert isinstance(event, TurnCommitted)

    hashes = {
        commit_hash(turn, FINISHED),
        commit_hash(turn, STOPPED),
        commit_hash(turn, coded),
        commit_hash(turn, limited),
        commit_hash(turn, limited, event.nodes),
    }
    assert len(hashes) == 5


def test_a_commit_at_the_limit_says_the_remark_too_or_is_refused() -> None:
    turn = turn_of(*ANSWER)
    limited = Stopped(reason=StopReason.MAX_TURNS)
    event = given(*ANSWER).when(commit(outcome=limited)).events[0]
    assert isinstance(event, TurnCommitted)
    whole = commit_hash(turn, limited, event.nodes)
    partial = commit_hash(turn, limited)

    given(*ANSWER).when(commit(outcome=limited, commit_hash=whole)).then(event)
    given(*ANSWER).when(commit(outcome=limited, commit_hash=partial)).refused(
        conflict(partial, whole)
    )


def test_a_reply_that_says_nothing_leaves_the_meaning_to_its_usage() -> None:
    silent = ModelReplied(
        finish=ANSWERED.finish, has_content=False, tool_calls=(), usage=ANSWERED.usage
    )
    turn = turn_of(*ASKING, settled(E1, silent, REPLY))

    assert turn.digests == turn_of(*ASKING).digests
    assert len(turn.nodes) == 1


# Idempotence


def test_the_same_commit_again_is_answered_with_the_first_one_whoever_asks() -> None:
    again = commit(commit_hash=hashed(*ANSWER), expected_revision=0)
    taken_over = (*COMMITTED, acquired(BOBS_FENCE, at_ms=LATER_MS))

    given(*COMMITTED).when(again).nothing_happened()
    given(*COMMITTED, LeaseReleased(at_ms=81, generation=Generation(1))).when(
        again
    ).nothing_happened()
    given(*taken_over).when(attrs.evolve(again, now_ms=LATER_MS)).nothing_happened()


def test_the_same_commit_again_lets_its_lease_go_and_no_other() -> None:
    again = commit(commit_hash=hashed(*ANSWER), releases_lease=True)
    taken_over = (*COMMITTED, acquired(BOBS_FENCE, at_ms=LATER_MS))

    given(*COMMITTED).when(again).then(LeaseReleased(at_ms=80, generation=Generation(1)))
    given(*taken_over).when(again).nothing_happened()


def test_another_content_under_the_turns_id_is_a_conflict_before_anything_else() -> None:
    again = commit(commit_hash="other", expected_revision=7, input_completions=(BOTH,))
    released = (*COMMITTED, LeaseReleased(at_ms=81, generation=Generation(1)))

    given(*released).when(again).refused(conflict("other", hashed(*ANSWER)))


def test_who_does_not_say_what_it_commits_is_not_recognised() -> None:
    given(*COMMITTED).when(commit()).refused(
        TurnNotOpen(session_id=SESSION, requested_turn_id=TURN, open_turn_id=None)
    )


def test_a_commit_says_what_the_turn_holds_or_is_refused() -> None:
    given(*ANSWER).when(commit(commit_hash=hashed(*ANSWER))).then(COMMITTED_FACT)
    given(*ANSWER).when(commit(commit_hash="other")).refused(conflict("other", hashed(*ANSWER)))


def test_a_commit_of_old_code_left_no_stamp_and_is_not_recognised() -> None:
    entry = TurnEntry(
        turn_id=TURN, started=Position(2), ended=Position(5), is_committed=True, content=None
    )
    known = attrs.evolve(NOTHING_KNOWN, entries={IndexKey(IndexKind.TURN, TURN): entry})

    given(*COMMITTED, known=known).when(commit(commit_hash=hashed(*ANSWER))).refused(
        TurnNotOpen(session_id=SESSION, requested_turn_id=TURN, open_turn_id=None)
    )


def test_the_receipt_names_the_commit_now_and_later() -> None:
    command = commit(commit_hash=hashed(*ANSWER))
    first = given(*ANSWER).when(command)
    again = first.when(command)

    def receipt(decision: Decision) -> CommitReceipt:
        before = decision.given.state
        assert isinstance(before, Open)
        return receipts.committed(before, command, decision.known, decision.events)

    assert receipt(first) == CommitReceipt(Revision(1), hashed(*ANSWER), is_stored=False)
    assert receipt(again) == CommitReceipt(Revision(1), hashed(*ANSWER), is_stored=True)
    with pytest.raises(LookupError, match="'t1' was neither committed now nor before"):
        receipts.committed(turn_state(), command, NOTHING_KNOWN, ())


def test_a_commit_is_still_answered_while_the_next_turn_is_open() -> None:
    command = commit(commit_hash=hashed(*ANSWER))
    again = given(*COMMITTED, started(turn_id=TurnId("t2"), at_ms=90)).when(command)

    before = again.given.state
    assert isinstance(before, Open)
    assert receipts.committed(before, command, again.known, again.events) == CommitReceipt(
        Revision(1), hashed(*ANSWER), is_stored=True
    )


def turn_state() -> Open:
    state = fold(LEASED)
    assert isinstance(state, Open)
    return state


# The order of the checks


def test_the_checks_come_in_their_order() -> None:
    """Each refusal hides those after it: take the first away, and the next is heard."""
    everything_wrong = commit(
        session_id=SessionId("s2"),
        expected_revision=5,
        commit_hash="other",
        input_completions=(attrs.evolve(BOTH, input_ids=(I1,)),),
        now_ms=LATER_MS,
    )
    history = (*CLAIMED, started(), requested(E1, ASK))

    given(*history).when(everything_wrong).refused(
        SessionBindingMismatch(bound=SESSION, attempted="s2")
    )
    here = attrs.evolve(everything_wrong, session_id=SESSION)
    given(*history).when(here).refused(fenced_off("expired"))
    in_time = attrs.evolve(here, now_ms=80)
    given(*history).when(in_time).refused(
        HeadRevisionConflict(session_id=SESSION, expected=Revision(5), actual=Revision(0))
    )
    expected = attrs.evolve(in_time, expected_revision=Revision(0))
    given(*history).when(attrs.evolve(expected, turn_id=TurnId("t2"))).refused(
        TurnNotOpen(session_id=SESSION, requested_turn_id=TurnId("t2"), open_turn_id=TURN)
    )
    given(*history).when(expected).refused(EffectsUnsettled(turn_id=TURN, effect_ids=(E1,)))
    done = (*history, settled(E1, ANSWERED))
    given(*done).when(expected).refused(conflict("other", hashed(*done)))
    as_recorded = attrs.evolve(expected, commit_hash=hashed(*done))
    given(*done).when(as_recorded).refused(SUPERSEDED)
    given(*done).when(attrs.evolve(as_recorded, input_completions=(BOTH,))).then(
        attrs.evolve(
            COMMITTED_FACT,
            nodes=turn_of(*done).nodes,
            completed_input_ids=(I1, I2),
        )
    )


def test_no_head_counts_as_revision_nought_and_no_expectation_is_not_compared() -> None:
    given(*ANSWER).when(commit(expected_revision=0)).then(COMMITTED_FACT)
    given(*ANSWER).when(commit(expected_revision=1)).refused(
        HeadRevisionConflict(session_id=SESSION, expected=Revision(1), actual=Revision(0))
    )
    second = (*COMMITTED, started(turn_id=TurnId("t2")))
    given(*second).when(commit(turn_id=TurnId("t2"), expected_revision=0)).refused(
        HeadRevisionConflict(session_id=SESSION, expected=Revision(0), actual=Revision(1))
    )


# Completions


@pytest.mark.parametrize(
    "stale",
    [
        attrs.evolve(BOTH, input_ids=(I1,)),
        attrs.evolve(BOTH, input_ids=(I1, I2, I3)),
        attrs.evolve(BOTH, input_ids=(I1, I3)),
        attrs.evolve(BOTH, input_ids=(I1, I2, I2)),
        attrs.evolve(BOTH, input_ids=()),
        attrs.evolve(BOTH, token="another"),
    ],
)
def test_a_claim_is_completed_whole_or_the_commit_is_refused(stale: InputCompletion) -> None:
    given(*HOLDING).when(commit(input_completions=(stale,))).refused(SUPERSEDED)


def test_one_stale_member_refuses_all() -> None:
    """The first claim is whole, the second holds nothing: neither is completed."""
    second = InputCompletion(claim_id=ClaimId("tic:3:1"), token="claim-token", input_ids=(I3,))
    refusal = TurnInputClaimSuperseded(session_id=SESSION, claim_id="tic:3:1")

    refused = given(*HOLDING).when(commit(input_completions=(BOTH, second))).refused(refusal)
    refused.when(commit(input_completions=(BOTH,))).then(
        attrs.evolve(
            COMMITTED_FACT,
            nodes=turn_of(*HOLDING).nodes,
            usage=TokenUsage(),
            completed_input_ids=(I1, I2),
        )
    )


def test_what_another_claim_has_taken_over_is_stale() -> None:
    retaken = TurnInputsClaimed(
        at_ms=LATER_MS,
        generation=Generation(2),
        claim_id=ClaimId("tic:1:2"),
        token="bobs-claim",
        input_ids=(I1,),
    )
    history = (*HOLDING, acquired(BOBS_FENCE, at_ms=LATER_MS), retaken)

    given(*history).when(
        commit(fence=BOBS_FENCE, now_ms=LATER_MS, input_completions=(BOTH,))
    ).refused(SUPERSEDED)


def test_what_the_turn_took_is_completed_once_also_when_its_claim_is_named() -> None:
    fact = committed_fact(given(*DRAINING).when(commit(input_completions=(BOTH,))))

    assert fact.completed_input_ids == (I1, I2)


def test_a_commit_completes_defers_and_lets_go_together() -> None:
    into = enqueued(I3, 3, ingress=ActiveTurn(TURN), at_ms=55)
    decision = given(*HOLDING, into).when(commit(input_completions=(BOTH,), releases_lease=True))

    fact, released = decision.events
    assert isinstance(fact, TurnCommitted)
    assert (fact.completed_input_ids, fact.deferred_input_ids) == ((I1, I2), (I3,))
    assert released == LeaseReleased(at_ms=80, generation=Generation(1))
    assert isinstance(decision.state, Open)
    assert list(decision.state.inputs.pending) == [I3]
    assert decision.state.lease.holder is None


def test_a_refused_commit_releases_nothing() -> None:
    decision = given(*ANSWER).when(commit(expected_revision=9, releases_lease=True))

    assert decision.events == ()
    assert isinstance(decision.state, Open)
    assert decision.state.lease.holder is not None
