"""
Goal: no sound history has an anomaly, and every kind of anomaly is found where it is planted.

Method: generated lives, whole and from any version on; and one planted fault for each anomaly.
"""

from collections.abc import Sequence

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash_es.core.events import (
    Event,
    LeaseReleased,
    SessionParked,
    TurnEnded,
    TurnInputCancelled,
    TurnInputClaimAbandoned,
    TurnInputsAccepted,
    TurnInputsDeferred,
)
from lash_es.core.ids import BatchId, ClaimId, Generation, Position, Revision
from lash_es.core.ingress import ActiveTurn, Boundary
from lash_es.core.messages import TokenUsage
from lash_es.core.outcomes import Stopped, StopReason
from lash_es.core.work_events import DrainedWork
from lash_es.timetravel.linting import Anomaly, lint
from tests.core.effort import effort
from tests.core.examples import (
    ASK,
    ASKING,
    B1,
    CALLS_AT,
    CLAIM,
    COMMITTED,
    COMMITTED_FACT,
    E1,
    E2,
    I1,
    IDLE,
    LEASED,
    REPLIED,
    RETURNED,
    TURN,
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
from tests.core.lives import Life, lives
from tests.timetravel.pasts import scanned


def found(events: Sequence[Event]) -> list[tuple[Anomaly, int]]:
    facts = [(Position(at), event) for at, event in enumerate(events)]
    return [(each.anomaly, each.position) for each in lint(facts)]


def test_a_sound_history_has_no_anomaly_from_any_version_on() -> None:
    met: set[str] = set()

    @effort(60)
    @given(life=lives(), data=st.data())
    def check(life: Life, data: st.DataObject) -> None:
        events = tuple(event for decision in life for event in decision.events)
        states = list(scanned(events))
        first = data.draw(st.integers(0, len(events)))
        facts = [(Position(at), event) for at, event in enumerate(events)]
        assert list(lint(facts)) == []
        assert list(lint(facts[first:], states[first])) == []
        met.update(type(event).__name__ for event in events[first:])

    check()
    assert {"TurnCommitted", "TurnEnded", "WorkCompleted"} <= met


ACCEPTED = TurnInputsAccepted(
    at_ms=52,
    generation=Generation(1),
    turn_id=TURN,
    checkpoint=Boundary.AFTER_WORK,
    claim_id=CLAIM,
    token="c",
    input_ids=(I1,),
)
CLAIM_OF_1 = claimed(I1)
WAITING = (*LEASED, enqueued(I1, 1, at_ms=35))
WANTING = (*LEASED, enqueued(I1, 1, ingress=ActiveTurn(TURN), at_ms=35))
STALE = Generation(7)
ENDED = TurnEnded(
    at_ms=80,
    generation=Generation(1),
    turn_id=TURN,
    outcome=Stopped(reason=StopReason.CANCELLED),
    usage=TokenUsage(),
    returned_input_ids=(),
    failed_input_ids=(),
    deferred_input_ids=(),
)


def worked(*batch_ids: BatchId) -> Event:
    return attrs.evolve(started(), origin=DrainedWork(batch_ids=batch_ids), bodies=())


@pytest.mark.parametrize(
    ("anomaly", "position", "events"),
    [
        (Anomaly.STALE_WRITE, 2, (*LEASED, attrs.evolve(started(), generation=STALE))),
        (Anomaly.STALE_WRITE, 1, (*IDLE, started())),
        (
            Anomaly.STALE_WRITE,
            3,
            (*LEASED, LeaseReleased(at_ms=30, generation=Generation(1)), started()),
        ),
        (Anomaly.STALE_WRITE, 2, (*LEASED, acquired())),
        (Anomaly.DOUBLE_CLAIM, 4, (*WAITING, CLAIM_OF_1, CLAIM_OF_1)),
        (Anomaly.DOUBLE_CLAIM, 5, (*WAITING, CLAIM_OF_1, drained(I1), CLAIM_OF_1)),
        (Anomaly.DOUBLE_CLAIM, 4, (*LEASED, queued(B1, 1), work_held(B1), work_held(B1))),
        (
            Anomaly.LOST_WORK,
            5,
            (*LEASED, queued(B1, 1), work_held(B1), worked(B1), COMMITTED_FACT),
        ),
        (Anomaly.LOST_INPUT, 5, (*WAITING, CLAIM_OF_1, drained(I1), ENDED)),
        (Anomaly.LOST_INPUT, 4, (*WANTING, started(), ENDED)),
        (Anomaly.LOST_INPUT, 2, (*LEASED, TurnInputCancelled(at_ms=30, input_id=I1))),
        (
            Anomaly.USAGE,
            3,
            (*LEASED, started(), attrs.evolve(ENDED, usage=TokenUsage(output_tokens=1))),
        ),
        (Anomaly.REGRESSION, 2, (*LEASED, SessionParked(at_ms=1))),
        (
            Anomaly.REGRESSION,
            5,
            (*COMMITTED[:-1], attrs.evolve(COMMITTED_FACT, revision=Revision(7))),
        ),
        (Anomaly.ORPHAN_CALL, 4, (*ASKING, attrs.evolve(ENDED, usage=TokenUsage()))),
        (Anomaly.ORPHAN_CALL, 3, (*LEASED, started(), settled(E1, RETURNED))),
        (Anomaly.ORPHAN_CALL, 3, (*LEASED, started(), requested(E1, call(0, CALLS_AT)))),
        (
            Anomaly.ORPHAN_CALL,
            len(REPLIED),
            (*REPLIED, requested(E2, attrs.evolve(call(0, CALLS_AT), ordinal=7))),
        ),
    ],
)
def test_an_anomaly_is_found_where_it_is_planted(
    anomaly: Anomaly, position: int, events: tuple[Event, ...]
) -> None:
    assert (anomaly, position) in found(events)


def test_a_hole_and_a_repetition_of_positions_are_regressions() -> None:
    for places in ((0, 2), (0, 0), (1, 2)):
        facts = [(Position(at), event) for at, event in zip(places, LEASED, strict=True)]
        assert {each.anomaly for each in lint(facts)} == {Anomaly.REGRESSION}


def test_what_a_turn_was_told_while_it_ran_comes_back_from_it() -> None:
    told = (*WANTING, started(), ACCEPTED, requested(E1, ASK))
    assert found(told) == []
    assert (Anomaly.LOST_INPUT, 6) in found((*told, ENDED))
    freed = TurnInputClaimAbandoned(at_ms=55, claim_id=ClaimId("c"), input_ids=(I1,))
    again = (*told[:-1], freed, requested(E1, ASK), ACCEPTED)
    assert (Anomaly.DOUBLE_CLAIM, 7) not in found(again)
    assert (Anomaly.DOUBLE_CLAIM, 6) in found((*told, ACCEPTED))


def test_what_is_deferred_while_it_waits_is_not_lost() -> None:
    deferred = TurnInputsDeferred(at_ms=36, input_ids=(I1,))

    assert found((*WANTING, deferred, started(), ENDED)) == []


def test_anomalies_say_why() -> None:
    facts = [(Position(at), event) for at, event in enumerate((*LEASED, acquired()))]

    assert [each.because for each in lint(facts)] == ["generation 1 was there before"]
