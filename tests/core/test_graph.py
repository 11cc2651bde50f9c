"""Rules of the graph: going on from another message, and from none; nothing is taken out of it."""

import attrs
import pytest

from lash_es.core.commands import BeginAnew, BranchToNode
from lash_es.core.commit_errors import (
    BusyWithTurn,
    NodeNotFound,
)
from lash_es.core.errors import (
    BlankValue,
    ImpossibleEvent,
    SessionDeleted,
    SessionExecutionLeaseExpired,
    StoreSessionMismatch,
)
from lash_es.core.events import Event, SessionOpened, SessionTombstoned, TurnCommitted
from lash_es.core.evolve import fold
from lash_es.core.graph_events import LeafMoved, SessionBegunAnew
from lash_es.core.heads import Leaf
from lash_es.core.ids import Generation, NodeId, Position, Revision, SessionId, TurnId
from lash_es.core.messages import NO_TOKENS
from lash_es.core.owners import Fence
from lash_es.core.policy import ModelSpec, SessionPolicy
from lash_es.core.state import Open
from lash_es.core.transcripts import Node, NodeOwner, name_of_node, node_name, owner_of_node
from lash_es.verify.spec import given
from tests.core.examples import (
    ANSWER_NODE,
    ASKED_NODE,
    BEGUN,
    BOBS_FENCE,
    COMMITTED,
    COMMITTED_FACT,
    FENCE,
    IDLE,
    PENDING,
    POLICY,
    SESSION,
    TURN,
    started,
)
from tests.core.test_turns import ENDED_FACT

T2 = TurnId("t2")
OTHER = SessionPolicy(provider_id="another", model=ModelSpec(model_id="m2"))
SECOND_FACT = attrs.evolve(
    COMMITTED_FACT,
    at_ms=90,
    turn_id=T2,
    turn_index=2,
    revision=Revision(2),
    parent=Position(5),
    nodes=(attrs.evolve(ASKED_NODE, node_id=NodeId("t2:m1")),),
    usage=NO_TOKENS,
)
TWICE: tuple[Event, ...] = (*COMMITTED, started(turn_id=T2, at_ms=90), SECOND_FACT)
MOVED = LeafMoved(at_ms=95, generation=Generation(1), parent=None, nodes=(ASKED_NODE,))
NEW_ROOT = attrs.evolve(MOVED, nodes=())


def branch(*nodes: Node, parent: int | None = None, fence: Fence = FENCE) -> BranchToNode:
    at = None if parent is None else Position(parent)
    return BranchToNode(now_ms=95, fence=fence, parent=at, nodes=nodes)


def anew(session_id: SessionId = SESSION, policy: SessionPolicy = OTHER) -> BeginAnew:
    return BeginAnew(now_ms=95, session_id=session_id, policy=policy)


def opened(*events: Event) -> Open:
    state = fold(events)
    assert isinstance(state, Open)
    return state


def no_node(node_id: str) -> NodeNotFound:
    return NodeNotFound(session_id=SESSION, node_id=NodeId(node_id))


# Another message


def test_the_history_goes_on_from_any_message_of_any_commit() -> None:
    decision = given(*TWICE).when(branch(ASKED_NODE)).then(MOVED)

    assert isinstance(decision.state, Open)
    assert decision.state.head.leaf == Leaf(node_id=NodeId("t1:m1"), commit=Position(8))
    assert (decision.state.head.revision, decision.state.head.turn_index) == (2, 2)


def test_the_next_commit_follows_the_branch() -> None:
    third = attrs.evolve(SECOND_FACT, turn_id=TurnId("t3"), turn_index=3, revision=Revision(3))
    on_branch = attrs.evolve(third, at_ms=99, parent=Position(8))

    state = opened(*TWICE, MOVED, started(turn_id=TurnId("t3"), at_ms=98), on_branch)
    assert state.head.leaf == Leaf(node_id=NodeId("t2:m1"), commit=Position(10))
    with pytest.raises(ImpossibleEvent):
        fold((*TWICE, MOVED, started(turn_id=TurnId("t3"), at_ms=98), third))


def test_a_path_that_was_left_can_be_taken_again() -> None:
    back = branch(ASKED_NODE, ANSWER_NODE)

    given(*TWICE, MOVED).when(back).then(attrs.evolve(MOVED, nodes=(ASKED_NODE, ANSWER_NODE)))
    given(*TWICE, MOVED).when(branch(*SECOND_FACT.nodes, parent=5)).then(
        attrs.evolve(MOVED, parent=Position(5), nodes=SECOND_FACT.nodes)
    )


def test_where_the_history_stands_already_nothing_is_recorded() -> None:
    given(*COMMITTED).when(branch(ASKED_NODE, ANSWER_NODE)).nothing_happened()
    given(*TWICE, MOVED).when(branch(ASKED_NODE)).nothing_happened()
    given(*PENDING).when(branch()).nothing_happened()


def test_from_no_message_a_new_root_is_started() -> None:
    decision = given(*COMMITTED).when(branch()).then(NEW_ROOT)

    assert isinstance(decision.state, Open)
    assert decision.state.head.leaf is None
    follows = attrs.evolve(SECOND_FACT, at_ms=99, parent=None)
    state = opened(*COMMITTED, NEW_ROOT, started(turn_id=T2, at_ms=98), follows)
    assert state.head.leaf == Leaf(node_id=NodeId("t2:m1"), commit=Position(8))


def test_what_no_commit_holds_cannot_be_branched_to() -> None:
    named = attrs.evolve(ASKED_NODE, node_id=NodeId("nobody"))
    third = attrs.evolve(ASKED_NODE, node_id=NodeId("t1:m3"))

    given(*COMMITTED).when(branch(named)).refused(no_node("nobody"))
    given(*COMMITTED).when(branch(third)).refused(no_node("t1:m3"))
    given(*TWICE).when(branch(ANSWER_NODE)).refused(no_node("t1:m2"))
    given(*BEGUN, ENDED_FACT).when(branch(ASKED_NODE)).refused(no_node("t1:m1"))


def test_an_open_turn_keeps_the_path_that_its_prompt_is_made_of() -> None:
    refusal = BusyWithTurn(session_id=SESSION, wish="branch to another message", open_turn_id=TURN)
    given(*BEGUN).when(branch()).refused(refusal)
    with pytest.raises(ImpossibleEvent):
        fold((*BEGUN, NEW_ROOT))


def test_only_the_owner_moves_the_leaf() -> None:
    given(*COMMITTED).when(branch(ASKED_NODE, fence=BOBS_FENCE)).refused(
        SessionExecutionLeaseExpired(
            session_id=SESSION,
            presented_generation=Generation(2),
            current_generation=Generation(1),
            reason="superseded",
        )
    )


def test_a_message_is_named_after_its_turn() -> None:
    assert owner_of_node(node_name(TurnId("a:m7"), 12)) == (NodeOwner.TURN, "a:m7")
    assert owner_of_node(name_of_node(NodeOwner.FRAME, "a:m7", 1)) == (NodeOwner.FRAME, "a:m7")
    assert owner_of_node(name_of_node(NodeOwner.APPEND, "line\nfeed", 30)) == (
        NodeOwner.APPEND,
        "line\nfeed",
    )
    for stranger in ("nobody", "t1:m", "t1:m0", "t1:x1"):
        assert owner_of_node(NodeId(stranger)) is None


# Nothing that is there


def test_a_session_begun_anew_keeps_what_is_not_history() -> None:
    waiting = (*COMMITTED, *(attrs.evolve(each, at_ms=85) for each in PENDING[2:]))
    decision = given(*waiting).when(anew()).then(SessionBegunAnew(at_ms=95, policy=OTHER))

    before, after = opened(*waiting), decision.state
    assert isinstance(after, Open)
    assert after.at_ms == 95
    assert (after.head.leaf, after.head.turn_index) == (None, 0)
    assert after.head.last_usage == NO_TOKENS
    assert after.head.revision == before.head.revision == 1
    assert after.policy == OTHER
    assert (after.inputs, after.ledger, after.lease) == (
        before.inputs,
        before.ledger,
        before.lease,
    )


def test_the_first_commit_after_it_starts_a_new_root_whatever_the_revision() -> None:
    begun = SessionBegunAnew(at_ms=85, policy=POLICY)
    first = attrs.evolve(SECOND_FACT, parent=None, turn_index=1)
    state = opened(*COMMITTED, begun, started(turn_id=T2, at_ms=90), first)

    assert state.head.leaf == Leaf(node_id=NodeId("t2:m1"), commit=Position(8))
    assert (state.head.revision, state.head.turn_index) == (2, 1)


def test_a_session_that_is_not_there_is_created_by_beginning() -> None:
    given().when(anew()).then(SessionOpened(at_ms=95, session_id=SESSION, policy=OTHER))


def test_beginning_anew_is_refused_where_opening_would_be() -> None:
    given(*IDLE).when(anew(SessionId("s2"))).refused(
        StoreSessionMismatch(loaded=SESSION, requested="s2")
    )
    deleted = (*IDLE, SessionTombstoned(at_ms=90))
    given(*deleted).when(anew()).refused(SessionDeleted(session_id=SESSION))
    blank = attrs.evolve(OTHER, model=ModelSpec(model_id=" "))
    given(*IDLE).when(anew(policy=blank)).refused(BlankValue(field="model_id"))


def test_beginning_anew_waits_for_the_open_turn_to_end() -> None:
    given(*BEGUN).when(anew()).refused(
        BusyWithTurn(session_id=SESSION, wish="begin anew", open_turn_id=TURN)
    )
    with pytest.raises(ImpossibleEvent):
        fold((*BEGUN, SessionBegunAnew(at_ms=95, policy=POLICY)))


def test_both_are_facts_that_unpark() -> None:
    assert not opened(*IDLE, SessionBegunAnew(at_ms=95, policy=POLICY)).is_parked
    assert isinstance(COMMITTED_FACT, TurnCommitted)
