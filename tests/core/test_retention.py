"""Rules of retention: what a trim may let go of, what holds it back, and what it leaves alone."""

from collections.abc import Iterable

import pytest

from lash_es.core.bodies import NewBody
from lash_es.core.commands import EnqueueTurnInput, TrimHistory
from lash_es.core.errors import (
    ImpossibleEvent,
    LimitExceeded,
    SessionDeleted,
    SessionNotOpen,
    TrimHeldBack,
    TrimOutOfRange,
)
from lash_es.core.events import (
    Event,
    HistoryTrimmed,
    LeaseReleased,
    SessionParked,
    SessionTombstoned,
)
from lash_es.core.evolve import evolve, fold
from lash_es.core.ids import Generation, Position, Version
from lash_es.core.ingress import NextTurn
from lash_es.core.limits import Limits
from lash_es.core.retention import Pin, Trim, oldest
from lash_es.core.rules.retention import below_max, open_work
from lash_es.core.state import Deleted, Open, State
from lash_es.verify.spec import given
from tests.core.examples import (
    BEGUN,
    COMMITTED,
    HELLO,
    I3,
    IDLE,
    LEASED,
    OPENED,
    PENDING,
    REPLY,
    SESSION,
    enqueued,
)

RELEASED = LeaseReleased(at_ms=80, generation=Generation(1))
PARKED = SessionParked(at_ms=90)
OVER: tuple[Event, ...] = (*COMMITTED, RELEASED, PARKED)
DELETED: tuple[Event, ...] = (*OVER, SessionTombstoned(at_ms=91))


def trim(
    below: int,
    *,
    now_ms: int = 100,
    bodies: Iterable[NewBody] = (HELLO,),
    pins: Iterable[Pin] = (),
) -> TrimHistory:
    return TrimHistory(
        now_ms=now_ms,
        below=Version(below),
        digest="d1",
        bodies=tuple(bodies),
        pins=tuple(pins),
    )


def trimmed(below: int, *, at_ms: int = 100) -> HistoryTrimmed:
    return HistoryTrimmed(
        at_ms=at_ms, below=Version(below), digest="d1", bodies=(HELLO.commitment,)
    )


def folded(*events: Event) -> Open | Deleted:
    state: State = fold(events)
    assert isinstance(state, Open | Deleted)
    return state


def held_back(below: int, allowed: int, by: str) -> TrimHeldBack:
    return TrimHeldBack(
        session_id=SESSION, below=Version(below), allowed=Version(allowed), held_back_by=by
    )


def out_of_range(below: int, kept: int, version: int) -> TrimOutOfRange:
    return TrimOutOfRange(
        session_id=SESSION, below=Version(below), oldest=Version(kept), version=Version(version)
    )


@pytest.mark.parametrize("below", [1, 3, len(OVER)])
def test_a_trim_is_recorded_with_what_it_commits_to(below: int) -> None:
    given(*OVER).when(trim(below)).then(trimmed(below))


def test_a_session_that_was_never_opened_is_not_trimmed() -> None:
    given().when(trim(0)).refused(SessionNotOpen(command="TrimHistory"))


def test_a_trim_in_front_of_nothing_is_nothing() -> None:
    given(*OVER).when(trim(0)).nothing_happened()


def test_the_same_trim_again_is_nothing() -> None:
    given(*OVER, trimmed(3)).when(trim(3)).nothing_happened()


def test_trims_follow_each_other_and_may_include_the_one_before() -> None:
    given(*OVER, trimmed(3)).when(trim(5)).then(trimmed(5))
    given(*OVER, trimmed(3)).when(trim(len(OVER) + 1)).then(trimmed(len(OVER) + 1))


def test_below_the_oldest_that_is_kept_nothing_can_be_trimmed() -> None:
    version = len(OVER) + 1
    given(*OVER, trimmed(3)).when(trim(2)).refused(out_of_range(2, 3, version))


def test_above_the_version_nothing_can_be_trimmed() -> None:
    version = len(OVER)
    given(*OVER).when(trim(version + 1)).refused(out_of_range(version + 1, 0, version))


def test_an_open_turn_holds_a_trim_back_to_its_start() -> None:
    unleased = (*BEGUN, RELEASED)
    given(*unleased).when(trim(2)).then(trimmed(2))
    given(*unleased).when(trim(3)).refused(held_back(3, 2, "the open turn 't1'"))


def test_a_pending_input_holds_a_trim_back_to_its_fact() -> None:
    waiting = (OPENED, enqueued(I3, 1))
    given(*waiting).when(trim(1)).then(trimmed(1))
    given(*waiting).when(trim(2)).refused(held_back(2, 1, "the pending input 'i3'"))


def test_a_lease_that_is_held_holds_a_trim_back_to_its_fact() -> None:
    given(*LEASED).when(trim(1)).then(trimmed(1))
    given(*LEASED).when(trim(2)).refused(held_back(2, 1, "the lease"))
    given(*LEASED, RELEASED).when(trim(3)).then(trimmed(3))


def test_a_pin_holds_a_trim_back_to_its_version() -> None:
    pins = (Pin(name="audit", version=Version(2)), Pin(name="later", version=Version(4)))
    given(*OVER).when(trim(2, pins=pins)).then(trimmed(2))
    given(*OVER).when(trim(3, pins=pins)).refused(held_back(3, 2, "the pin 'audit'"))


def test_a_commit_does_not_hold_a_trim_back() -> None:
    state = folded(*OVER)
    assert isinstance(state, Open)
    assert list(open_work(state)) == []
    assert state.head.leaf is not None
    assert state.head.leaf.commit < below_max(state) == state.version


def test_the_newest_version_to_trim_to_is_that_of_the_oldest_open_work() -> None:
    assert below_max(folded(*PENDING)) == 1
    assert below_max(folded(OPENED, enqueued(I3, 1))) == 1
    assert below_max(folded(*DELETED)) == len(DELETED)


def test_bodies_are_bounded_in_size_and_number() -> None:
    small = Limits(body_bytes_max=len(HELLO.content))
    given(*OVER, limits=small).when(trim(3)).then(trimmed(3))
    given(*OVER, limits=small).when(trim(3, bodies=[REPLY])).refused(
        LimitExceeded(limit="body_bytes_max", found=len(REPLY.content), allowed=len(HELLO.content))
    )
    given(*OVER, limits=Limits(trim_bodies_max=1)).when(trim(3, bodies=[HELLO, REPLY])).refused(
        LimitExceeded(limit="trim_bodies_max", found=2, allowed=1)
    )


def test_the_time_of_a_trim_never_falls() -> None:
    given(*OVER).when(trim(3, now_ms=1)).then(trimmed(3, at_ms=90))
    given(*DELETED).when(trim(3, now_ms=1)).then(trimmed(3, at_ms=91))


def test_a_parked_session_stays_parked() -> None:
    before, after = folded(*OVER), folded(*OVER, trimmed(3))
    assert isinstance(before, Open)
    assert isinstance(after, Open)
    assert after.is_parked
    assert after.trim == Trim(position=Position(len(OVER)), below=Version(3))
    assert (after.head, after.inputs, after.lease) == (before.head, before.inputs, before.lease)


def test_a_deleted_session_can_only_be_trimmed_and_keeps_its_tombstone() -> None:
    whole = len(DELETED)
    given(*DELETED).when(trim(whole)).then(trimmed(whole))
    after = folded(*DELETED, trimmed(whole))

    assert after == Deleted(
        version=Version(whole + 1),
        at_ms=100,
        session_id=SESSION,
        generation=Generation(1),
        trim=Trim(position=Position(whole), below=Version(whole)),
    )
    enqueue = EnqueueTurnInput(
        now_ms=200, input_id=I3, source_key=None, ingress=NextTurn(), body=HELLO
    )
    given(*DELETED, trimmed(whole)).when(enqueue).refused(SessionDeleted(session_id=SESSION))


def test_a_deleted_session_remembers_how_far_it_was_trimmed() -> None:
    after = folded(*DELETED, trimmed(len(DELETED)))
    with pytest.raises(ImpossibleEvent, match=f"found 1, expected .{len(DELETED)}, "):
        evolve(after, trimmed(1))


def test_a_session_remembers_its_trim_whatever_follows() -> None:
    state = folded(*IDLE, trimmed(1), enqueued(I3, 1))
    assert state.trim == Trim(position=Position(1), below=Version(1))


def test_a_session_remembers_its_trim_when_it_is_deleted() -> None:
    state = folded(*IDLE, trimmed(1), SessionTombstoned(at_ms=101))
    assert oldest(state.trim) == 1


def test_before_any_trim_everything_is_kept() -> None:
    assert oldest(folded(*IDLE).trim) == 0


@pytest.mark.parametrize("below", [0, 3, len(OVER) + 2])
def test_a_trim_that_no_rule_would_have_recorded_is_impossible(below: int) -> None:
    state = folded(*OVER, trimmed(3))
    with pytest.raises(ImpossibleEvent, match="HistoryTrimmed cannot follow"):
        evolve(state, trimmed(below))
