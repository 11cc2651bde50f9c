"""From a transcript to one model request: a pure function of the log and of the tools at hand."""

from collections.abc import Iterable, Sequence

import orjson
from attrs import evolve as with_changes

from lash_es.core.ids import CallId
from lash_es.core.messages import (
    JsonObject,
    Message,
    ModelRequest,
    ToolCallPart,
    ToolResultPart,
    ToolSpec,
)
from lash_es.core.policy import SessionPolicy


def model_request(
    policy: SessionPolicy,
    messages: Sequence[Message],
    tools: Sequence[ToolSpec],
    *,
    history: Iterable[Message] = (),
) -> ModelRequest:
    """
    Make the request for the next model call.

    Args:
        policy: the turn's.
        messages: the open turn's, and whatever was not made safe before.
        tools: what is offered.
        history: what was said before that, as ``resume_safe`` returned it turn by turn.
    """
    return ModelRequest(
        model=policy.model.model_id,
        settings=settings(policy),
        instructions=policy.instructions,
        messages=(*history, *resume_safe(messages)),
        tools=tuple(tools),
    )


def settings(policy: SessionPolicy) -> JsonObject:
    """Read the model's settings."""
    read: JsonObject = orjson.loads(policy.model.settings_json)
    return read


def resume_safe(messages: Sequence[Message]) -> tuple[Message, ...]:
    """
    Drop calls that have no result: a turn that was stopped between the two left them, and
    providers refuse them.

    A message that was nothing else is dropped with them. A result answers the last message before
    it that has calls: some models count their calls anew in each turn, so that an id alone says
    nothing.
    """
    answered: set[CallId] = set()
    kept: list[Message] = []
    for message in reversed(messages):
        kept.append(_with_answered_calls(message, answered))
        if any(isinstance(part, ToolCallPart) for part in message.parts):
            answered.clear()
        answered.update(p.call_id for p in message.parts if isinstance(p, ToolResultPart))
    return tuple(message for message in reversed(kept) if message.parts)


def _with_answered_calls(message: Message, answered: set[CallId]) -> Message:
    parts = tuple(
        part
        for part in message.parts
        if not isinstance(part, ToolCallPart) or part.call_id in answered
    )
    return message if len(parts) == len(message.parts) else with_changes(message, parts=parts)
