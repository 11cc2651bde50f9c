"""
Goal: a fork begins with what was said, and with nothing that is owned, waits or was spent.

Method: the states of the decision matrix and of generated lives, forked; and the fact, where it
cannot be.
"""

from collections import Counter

import attrs
import pytest
from hypothesis import given

from lash_es.core.commit_errors import BusyWithTurn
from lash_es.core.errors import ImpossibleEvent, SessionDeleted, SessionNotOpen
from lash_es.core.events import Event, SessionTombstoned
from lash_es.core.evolve import evolve, fold
from lash_es.core.fork_events import SessionForked
from lash_es.core.forks import inherited
from lash_es.core.heads import NO_USAGE
from lash_es.core.ids import Position, SessionId, Version
from lash_es.core.inputs import NO_INPUTS
from lash_es.core.leases import UNHELD
from lash_es.core.retention import Trim
from lash_es.core.state import NOT_OPENED, Open
from lash_es.core.turns import OpenTurn
from lash_es.core.work import NO_WORK
from tests.core.effort import effort
from tests.core.examples import (
    BEGUN,
    CLAIMED,
    COMMITTED,
    HELLO,
    IDLE,
    LEASED,
    PENDING,
    SESSION,
    WORK_HELD,
)
from tests.core.lives import Life, lives

CHILD = SessionId("s2")
FORKED_FACT = SessionForked(
    at_ms=100,
    session_id=CHILD,
    parent=SESSION,
    below=Version(len(COMMITTED)),
    digest="d1",
    bodies=(HELLO.commitment,),
)


def state_of(*events: Event) -> Open:
    state = fold(events)
    assert isinstance(state, Open)
    return state


def test_what_was_said_is_inherited() -> None:
    parent = state_of(*COMMITTED)
    child = evolve(inherited(parent, CHILD), FORKED_FACT)
    assert isinstance(child, Open)

    assert (child.session_id, child.opened_at_ms, child.at_ms) == (CHILD, 100, 100)
    assert (child.head, child.policy) == (parent.head, parent.policy)
    assert child.version == parent.version + 1
    assert child.trim == Trim(position=Position(parent.version), below=parent.version)


@pytest.mark.parametrize("history", [LEASED, PENDING, CLAIMED, WORK_HELD, COMMITTED])
def test_nothing_that_is_owned_waits_or_was_spent_is_inherited(
    history: tuple[Event, ...],
) -> None:
    child = inherited(state_of(*history), CHILD)

    assert (child.lease, child.inputs, child.work, child.ledger) == (
        UNHELD,
        NO_INPUTS,
        NO_WORK,
        NO_USAGE,
    )


def test_there_is_no_fork_of_nothing_of_what_is_gone_and_of_half_a_turn() -> None:
    with pytest.raises(SessionNotOpen):
        inherited(NOT_OPENED, CHILD)
    with pytest.raises(SessionDeleted):
        inherited(fold((*IDLE, SessionTombstoned(at_ms=11))), CHILD)
    with pytest.raises(BusyWithTurn, match="cannot fork the session here: turn 't1' is open"):
        inherited(fold(BEGUN), CHILD)


def test_a_fork_begins_with_what_its_parent_had_at_any_version() -> None:
    met: Counter[str] = Counter()

    @effort(60)
    @given(life=lives())
    def check(life: Life) -> None:
        for decision in life:
            parent = decision.state
            if not isinstance(parent, Open):
                continue
            if isinstance(parent.turn, OpenTurn):
                with pytest.raises(BusyWithTurn):
                    inherited(parent, CHILD)
                met["in a turn"] += 1
                continue
            child = inherited(parent, CHILD)
            left = {"session_id", "is_parked", "lease", "inputs", "work", "ledger", "trim"}
            for field in attrs.fields(Open):
                if field.name not in left:
                    assert getattr(child, field.name) == getattr(parent, field.name)
            assert inherited(child, CHILD) == child
            met["leased"] += parent.lease.holder is not None
            met["with messages"] += parent.head.leaf is not None

    check()
    assert min(met[each] for each in ("in a turn", "leased", "with messages")) > 0, met


@pytest.mark.parametrize(
    "state",
    [
        pytest.param(state_of(*COMMITTED), id="the parent itself"),
        pytest.param(inherited(state_of(*COMMITTED), SessionId("s3")), id="another child"),
        pytest.param(inherited(state_of(*IDLE), CHILD), id="another version"),
        pytest.param(state_of(*BEGUN), id="a turn"),
    ],
)
def test_the_fact_follows_only_what_was_inherited(state: Open) -> None:
    with pytest.raises(ImpossibleEvent):
        evolve(state, FORKED_FACT)
