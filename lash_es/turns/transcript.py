"""From nodes and the bodies they point at to messages."""

from collections.abc import Iterable, Mapping
from typing import TypeAlias, assert_never

from lash_es.core.batches import ProcessWake
from lash_es.core.bodies import BodyRef
from lash_es.core.messages import (
    EffectFailure,
    ImageItem,
    ImagePart,
    Message,
    ModelReply,
    Part,
    TextPart,
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
    ResultRef,
    TurnLimitNotice,
)

Content: TypeAlias = TurnInput | ModelReply | ToolOutput | EffectFailure | ProcessWake
Contents: TypeAlias = Mapping[BodyRef, Content]


def content_kinds(node: Node) -> dict[BodyRef, type[Content]]:
    """Say which bodies a message is made of, and what each is expected to hold."""
    match node.source:
        case FromInputs():
            return dict.fromkeys(node.source.bodies, TurnInput)
        case FromReply():
            return {node.source.body: ModelReply}
        case FromResults():
            return {
                result.body: EffectFailure
                if result.status is not ToolStatus.SUCCEEDED
                else ToolOutput
                for result in node.source.results
                if result.body is not None
            }
        case FromWork():
            return dict.fromkeys(node.source.bodies, ProcessWake)
        case TurnLimitNotice():
            return {}
        case _:
            assert_never(node.source)


def message(node: Node, contents: Contents) -> Message:
    """Make the message of a node; ``contents`` holds at least what ``content_kinds`` lists."""
    return Message(message_id=node.node_id, role=node.role, parts=_parts(node, contents))


def _parts(node: Node, contents: Contents) -> tuple[Part, ...]:
    match node.source:
        case FromInputs():
            inputs = (contents[body] for body in node.source.bodies)
            return input_parts(entry for entry in inputs if isinstance(entry, TurnInput))
        case FromReply():
            reply = contents[node.source.body]
            return reply.parts if isinstance(reply, ModelReply) else ()
        case FromResults():
            return tuple(_result_part(result, contents) for result in node.source.results)
        case FromWork():
            items = (contents[body] for body in node.source.bodies)
            return wake_parts(item for item in items if isinstance(item, ProcessWake))
        case TurnLimitNotice():
            calls_max = node.source.model_calls_max
            text = f"Turn limit reached ({calls_max}) before a final assistant response."
            return (TextPart(text=text),)
        case _:
            assert_never(node.source)


def input_parts(inputs: Iterable[TurnInput]) -> tuple[Part, ...]:
    """
    Make one message of several inputs: texts first, joined by newlines, then images.

    Within one input, neighbouring texts join without a separator. Nothing at all is one empty
    text.
    """
    texts: list[str] = []
    images: list[Part] = []
    for entry in inputs:
        text = "".join(item.text for item in entry.items if not isinstance(item, ImageItem))
        if text:
            texts.append(text)
        images.extend(
            ImagePart(media_type=item.media_type, data=item.data)
            for item in entry.items
            if isinstance(item, ImageItem)
        )
    if texts or not images:
        return (TextPart(text="\n".join(texts)), *images)
    return tuple(images)


def wake_parts(wakes: Iterable[ProcessWake]) -> tuple[TextPart, ...]:
    """Make a part of each wake, in order; what one says that has spoken is not said again."""
    first: dict[str, ProcessWake] = {}
    for wake in wakes:
        first.setdefault(wake.wake_id, wake)
    return tuple(TextPart(text=wake_text(wake)) for wake in first.values())


def wake_text(wake: ProcessWake) -> str:
    """Say who says what: the process, its event, and its words."""
    event = f"event {wake.sequence} ({wake.event_type})"
    return f"Process {wake.process_id}, {event}: {wake.input}"


def _result_part(result: ResultRef, contents: Contents) -> ToolResultPart:
    content = None if result.body is None else contents[result.body]
    match content:
        case ToolOutput():
            text = content.text
        case EffectFailure():
            text = content.message
        case _:
            text = result.status.value
    return ToolResultPart(
        call_id=result.call_id, tool=result.tool, status=result.status, text=text
    )
