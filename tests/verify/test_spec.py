"""
Goal: a specification that is not met says so, with what was asked, found and expected.

Method: for each way to be wrong, one specification that is wrong, and the message in full.
"""

import attrs
import pytest

from lash_es.core.commands import (
    CancelTurnInput,
    Command,
    DeleteSession,
    EnqueueTurnInput,
    ParkSession,
)
from lash_es.core.errors import (
    ImpossibleEvent,
    LimitExceeded,
    QueueFull,
    SessionDeleted,
    SessionNotOpen,
    SourceKeyConflict,
)
from lash_es.core.events import Event, SessionOpened, SessionParked, SessionTombstoned
from lash_es.core.ids import InputId, SessionId
from lash_es.core.ingress import NextTurn
from lash_es.core.known import NOTHING_KNOWN, Known
from lash_es.core.limits import Limits
from lash_es.core.policy import ModelSpec, SessionPolicy
from lash_es.core.state import NOT_OPENED, Open, State
from lash_es.verify import spec
from lash_es.verify.spec import Decision, NotAsSpecified, given, is_same_error
from tests.core.examples import GOODBYE, HELLO, HELLO_AGAIN, I1, I2, IDLE, PENDING, enqueued

OPENED = SessionOpened(
    at_ms=1,
    session_id=SessionId("s"),
    policy=SessionPolicy(provider_id="p", model=ModelSpec(model_id="m")),
)
PARKED = SessionParked(at_ms=2)
PARK = ParkSession(now_ms=2)
SHOWN_OPENED = repr(OPENED)
KEYED = enqueued(I1, 1, source_key="k")


def enqueue(input_id: InputId, source_key: str | None) -> EnqueueTurnInput:
    return EnqueueTurnInput(
        now_ms=9, input_id=input_id, source_key=source_key, ingress=NextTurn(), body=HELLO_AGAIN
    )


# What holds


def test_expectations_can_be_chained_and_the_state_looked_at() -> None:
    decision = given(OPENED).when(PARK).then(PARKED)

    assert isinstance(decision, Decision)
    assert isinstance(decision.state, Open)
    assert decision.state.is_parked
    assert decision.events == (PARKED,)
    assert decision.refused is not None


def test_no_facts_are_a_session_that_is_not_there() -> None:
    assert given().state == NOT_OPENED


def test_a_refusal_leaves_the_state_as_it_was() -> None:
    decision = given(OPENED, SessionTombstoned(at_ms=2)).when(PARK)

    decision.refused(SessionDeleted(session_id="s"))
    assert decision.state is decision.given.state
    assert decision.events == ()


def test_nothing_happened_is_not_the_same_as_refused() -> None:
    given(OPENED, PARKED).when(PARK).nothing_happened()

    with pytest.raises(NotAsSpecified):
        given().when(PARK).nothing_happened()


def test_an_impossible_past_is_told_at_once() -> None:
    with pytest.raises(ImpossibleEvent, match="SessionParked cannot follow"):
        given(PARKED)


def test_bounds_can_be_set() -> None:
    full = Limits(inputs_pending_max=0)

    given(OPENED, limits=full).when(enqueue(I1, None)).refused(
        QueueFull(limit="inputs_pending_max", allowed=0)
    )


def test_the_index_is_what_the_facts_wrote() -> None:
    given(OPENED, KEYED, bodies=[HELLO]).when(enqueue(I2, "k")).nothing_happened()


def test_a_content_that_is_not_given_counts_as_erased() -> None:
    other = attrs.evolve(enqueue(I2, "k"), body=GOODBYE)

    given(OPENED, KEYED).when(other).nothing_happened()


def test_what_is_known_can_be_said_outright() -> None:
    decision = given(OPENED, KEYED, known=NOTHING_KNOWN).when(enqueue(I2, "k"))

    assert len(decision.events) == 1
    assert decision.known is NOTHING_KNOWN


def test_bounds_go_with_what_is_known_outright() -> None:
    decision = given(OPENED, known=NOTHING_KNOWN, limits=Limits(inputs_pending_max=0)).when(
        enqueue(I1, None)
    )

    decision.refused(QueueFull(limit="inputs_pending_max", allowed=0))


def test_a_command_is_answered_what_it_names_and_nothing_else() -> None:
    history = (*PENDING, enqueued(InputId("i3"), 3, source_key="k"))

    assert given(*history).when(PARK).known.entries == {}
    assert len(given(*history).when(enqueue(I1, "k")).known.entries) == 1


def test_what_an_entry_leads_to_is_answered_too() -> None:
    cancel = CancelTurnInput(now_ms=9, input_id=I1)
    after = given(*IDLE, KEYED).when(cancel)

    answer = given(*IDLE, KEYED, *after.events).when(enqueue(I2, "k")).known

    assert [key.key for key in answer.entries] == ["k", "i1"]


# What does not


def test_other_facts_than_expected_are_shown_beside_them() -> None:
    with pytest.raises(NotAsSpecified) as failure:
        given(OPENED).when(PARK).then(PARKED, PARKED)

    assert str(failure.value) == (
        f"given:    {SHOWN_OPENED}\n"
        "asked:    ParkSession(now_ms=2)\n"
        "found:    SessionParked(at_ms=2)\n"
        "expected: SessionParked(at_ms=2)\n"
        "          SessionParked(at_ms=2)"
    )


def test_facts_are_compared_in_order() -> None:
    with pytest.raises(NotAsSpecified):
        given(OPENED).when(PARK).then(SessionParked(at_ms=3))


def test_a_refusal_that_was_expected_and_did_not_come_is_shown() -> None:
    with pytest.raises(NotAsSpecified) as failure:
        given(OPENED).when(PARK).refused(SessionDeleted(session_id="s"))

    assert str(failure.value) == (
        f"given:    {SHOWN_OPENED}\n"
        "asked:    ParkSession(now_ms=2)\n"
        "found:    SessionParked(at_ms=2)\n"
        "expected: refused, SessionDeleted(session_id='s')"
    )


def test_a_refusal_that_came_unexpected_is_shown() -> None:
    with pytest.raises(NotAsSpecified) as failure:
        given().when(PARK).then(PARKED)

    assert str(failure.value) == (
        "given:    nothing\n"
        "asked:    ParkSession(now_ms=2)\n"
        "found:    refused, SessionNotOpen(command='ParkSession')\n"
        "expected: SessionParked(at_ms=2)"
    )


def test_something_where_nothing_was_expected_is_shown() -> None:
    with pytest.raises(NotAsSpecified) as failure:
        given(OPENED).when(PARK).nothing_happened()

    assert str(failure.value).endswith("found:    SessionParked(at_ms=2)\nexpected: nothing")


def test_another_refusal_is_not_the_refusal() -> None:
    with pytest.raises(NotAsSpecified, match="found:    refused, SessionNotOpen"):
        given().when(PARK).refused(SessionDeleted(session_id="s"))


def test_the_same_refusal_with_another_field_is_not_the_refusal() -> None:
    with pytest.raises(NotAsSpecified, match="expected: refused, SessionNotOpen"):
        given().when(PARK).refused(SessionNotOpen(command="DeleteSession"))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (
            LimitExceeded(limit="a", found=2, allowed=1),
            LimitExceeded(limit="a", found=2, allowed=1),
        ),
        (SessionNotOpen(command="a"), SessionNotOpen(command="a")),
    ],
    ids=["three fields", "one field"],
)
def test_errors_are_the_same_by_type_and_fields(found: object, expected: SessionNotOpen) -> None:
    assert found != expected
    assert is_same_error(found, expected)


@pytest.mark.parametrize(
    "found",
    [(), SessionDeleted(session_id="b"), QueueFull(limit="a", allowed=1), ValueError("a")],
    ids=repr,
)
def test_errors_of_other_types_or_fields_are_others(found: object) -> None:
    assert not is_same_error(found, SessionDeleted(session_id="a"))


# Laws, each with a planted fault


def test_a_fact_that_cannot_be_applied_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def opens_again(_state: State, _command: Command, _known: Known) -> tuple[Event, ...]:
        return (OPENED,)

    monkeypatch.setattr(spec, "decide", opens_again)

    with pytest.raises(NotAsSpecified) as failure:
        given(OPENED).when(PARK)

    assert str(failure.value) == (
        "what was decided cannot be applied\n"
        f"given:    {SHOWN_OPENED}\n"
        f"decided:  {SHOWN_OPENED}\n"
        "found:    SessionOpened cannot follow: found Open, expected NotOpened "
        "[event='SessionOpened', found='Open', expected='NotOpened']"
    )
    assert isinstance(failure.value.__cause__, ImpossibleEvent)


def test_an_answer_that_changes_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([(PARKED,), ()])

    def moody(_state: State, _command: Command, _known: Known) -> tuple[Event, ...]:
        return next(answers)

    monkeypatch.setattr(spec, "decide", moody)

    with pytest.raises(NotAsSpecified) as failure:
        given(OPENED).when(PARK)

    assert str(failure.value) == (
        "the same question got two answers\n"
        "asked:    ParkSession(now_ms=2)\n"
        "found:    SessionParked(at_ms=2)\n"
        "then:     nothing"
    )


def test_a_refusal_that_turns_into_another_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    refusals = iter(["a", "b"])

    def moody(_state: State, _command: Command, _known: Known) -> tuple[Event, ...]:
        raise SessionNotOpen(command=next(refusals))

    monkeypatch.setattr(spec, "decide", moody)

    with pytest.raises(NotAsSpecified, match="two answers"):
        given(OPENED).when(DeleteSession(now_ms=2))


@pytest.mark.parametrize("then", ["records", "refuses"])
def test_a_decision_that_reaches_into_the_state_is_caught(
    monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    def reaches_in(state: State, _command: Command, _known: Known) -> tuple[Event, ...]:
        object.__setattr__(state, "is_parked", True)
        if then == "refuses":
            raise SessionNotOpen(command="ParkSession")
        return (PARKED,)

    monkeypatch.setattr(spec, "decide", reaches_in)

    with pytest.raises(NotAsSpecified) as failure:
        given(OPENED).when(PARK)

    found, expected = str(failure.value).splitlines()[2:]
    assert str(failure.value).startswith("a decision changed the state\nasked:    ParkSession(")
    assert found.startswith("found:    Open(")
    assert "is_parked=True" in found
    assert "is_parked=False" in expected


# Going on


def test_a_story_goes_on_with_what_was_recorded() -> None:
    second = given(OPENED).when(enqueue(I1, "k")).when(enqueue(I2, "k"))

    second.nothing_happened()
    assert second.given.events == given(OPENED).when(enqueue(I1, "k")).afterwards.events


def test_a_story_remembers_the_contents_that_it_brought() -> None:
    other = attrs.evolve(enqueue(I2, "k"), body=GOODBYE)
    conflict = SourceKeyConflict(session_id="s", source_key="k", existing_input_id=I1)

    given(OPENED).when(enqueue(I1, "k")).when(PARK).when(other).refused(conflict)


def test_a_refusal_is_no_part_of_the_story() -> None:
    refused = given(OPENED, SessionTombstoned(at_ms=2)).when(PARK)

    assert refused.afterwards == refused.given
