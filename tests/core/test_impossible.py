"""What no rule would have written is refused by the fold, which says what it found instead."""

import attrs
import pytest

from lash_es.core.errors import ImpossibleEvent
from lash_es.core.events import (
    Event,
    HistoryTrimmed,
    LeaseReleased,
    LeaseRenewed,
    SessionParked,
    SessionTombstoned,
    TurnContinued,
    TurnEnded,
    TurnInputCancelled,
    TurnInputClaimAbandoned,
    TurnInputsAccepted,
    TurnInputsCancelled,
    TurnInputsDeferred,
    TurnInputTombstonesPruned,
)
from lash_es.core.evolve import evolve, fold
from lash_es.core.frames import initial_frame_id
from lash_es.core.graph_events import (
    FrameOpened,
    LeafMoved,
    NodesAppended,
    NodesForgotten,
    SessionBegunAnew,
)
from lash_es.core.ids import FrameId, Generation, Position, Revision, TurnId, Version
from lash_es.core.ingress import Boundary
from lash_es.core.outcomes import Stopped, StopReason
from lash_es.core.work_events import (
    DrainedWork,
    FinishedWorkPruned,
    WorkCancelled,
    WorkClaimAbandoned,
    WorkCompleted,
    WorkFailed,
)
from tests.core.examples import (
    ANSWER,
    ANSWERED,
    ASK,
    ASKING,
    B1,
    B3,
    BEGUN,
    BOBS_FENCE,
    CALLED,
    CALLING,
    CALLS_AT,
    CLAIM,
    CLAIMED,
    COMMITTED_FACT,
    E1,
    E2,
    HELLO,
    I1,
    I3,
    IDLE,
    LEASED,
    OPENED,
    PENDING,
    POLICY,
    REFRESH,
    REPLIED,
    RETURNED,
    SESSION,
    TURN,
    USAGE,
    WAKE,
    WORK,
    WORK_CLAIM,
    acquired,
    call,
    claimed,
    drained,
    enqueued,
    queued,
    requested,
    settled,
    started,
    work_held,
)

G1 = Generation(1)
T2 = TurnId("t2")
ENDED = TurnEnded(
    at_ms=80,
    generation=G1,
    turn_id=TURN,
    outcome=Stopped(reason=StopReason.RUNTIME_ERROR),
    usage=USAGE,
    returned_input_ids=(),
    failed_input_ids=(),
    deferred_input_ids=(),
)
ACCEPTED = TurnInputsAccepted(
    at_ms=60,
    generation=G1,
    turn_id=TURN,
    checkpoint=Boundary.AFTER_WORK,
    claim_id=CLAIM,
    token="claim-token",
    input_ids=(I1,),
)
MOVED = LeafMoved(at_ms=60, generation=G1, parent=None, nodes=())
BEGUN_ANEW = SessionBegunAnew(at_ms=60, policy=POLICY)
TOMBSTONED = SessionTombstoned(at_ms=60)
TRIMMED = HistoryTrimmed(at_ms=60, below=Version(3), digest="", bodies=())
COMPLETED = COMMITTED_FACT
GIVEN_BACK = WorkClaimAbandoned(at_ms=50, claim_id=WORK_CLAIM, batch_ids=(B3,))
DONE = WorkCompleted(at_ms=50, generation=G1, claim_id=WORK_CLAIM, batch_ids=(B3,))
GONE = "no such pending input"
NO_BATCH = "no such open batch"
MIXED = attrs.evolve(queued(B3, 3, WAKE, REFRESH))
KINDS = str((WAKE, REFRESH))

Case = tuple[tuple[Event, ...], Event, str, str]

SESSION_FACTS: list[Case] = [
    (IDLE, OPENED, "Open", "NotOpened"),
    ((), SessionParked(at_ms=1), "NotOpened", "SessionOpened"),
    ((*IDLE, TOMBSTONED), SessionParked(at_ms=70), "Deleted", "nothing more"),
    (IDLE, TRIMMED, "3", "(0, 1)"),
]
LEASES: list[Case] = [
    (LEASED, acquired(attrs.evolve(BOBS_FENCE, generation=Generation(3))), "3", "2"),
    (IDLE, LeaseRenewed(at_ms=50, generation=G1, ttl_ms=1), "generation 0", "1"),
    (LEASED, LeaseReleased(at_ms=50, generation=Generation(2)), "generation 1", "2"),
    (IDLE, started(), "1", "0"),
    (LEASED, attrs.evolve(started(), generation=Generation(2)), "2", "1"),
]
INPUTS: list[Case] = [
    (PENDING, enqueued(I3, 4), "3", "4"),
    (PENDING, enqueued(I1, 3), "3", "3"),
    (IDLE, attrs.evolve(enqueued(I1, 1), bodies=()), "no body", "the content of the input"),
    (PENDING, claimed(I3), GONE, "i3"),
    (BEGUN, ACCEPTED, GONE, "i1"),
    (PENDING, TurnInputClaimAbandoned(at_ms=50, claim_id=CLAIM, input_ids=(I3,)), GONE, "i3"),
    (PENDING, TurnInputsDeferred(at_ms=50, input_ids=(I3,)), GONE, "i3"),
    (PENDING, TurnInputCancelled(at_ms=50, input_id=I3), GONE, "i3"),
    (PENDING, TurnInputsCancelled(at_ms=50, input_ids=(I1, I3)), GONE, "i3"),
    (PENDING, TurnInputTombstonesPruned(at_ms=50, tombstones_count=1), "0", "1"),
    (ANSWER, attrs.evolve(COMPLETED, completed_input_ids=(I3,)), GONE, "i3"),
    (ANSWER, attrs.evolve(COMPLETED, deferred_input_ids=(I3,)), GONE, "i3"),
    (BEGUN, attrs.evolve(ENDED, returned_input_ids=(I3,)), GONE, "i3"),
    (BEGUN, attrs.evolve(ENDED, failed_input_ids=(I3,)), GONE, "i3"),
    (BEGUN, attrs.evolve(ENDED, deferred_input_ids=(I3,)), GONE, "i3"),
    (CLAIMED, drained(I1, I3), GONE, "['i3']"),
]
WORKS: list[Case] = [
    (WORK, queued(B3, 4), "3", "4"),
    (WORK, queued(B1, 3), "3", "3"),
    (WORK, MIXED, KINDS, "items of one class, a body each"),
    (WORK, work_held(B3), NO_BATCH, "('b3',)"),
    (WORK, attrs.evolve(GIVEN_BACK), NO_BATCH, "('b3',)"),
    (WORK, WorkCancelled(at_ms=50, batch_id=B3), NO_BATCH, "('b3',)"),
    (WORK, FinishedWorkPruned(at_ms=50, batches_count=1), "0", "1"),
    (WORK, DONE, NO_BATCH, "('b3',)"),
    (WORK, WorkFailed(at_ms=50, generation=G1, batch_ids=(B3,)), NO_BATCH, "('b3',)"),
]
MAIN = initial_frame_id(SESSION)
FRAME = FrameOpened(
    at_ms=60,
    generation=G1,
    frame_id=FrameId("f1"),
    previous_frame_id=MAIN,
    reason="a task",
    parent=None,
    nodes=(),
    bodies=(),
)
ADDED = NodesAppended(at_ms=60, generation=G1, name="n", parent=None, nodes=(), bodies=())
GRAPH: list[Case] = [
    ((*LEASED, FRAME), attrs.evolve(FRAME, frame_id=FrameId("f2")), "f1", MAIN),
    (LEASED, NodesForgotten(at_ms=60, nodes_count=1), "0", "1"),
    (LEASED, attrs.evolve(ADDED, parent=Position(1)), "None", "1"),
    (LEASED, attrs.evolve(FRAME, parent=Position(1)), "None", "1"),
]
NO_BODY = "a body if, and only if, direct"
NOT_OF_REPLY = attrs.evolve(call(0, CALLS_AT), ordinal=2)
TURNS: list[Case] = [
    (LEASED, requested(E1, ASK), "NoTurn", "t1"),
    (LEASED, settled(E1, ANSWERED), "NoTurn", "t1"),
    (LEASED, COMMITTED_FACT, "NoTurn", "t1"),
    (LEASED, ENDED, "NoTurn", "t1"),
    (LEASED, TurnContinued(at_ms=50, generation=G1, turn_id=TURN), "NoTurn", "t1"),
    (PENDING, ACCEPTED, "NoTurn", "t1"),
    (BEGUN, attrs.evolve(ENDED, turn_id=T2), "OpenTurn", "t2"),
    (BEGUN, started(turn_id=T2), "t1", "no open turn"),
    (BEGUN, MOVED, "t1", "no open turn"),
    (BEGUN, BEGUN_ANEW, "t1", "no open turn"),
    (BEGUN, FRAME, "t1", "no open turn"),
    (LEASED, attrs.evolve(started(), bodies=()), "()", NO_BODY),
    (CLAIMED, attrs.evolve(drained(I1), bodies=(HELLO.commitment,)), "(Commitment(", NO_BODY),
    (BEGUN, requested(E2, ASK), "t1/2", "t1/1"),
    (BEGUN, settled(E1, ANSWERED), "no such open effect", "t1/1"),
    (ASKING, settled(E1, RETURNED), "ToolReturned", "ModelCall(iteration=0)"),
    (CALLING, settled(E2, CALLED), "ModelReplied", "ToolCall("),
    (
        (*BEGUN, requested(E1, call(0, CALLS_AT))),
        settled(E1, RETURNED),
        "Begun()",
        "a reply that asked for tools",
    ),
    (
        (*REPLIED, requested(E2, NOT_OF_REPLY)),
        settled(E2, RETURNED),
        "ToolCall(",
        "one of 2 calls",
    ),
    (
        ANSWER,
        attrs.evolve(COMMITTED_FACT, revision=Revision(2)),
        "(0, None)",
        "the next revision",
    ),
]


ALL = [*SESSION_FACTS, *LEASES, *INPUTS, *WORKS, *GRAPH, *TURNS]
NAMES = [f"{place}-{type(case[1]).__name__}" for place, case in enumerate(ALL)]


@pytest.mark.parametrize(("history", "event", "found", "expected"), ALL, ids=NAMES)
def test_an_impossible_fact_is_told_with_what_was_found_and_expected(
    history: tuple[Event, ...], event: Event, found: str, expected: str
) -> None:
    """What is long is compared by its beginning: up to its bracket."""
    with pytest.raises(ImpossibleEvent) as caught:
        evolve(fold(history), event)

    told = caught.value
    assert told.event == type(event).__name__
    assert told.found == found or (found.endswith("(") and told.found.startswith(found))
    assert told.expected == expected or (
        expected.endswith("(") and told.expected.startswith(expected)
    )


def test_a_turn_takes_no_work_that_is_not_there() -> None:
    taking = attrs.evolve(started(), origin=DrainedWork(batch_ids=(B1, B3)), bodies=())

    with pytest.raises(ImpossibleEvent) as caught:
        evolve(fold(WORK), taking)

    expected = {"event": "DrainedWork", "found": NO_BATCH, "expected": "('b1', 'b3')"}
    assert caught.value.fields == expected
