"""Rules of the record of a session's birth: it is said once, and nothing later changes it."""

import attrs
import pytest

from lash_es.core.commands import BeginAnew, ConfigureSession
from lash_es.core.descriptions import (
    UNDESCRIBED,
    Birth,
    DescribeSession,
    Description,
    SessionDescribed,
)
from lash_es.core.errors import BlankValue, CommandRejected, LimitExceeded
from lash_es.core.ids import SessionId
from lash_es.core.limits import Limits
from lash_es.core.policy import ModelSpec, SessionPolicy
from lash_es.core.state import Open
from lash_es.verify.spec import Decision, given
from tests.core.examples import IDLE, LEASED, POLICY, SESSION

SAID = Description(name="A child", cwd="/somewhere", parent_session_id=SessionId("p1"))
SAY = DescribeSession(now_ms=10, description=SAID)
FACT = SessionDescribed(at_ms=10, description=SAID)
OTHER = SessionPolicy(provider_id="offline", model=ModelSpec(model_id="m2"))


def birth_of(decision: Decision) -> Birth:
    assert isinstance(decision.state, Open)
    return decision.state.birth


def test_a_session_is_described_at_its_birth() -> None:
    decision = given(*IDLE).when(SAY).then(FACT)
    assert birth_of(decision) == Birth(description=SAID)


def test_a_session_that_has_a_history_is_not_described_again() -> None:
    given(*LEASED).when(SAY).nothing_happened()
    given(*IDLE, FACT).when(SAY).nothing_happened()
    given(*IDLE).when(attrs.evolve(SAY, description=UNDESCRIBED)).nothing_happened()


def saying(field: str, value: str) -> Description:
    match field:
        case "name":
            return Description(name=value)
        case "cwd":
            return Description(cwd=value)
        case _:
            return Description(parent_session_id=SessionId(value))


@pytest.mark.parametrize("field", ["name", "cwd", "parent_session_id"])
def test_what_is_said_is_not_blank_and_not_endless(field: str) -> None:
    blank = saying(field, " ")
    given(*IDLE).when(attrs.evolve(SAY, description=blank)).refused(BlankValue(field=field))
    long = saying(field, "12345")
    few = Limits(description_chars_max=4)
    found = given(*IDLE, limits=few).when(attrs.evolve(SAY, description=long)).found
    assert isinstance(found, LimitExceeded)
    assert isinstance(found, CommandRejected)


def test_the_first_model_is_remembered() -> None:
    same = given(*IDLE, FACT).when(
        ConfigureSession(now_ms=20, policy=attrs.evolve(POLICY, max_turns=3))
    )
    assert birth_of(same) == Birth(description=SAID)
    other = same.when(ConfigureSession(now_ms=21, policy=OTHER))
    assert birth_of(other) == Birth(description=SAID, model=POLICY.model)
    third = attrs.evolve(OTHER, model=ModelSpec(model_id="m3"))
    anew = other.when(BeginAnew(now_ms=22, session_id=SESSION, policy=third))
    assert birth_of(anew) == Birth(description=SAID, model=POLICY.model)
    begun = given(*IDLE).when(BeginAnew(now_ms=22, session_id=SESSION, policy=OTHER))
    assert birth_of(begun) == Birth(description=UNDESCRIBED, model=POLICY.model)
