"""Rules of frames, of messages that a host adds, and of what is hidden."""

import attrs
import pytest

from lash_es.core.batches import WorkCompletion
from lash_es.core.bodies import BodyRef, NewBody
from lash_es.core.commands import BranchToNode, CommitTurn, StartTurn, WithInput, new_bodies
from lash_es.core.commit_errors import BusyWithTurn, FrameIdConflict
from lash_es.core.errors import (
    BlankValue,
    CommandRejected,
    ImpossibleEvent,
    LimitExceeded,
    SessionExecutionLeaseExpired,
)
from lash_es.core.events import Event, LeaseReleased, TurnCommitted, TurnInputTombstonesPruned
from lash_es.core.evolve import fold
from lash_es.core.frames import Frame, Graph, current_frame_id, initial_frame_id
from lash_es.core.graph_commands import (
    Ancestor,
    AppendNodes,
    MaintainSession,
    NewNode,
    OpenFrame,
    TombstoneNodes,
)
from lash_es.core.graph_events import (
    FrameOpened,
    LeafMoved,
    NodesAppended,
    NodesForgotten,
    NodesTombstoned,
    SessionBegunAnew,
)
from lash_es.core.graph_receipts import (
    FrameReceipt,
    Maintained,
    NodesAdded,
    StaleBranch,
    appended,
    framed,
    hidden,
    maintained,
)
from lash_es.core.heads import Leaf
from lash_es.core.ids import FrameId, Generation, NodeId, Position, TurnId
from lash_es.core.known import (
    FrameEntry,
    IndexKey,
    IndexKind,
    SequenceEntry,
    compared_body,
    holds_nodes,
)
from lash_es.core.limits import Limits
from lash_es.core.messages import Role
from lash_es.core.outcomes import Finished, FrameSwitched
from lash_es.core.stamps import commit_hash
from lash_es.core.state import Open
from lash_es.core.transcripts import FromInputs, Node
from lash_es.core.work_events import FinishedWorkPruned, WorkCancelled, WorkCompleted
from lash_es.verify.spec import Decision, given
from tests.core.examples import (
    ANSWER,
    ANSWER_NODE,
    B1,
    BEGUN,
    BOBS_FENCE,
    COMMITTED,
    COMMITTED_FACT,
    FENCE,
    GOODBYE,
    HELLO,
    I1,
    LEASED,
    POLICY,
    SESSION,
    TURN,
    WORK_CLAIM,
    enqueued,
    queued,
    started,
    work_held,
)
from tests.core.test_turns import turn_of

F1, F2 = FrameId("f1"), FrameId("f2")
INITIAL = initial_frame_id(SESSION)
SUMMARY = NewNode(role=Role.SYSTEM, body=HELLO)
QUESTION = NewNode(role=Role.USER, body=GOODBYE)


def added(name: str, position: int, ordinal: int, role: Role) -> Node:
    """Say which message a host put there."""
    ref = BodyRef(position=Position(position), ordinal=ordinal - 1)
    return Node(node_id=NodeId(name), role=role, source=FromInputs(bodies=(ref,)))


def frame(
    frame_id: FrameId = F1,
    *nodes: NewNode,
    reason: str = "compaction",
    now_ms: int = 95,
    fence: object = FENCE,
) -> OpenFrame:
    assert fence in (FENCE, BOBS_FENCE)
    mine = FENCE if fence == FENCE else BOBS_FENCE
    return OpenFrame(now_ms=now_ms, fence=mine, frame_id=frame_id, reason=reason, nodes=nodes)


OPENED_FRAME = FrameOpened(
    at_ms=95,
    generation=Generation(1),
    frame_id=F1,
    previous_frame_id=INITIAL,
    reason="compaction",
    parent=Position(5),
    nodes=(),
    bodies=(),
)
IN_FRAME: tuple[Event, ...] = (*COMMITTED, OPENED_FRAME)


def opened(decision: Decision) -> Open:
    assert isinstance(decision.state, Open)
    return decision.state


# Opening a frame


def test_a_session_begins_in_its_initial_frame() -> None:
    state = fold(LEASED)
    assert isinstance(state, Open)
    assert state.graph == Graph()
    assert current_frame_id(state.graph, SESSION) == "s1:frame:initial"


def test_a_frame_supersedes_the_current_one() -> None:
    decision = given(*COMMITTED).when(frame()).then(OPENED_FRAME)

    state = opened(decision)
    assert state.graph.frame == Frame(
        frame_id=F1, previous_frame_id=INITIAL, reason="compaction", position=Position(6)
    )
    assert state.head.leaf == Leaf(node_id=ANSWER_NODE.node_id, commit=Position(5))
    assert framed(state, decision.events) == FrameReceipt(frame_id=F1, is_opened=True)
    second = attrs.evolve(OPENED_FRAME, frame_id=F2, previous_frame_id=F1)
    decision.when(frame(F2)).then(second)


def test_a_frame_begins_with_messages_that_follow_the_path() -> None:
    decision = given(*COMMITTED).when(frame(F1, SUMMARY, QUESTION))

    nodes = (added("f1:f1", 6, 1, Role.SYSTEM), added("f1:f2", 6, 2, Role.USER))
    decision.then(
        attrs.evolve(OPENED_FRAME, nodes=nodes, bodies=(HELLO.commitment, GOODBYE.commitment))
    )
    assert opened(decision).head.leaf == Leaf(node_id=NodeId("f1:f2"), commit=Position(6))
    assert new_bodies(frame(F1, SUMMARY, QUESTION)) == (HELLO, GOODBYE)
    back = BranchToNode(now_ms=95, fence=FENCE, parent=Position(5), nodes=nodes[:1])
    moved = LeafMoved(at_ms=95, generation=Generation(1), parent=Position(5), nodes=nodes[:1])
    decision.when(back).then(moved)


def test_a_blank_or_current_frame_is_not_opened() -> None:
    blank = given(*COMMITTED).when(frame(FrameId("  "), SUMMARY)).nothing_happened()
    assert framed(opened(blank), ()) == FrameReceipt(frame_id=INITIAL, is_opened=False)
    given(*COMMITTED).when(frame(INITIAL)).nothing_happened()
    same = given(*IN_FRAME).when(frame(F1, SUMMARY)).nothing_happened()
    assert framed(opened(same), ()) == FrameReceipt(frame_id=F1, is_opened=False)
    given(*BEGUN).when(frame(INITIAL)).nothing_happened()


@pytest.mark.parametrize("frame_id", [F1, INITIAL])
def test_a_frame_that_was_left_is_not_entered_again(frame_id: FrameId) -> None:
    second = attrs.evolve(OPENED_FRAME, frame_id=F2, previous_frame_id=F1)
    given(*IN_FRAME, second).when(frame(frame_id)).refused(
        FrameIdConflict(session_id=SESSION, frame_id=frame_id)
    )


def test_a_frame_needs_the_lease_a_reason_and_no_open_turn() -> None:
    given(*COMMITTED).when(frame(fence=BOBS_FENCE)).refused(
        SessionExecutionLeaseExpired(
            session_id=SESSION,
            presented_generation=Generation(2),
            current_generation=Generation(1),
            reason="superseded",
        )
    )
    given(*COMMITTED).when(frame(reason=" ")).refused(BlankValue(field="reason"))
    given(*BEGUN).when(frame()).refused(
        BusyWithTurn(session_id=SESSION, wish="open a frame", open_turn_id=TURN)
    )
    with pytest.raises(ImpossibleEvent):
        fold((*BEGUN, attrs.evolve(OPENED_FRAME, parent=None)))


def test_a_frame_is_within_its_limits() -> None:
    few = Limits(nodes_per_append_max=1, body_bytes_max=7, frame_id_chars_max=12)
    large = NewNode(role=Role.USER, body=NewBody(content=b"12345678", salt=b"s" * 16))
    for asked, limit, found, allowed in (
        (frame(F1, SUMMARY, SUMMARY), "nodes_per_append_max", 2, 1),
        (frame(F1, large), "body_bytes_max", 8, 7),
        (frame(FrameId("f" * 13)), "frame_id_chars_max", 13, 12),
        (frame(reason="r" * 13), "reason_chars_max", 13, 12),
    ):
        given(*COMMITTED, limits=few).when(asked).refused(
            LimitExceeded(limit=limit, found=found, allowed=allowed)
        )


def test_beginning_anew_is_in_the_initial_frame() -> None:
    state = fold((*IN_FRAME, SessionBegunAnew(at_ms=96, policy=POLICY)))
    assert isinstance(state, Open)
    assert state.graph == Graph()
    given(*IN_FRAME, SessionBegunAnew(at_ms=96, policy=POLICY)).when(frame()).refused(
        FrameIdConflict(session_id=SESSION, frame_id=F1)
    )


def test_a_frame_follows_the_leaf_and_the_frame_that_are_there() -> None:
    for impossible in (
        attrs.evolve(OPENED_FRAME, parent=None),
        attrs.evolve(OPENED_FRAME, frame_id=F2, parent=Position(6)),
    ):
        with pytest.raises(ImpossibleEvent):
            fold((*COMMITTED, impossible))
    with pytest.raises(ImpossibleEvent):
        fold((*IN_FRAME, attrs.evolve(OPENED_FRAME, frame_id=F2)))


# With a commit


def switching(frame_id: FrameId, *nodes: NewNode) -> CommitTurn:
    outcome = FrameSwitched(frame_id=frame_id)
    return CommitTurn(
        now_ms=95,
        fence=FENCE,
        turn_id=TURN,
        outcome=outcome,
        frame_nodes=nodes,
        releases_lease=True,
    )


def test_a_commit_opens_the_frame_that_its_turn_ends_with() -> None:
    decision = given(*ANSWER).when(switching(F1, QUESTION))

    committed = attrs.evolve(COMMITTED_FACT, at_ms=95, outcome=FrameSwitched(frame_id=F1))
    opens = attrs.evolve(
        OPENED_FRAME,
        reason="continue_as",
        nodes=(added("f1:f1", 6, 1, Role.USER),),
        bodies=(GOODBYE.commitment,),
    )
    decision.then(committed, opens, LeaseReleased(at_ms=95, generation=Generation(1)))
    assert new_bodies(switching(F1, QUESTION)) == (GOODBYE,)
    assert opened(decision).head.leaf == Leaf(node_id=NodeId("f1:f1"), commit=Position(6))


def test_the_frame_follows_its_commit_also_behind_the_work_that_it_completes() -> None:
    work = (attrs.evolve(queued(B1, 1), at_ms=75), attrs.evolve(work_held(B1), at_ms=76))
    done = WorkCompletion(claim_id=WORK_CLAIM, token="work-token", batch_ids=(B1,))
    command = attrs.evolve(switching(F1, QUESTION), work_completions=(done,))

    found = given(*ANSWER, *work).when(command).events

    assert [type(event) for event in found] == [
        WorkCompleted,
        TurnCommitted,
        FrameOpened,
        LeaseReleased,
    ]
    assert isinstance(found[2], FrameOpened)
    assert found[2].parent == len(ANSWER) + 3
    assert found[2].nodes == (added("f1:f1", len(ANSWER) + 4, 1, Role.USER),)


def test_a_commit_that_switches_to_where_it_is_opens_nothing() -> None:
    for frame_id in (FrameId(""), INITIAL):
        decision = given(*ANSWER).when(switching(frame_id, QUESTION))
        assert [type(event) for event in decision.events] == [TurnCommitted, LeaseReleased]


def test_a_commit_that_switches_to_a_frame_that_was_left_is_refused_whole() -> None:
    again = (*IN_FRAME, attrs.evolve(OPENED_FRAME, frame_id=F2, previous_frame_id=F1))
    turn = (*again, started(turn_id=TurnId("t2"), at_ms=95))
    command = attrs.evolve(switching(F1), turn_id=TurnId("t2"))
    given(*turn).when(command).refused(FrameIdConflict(session_id=SESSION, frame_id=F1))


def test_the_frame_is_part_of_what_a_commit_means() -> None:
    turn = turn_of(fold(ANSWER))
    hashes = {
        commit_hash(turn, outcome)
        for outcome in (Finished(), FrameSwitched(frame_id=F1), FrameSwitched(frame_id=F2))
    }
    assert len(hashes) == 3
    known = attrs.evolve(switching(F1), commit_hash=commit_hash(turn, FrameSwitched(frame_id=F1)))
    decision = given(*ANSWER).when(known)
    assert len(decision.events) == 3
    decision.when(known).nothing_happened()


# Messages that a host adds


def adding(*nodes: NewNode, name: str = "an1", ancestor: Ancestor | None = None) -> AppendNodes:
    return AppendNodes(now_ms=95, fence=FENCE, name=name, nodes=nodes, ancestor=ancestor)


ADDED_FACT = NodesAppended(
    at_ms=95,
    generation=Generation(1),
    name="an1",
    parent=Position(5),
    nodes=(added("an1:a1", 6, 1, Role.SYSTEM),),
    bodies=(HELLO.commitment,),
)


def test_messages_are_put_behind_the_leaf() -> None:
    decision = given(*COMMITTED).when(adding(SUMMARY)).then(ADDED_FACT)

    assert opened(decision).head.leaf == Leaf(node_id=NodeId("an1:a1"), commit=Position(6))
    assert opened(decision).head.revision == 1
    assert appended(opened(decision), decision.events, is_stale=False) == NodesAdded(
        node_ids=(NodeId("an1:a1"),), leaf_node_id=NodeId("an1:a1")
    )
    again = decision.when(adding(QUESTION)).nothing_happened()
    assert appended(opened(again), (), is_stale=False) == NodesAdded(
        node_ids=(), leaf_node_id=NodeId("an1:a1")
    )
    given(*COMMITTED).when(adding()).nothing_happened()


def test_the_first_message_of_a_session_may_be_a_hosts() -> None:
    first = attrs.evolve(ADDED_FACT, parent=None, nodes=(added("an1:a1", 2, 1, Role.SYSTEM),))
    given(*LEASED).when(adding(SUMMARY)).then(first)
    given(*LEASED).when(frame()).then(attrs.evolve(OPENED_FRAME, parent=None))


def test_a_turn_that_is_open_is_committed_behind_them() -> None:
    fact = attrs.evolve(ADDED_FACT, parent=None, nodes=(added("an1:a1", 5, 1, Role.SYSTEM),))
    decision = given(*ANSWER).when(adding(SUMMARY)).then(fact)

    commit = CommitTurn(now_ms=96, fence=FENCE, turn_id=TURN, outcome=Finished())
    decision.when(commit).then(attrs.evolve(COMMITTED_FACT, at_ms=96, parent=Position(5)))


def test_a_message_that_has_to_be_on_the_path_is() -> None:
    leaf = ANSWER_NODE.node_id
    on_path = Ancestor(node_id=NodeId("t1:m1"), path_to=leaf, is_on_path=True)
    given(*COMMITTED).when(adding(SUMMARY, ancestor=on_path)).then(ADDED_FACT)
    for stale in (
        attrs.evolve(on_path, is_on_path=False),
        attrs.evolve(on_path, path_to=NodeId("t1:m1")),
        attrs.evolve(on_path, path_to=None),
    ):
        decision = given(*COMMITTED).when(adding(SUMMARY, ancestor=stale)).nothing_happened()
        assert appended(opened(decision), (), is_stale=True) == StaleBranch(current_leaf=leaf)
    rootless = given(*LEASED).when(adding(SUMMARY, ancestor=on_path)).nothing_happened()
    assert appended(opened(rootless), (), is_stale=True) == StaleBranch(current_leaf=None)


def test_added_messages_need_the_lease_and_are_within_their_limits() -> None:
    stranger = attrs.evolve(adding(SUMMARY), fence=BOBS_FENCE)
    found = given(*COMMITTED).when(stranger).found
    assert isinstance(found, SessionExecutionLeaseExpired)
    few = Limits(nodes_per_append_max=1)
    given(*COMMITTED, limits=few).when(adding(SUMMARY, SUMMARY)).refused(
        LimitExceeded(limit="nodes_per_append_max", found=2, allowed=1)
    )
    given(*COMMITTED).when(adding(SUMMARY, name=" ")).refused(BlankValue(field="name"))
    with pytest.raises(ImpossibleEvent):
        fold((*COMMITTED, attrs.evolve(ADDED_FACT, parent=None)))


def test_names_of_turns_frames_and_appends_do_not_meet() -> None:
    """Under one name, each has messages of its own."""
    same = (
        *COMMITTED,
        attrs.evolve(OPENED_FRAME, frame_id=FrameId("t1")),
        attrs.evolve(ADDED_FACT, name="t1", nodes=(added("t1:a1", 7, 1, Role.SYSTEM),)),
    )
    hide = TombstoneNodes(now_ms=95, node_ids=(NodeId("t1:m1"), NodeId("t1:a1")))
    decision = given(*same).when(hide)
    decision.then(NodesTombstoned(at_ms=95, node_ids=(NodeId("t1:m1"), NodeId("t1:a1"))))
    assert decision.known.frame(FrameId("t1")) is None


# What is hidden, and forgotten


HIDE = TombstoneNodes(now_ms=95, node_ids=(NodeId("t1:m2"),))
HIDDEN_FACT = NodesTombstoned(at_ms=95, node_ids=(NodeId("t1:m2"),))


def test_messages_are_hidden_once_and_need_no_lease() -> None:
    decision = given(*COMMITTED).when(HIDE).then(HIDDEN_FACT)

    assert hidden(decision.events) == (NodeId("t1:m2"),)
    assert opened(decision).graph.hidden_count == 1
    assert opened(decision).head.leaf == Leaf(node_id=NodeId("t1:m2"), commit=Position(5))
    decision.when(HIDE).nothing_happened()
    twice = attrs.evolve(HIDE, node_ids=(NodeId("t1:m1"), NodeId("t1:m1"), NodeId("t1:m2")))
    decision.when(twice).then(attrs.evolve(HIDDEN_FACT, node_ids=(NodeId("t1:m1"),)))


def test_what_nothing_holds_is_not_hidden() -> None:
    for stranger in ("nobody", "t9:m1", "f9:f1", "an9:a1"):
        given(*COMMITTED).when(attrs.evolve(HIDE, node_ids=(NodeId(stranger),))).nothing_happened()
    given(*BEGUN).when(attrs.evolve(HIDE, node_ids=(NodeId("t1:m1"),))).nothing_happened()
    assert not holds_nodes(SequenceEntry(sequence=1, input_id=I1))


def test_so_many_are_hidden_at_once() -> None:
    few = Limits(nodes_per_tombstone_max=1)
    many = attrs.evolve(HIDE, node_ids=(NodeId("a"), NodeId("b")))
    given(*COMMITTED, limits=few).when(many).refused(
        LimitExceeded(limit="nodes_per_tombstone_max", found=2, allowed=1)
    )


def test_maintenance_forgets_all_that_is_over_and_once() -> None:
    over = (
        *COMMITTED,
        enqueued(I1, 1, at_ms=80),
        queued(B1, 1),
    )
    history = [*over[:-2]]
    history += [attrs.evolve(each, at_ms=85) for each in over[-2:]]
    history += [
        WorkCancelled(at_ms=86, batch_id=B1),
        HIDDEN_FACT,
    ]
    first = given(*history).when(MaintainSession(now_ms=96))
    first.then(
        FinishedWorkPruned(at_ms=96, batches_count=1),
        NodesForgotten(at_ms=96, nodes_count=1),
    )
    assert maintained(first.events) == Maintained(
        removed_node_count=1,
        removed_pending_turn_input_tombstone_count=0,
        removed_queued_work_count=1,
    )
    again = first.when(MaintainSession(now_ms=97)).nothing_happened()
    assert maintained(again.events) == Maintained(
        removed_node_count=0,
        removed_pending_turn_input_tombstone_count=0,
        removed_queued_work_count=0,
    )
    settled = TurnInputTombstonesPruned(at_ms=96, tombstones_count=3)
    assert maintained((settled,)).removed_pending_turn_input_tombstone_count == 3


def test_maintenance_counts_what_is_there() -> None:
    with pytest.raises(ImpossibleEvent):
        fold((*COMMITTED, HIDDEN_FACT, NodesForgotten(at_ms=96, nodes_count=2)))


def test_a_frame_that_is_known_says_what_it_superseded() -> None:
    decision = given(*IN_FRAME).when(frame(F1))
    entry = decision.known.frame(F1)
    expected = FrameEntry(
        frame_id=F1, previous_frame_id=INITIAL, reason="compaction", opened=Position(6)
    )
    assert entry == expected
    assert decision.known.entries == {IndexKey(IndexKind.FRAME, F1): expected}
    assert compared_body(expected) is None


def test_a_new_turn_can_be_started_in_a_frame() -> None:
    start = StartTurn(now_ms=96, fence=FENCE, turn_id=TurnId("t2"), source=WithInput(body=GOODBYE))
    decision = given(*IN_FRAME).when(start)
    assert not isinstance(decision.found, CommandRejected)
