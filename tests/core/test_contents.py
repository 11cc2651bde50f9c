"""
Contents: committed to by a salted digest, and never printed.

What a person said, and the salt that hides it, is in no text that the library makes of itself.
"""

import hashlib

import attrs
import pytest

from lash_es.core.bodies import (
    JSON_MEDIA_TYPE,
    SALT_BYTES,
    Commitment,
    NewBody,
    RecordedBody,
    salted_digest,
)
from lash_es.core.commands import (
    CancelTurnInput,
    Command,
    EnqueueTurnInput,
    ParkSession,
    SettleEffect,
    StartTurn,
    TrimHistory,
    WithClaim,
    WithInput,
    new_bodies,
)
from lash_es.core.errors import CommandRejected
from lash_es.core.events import (
    EffectSettled,
    Event,
    HistoryTrimmed,
    TurnInputEnqueued,
    TurnStarted,
    commitments,
)
from lash_es.core.ids import Version
from lash_es.core.ingress import NextTurn
from lash_es.core.limits import DEFAULT_LIMITS, Limits
from lash_es.core.messages import (
    ImageItem,
    ImagePart,
    Message,
    ProsePart,
    ReasoningPart,
    Role,
    TextItem,
    TextPart,
    TokenUsage,
    TurnInput,
)
from lash_es.core.outcomes import EffectCancelled
from lash_es.verify.spec import given
from tests.core.examples import (
    ANSWERED,
    ASKING,
    CALLING,
    CLAIM,
    COMMITTED,
    E1,
    FENCE,
    GOODBYE,
    HELLO,
    I1,
    I2,
    IDLE,
    LEASED,
    REPLY,
    TURN,
    at,
    enqueued,
    settled,
    started,
)
from tests.core.test_forks import FORKED_FACT

SECRET = NewBody(content=b"XSECRETX", salt=b"XSALTXXSALTXXSAL")
RECORDED = RecordedBody(ref=at(1), commitment=HELLO.commitment)

ENQUEUE = EnqueueTurnInput(now_ms=20, input_id=I1, source_key="k", ingress=NextTurn(), body=SECRET)
START = StartTurn(now_ms=50, fence=FENCE, turn_id=TURN, source=WithInput(body=SECRET))
SETTLE = SettleEffect(
    now_ms=70, fence=FENCE, turn_id=TURN, effect_id=E1, outcome=ANSWERED, body=SECRET
)
DRAIN = StartTurn(
    now_ms=50, fence=FENCE, turn_id=TURN, source=WithClaim(claim_id=CLAIM, token="claim-token")
)
STOP = attrs.evolve(SETTLE, outcome=EffectCancelled(), body=None)


# Commitments


def test_a_body_is_committed_to_by_a_salted_digest() -> None:
    hello = NewBody(content=b'"hello"', salt=b"salt-of-hello-16")
    text = attrs.evolve(hello, media_type="text/plain")

    assert hello.commitment == Commitment(
        digest=hashlib.sha256(b'salt-of-hello-16"hello"').hexdigest(),
        bytes_count=7,
        media_type=JSON_MEDIA_TYPE,
    )
    assert text.commitment == attrs.evolve(hello.commitment, media_type="text/plain")
    assert len(HELLO.salt) == SALT_BYTES


def test_equal_contents_under_two_salts_have_two_digests() -> None:
    assert salted_digest(b"a", b"same") != salted_digest(b"b", b"same")


def test_a_recorded_body_holds_the_same_content_under_its_own_salt() -> None:
    salts = {at(1): HELLO.salt}

    assert RECORDED.holds(NewBody(content=HELLO.content, salt=b"new"), salts)
    assert not RECORDED.holds(GOODBYE, salts)


def test_an_erased_body_holds_anything() -> None:
    assert RECORDED.holds(GOODBYE, {})


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (enqueued(I1, 1), (HELLO.commitment,)),
        (started(), (HELLO.commitment,)),
        (settled(E1, ANSWERED), (REPLY.commitment,)),
        (settled(E1, EffectCancelled(), None), ()),
        (
            HistoryTrimmed(at_ms=1, below=Version(1), digest="", bodies=(HELLO.commitment,)),
            (HELLO.commitment,),
        ),
        (FORKED_FACT, (HELLO.commitment,)),
        (COMMITTED[-1], ()),
    ],
    ids=[
        "an input",
        "a turn",
        "an outcome",
        "an outcome without words",
        "a trim",
        "a fork",
        "anything else",
    ],
)
def test_a_fact_says_what_it_commits_to(event: Event, expected: tuple[Commitment, ...]) -> None:
    assert commitments(event) == expected


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (ENQUEUE, (SECRET,)),
        (START, (SECRET,)),
        (DRAIN, ()),
        (SETTLE, (SECRET,)),
        (STOP, ()),
        (
            TrimHistory(now_ms=1, below=Version(1), digest="", bodies=(SECRET, HELLO)),
            (SECRET, HELLO),
        ),
        (ParkSession(now_ms=1), ()),
    ],
    ids=[
        "an input",
        "a turn",
        "a drained turn",
        "an outcome",
        "a stop",
        "a trim",
        "anything else",
    ],
)
def test_a_command_says_what_it_brings(command: Command, expected: tuple[NewBody, ...]) -> None:
    assert new_bodies(command) == expected


@pytest.mark.parametrize(
    ("history", "command"),
    [(IDLE, ENQUEUE), (LEASED, START), (ASKING, SETTLE), (ASKING, STOP)],
    ids=["an input", "a turn", "an outcome", "a stop"],
)
def test_facts_commit_to_what_their_command_brought(
    history: tuple[Event, ...], command: Command
) -> None:
    facts = given(*history).when(command).events

    brought = tuple(body.commitment for body in new_bodies(command))
    assert tuple(c for event in facts for c in commitments(event)) == brought


# Nothing is printed


@pytest.mark.parametrize("command", [ENQUEUE, START, SETTLE], ids=lambda c: type(c).__name__)
def test_a_command_prints_neither_content_nor_salt(command: Command) -> None:
    assert "XSECRETX" not in f"{command!r} {command}"
    assert "XSALTX" not in f"{command!r} {command}"


@pytest.mark.parametrize(
    ("history", "command"),
    [(IDLE, ENQUEUE), (LEASED, START), (ASKING, SETTLE)],
    ids=["an input", "a turn", "an outcome"],
)
def test_facts_and_states_print_neither_content_nor_salt(
    history: tuple[Event, ...], command: Command
) -> None:
    decision = given(*history).when(command)

    printed = f"{decision!r} {decision.events!r} {decision.state!r}"
    assert "XSECRETX" not in printed
    assert "XSALTX" not in printed


REFUSED: list[tuple[tuple[Event, ...], Limits, Command]] = [
    ((), DEFAULT_LIMITS, ENQUEUE),
    ((*IDLE, enqueued(I2, 1, source_key="k")), DEFAULT_LIMITS, ENQUEUE),
    ((*IDLE, enqueued(I1, 1)), DEFAULT_LIMITS, ENQUEUE),
    (IDLE, Limits(body_bytes_max=1), ENQUEUE),
    (IDLE, Limits(inputs_pending_max=0), ENQUEUE),
    (IDLE, DEFAULT_LIMITS, START),
    (COMMITTED, DEFAULT_LIMITS, START),
    (ASKING, Limits(body_bytes_max=1), SETTLE),
    (CALLING, DEFAULT_LIMITS, SETTLE),
]


def test_refusals_print_neither_content_nor_salt() -> None:
    for history, limits, command in REFUSED:
        found = given(*history, bodies=[HELLO], limits=limits).when(command).found

        assert isinstance(found, CommandRejected)
        assert "XSECRETX" not in f"{found!r} {found} {found.fields}"
        assert "XSALTX" not in f"{found!r} {found} {found.fields}"


def test_pictures_are_not_printed() -> None:
    part = ImagePart(media_type="image/png", data=b"XSECRETX")
    item = ImageItem(media_type="image/png", data=b"XSECRETX")

    assert "XSECRETX" not in f"{part!r} {item!r}"


# What a transcript is made of


def test_an_input_of_one_text() -> None:
    assert TurnInput.of_text("hello") == TurnInput(items=(TextItem(text="hello"),))


def test_a_message_reads_as_its_parts_for_a_reader() -> None:
    parts = (TextPart(text="one"), ReasoningPart(text="hm"), ProsePart(text="two"))

    assert Message(message_id="m1", role=Role.ASSISTANT, parts=parts).text == "one\n\ntwo"


USED = TokenUsage(
    input_tokens=1,
    output_tokens=20,
    cache_read_input_tokens=300,
    cache_write_input_tokens=4_000,
    reasoning_output_tokens=15,
)


def test_all_tokens_count_once_and_reasoning_is_part_of_output() -> None:
    assert USED.total_tokens == 4_321


def test_tokens_add_up_bucket_by_bucket() -> None:
    assert (
        TokenUsage(
            input_tokens=2,
            output_tokens=40,
            cache_read_input_tokens=600,
            cache_write_input_tokens=8_000,
            reasoning_output_tokens=30,
        )
        == USED + USED
    )


# Limits


def test_every_limit_is_a_maximum_that_allows_something() -> None:
    for field in attrs.fields(Limits):
        assert field.name.endswith("_max")
        assert getattr(DEFAULT_LIMITS, field.name) > 0


def test_the_facts_with_contents_are_the_ones_that_say_so() -> None:
    # A fact with bodies that `commitments` forgot would be stored without its content.
    with_bodies = {TurnInputEnqueued, TurnStarted, EffectSettled}

    for kind in (type(event) for event in (*COMMITTED, enqueued(I1, 1))):
        has_bodies = any(field.name == "bodies" for field in attrs.fields(kind))
        assert has_bodies == (kind in with_bodies)


def test_a_wish_to_cancel_brings_nothing() -> None:
    assert new_bodies(CancelTurnInput(now_ms=1, input_id=I1)) == ()
