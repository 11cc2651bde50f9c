"""Nodes and bodies become messages."""

import attrs
import pytest

from lash_es.core.batches import ProcessWake
from lash_es.core.ids import CallId, NodeId
from lash_es.core.messages import (
    EffectFailure,
    ImageItem,
    ImagePart,
    Message,
    ModelReply,
    Part,
    ProsePart,
    ReasoningPart,
    Role,
    TextItem,
    TextPart,
    ToolCallPart,
    ToolOutput,
    ToolResultPart,
    ToolStatus,
    TurnInput,
)
from lash_es.core.transcripts import (
    FromInputs,
    FromReply,
    FromResults,
    FromWork,
    Node,
    NodeSource,
    ResultRef,
    TurnLimitNotice,
)
from lash_es.turns.transcript import Content, content_kinds, input_parts, message
from tests.codec.golden_work import WAKE
from tests.core.examples import at

PNG = ImageItem(media_type="image/png", data=b"png")
JPEG = ImageItem(media_type="image/jpeg", data=b"jpeg")
PNG_PART = ImagePart(media_type="image/png", data=b"png")
JPEG_PART = ImagePart(media_type="image/jpeg", data=b"jpeg")


def said(*items: str | ImageItem) -> TurnInput:
    return TurnInput(
        items=tuple(TextItem(text=item) if isinstance(item, str) else item for item in items)
    )


def text(words: str) -> TextPart:
    return TextPart(text=words)


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        pytest.param([said("one")], (text("one"),), id="one text is itself"),
        pytest.param(
            [said("one"), said("two")], (text("one\ntwo"),), id="inputs join by a newline"
        ),
        pytest.param(
            [said("o", "ne"), said("two")],
            (text("one\ntwo"),),
            id="neighbouring texts join without a separator",
        ),
        pytest.param(
            [said("look", PNG, "here"), said(JPEG, "and here")],
            (text("lookhere\nand here"), PNG_PART, JPEG_PART),
            id="images come after the text, in their order",
        ),
        pytest.param([said(PNG)], (PNG_PART,), id="an image needs no text"),
        pytest.param(
            [said(PNG, ""), said("")], (PNG_PART,), id="an empty text beside an image is none"
        ),
        pytest.param(
            [said("one"), said(PNG), said("two")],
            (text("one\ntwo"), PNG_PART),
            id="an input without text adds no line",
        ),
        pytest.param([said()], (text(""),), id="an input of nothing is one empty text"),
        pytest.param([said(""), said("", "")], (text(""),), id="so are several of them"),
        pytest.param([], (text(""),), id="and so is none at all"),
    ],
)
def test_several_inputs_are_one_message(
    inputs: list[TurnInput], expected: tuple[Part, ...]
) -> None:
    assert input_parts(inputs) == expected


def made(role: Role, source: NodeSource, *contents: Content) -> Message:
    """Make a message; its bodies hold ``contents``, in the order in which they are listed."""
    spoken = Node(node_id=NodeId("t1:m1"), role=role, source=source)
    kinds = content_kinds(spoken)
    assert [type(content) for content in contents] == list(kinds.values())
    return message(spoken, dict(zip(kinds, contents, strict=True)))


def test_an_input_is_a_message_of_the_user() -> None:
    source = FromInputs(bodies=(at(2), at(3)))

    assert made(Role.USER, source, said("one"), said("two")) == Message(
        message_id="t1:m1", role=Role.USER, parts=(text("one\ntwo"),)
    )


def test_a_reply_keeps_its_parts_and_their_order() -> None:
    parts = (
        ReasoningPart(text="hm"),
        ProsePart(text="I look."),
        ToolCallPart(call_id=CallId("c1"), tool="read", arguments="{}"),
    )

    assert made(Role.ASSISTANT, FromReply(body=at(4)), ModelReply(parts=parts)).parts == parts


def wake(wake_id: str, sequence: int) -> ProcessWake:
    return attrs.evolve(WAKE, wake_id=wake_id, sequence=sequence)


def test_a_wake_says_who_it_is_from_and_the_same_cause_speaks_once() -> None:
    source = FromWork(bodies=(at(2), at(3), at(4)))
    wakes = (wake("a", 1), wake("b", 2), wake("a", 3))

    assert made(Role.EVENT, source, *wakes).parts == (
        text("Process p1, event 1 (deploy.complete): Fertig. \U0001f642"),
        text("Process p1, event 2 (deploy.complete): Fertig. \U0001f642"),
    )


def result(status: ToolStatus, position: int | None) -> ResultRef:
    body = None if position is None else at(position)
    return ResultRef(call_id=CallId("c1"), tool="read", status=status, body=body)


@pytest.mark.parametrize(
    ("ref", "contents", "expected"),
    [
        pytest.param(
            result(ToolStatus.SUCCEEDED, 7),
            [ToolOutput(text="what it found")],
            "what it found",
            id="what a tool returned",
        ),
        pytest.param(
            result(ToolStatus.FAILED, 7),
            [EffectFailure(message="no such file")],
            "no such file",
            id="why it failed",
        ),
        pytest.param(
            result(ToolStatus.CANCELLED, None), [], "cancelled", id="that it was stopped"
        ),
    ],
)
def test_a_result_says(ref: ResultRef, contents: list[Content], expected: str) -> None:
    assert made(Role.USER, FromResults(results=(ref,)), *contents).parts == (
        ToolResultPart(call_id=CallId("c1"), tool="read", status=ref.status, text=expected),
    )


def test_the_results_of_a_batch_are_one_message() -> None:
    refs = (
        result(ToolStatus.FAILED, 9),
        result(ToolStatus.CANCELLED, None),
        result(ToolStatus.SUCCEEDED, 8),
    )
    contents = (EffectFailure(message="broken"), ToolOutput(text="done"))

    parts = made(Role.USER, FromResults(results=refs), *contents).parts

    assert [part.text for part in parts if isinstance(part, ToolResultPart)] == [
        "broken",
        "cancelled",
        "done",
    ]


def test_the_turn_limit_is_noticed_by_the_runtime_itself() -> None:
    assert made(Role.SYSTEM, TurnLimitNotice(model_calls_max=3)).parts == (
        text("Turn limit reached (3) before a final assistant response."),
    )
