"""Slice: the session itself. Opened once, configured, parked, deleted for ever."""

import attrs
import pytest

from lash_es.core.commands import (
    ConfigureSession,
    DeleteSession,
    EnqueueTurnInput,
    OpenSession,
    ParkSession,
)
from lash_es.core.errors import (
    BlankValue,
    ImpossibleEvent,
    LimitExceeded,
    SessionDeleted,
    SessionNotOpen,
    StoreSessionMismatch,
)
from lash_es.core.events import (
    Event,
    SessionConfigured,
    SessionOpened,
    SessionParked,
    SessionTombstoned,
)
from lash_es.core.evolve import evolve, fold
from lash_es.core.heads import NO_HISTORY, NO_USAGE
from lash_es.core.ids import Generation, SessionId, Version
from lash_es.core.ingress import NextTurn
from lash_es.core.inputs import NO_INPUTS
from lash_es.core.leases import UNHELD
from lash_es.core.limits import Limits
from lash_es.core.policy import ModelSpec, SessionPolicy
from lash_es.core.state import NOT_OPENED, Deleted, NotOpened, Open
from lash_es.core.turns import NO_TURN
from lash_es.verify.spec import given
from tests.core.examples import (
    BEGUN,
    COMMITTED,
    HELLO,
    I1,
    IDLE,
    LEASED,
    OPENED,
    POLICY,
    SESSION,
    acquired,
    enqueued,
)

OTHER_MODEL = SessionPolicy(provider_id="offline", model=ModelSpec(model_id="m2"))
PARKED = SessionParked(at_ms=90)
TOMBSTONED = SessionTombstoned(at_ms=90)


def open_it(policy: SessionPolicy = POLICY, now_ms: int = 10) -> OpenSession:
    return OpenSession(now_ms=now_ms, session_id=SESSION, policy=policy)


def enqueue(now_ms: int) -> EnqueueTurnInput:
    return EnqueueTurnInput(
        now_ms=now_ms, input_id=I1, source_key=None, ingress=NextTurn(), body=HELLO
    )


def test_a_session_that_is_not_there_is_opened() -> None:
    given().when(open_it()).then(SessionOpened(at_ms=10, session_id=SESSION, policy=POLICY))


def test_a_fresh_session_holds_nothing_but_its_policy() -> None:
    expected = Open(
        version=Version(1),
        at_ms=10,
        session_id=SESSION,
        opened_at_ms=10,
        policy=POLICY,
        is_parked=False,
        lease=UNHELD,
        inputs=NO_INPUTS,
        turn=NO_TURN,
        head=NO_HISTORY,
        ledger=NO_USAGE,
    )

    assert given(OPENED).state == expected


def test_a_session_is_not_opened_under_a_blank_name() -> None:
    blank = OpenSession(now_ms=10, session_id=SessionId(" \t"), policy=POLICY)

    given().when(blank).refused(BlankValue(field="session_id"))


def test_a_session_name_may_be_as_long_as_its_limit_and_no_longer() -> None:
    longest = OpenSession(now_ms=10, session_id=SessionId("x" * 512), policy=POLICY)
    longer = OpenSession(now_ms=10, session_id=SessionId("x" * 513), policy=POLICY)
    too_long = LimitExceeded(limit="session_id_chars_max", found=513, allowed=512)

    assert given().when(longest).events
    given().when(longer).refused(too_long)


def test_a_session_is_not_opened_with_a_blank_model() -> None:
    blank = SessionPolicy(provider_id="offline", model=ModelSpec(model_id=""))

    given().when(open_it(blank)).refused(BlankValue(field="model_id"))


def test_a_model_name_is_bounded_by_a_limit_of_its_own() -> None:
    too_long = LimitExceeded(limit="model_id_chars_max", found=2, allowed=1)

    given(limits=Limits(model_id_chars_max=1)).when(open_it()).refused(too_long)


def test_instructions_are_bounded() -> None:
    wordy = attrs.evolve(POLICY, instructions="words")
    too_long = LimitExceeded(limit="prompt_chars_max", found=5, allowed=4)

    given(limits=Limits(prompt_chars_max=4)).when(open_it(wordy)).refused(too_long)


def test_model_settings_are_bounded() -> None:
    fussy = attrs.evolve(POLICY, model=ModelSpec(model_id="m1", settings_json='{"a":1}'))
    too_long = LimitExceeded(limit="prompt_chars_max", found=7, allowed=6)

    given(limits=Limits(prompt_chars_max=6)).when(open_it(fussy)).refused(too_long)


def test_opening_what_is_open_with_the_same_policy_records_nothing() -> None:
    given(*IDLE).when(open_it()).nothing_happened()


def test_opening_what_is_open_lets_the_hosts_model_win() -> None:
    given(*IDLE).when(open_it(OTHER_MODEL, now_ms=20)).then(
        SessionConfigured(at_ms=20, policy=OTHER_MODEL)
    )


def test_opening_what_is_open_lets_the_hosts_turn_limit_and_instructions_win() -> None:
    wanted = attrs.evolve(POLICY, max_turns=3, instructions="be brief")

    given(*IDLE).when(open_it(wanted)).then(SessionConfigured(at_ms=10, policy=wanted))


def test_opening_what_is_open_keeps_the_recorded_provider() -> None:
    elsewhere = attrs.evolve(OTHER_MODEL, provider_id="another")

    given(*IDLE).when(open_it(elsewhere)).then(SessionConfigured(at_ms=10, policy=OTHER_MODEL))


def test_opening_what_is_open_records_a_provider_where_none_was_recorded() -> None:
    unnamed = attrs.evolve(OPENED, policy=attrs.evolve(POLICY, provider_id=""))

    given(unnamed).when(open_it()).then(SessionConfigured(at_ms=10, policy=POLICY))


def test_opening_what_is_open_checks_the_hosts_policy() -> None:
    blank = SessionPolicy(provider_id="offline", model=ModelSpec(model_id=""))

    given(*IDLE).when(open_it(blank)).refused(BlankValue(field="model_id"))


def test_a_stream_that_holds_another_session_is_not_opened() -> None:
    other = OpenSession(now_ms=10, session_id=SessionId("s2"), policy=POLICY)

    given(*IDLE).when(other).refused(StoreSessionMismatch(loaded="s1", requested="s2"))


def test_nothing_but_opening_can_be_asked_of_a_session_that_is_not_there() -> None:
    given().when(ParkSession(now_ms=1)).refused(SessionNotOpen(command="ParkSession"))


def test_a_policy_is_changed_for_the_turns_to_come() -> None:
    decision = given(*BEGUN).when(ConfigureSession(now_ms=90, policy=OTHER_MODEL))

    decision.then(SessionConfigured(at_ms=90, policy=OTHER_MODEL))
    assert isinstance(decision.state, Open)
    assert decision.state.policy == OTHER_MODEL
    assert decision.state.turn == fold(BEGUN).turn  # type: ignore[union-attr]


def test_configuring_may_change_the_recorded_provider() -> None:
    elsewhere = attrs.evolve(POLICY, provider_id="another")

    given(*IDLE).when(ConfigureSession(now_ms=20, policy=elsewhere)).then(
        SessionConfigured(at_ms=20, policy=elsewhere)
    )


def test_configuring_what_is_so_already_records_nothing() -> None:
    given(*IDLE).when(ConfigureSession(now_ms=20, policy=POLICY)).nothing_happened()


def test_configuring_needs_no_lease_and_checks_the_policy() -> None:
    blank = SessionPolicy(provider_id="offline", model=ModelSpec(model_id=""))

    given(*LEASED).when(ConfigureSession(now_ms=50, policy=blank)).refused(
        BlankValue(field="model_id")
    )


def test_parking_is_a_fact() -> None:
    decision = given(*IDLE).when(ParkSession(now_ms=90)).then(PARKED)

    assert isinstance(decision.state, Open)
    assert decision.state.is_parked


def test_parking_what_is_parked_records_nothing() -> None:
    given(*IDLE, PARKED).when(ParkSession(now_ms=95)).nothing_happened()


@pytest.mark.parametrize(
    "event",
    [acquired(at_ms=95), enqueued(I1, 1, at_ms=95), SessionConfigured(at_ms=95, policy=POLICY)],
    ids=lambda event: type(event).__name__,
)
def test_whatever_happens_takes_the_session_out_of_the_park(event: Event) -> None:
    decision = given(*IDLE, PARKED, event).when(ParkSession(now_ms=99))

    decision.then(SessionParked(at_ms=99))


def test_a_session_makes_a_row_for_each_model_and_rows_are_bounded() -> None:
    one = Limits(ledger_rows_max=1)

    assert given(*IDLE, limits=one).when(ConfigureSession(now_ms=20, policy=OTHER_MODEL)).events
    given(*COMMITTED, limits=one).when(ConfigureSession(now_ms=90, policy=OTHER_MODEL)).refused(
        LimitExceeded(limit="ledger_rows_max", found=2, allowed=1)
    )


def test_a_model_that_has_its_row_may_be_configured_whatever_their_number() -> None:
    briefer = attrs.evolve(POLICY, instructions="be brief")

    given(*COMMITTED, limits=Limits(ledger_rows_max=1)).when(
        ConfigureSession(now_ms=90, policy=briefer)
    ).then(SessionConfigured(at_ms=90, policy=briefer))


def test_deleting_leaves_the_id_and_nothing_else() -> None:
    decision = given(*BEGUN).when(DeleteSession(now_ms=90)).then(TOMBSTONED)

    assert decision.state == Deleted(
        version=Version(4), at_ms=90, session_id=SESSION, generation=Generation(1)
    )


@pytest.mark.parametrize(
    "command", [open_it(), DeleteSession(now_ms=99), enqueue(now_ms=99)], ids=repr
)
def test_nothing_at_all_can_be_asked_of_a_deleted_session(
    command: OpenSession | DeleteSession | EnqueueTurnInput,
) -> None:
    given(*IDLE, TOMBSTONED).when(command).refused(SessionDeleted(session_id="s1"))


def test_a_time_never_falls_when_a_clock_does() -> None:
    given(*LEASED).when(ParkSession(now_ms=5)).then(SessionParked(at_ms=30))


def test_reopening_under_a_slower_clock_is_recorded_at_the_time_of_the_last_fact() -> None:
    given(*LEASED).when(open_it(OTHER_MODEL, now_ms=5)).then(
        SessionConfigured(at_ms=30, policy=OTHER_MODEL)
    )


def test_every_fact_counts() -> None:
    state = given(*LEASED, PARKED).state

    assert isinstance(state, Open)
    assert (state.version, state.at_ms, state.opened_at_ms) == (3, 90, 10)


def test_a_session_is_opened_only_once() -> None:
    with pytest.raises(ImpossibleEvent) as refusal:
        evolve(fold(IDLE), OPENED)

    assert refusal.value.fields == {
        "event": "SessionOpened",
        "found": "Open",
        "expected": "NotOpened",
    }


def test_the_first_fact_is_the_birth() -> None:
    with pytest.raises(ImpossibleEvent) as refusal:
        evolve(NOT_OPENED, PARKED)

    assert refusal.value.fields == {
        "event": "SessionParked",
        "found": "NotOpened",
        "expected": "SessionOpened",
    }


def test_nothing_follows_the_tombstone() -> None:
    with pytest.raises(ImpossibleEvent) as refusal:
        evolve(fold((*IDLE, TOMBSTONED)), PARKED)

    assert refusal.value.found == "Deleted"


def test_no_facts_fold_to_a_session_that_is_not_there() -> None:
    assert fold(()) == NotOpened()
