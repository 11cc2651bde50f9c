"""Slice: the head of the history, and the ledger of tokens."""

import attrs
import pytest

from lash_es.core.errors import ImpossibleEvent
from lash_es.core.events import Event, SessionConfigured, TurnCommitted, TurnEnded
from lash_es.core.evolve import evolve, fold
from lash_es.core.heads import NO_USAGE, Head, Leaf, UsageKey
from lash_es.core.ids import Generation, NodeId, Position, Revision, TurnId
from lash_es.core.messages import TokenUsage
from lash_es.core.outcomes import Stopped, StopReason
from lash_es.core.policy import ModelSpec, SessionPolicy
from lash_es.core.state import Open, State
from lash_es.verify.spec import given
from tests.core.examples import (
    ANSWER,
    ASKED_NODE,
    COMMITTED,
    COMMITTED_FACT,
    TURN,
    USAGE,
    started,
)

T2 = TurnId("t2")
OTHER_MODEL = SessionPolicy(provider_id="offline", model=ModelSpec(model_id="m2"))


def second(usage: TokenUsage, parent: int = 5) -> tuple[Event, ...]:
    """Begin and commit a second turn, after the commit at ``parent``."""
    committed = attrs.evolve(
        COMMITTED_FACT,
        at_ms=90,
        turn_id=T2,
        turn_index=2,
        revision=Revision(2),
        parent=Position(parent),
        nodes=(attrs.evolve(ASKED_NODE, node_id=NodeId("t2:m1")),),
        usage=usage,
    )
    return (started(turn_id=T2, at_ms=90), committed)


def session(state: State) -> Open:
    assert isinstance(state, Open)
    return state


def test_a_commit_moves_the_head_once() -> None:
    assert session(given(*COMMITTED).state).head == Head(
        revision=Revision(1),
        turn_index=1,
        leaf=Leaf(node_id=NodeId("t1:m2"), commit=Position(5)),
        last_usage=USAGE,
    )


def test_the_leaf_is_the_last_message_of_the_last_commit() -> None:
    head = session(given(*COMMITTED, *second(USAGE)).state).head

    assert head.leaf == Leaf(node_id=NodeId("t2:m1"), commit=Position(7))
    assert (head.revision, head.turn_index) == (2, 2)


def test_the_last_usage_is_of_the_last_turn_that_used_tokens() -> None:
    more = TokenUsage(output_tokens=1)

    assert session(given(*COMMITTED, *second(TokenUsage())).state).head.last_usage == USAGE
    assert session(given(*COMMITTED, *second(more)).state).head.last_usage == more


def test_tokens_add_up_by_model() -> None:
    ledger = session(given(*COMMITTED, *second(USAGE)).state).ledger

    assert ledger.rows == {UsageKey("turn", "m1"): USAGE + USAGE}


def test_tokens_count_for_the_model_that_the_turn_began_with() -> None:
    configured = SessionConfigured(at_ms=75, policy=OTHER_MODEL)

    history = (*ANSWER, configured, COMMITTED_FACT, *second(USAGE, parent=6))

    ledger = session(given(*history).state).ledger

    assert ledger.rows == {UsageKey("turn", "m1"): USAGE, UsageKey("turn", "m2"): USAGE}


def test_an_ended_turns_tokens_are_in_the_ledger_and_not_in_the_head() -> None:
    ended = TurnEnded(
        at_ms=80,
        generation=Generation(1),
        turn_id=TURN,
        outcome=Stopped(reason=StopReason.PROVIDER_ERROR),
        usage=USAGE,
        returned_input_ids=(),
        failed_input_ids=(),
        deferred_input_ids=(),
    )

    state = session(given(*ANSWER, ended).state)

    assert state.ledger.rows == {UsageKey("turn", "m1"): USAGE}
    assert (state.head.last_usage, state.head.leaf) == (TokenUsage(), None)


def test_a_turn_without_tokens_leaves_no_row() -> None:
    idle = attrs.evolve(COMMITTED_FACT, usage=TokenUsage())

    assert session(given(*ANSWER, idle).state).ledger == NO_USAGE


def test_rows_are_ordered_by_source_and_model() -> None:
    assert UsageKey("turn", "m1") < UsageKey("turn", "m2") < UsageKey("zoo", "m1")


@pytest.mark.parametrize(
    "forged",
    [
        attrs.evolve(COMMITTED_FACT, revision=Revision(2)),
        attrs.evolve(COMMITTED_FACT, parent=Position(0)),
        attrs.evolve(COMMITTED_FACT, nodes=()),
    ],
    ids=["a revision too many", "another parent", "no message"],
)
def test_a_commit_follows_the_head(forged: TurnCommitted) -> None:
    with pytest.raises(ImpossibleEvent, match="expected the next revision"):
        evolve(fold(ANSWER), forged)
