"""A transcript in the order of what happened: every call is where it was made, with its result."""

from hypothesis import given
from hypothesis import strategies as st

from lash_es.core.ids import CallId
from lash_es.core.messages import (
    ImagePart,
    Message,
    Part,
    ProsePart,
    ReasoningPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    ToolStatus,
)
from lash_es.projections.chronology import Called, Said, Shown, Thought, chronology
from tests.core.effort import effort

C1, C2 = CallId("c1"), CallId("c2")


def message(number: int, role: Role, *parts: Part) -> Message:
    return Message(message_id=f"m{number}", role=role, parts=parts)


def asks(call_id: CallId) -> ToolCallPart:
    return ToolCallPart(call_id=call_id, tool="read", arguments="{}")


def result(call_id: CallId, text: str) -> ToolResultPart:
    return ToolResultPart(call_id=call_id, tool="read", status=ToolStatus.SUCCEEDED, text=text)


def called(number: int, call_id: CallId, text: str | None) -> Called:
    status = None if text is None else ToolStatus.SUCCEEDED
    return Called(
        message_id=f"m{number}",
        call_id=call_id,
        tool="read",
        arguments="{}",
        status=status,
        text=text,
    )


def test_every_part_has_its_place() -> None:
    messages = (
        message(
            1, Role.USER, TextPart(text="look"), ImagePart(media_type="image/png", data=b"abc")
        ),
        message(2, Role.ASSISTANT, ReasoningPart(text="hm"), ProsePart(text="Well."), asks(C1)),
        message(3, Role.USER, result(C1, "there")),
        message(4, Role.ASSISTANT, ProsePart(text="Done.")),
    )

    assert chronology(messages) == (
        Said(message_id="m1", role=Role.USER, text="look"),
        Shown(message_id="m1", role=Role.USER, media_type="image/png", bytes_count=3),
        Thought(message_id="m2", text="hm"),
        Said(message_id="m2", role=Role.ASSISTANT, text="Well."),
        called(2, C1, "there"),
        Said(message_id="m4", role=Role.ASSISTANT, text="Done."),
    )


def test_calls_that_are_counted_anew_have_their_own_results() -> None:
    messages = (
        message(1, Role.ASSISTANT, asks(C1), asks(C2)),
        message(2, Role.USER, result(C2, "second"), result(C1, "first")),
        message(3, Role.ASSISTANT, asks(C1)),
        message(4, Role.USER, result(C1, "third")),
    )

    assert chronology(messages) == (
        called(1, C1, "first"),
        called(1, C2, "second"),
        called(3, C1, "third"),
    )


def test_at_the_cut_of_a_page_a_call_has_no_result_and_a_result_no_call() -> None:
    assert chronology((message(1, Role.USER, result(C1, "of before")),)) == ()
    assert chronology((message(1, Role.ASSISTANT, asks(C1)),)) == (called(1, C1, None),)


@effort(60)
@given(st.lists(st.lists(st.text(max_size=5), max_size=3), max_size=6))
def test_no_word_is_lost_and_all_are_in_order(texts: list[list[str]]) -> None:
    messages = [
        message(number, Role.ASSISTANT, *(ProsePart(text=text) for text in each))
        for number, each in enumerate(texts)
    ]

    said = [each.text for each in chronology(messages) if isinstance(each, Said)]
    assert said == [text for each in texts for text in each]
