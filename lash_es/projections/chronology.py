"""
A transcript in the order in which things happened: what was said, thought and called, each call
with what it came to.

Messages put the results of a batch into one message of their own, behind all of its calls; here a
result is where its call is.
"""

from collections.abc import Iterable
from typing import TypeAlias

from attrs import frozen

from lash_es.core.ids import CallId
from lash_es.core.messages import (
    ImagePart,
    Message,
    ProsePart,
    ReasoningPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    ToolStatus,
)


@frozen(kw_only=True)
class Said:
    """Somebody said something."""

    message_id: str
    role: Role
    text: str


@frozen(kw_only=True)
class Shown:
    """Somebody showed an image."""

    message_id: str
    role: Role
    media_type: str
    bytes_count: int


@frozen(kw_only=True)
class Thought:
    """A model wrote something for itself."""

    message_id: str
    text: str


@frozen(kw_only=True)
class Called:
    """A model called a tool. Without a status it is not known what came of it."""

    message_id: str
    call_id: CallId
    tool: str
    arguments: str
    status: ToolStatus | None
    text: str | None


Happening: TypeAlias = Said | Shown | Thought | Called


def chronology(messages: Iterable[Message]) -> tuple[Happening, ...]:
    """
    Put messages of a path in order, each call together with its result.

    A call's result is the next one of its id behind it: some models count calls anew in each
    reply. A result without its call, at the cut of a page, tells nothing.
    """
    backwards: list[Happening] = []
    results: dict[CallId, ToolResultPart] = {}
    for message in reversed(tuple(messages)):
        for part in reversed(message.parts):
            if isinstance(part, ToolResultPart):
                results[part.call_id] = part
            else:
                backwards.append(_happening(message, part, results))
    return tuple(reversed(backwards))


def _happening(
    message: Message,
    part: TextPart | ImagePart | ProsePart | ReasoningPart | ToolCallPart,
    results: dict[CallId, ToolResultPart],
) -> Happening:
    if isinstance(part, ToolCallPart):
        result = results.pop(part.call_id, None)
        return Called(
            message_id=message.message_id,
            call_id=part.call_id,
            tool=part.tool,
            arguments=part.arguments,
            status=None if result is None else result.status,
            text=None if result is None else result.text,
        )
    if isinstance(part, ReasoningPart):
        return Thought(message_id=message.message_id, text=part.text)
    if isinstance(part, ImagePart):
        return Shown(
            message_id=message.message_id,
            role=message.role,
            media_type=part.media_type,
            bytes_count=len(part.data),
        )
    return Said(message_id=message.message_id, role=message.role, text=part.text)
