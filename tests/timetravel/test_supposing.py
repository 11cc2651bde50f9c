"""
Goal: a past can be supposed otherwise: what would be different, and what could not have followed.

Method: generated lives, edited at random, compared with the naive fold that leaves holes; and
single edits of a session in which every kind of fact happens.
"""

from collections import Counter

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash_es.core.errors import ImpossibleEvent
from lash_es.core.events import Event, LeaseRenewed, SessionParked
from lash_es.core.evolve import evolve
from lash_es.core.ids import Position, Version
from lash_es.core.state import NOT_OPENED, NotOpened, Open, State
from lash_es.log.stores.memory import MemoryStore
from lash_es.timetravel.past import StoredHistory
from lash_es.timetravel.supposing import (
    Drop,
    Edit,
    ImpossibleEdit,
    Insert,
    Replace,
    edited,
    events_at,
    made,
    what_if,
)
from tests.core.effort import effort
from tests.core.examples import COMMITTED, I1, OPENED, acquired, enqueued
from tests.core.lives import Life, lives
from tests.log.tapes import STREAM, play
from tests.log.test_snapshots import grown
from tests.timetravel.pasts import Folds, both
from tests.timetravel.test_history import history_of

WAITING = (OPENED, enqueued(I1, 1))


def naively(
    events: tuple[Event, ...], dropped: set[int], inserted: dict[int, Event]
) -> tuple[State, list[int]]:
    """Fold with holes, in the plainest way."""
    state: State = NOT_OPENED
    illegal: list[int] = []
    for position in range(len(events) + 1):
        here = [inserted[position]] if position in inserted else []
        if position < len(events) and position not in dropped:
            here.append(events[position])
        for event in here:
            try:
                after = evolve(state, event)
            except ImpossibleEvent:
                illegal.append(position)
            else:
                assert isinstance(after, Open) or not isinstance(after, NotOpened)
                state = after
            if not isinstance(state, NotOpened):
                state = attrs.evolve(state, version=Version(position))
        if not isinstance(state, NotOpened):
            state = attrs.evolve(state, version=Version(min(position + 1, len(events))))
    return state, illegal


def test_any_edit_is_what_a_fold_with_holes_makes_of_it() -> None:
    met: Counter[str] = Counter()

    @effort(60)
    @given(life=lives(), every=st.integers(1, 9), data=st.data())
    def check(life: Life, every: int, data: st.DataObject) -> None:
        stored, whole = both(life, every)
        places = st.integers(0, whole.version - 1)
        dropped = data.draw(st.sets(places, max_size=4))
        inserted = {
            at: whole.events[data.draw(places)]
            for at in data.draw(st.sets(st.integers(0, whole.version), max_size=2))
        }
        edits: list[Edit] = [Drop(position=Position(at)) for at in dropped]
        edits += [Insert(position=Position(at), event=each) for at, each in inserted.items()]
        state, illegal = naively(whole.events, dropped, inserted)
        for past in (stored, whole):
            found = what_if(past, edits)
            assert found.state == state
            assert found.actual == whole.state
            assert [each.position for each in found.illegal] == illegal
        met["illegal"] += bool(illegal)
        met["another state"] += state != whole.state
        met["the same"] += bool(edits) and state == whole.state

    check()
    assert min(met["illegal"], met["another state"]) > 0, met


@effort(40)
@given(life=lives(), every=st.integers(1, 9))
def test_without_an_edit_nothing_changes(life: Life, every: int) -> None:
    for past in both(life, every):
        assert what_if(past, ()).is_as_it_was
        same = [
            Replace(position=step.position, event=step.event)
            for step in past.steps(0, past.version)
        ]
        assert what_if(past, same).is_as_it_was


def test_without_its_birth_nothing_can_follow() -> None:
    history = history_of(*WAITING)
    found = what_if(history, [Drop(position=Position(0))])

    assert found.state == NOT_OPENED
    assert [each.position for each in found.illegal] == [1]
    assert "found NotOpened, expected SessionOpened" in found.illegal[0].reason


def test_what_is_inserted_stands_in_front_of_what_is_there() -> None:
    history = history_of(*WAITING)
    found = what_if(
        history,
        [
            Insert(position=Position(1), event=acquired()),
            Insert(position=Position(1), event=acquired()),
            Insert(position=Position(2), event=SessionParked(at_ms=30)),
        ],
    )

    assert isinstance(found.state, Open)
    assert found.state.is_parked
    assert found.state.version == history.version
    assert [(each.position, each.is_inserted) for each in found.illegal] == [(1, True)]
    assert not found.is_as_it_was


def test_what_lies_before_the_first_edit_is_not_folded(folds: Folds, near_milestones: int) -> None:
    store = MemoryStore()
    grown(store, 1_500, facts_per_append=1)
    past = StoredHistory.of(store, STREAM)

    with folds.at_most(near_milestones + 100):
        found = what_if(past, [Drop(position=Position(1_400))])
    assert found.facts_count == 100


def test_a_past_can_be_supposed_up_to_a_version() -> None:
    history = history_of(*COMMITTED)

    assert what_if(history, (), 2).state == history.state_at(2)
    with pytest.raises(ImpossibleEdit, match="cannot edit position 2: there is none"):
        what_if(history, [Drop(position=Position(2))], 2)


@pytest.mark.parametrize(
    ("edits", "reason"),
    [
        ([Drop(position=Position(-1))], "there is none, they are 0 to 1"),
        ([Drop(position=Position(2))], "there is none, they are 0 to 1"),
        ([Insert(position=Position(3), event=acquired())], "there is none"),
        ([Drop(position=Position(1)), Drop(position=Position(1))], "it is edited twice"),
    ],
)
def test_an_edit_of_nothing_is_refused(edits: list[Edit], reason: str) -> None:
    with pytest.raises(ImpossibleEdit, match=reason):
        what_if(history_of(*WAITING), edits)


# Events


def test_fields_of_an_event_are_edited_as_they_are_stored() -> None:
    event = enqueued(I1, 1)
    ingress = {"kind": "active_turn", "turn_id": "t9", "min_boundary": "after_work"}

    assert edited(event, Position(1), {"input_id": "i9"}) == enqueued("i9", 1)  # type: ignore[arg-type]
    assert edited(event, Position(1), {"bodies.0.bytes_count": 3}).bodies[0].bytes_count == 3  # type: ignore[union-attr]
    with pytest.raises(ImpossibleEdit, match="no field 'inputid'; there are at_ms, bodies"):
        edited(event, Position(1), {"inputid": 1})
    with pytest.raises(ImpossibleEdit, match="no field '7'; there are none"):
        edited(event, Position(1), {"bodies.7.digest": ""})
    with pytest.raises(ImpossibleEdit, match="no field 'x'"):
        edited(event, Position(1), {"x.y": ""})
    with pytest.raises(ImpossibleEdit, match="no field '3'"):
        edited(event, Position(1), {"bodies.3": ""})
    with pytest.raises(ImpossibleEdit, match=r"input\.enqueued"):
        edited(event, Position(1), {"sequence": "first"})
    with pytest.raises(ImpossibleEdit):
        edited(event, Position(1), {"ingress": ingress | {"kind": "nowhere"}})
    assert edited(event, Position(1), {}) == event


def test_an_event_is_made_from_its_name_and_what_the_state_knows() -> None:
    past = StoredHistory.of(play(MemoryStore()).store, STREAM)
    before = past.state_at(10)
    assert isinstance(before, Open)

    parked = made("session.parked", Position(10), {}, before)
    renewed = made("lease.renewed", Position(10), {"ttl_ms": 5}, before)

    assert parked == SessionParked(at_ms=before.at_ms)
    assert renewed == LeaseRenewed(
        at_ms=before.at_ms, generation=before.lease.generation, ttl_ms=5
    )
    with pytest.raises(ImpossibleEdit, match="no event 'parked'; there are"):
        made("parked", Position(10), {}, before)
    with pytest.raises(ImpossibleEdit, match=r"input\.enqueued"):
        made("input.enqueued", Position(10), {}, before)
    with pytest.raises(ImpossibleEdit):
        made("session.opened", Position(0), {}, NOT_OPENED)


def test_the_fact_at_a_position_is_told_with_the_state_in_front() -> None:
    history = history_of(*WAITING)

    assert list(events_at(history, 1)) == [(WAITING[1], history.state_at(1))]
    assert list(events_at(history, 2)) == []
