"""What whoever looks on is told: every kind of fact, and no fact as more than one event."""

from collections.abc import Iterator
from typing import Final

import attrs
import pytest
from hypothesis import given

from lash_es.core.activity import ProseStreamed, ReasoningStreamed
from lash_es.core.batches import ProcessWake, WorkBoundary
from lash_es.core.events import (
    EffectSettled,
    Event,
    LeaseReleased,
    SessionConfigured,
    SessionParked,
    TurnContinued,
    TurnEnded,
    TurnInputCancelled,
    TurnInputClaimAbandoned,
    TurnInputsAccepted,
    TurnInputsCancelled,
    TurnInputsDeferred,
)
from lash_es.core.evolve import evolve, fold
from lash_es.core.graph_events import (
    FrameOpened,
    LeafMoved,
    NodesAppended,
    NodesForgotten,
    NodesTombstoned,
    SessionBegunAnew,
)
from lash_es.core.ids import CallId, EffectId, FrameId, Generation, InputId, Position
from lash_es.core.ingress import ActiveTurn, Boundary
from lash_es.core.messages import (
    EffectFailure,
    Message,
    ModelReply,
    ProsePart,
    Role,
    TextPart,
    ToolCallPart,
    ToolOutput,
    ToolStatus,
    TurnInput,
)
from lash_es.core.outcomes import EffectCancelled, EffectFailed, FrameSwitched, Stopped, StopReason
from lash_es.core.work_events import WorkCancelled, WorkClaimAbandoned, WorkEnqueued
from lash_es.projections.observation import (
    AgentFrameSwitched,
    QueueChange,
    QueueChanged,
    Told,
    ViewChanged,
    told_of_activity,
    told_of_fact,
)
from lash_es.projections.observed_turns import (
    NO_SOURCES,
    NOTHING_WANTED,
    Sources,
    Wanted,
    sources_of,
)
from lash_es.turns.activities import (
    AcceptedInput,
    AssistantProseDelta,
    EffectsRepeated,
    ErrorReported,
    ModelRequestStarted,
    QueuedInputAccepted,
    QueuedWorkStarted,
    ReasoningTextDelta,
    RepeatedEffect,
    ToolCallCompleted,
    ToolCallStarted,
    TurnActivity,
    TurnEndedUncommitted,
    UsageReported,
)
from tests.core.effort import effort
from tests.core.examples import (
    ANSWERED,
    ASK,
    ASKING,
    B1,
    B2,
    B3,
    BEGUN,
    BOBS_FENCE,
    CALLED,
    CALLING,
    CALLS_AT,
    CLAIM,
    CLAIMED,
    COMMITTED,
    COMMITTED_FACT,
    E1,
    E2,
    E3,
    I1,
    I2,
    IDLE,
    LATER_MS,
    LEASED,
    OPENED,
    PENDING,
    POLICY,
    READ,
    REPLIED,
    RETURNED,
    TURN,
    USAGE,
    WORK,
    WORK_CLAIM,
    WORK_HELD,
    acquired,
    at,
    call,
    enqueued,
    queued,
    requested,
    settled,
    started,
    started_on_work,
    work_held,
)
from tests.turns.lives import lives
from tests.turns.worlds import World

BROKEN: Final = EffectFailed(code="rate_limited", is_retryable=True)
STOPPED: Final = Stopped(reason=StopReason.PROVIDER_ERROR, code="rate_limited")
REPLY: Final = ModelReply(
    parts=(
        ProsePart(text="Let me see."),
        ToolCallPart(call_id=CALLED.tool_calls[0].call_id, tool="read", arguments='{"a":1}'),
        ToolCallPart(call_id=CALLED.tool_calls[1].call_id, tool="list", arguments="not json"),
    )
)


def told(history: tuple[Event, ...], event: Event, sources: Sources = NO_SOURCES) -> Told | None:
    """Tell what an event means behind a history."""
    return told_of_fact(fold(history), Position(len(history)), event, sources)


def wanted(history: tuple[Event, ...], event: Event) -> Wanted:
    return sources_of(fold(history), Position(len(history)), event)


def activity(history: tuple[Event, ...], correlation_id: str | None, event: object) -> object:
    """Expect an activity behind a history."""
    name = f"{len(history) + 1}.0"
    return TurnActivity(
        activity_id=name,
        correlation_id=correlation_id or name,
        event=event,  # type: ignore[arg-type]  # whatever a test expects
    )


def ended(*returned: str) -> TurnEnded:
    return TurnEnded(
        at_ms=90,
        generation=Generation(1),
        turn_id=TURN,
        outcome=STOPPED,
        usage=USAGE,
        returned_input_ids=tuple(map(InputId, returned)),
        failed_input_ids=(I2,),
        deferred_input_ids=(),
    )


@pytest.mark.parametrize(
    ("history", "event", "kind", "ids"),
    [
        (IDLE, enqueued(I1, 1), QueueChange.ENQUEUED, (I1,)),
        (BEGUN, enqueued(I1, 1, ingress=ActiveTurn(TURN)), QueueChange.ENQUEUED, (I1,)),
        (PENDING, TurnInputCancelled(at_ms=50, input_id=I1), QueueChange.CANCELLED, (I1,)),
        (
            PENDING,
            TurnInputsCancelled(at_ms=50, input_ids=(I2, I1)),
            QueueChange.CANCELLED,
            (I2, I1),
        ),
        (
            CLAIMED,
            TurnInputClaimAbandoned(at_ms=50, claim_id=CLAIM, input_ids=(I1, I2)),
            QueueChange.ENQUEUED,
            (I1, I2),
        ),
        (LEASED, queued(B1, 1), QueueChange.ENQUEUED, (B1,)),
        (WORK, WorkCancelled(at_ms=50, batch_id=B2), QueueChange.CANCELLED, (B2,)),
        (
            WORK_HELD,
            WorkClaimAbandoned(at_ms=50, claim_id=WORK_CLAIM, batch_ids=(B1,)),
            QueueChange.ENQUEUED,
            (B1,),
        ),
    ],
)
def test_a_queue_that_changes_says_which_of_its_entries(
    history: tuple[Event, ...], event: Event, kind: QueueChange, ids: tuple[str, ...]
) -> None:
    assert told(history, event) == QueueChanged(kind=kind, batch_ids=ids)
    assert wanted(history, event) == NOTHING_WANTED


@pytest.mark.parametrize(
    ("history", "event"),
    [
        (COMMITTED[:-1], COMMITTED_FACT),
        (IDLE, SessionConfigured(at_ms=50, policy=POLICY)),
        (IDLE, SessionBegunAnew(at_ms=50, policy=POLICY)),
        (
            LEASED,
            NodesAppended(
                at_ms=50, generation=Generation(1), name="a", parent=None, nodes=(), bodies=()
            ),
        ),
        (COMMITTED, NodesTombstoned(at_ms=50, node_ids=(COMMITTED_FACT.nodes[0].node_id,))),
        (LEASED, LeafMoved(at_ms=50, generation=Generation(1), parent=None, nodes=())),
    ],
    ids=lambda each: type(each).__name__,
)
def test_what_changes_a_view_is_told_as_that(history: tuple[Event, ...], event: Event) -> None:
    assert told(history, event) == ViewChanged()
    assert wanted(history, event) == NOTHING_WANTED


def frame_opened(
    reason: str, parent: int | None, frame_id: str = "f1", previous: str = "s1:frame:initial"
) -> FrameOpened:
    return FrameOpened(
        at_ms=90,
        generation=Generation(1),
        frame_id=FrameId(frame_id),
        previous_frame_id=FrameId(previous),
        reason=reason,
        parent=None if parent is None else Position(parent),
        nodes=(),
        bodies=(),
    )


SWITCHED: Final = AgentFrameSwitched(frame_id=FrameId("f1"))
RELEASED: Final = LeaseReleased(at_ms=91, generation=Generation(1))


def test_a_turn_that_ends_in_another_frame_tells_of_the_switch_and_then_of_the_view() -> None:
    before = COMMITTED[:-1]
    commit = attrs.evolve(COMMITTED_FACT, outcome=FrameSwitched(frame_id=FrameId("f1")))
    opened = frame_opened("continue_as", len(before))

    assert told(before, commit) == SWITCHED
    assert told((*before, commit), opened) == ViewChanged()
    assert told((*before, commit, opened), RELEASED) is None


@pytest.mark.parametrize("frame_id", ["", "  ", "s1:frame:initial"])
def test_a_turn_that_stays_in_its_frame_tells_of_its_commit(frame_id: str) -> None:
    commit = attrs.evolve(COMMITTED_FACT, outcome=FrameSwitched(frame_id=FrameId(frame_id)))

    assert told(COMMITTED[:-1], commit) == ViewChanged()


def test_a_frame_that_a_host_opens_is_told_by_it_and_by_the_release_behind_it() -> None:
    opened = frame_opened("compaction", len(COMMITTED) - 1)
    taken = (*COMMITTED, acquired(BOBS_FENCE, at_ms=LATER_MS))

    assert told(COMMITTED, opened) == SWITCHED
    assert told((*COMMITTED, opened), RELEASED) == ViewChanged()
    assert told((*COMMITTED, opened, enqueued(I1, 1)), RELEASED) is None
    assert told(COMMITTED, RELEASED) is None
    assert told(taken, frame_opened("continue_as", len(COMMITTED) - 1)) == SWITCHED


@pytest.mark.parametrize(
    ("history", "event"),
    [
        ((), OPENED),
        (IDLE, acquired()),
        (IDLE, SessionParked(at_ms=50)),
        (LEASED, started()),
        (PENDING, CLAIMED[-1]),
        (WORK, WORK_HELD[-1]),
        (PENDING, TurnInputsDeferred(at_ms=50, input_ids=(I1,))),
        (COMMITTED, NodesForgotten(at_ms=50, nodes_count=0)),
    ],
    ids=lambda each: type(each).__name__,
)
def test_bookkeeping_tells_nothing(history: tuple[Event, ...], event: Event) -> None:
    assert told(history, event) is None
    assert wanted(history, event) == NOTHING_WANTED


def test_a_model_call_is_told_when_it_is_asked_for_and_by_what_it_used() -> None:
    asked = requested(E1, ASK)

    assert told(BEGUN, asked) == activity(
        BEGUN, E1, ModelRequestStarted(effect_id=E1, protocol_iteration=0, attempt=1)
    )
    assert wanted(BEGUN, asked) == NOTHING_WANTED
    assert told(ASKING, settled(E1, ANSWERED)) == activity(
        ASKING, E1, UsageReported(protocol_iteration=0, usage=USAGE, cumulative=USAGE)
    )
    assert wanted(ASKING, settled(E1, ANSWERED)) == NOTHING_WANTED


def test_usage_adds_up_over_the_calls_of_a_turn() -> None:
    done = (*CALLING, settled(E2, RETURNED), settled(E3, RETURNED))
    again = requested(EffectId("t1/4"), attrs.evolve(ASK, iteration=1))
    history = (*done, again)

    second = told(history, settled(again.effect_id, ANSWERED))

    assert isinstance(second, TurnActivity)
    assert second.event == UsageReported(
        protocol_iteration=1, usage=USAGE, cumulative=USAGE + USAGE
    )


def test_a_model_call_that_failed_is_an_error_in_its_words() -> None:
    failure = settled(E1, BROKEN)
    words = Sources(contents={at(4): EffectFailure(message="slow down")})

    assert wanted(ASKING, failure) == Wanted(contents={at(4): EffectFailure})
    assert told(ASKING, failure, words) == activity(
        ASKING, E1, ErrorReported(code="rate_limited", message="slow down")
    )


def test_a_model_call_that_was_stopped_tells_nothing() -> None:
    stopped = settled(E1, EffectCancelled(), None)

    assert wanted(ASKING, stopped) == NOTHING_WANTED
    assert told(ASKING, stopped) is None


def test_a_call_is_told_with_the_arguments_that_the_model_wrote() -> None:
    asked = requested(E2, call(0, CALLS_AT))
    sources = Sources(contents={at(CALLS_AT): REPLY})

    assert wanted(REPLIED, asked) == Wanted(contents={at(CALLS_AT): ModelReply})
    assert told(REPLIED, asked, sources) == activity(
        REPLIED,
        "tool:c1",
        ToolCallStarted(
            effect_id=E2,
            call_id=READ.call_id,
            name="read",
            arguments='{"a":1}',
            attempt=1,
        ),
    )


@pytest.mark.parametrize(
    ("outcome", "content", "status", "text"),
    [
        (RETURNED, ToolOutput(text="there"), ToolStatus.SUCCEEDED, "there"),
        (BROKEN, EffectFailure(message="no such"), ToolStatus.FAILED, "no such"),
        (EffectCancelled(), None, ToolStatus.CANCELLED, "cancelled"),
    ],
)
def test_a_call_that_ended_is_told_with_what_went_in_and_what_came_out(
    outcome: object, content: ToolOutput | EffectFailure | None, status: ToolStatus, text: str
) -> None:
    history = CALLING
    fact = settled(E3, outcome)  # type: ignore[arg-type]  # one of the outcomes above
    own = {} if content is None else {at(len(history)): content}
    sources = Sources(contents={at(CALLS_AT): REPLY, **own}, times_ms={Position(6): 60})

    assert wanted(history, fact) == Wanted(
        contents={at(CALLS_AT): ModelReply, **{ref: type(each) for ref, each in own.items()}},
        positions=(Position(6),),
    )
    assert told(history, fact, sources) == activity(
        history,
        "tool:c2",
        ToolCallCompleted(
            effect_id=E3,
            call_id=CALLED.tool_calls[1].call_id,
            name="list",
            arguments="not json",
            status=status,
            text=text,
            duration_ms=10,
        ),
    )


def test_a_turn_that_is_gone_on_with_says_whose_text_is_void() -> None:
    taken = (*ASKING, acquired(BOBS_FENCE, at_ms=LATER_MS))
    on = TurnContinued(at_ms=LATER_MS, generation=Generation(2), turn_id=TURN)
    again = (*taken, on)

    assert told(taken, on) == activity(
        taken,
        None,
        EffectsRepeated(turn_id=TURN, effects=(RepeatedEffect(effect_id=E1, attempt=2),)),
    )
    assert told(again, on) == activity(
        again,
        None,
        EffectsRepeated(turn_id=TURN, effects=(RepeatedEffect(effect_id=E1, attempt=3),)),
    )
    assert told((*BEGUN, acquired(BOBS_FENCE, at_ms=LATER_MS)), on) is None


def test_inputs_that_a_running_turn_takes_are_told_with_their_words() -> None:
    steer = ActiveTurn(TURN)
    history = (
        *BEGUN,
        enqueued(I1, 1, ingress=steer, source_key="host:mail-1"),
        enqueued(I2, 2, ingress=steer),
    )
    accepted = TurnInputsAccepted(
        at_ms=60,
        generation=Generation(1),
        turn_id=TURN,
        checkpoint=Boundary.AFTER_WORK,
        claim_id=CLAIM,
        token="t",
        input_ids=(I1, I2),
    )
    said = {at(3): TurnInput.of_text("stop"), at(4): TurnInput.of_text("and go")}

    assert wanted(history, accepted) == Wanted(contents=dict.fromkeys(said, TurnInput))
    assert told(history, accepted, Sources(contents=said)) == activity(
        history,
        None,
        QueuedInputAccepted(
            checkpoint=Boundary.AFTER_WORK,
            inputs=(taken_as("mail-1", "stop"), taken_as(I2, "and go")),
        ),
    )


def taken_as(name: str, text: str) -> AcceptedInput:
    message = Message(message_id=name, role=Role.USER, parts=(TextPart(text=text),))
    return AcceptedInput(id=name, message=message)


def wake(number: int) -> ProcessWake:
    return ProcessWake(
        wake_id=f"w{number}",
        target_session_id=OPENED.session_id,
        target_scope_id=OPENED.session_id,
        process_id="p1",
        sequence=number,
        event_type="done",
        event_invocation="",
        process_caused_by=None,
        dedupe_key=f"p1:{number}",
        input="ready",
        created_at_ms=1,
    )


@pytest.mark.parametrize(
    ("history", "event", "boundary"),
    [
        ((*WORK, queued(B3, 3), work_held(B1, B3)), started_on_work(B1, B3), WorkBoundary.IDLE),
        (
            (*BEGUN, queued(B1, 1), queued(B3, 2)),
            work_held(B1, B3, turn_id=TURN),
            WorkBoundary.ACTIVE_TURN_CHECKPOINT,
        ),
    ],
)
def test_work_that_a_turn_takes_is_told_with_what_processes_had_to_say(
    history: tuple[Event, ...], event: Event, boundary: WorkBoundary
) -> None:
    positions = [n for n, each in enumerate(history) if isinstance(each, WorkEnqueued)]
    wakes = {at(positions[0]): wake(1), at(positions[-1]): wake(2)}
    shown = told(history, event, Sources(contents=wakes))

    assert wanted(history, event) == Wanted(contents=dict.fromkeys(wakes, ProcessWake))
    assert isinstance(shown, TurnActivity)
    assert isinstance(shown.event, QueuedWorkStarted)
    assert (shown.event.boundary, shown.event.batch_ids) == (boundary, (B1, B3))
    causes = [(each.cause_id, each.sequence) for each in shown.event.causes]
    assert causes == [("w1", 1), ("w2", 2)]
    assert all("ready" in each.text for each in shown.event.causes)


def test_a_turn_that_ends_without_a_commit_says_what_became_of_its_inputs() -> None:
    assert told(ASKING, ended(I1)) == activity(
        ASKING,
        None,
        TurnEndedUncommitted(
            turn_id=TURN, outcome=STOPPED, returned_input_ids=(I1,), failed_input_ids=(I2,)
        ),
    )


def test_streamed_text_is_told_under_the_name_of_its_place() -> None:
    prose = ProseStreamed(effect_id=E1, attempt=2, text="hel")
    reasoning = ReasoningStreamed(effect_id=E1, attempt=1, text="hm")

    assert told_of_activity("4.1", prose) == TurnActivity(
        activity_id="4.1",
        correlation_id=E1,
        event=AssistantProseDelta(effect_id=E1, attempt=2, text="hel"),
    )
    assert told_of_activity("4.2", reasoning) == TurnActivity(
        activity_id="4.2",
        correlation_id=E1,
        event=ReasoningTextDelta(effect_id=E1, attempt=1, text="hm"),
    )


# Whole lives


def tellings(world: World) -> Iterator[tuple[Event, Told | None]]:
    """Tell a life, with made-up words for what was said."""
    state = fold(())
    times: dict[Position, int] = {}
    for number, event in enumerate(world.events):
        position = Position(number)
        times[position] = event.at_ms
        want = sources_of(state, position, event)
        said = {
            ref: REPLY_OF_MANY
            if kind is ModelReply
            else kind(text="out")
            if kind is ToolOutput
            else EffectFailure(message="broken")
            for ref, kind in want.contents.items()
        }
        sources = Sources(contents=said, times_ms={each: times[each] for each in want.positions})
        yield event, told_of_fact(state, position, event, sources)
        state = evolve(state, event)


REPLY_OF_MANY: Final = ModelReply(
    parts=tuple(
        ToolCallPart(call_id=CallId(f"c{n}"), tool="read", arguments="{}") for n in range(4)
    )
)


def test_every_life_can_be_told_and_its_starts_and_ends_belong_together() -> None:
    happened: set[str] = set()

    @effort(50)
    @given(lives())
    def check(world: World) -> None:
        starts: dict[str, str] = {}
        for event, each in tellings(world):
            if not isinstance(each, TurnActivity):
                continue
            happened.add(type(each.event).__name__)
            if isinstance(each.event, ToolCallStarted | ModelRequestStarted):
                starts[each.event.effect_id] = each.correlation_id
            if isinstance(each.event, ToolCallCompleted):
                assert starts[each.event.effect_id] == each.correlation_id
            if isinstance(each.event, UsageReported):
                assert isinstance(event, EffectSettled)
                assert starts[event.effect_id] == each.correlation_id

    check()

    assert happened >= {
        "ModelRequestStarted",
        "UsageReported",
        "ToolCallStarted",
        "ToolCallCompleted",
        "ErrorReported",
        "EffectsRepeated",
        "TurnEndedUncommitted",
    }
