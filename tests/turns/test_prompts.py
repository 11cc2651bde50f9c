"""Prompts: what a provider is asked, and what it would refuse."""

from collections import Counter
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from lash_es.core.ids import CallId
from lash_es.core.messages import (
    Message,
    ModelRequest,
    Part,
    ProsePart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    ToolSpec,
    ToolStatus,
)
from lash_es.core.policy import ModelSpec, SessionPolicy
from lash_es.turns.prompts import model_request, resume_safe, settings
from tests.core.effort import effort

READ: Final = ToolSpec(name="read", description="Read a file.", parameters={"type": "object"})
HELLO: Final = TextPart(text="hello")
WORDS: Final = ProsePart(text="I look.")


def call(call_id: str) -> ToolCallPart:
    return ToolCallPart(call_id=CallId(call_id), tool="read", arguments="{}")


def result(call_id: str) -> ToolResultPart:
    return ToolResultPart(
        call_id=CallId(call_id), tool="read", status=ToolStatus.SUCCEEDED, text="found"
    )


def user(*parts: Part) -> Message:
    return Message(message_id="m", role=Role.USER, parts=parts)


def assistant(*parts: Part) -> Message:
    return Message(message_id="m", role=Role.ASSISTANT, parts=parts)


def test_a_request_is_made_of_policy_transcript_and_tools() -> None:
    policy = SessionPolicy(
        provider_id="offline",
        model=ModelSpec(model_id="m1", settings_json='{"temperature":0.5}'),
        instructions="Be brief.",
    )

    assert model_request(policy, [user(HELLO), assistant(call("c1"))], [READ]) == ModelRequest(
        model="m1",
        settings={"temperature": 0.5},
        instructions="Be brief.",
        messages=(user(HELLO),),
        tools=(READ,),
    )


def test_a_history_that_is_safe_stands_in_front_as_it_is() -> None:
    policy = SessionPolicy(provider_id="offline", model=ModelSpec(model_id="m1"))
    history = (user(HELLO), assistant(call("c1")))

    request = model_request(policy, [user(HELLO), assistant(call("c2"))], [], history=history)

    assert request.messages == (*history, user(HELLO))


def test_a_model_without_settings_has_none() -> None:
    assert settings(SessionPolicy(provider_id="p", model=ModelSpec(model_id="m"))) == {}


def test_calls_that_were_answered_are_kept() -> None:
    transcript = (
        user(HELLO),
        assistant(WORDS, call("c1"), call("c2")),
        user(result("c1"), result("c2")),
        assistant(WORDS),
    )

    assert resume_safe(transcript) == transcript


def test_a_call_without_a_result_is_dropped() -> None:
    stopped = assistant(WORDS, call("c1"))

    assert resume_safe([user(HELLO), stopped]) == (user(HELLO), assistant(WORDS))


def test_a_message_that_was_only_calls_without_results_is_dropped() -> None:
    assert resume_safe([user(HELLO), assistant(call("c1"))]) == (user(HELLO),)


def test_a_result_of_another_turn_is_no_answer_even_under_the_same_id() -> None:
    before = (assistant(call("c1")), user(result("c1")))
    stopped = (assistant(WORDS, call("c1")), user(HELLO))
    later = (assistant(call("c1")), user(result("c1")))

    assert resume_safe([*before, *stopped, *later]) == (
        *before,
        assistant(WORDS),
        user(HELLO),
        *later,
    )


def test_an_input_between_a_call_and_its_result_does_not_part_them() -> None:
    transcript = (assistant(call("c1")), user(HELLO), user(result("c1")))

    assert resume_safe(transcript) == transcript


@st.composite
def transcripts(draw: st.DrawFn) -> list[Message]:
    """Draw rounds of calls, of which some were answered, under ids that come again."""
    messages = [user(HELLO)]
    for _ in range(draw(st.integers(0, 5))):
        ids = draw(st.lists(st.sampled_from("abc"), max_size=3, unique=True))
        words = draw(st.sampled_from(((), (WORDS,))))
        messages.append(assistant(*words, *map(call, ids)))
        if draw(st.booleans()):
            messages.append(user(*map(result, ids)))
    return messages


def test_after_it_every_call_has_its_result_next_and_nothing_else_is_lost() -> None:
    happened: Counter[str] = Counter()

    @effort(examples_max=150)
    @given(transcripts())
    def check(messages: list[Message]) -> None:
        safe = resume_safe(messages)
        before, after = parts_of(messages), parts_of(safe)

        for said, answer in zip(safe, (*safe[1:], user()), strict=True):
            calls = [part.call_id for part in said.parts if isinstance(part, ToolCallPart)]
            results = [part.call_id for part in answer.parts if isinstance(part, ToolResultPart)]
            assert calls == results
        assert [p for p in after if not isinstance(p, ToolCallPart)] == [
            p for p in before if not isinstance(p, ToolCallPart)
        ]
        assert resume_safe(safe) == safe
        happened["a call dropped"] += before != after
        happened["a call kept"] += any(isinstance(part, ToolCallPart) for part in after)
        happened["a message dropped"] += len(safe) < len(messages)

    check()

    assert sorted(happened.keys()) == ["a call dropped", "a call kept", "a message dropped"]
    assert all(happened.values())


@effort(examples_max=60)
@given(st.lists(transcripts(), max_size=4))
def test_turns_are_made_safe_one_by_one_or_all_at_once(turns: list[list[Message]]) -> None:
    together = [message for turn in turns for message in turn]

    assert resume_safe(together) == tuple(m for turn in turns for m in resume_safe(turn))


def parts_of(messages: tuple[Message, ...] | list[Message]) -> list[Part]:
    return [part for message in messages for part in message.parts]
