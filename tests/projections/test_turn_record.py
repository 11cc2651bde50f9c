"""What a turn came to: every kind of turn, and what other facts in between do to it: nothing."""

from collections.abc import Iterator, Sequence
from typing import Final

import attrs
from hypothesis import given

from lash_es.core.bodies import BodyRef
from lash_es.core.effects import ToolCall
from lash_es.core.events import (
    EffectRequested,
    EffectSettled,
    Event,
    TurnCommitted,
    TurnContinued,
    TurnEnded,
    TurnStarted,
)
from lash_es.core.ids import EffectId, Generation, Position, Revision, TurnId
from lash_es.core.messages import TokenUsage, ToolStatus
from lash_es.core.outcomes import (
    EffectCancelled,
    EffectFailed,
    EffectOutcome,
    Finished,
    ModelReplied,
    Stopped,
    StopReason,
    ToolReturned,
)
from lash_es.projections.turn_record import IssueEntry, ToolCallEntry, TurnRecord, turn_record
from tests.core.effort import effort
from tests.core.examples import (
    ANSWER,
    ASKING,
    BATCH_DONE,
    BEGUN,
    BOBS_FENCE,
    CALLING,
    CALLS_AT,
    COMMITTED,
    COMMITTED_FACT,
    E1,
    E2,
    E3,
    E4,
    I1,
    I2,
    I3,
    LATER_MS,
    LEASED,
    TURN,
    USAGE,
    acquired,
    at,
    call,
    enqueued,
    requested,
    settled,
    started,
)
from tests.turns.lives import lives
from tests.turns.worlds import World

CANCELLED: Final = Stopped(reason=StopReason.CANCELLED)
BROKEN: Final = EffectFailed(code="rate_limited", is_retryable=True)


def record_of(history: Sequence[Event], turn_id: TurnId = TURN) -> TurnRecord | None:
    return turn_record(positioned(history), turn_id)


def positioned(history: Sequence[Event]) -> Iterator[tuple[Position, Event]]:
    return ((Position(position), event) for position, event in enumerate(history))


BEGUN_RECORD: Final = TurnRecord(
    turn_id=TURN, started=Position(2), started_at_ms=50, generation=Generation(1)
)


def entry(
    ordinal: int,
    *,
    status: ToolStatus | None = None,
    body: BodyRef | None = None,
) -> ToolCallEntry:
    return ToolCallEntry(
        effect_id=(E2, E3)[ordinal],
        call=call(ordinal, CALLS_AT),
        status=status,
        body=body,
        requested_at_ms=60,
        settled_at_ms=None if status is None else 70,
    )


def ended(outcome: Stopped) -> TurnEnded:
    return TurnEnded(
        at_ms=90,
        generation=Generation(1),
        turn_id=TURN,
        outcome=outcome,
        usage=USAGE,
        returned_input_ids=(),
        failed_input_ids=(),
        deferred_input_ids=(),
    )


def continued(generation: int) -> TurnContinued:
    return TurnContinued(at_ms=LATER_MS, generation=Generation(generation), turn_id=TURN)


def test_a_turn_that_was_not_started_has_no_record() -> None:
    assert record_of(LEASED) is None
    assert record_of(COMMITTED, TurnId("another")) is None


def test_a_turn_that_begins_has_come_to_nothing_yet() -> None:
    assert record_of(BEGUN) == BEGUN_RECORD
    assert record_of(ASKING) == BEGUN_RECORD


def test_a_committed_turn_has_its_answer_its_usage_and_its_revision() -> None:
    assert record_of(COMMITTED) == attrs.evolve(
        BEGUN_RECORD,
        outcome=Finished(),
        revision=Revision(1),
        ended_at_ms=80,
        usage=USAGE,
        replies=(at(4),),
    )


def test_calls_are_listed_while_they_run() -> None:
    assert record_of(CALLING) == attrs.evolve(
        BEGUN_RECORD, replies=(at(CALLS_AT),), tool_calls=(entry(0), entry(1))
    )


def test_calls_have_their_results_in_the_order_of_the_requests() -> None:
    assert record_of(BATCH_DONE) == attrs.evolve(
        BEGUN_RECORD,
        replies=(at(CALLS_AT),),
        tool_calls=(
            entry(0, status=ToolStatus.SUCCEEDED, body=at(8)),
            entry(1, status=ToolStatus.SUCCEEDED, body=at(7)),
        ),
    )


def test_a_call_that_failed_or_was_stopped_says_so_and_is_no_issue_of_the_turn() -> None:
    history = (*CALLING, settled(E2, BROKEN), settled(E3, EffectCancelled(), None))

    record = record_of(history)

    assert record == attrs.evolve(
        BEGUN_RECORD,
        replies=(at(CALLS_AT),),
        tool_calls=(
            entry(0, status=ToolStatus.FAILED, body=at(7)),
            entry(1, status=ToolStatus.CANCELLED),
        ),
    )


def test_a_model_that_failed_is_an_issue_and_the_turn_ends_without_a_revision() -> None:
    outcome = Stopped(reason=StopReason.PROVIDER_ERROR, code="rate_limited")

    assert record_of((*ASKING, settled(E1, BROKEN), ended(outcome))) == attrs.evolve(
        BEGUN_RECORD,
        outcome=outcome,
        ended_at_ms=90,
        usage=USAGE,
        issues=(IssueEntry(effect_id=E1, code="rate_limited", is_retryable=True, body=at(4)),),
    )


def test_a_model_that_was_stopped_said_nothing() -> None:
    stopped = settled(E1, EffectCancelled(), None)
    committed = attrs.evolve(COMMITTED_FACT, outcome=CANCELLED)

    record = record_of((*ASKING, stopped, committed))

    assert record is not None
    assert (record.replies, record.issues, record.outcome) == ((), (), CANCELLED)


def test_an_owner_after_the_first_is_a_takeover() -> None:
    history = (*ASKING, acquired(BOBS_FENCE, at_ms=LATER_MS), continued(2))

    assert record_of(history) == attrs.evolve(BEGUN_RECORD, generation=Generation(2), takeovers=1)
    assert record_of((*history, continued(2))) == record_of(history)


def test_an_owner_that_goes_on_with_its_own_turn_took_nothing_over() -> None:
    assert record_of((*ASKING, continued(1))) == BEGUN_RECORD


def test_facts_of_others_in_between_change_nothing() -> None:
    # The position of what comes after moves; the record of what came before does not.
    others = (enqueued(I1, 1), enqueued(I2, 2))
    history = (*ANSWER, *others, COMMITTED_FACT, enqueued(I3, 3))

    assert record_of(history) == record_of(COMMITTED)


def test_what_the_next_turn_does_is_not_this_ones() -> None:
    after = (started(turn_id=TurnId("t2")), requested(E4, call(0, CALLS_AT)))

    assert record_of((*COMMITTED, *after)) == record_of(COMMITTED)


def test_a_record_reads_the_same_from_the_turns_own_stretch_of_the_log() -> None:
    # This is how a result is read later: from the positions in the index, not from the start.
    stretch = list(positioned((*COMMITTED, enqueued(I1, 1))))[2:6]

    assert turn_record(stretch, TURN) == record_of(COMMITTED)


# Against a naive one


def naive(events: tuple[Event, ...], turn_id: TurnId) -> dict[str, object]:
    """Collect what is said of a turn, each field by a scan of its own over the turn's facts."""
    mine = [
        (position, event)
        for position, event in enumerate(events)
        if getattr(event, "turn_id", None) == turn_id
    ]
    kinds: dict[EffectId, type] = {
        e.effect_id: type(e.request) for _, e in mine if isinstance(e, EffectRequested)
    }
    outcomes = {e.effect_id: e.outcome for _, e in mine if isinstance(e, EffectSettled)}
    owners = [e.generation for _, e in mine if isinstance(e, TurnStarted | TurnContinued)]
    ends = [e for _, e in mine if isinstance(e, TurnCommitted | TurnEnded)]
    return {
        "calls": [
            (effect_id, status_name(outcomes.get(effect_id)))
            for effect_id, kind in kinds.items()
            if kind is ToolCall
        ],
        "replies": [
            at(position)
            for position, e in mine
            if isinstance(e, EffectSettled) and isinstance(e.outcome, ModelReplied)
        ],
        "issues": [
            effect_id
            for effect_id, outcome in outcomes.items()
            if isinstance(outcome, EffectFailed) and kinds[effect_id] is not ToolCall
        ],
        "takeovers": len(set(owners)) - 1,
        "outcome": ends[0].outcome if ends else None,
        "usage": ends[0].usage if ends else TokenUsage(),
    }


def status_name(outcome: EffectOutcome | None) -> str | None:
    names = {ToolReturned: "succeeded", EffectFailed: "failed", EffectCancelled: "cancelled"}
    return names.get(type(outcome)) if outcome else None


def test_every_turn_of_every_life_is_recorded_as_it_was() -> None:
    happened: set[str] = set()

    @effort(examples_max=100)
    @given(lives())
    def check(world: World) -> None:
        for start in world.events:
            if not isinstance(start, TurnStarted):
                continue
            record = record_of(world.events, start.turn_id)
            assert record is not None
            assert {
                "calls": [
                    (c.effect_id, None if c.status is None else c.status.value)
                    for c in record.tool_calls
                ],
                "replies": list(record.replies),
                "issues": [issue.effect_id for issue in record.issues],
                "takeovers": record.takeovers,
                "outcome": record.outcome,
                "usage": record.usage,
            } == naive(world.events, start.turn_id)
            happened.update(str(c.status) for c in record.tool_calls)
            happened.update(["takeover"] if record.takeovers else [])
            happened.update(["issue"] if record.issues else [])
            happened.update(["revision"] if record.revision else [])

    check()

    assert happened >= {"None", *map(str, ToolStatus), "takeover", "issue", "revision"}
