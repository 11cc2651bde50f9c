"""Causes: which earlier fact a fact follows from."""

import attrs
import pytest

from lash_es.core.causes import cause
from lash_es.core.events import (
    Event,
    LeaseReleased,
    LeaseRenewed,
    SessionParked,
    TurnContinued,
    TurnEnded,
    TurnInputCancelled,
)
from lash_es.core.evolve import fold
from lash_es.core.ids import Generation
from lash_es.core.messages import TokenUsage
from lash_es.core.outcomes import Stopped, StopReason
from lash_es.core.state import NOT_OPENED
from tests.core.examples import (
    ANSWER,
    ANSWERED,
    ASK,
    ASKING,
    BATCH_DONE,
    BEGUN,
    BOBS_FENCE,
    CALLING,
    CALLS_AT,
    COMMITTED_FACT,
    E1,
    E2,
    E3,
    I1,
    I2,
    I3,
    IDLE,
    LATER_MS,
    LEASED,
    OPENED,
    PENDING,
    REPLIED,
    RETURNED,
    TURN,
    acquired,
    call,
    claimed,
    enqueued,
    requested,
    settled,
    started,
)

G1 = Generation(1)
ENDED = TurnEnded(
    at_ms=80,
    generation=G1,
    turn_id=TURN,
    outcome=Stopped(reason=StopReason.RUNTIME_ERROR),
    usage=TokenUsage(),
    returned_input_ids=(),
    failed_input_ids=(),
    deferred_input_ids=(),
)
RENEWED = LeaseRenewed(at_ms=80, generation=G1, ttl_ms=1)
RELEASED = LeaseReleased(at_ms=80, generation=G1)
TAKEN_OVER = (*ASKING, acquired(BOBS_FENCE, at_ms=LATER_MS))
CONTINUED = TurnContinued(at_ms=LATER_MS, generation=Generation(2), turn_id=TURN)


def cancelled_fact(event_input: str) -> TurnInputCancelled:
    ids = {"i1": I1, "i2": I2, "i3": I3}
    return TurnInputCancelled(at_ms=80, input_id=ids[event_input])


@pytest.mark.parametrize(
    ("history", "event", "expected"),
    [
        (LEASED, started(), 1),
        ((*LEASED, RENEWED), started(), 2),
        (LEASED, RENEWED, 1),
        (LEASED, RELEASED, 1),
        (BEGUN, requested(E1, ASK), 2),
        (ASKING, settled(E1, ANSWERED), 3),
        (REPLIED, requested(E2, call(0, CALLS_AT)), 4),
        (CALLING, settled(E2, RETURNED), 5),
        (CALLING, settled(E3, RETURNED), 6),
        (BATCH_DONE, ENDED, 8),
        (ANSWER, COMMITTED_FACT, 4),
        (TAKEN_OVER, CONTINUED, 3),
        ((*TAKEN_OVER, CONTINUED), attrs.evolve(ENDED, generation=Generation(2)), 5),
        (PENDING, cancelled_fact("i1"), 2),
        (PENDING, cancelled_fact("i2"), 3),
    ],
    ids=[
        "a turn from the lease",
        "a turn from the renewed lease",
        "a renewal from the lease",
        "a release from the lease",
        "a first request from the start",
        "an outcome from its request",
        "a call from the reply",
        "the outcome of one call from its own request",
        "the outcome of the other from the other",
        "an end from the turn's last fact",
        "a commit from the turn's last fact",
        "going on from the turn's last fact",
        "an end after going on from that",
        "a cancellation from its input",
        "another from another",
    ],
)
def test_a_fact_follows_from_the_fact_that_led_to_it(
    history: tuple[Event, ...], event: Event, expected: int
) -> None:
    assert cause(fold(history), event) == expected


@pytest.mark.parametrize(
    ("history", "event"),
    [
        ((), OPENED),
        (IDLE, acquired()),
        (IDLE, enqueued(I1, 1)),
        (IDLE, SessionParked(at_ms=80)),
        (PENDING, claimed(I1)),
    ],
    ids=["birth", "lease", "input", "park", "claim"],
)
def test_what_comes_from_outside_follows_from_nothing(
    history: tuple[Event, ...], event: Event
) -> None:
    assert cause(fold(history), event) is None


@pytest.mark.parametrize(
    ("history", "event"),
    [
        (IDLE, started()),
        (LEASED, settled(E1, ANSWERED)),
        (BEGUN, settled(E1, ANSWERED)),
        (LEASED, COMMITTED_FACT),
        (PENDING, cancelled_fact("i3")),
    ],
    ids=["no lease", "no turn", "no request", "no turn to commit", "no input"],
)
def test_what_cannot_be_has_no_cause(history: tuple[Event, ...], event: Event) -> None:
    # That a stored history is corrupt is told by its fold; a look for causes must not hide it.
    assert cause(fold(history), event) is None


def test_a_session_that_is_not_there_caused_nothing() -> None:
    assert cause(NOT_OPENED, RELEASED) is None
