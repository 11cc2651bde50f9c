"""
Our request in their words: the transcript, the settings, the tools.

What a provider attached to a part (ids, signatures, details) goes back with it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, assert_never, cast

from lash_es.core import messages as ours
from lash_es.core.messages import ModelRequest, ProviderMark

if TYPE_CHECKING:
    from pydantic_ai import messages as theirs
    from pydantic_ai.models import Model, ModelRequestParameters
    from pydantic_ai.settings import ModelSettings


def settings_of(model: "Model", settings: ours.JsonObject, retries_max: int) -> "ModelSettings":
    """Pass the settings on, with the client's own retries bounded unless they say otherwise."""
    # A vendor whose client cannot be told warns about a setting that it ignores.
    bound = {} if "max_retries" in model.unsupported_settings else {"max_retries": retries_max}
    return cast("ModelSettings", {**bound, **settings})


def parameters_of(request: ModelRequest) -> "ModelRequestParameters":
    """Offer the tools; plain text is always an answer too."""
    from pydantic_ai.models import ModelRequestParameters
    from pydantic_ai.tools import ToolDefinition

    tools = [
        ToolDefinition(
            name=spec.name,
            description=spec.description or None,
            parameters_json_schema=_plain_object(spec.parameters),
        )
        for spec in request.tools
    ]
    return ModelRequestParameters(function_tools=tools, allow_text_output=True)


def _plain_object(value: ours.JsonObject) -> dict[str, Any]:
    """Copy into dicts and lists, by which the library and the clients under it know JSON."""
    return {key: _plain(member) for key, member in value.items()}


def _plain(value: ours.JsonValue) -> object:
    if isinstance(value, str) or value is None:
        return value
    if isinstance(value, Mapping):
        return _plain_object(value)
    return [_plain(member) for member in value] if isinstance(value, Sequence) else value


def history_of(request: ModelRequest) -> "list[theirs.ModelMessage]":
    """Convert the transcript; neighbours of one side become one: some vendors insist on turns."""
    from pydantic_ai import messages as theirs

    history: list[theirs.ModelMessage] = []
    for message in request.messages:
        if message.role is ours.Role.ASSISTANT:
            history.extend(_response(message))
            continue
        parts = _request_parts(message, is_first=not history)
        last = history[-1] if history else None
        if isinstance(last, theirs.ModelRequest):
            last.parts = [*last.parts, *parts]
        elif parts:
            history.append(theirs.ModelRequest(parts=parts))
    return _instructed(history, request.instructions)


def _instructed(
    history: "list[theirs.ModelMessage]", instructions: str
) -> "list[theirs.ModelMessage]":
    """Put the instructions on the last request, where the library looks for them."""
    from pydantic_ai import messages as theirs

    requests = [message for message in history if isinstance(message, theirs.ModelRequest)]
    if instructions and requests:
        requests[-1].instructions = instructions
    return history


def _request_parts(message: ours.Message, *, is_first: bool) -> "list[theirs.ModelRequestPart]":
    from pydantic_ai import messages as theirs

    if message.role is ours.Role.SYSTEM and is_first:
        return [theirs.SystemPromptPart(message.text)]
    if message.role in {ours.Role.SYSTEM, ours.Role.EVENT}:
        # In mid-conversation most vendors have no such role, or hoist it to the top, out of its
        # place.
        tag = message.role.value
        return [theirs.UserPromptPart(f"<{tag}>\n{message.text}\n</{tag}>")]
    return list(_user_parts(message))


def _user_parts(message: ours.Message) -> "Iterator[theirs.ModelRequestPart]":
    """Results come first: vendors want them right behind the calls they answer."""
    from pydantic_ai import messages as theirs

    for part in message.parts:
        if isinstance(part, ours.ToolResultPart):
            yield _tool_return(part)
    content: list[theirs.UserContent] = []
    for part in message.parts:
        if isinstance(part, ours.TextPart | ours.ProsePart):
            content.append(part.text)
        elif isinstance(part, ours.ImagePart):
            content.append(theirs.BinaryContent(part.data, media_type=part.media_type))
    if content:
        is_one_text = content == [message.text]
        yield theirs.UserPromptPart(message.text if is_one_text else content)


def _tool_return(part: ours.ToolResultPart) -> "theirs.ToolReturnPart":
    """
    Answer a call. A failed one goes through the vendor's own error channel where there is one.

    Not a ``RetryPromptPart``: that wraps the words in an order to try again, and is deprecated.
    """
    from pydantic_ai import messages as theirs

    outcomes: Final = {
        ours.ToolStatus.SUCCEEDED: "success",
        ours.ToolStatus.FAILED: "failed",
        ours.ToolStatus.CANCELLED: "interrupted",
    }
    cancelled = part.status is ours.ToolStatus.CANCELLED and not part.text
    text = "The call was cancelled before it returned." if cancelled else part.text
    return theirs.ToolReturnPart(
        part.tool, text, part.call_id, outcome=cast("Any", outcomes[part.status])
    )


def _response(message: ours.Message) -> "Iterator[theirs.ModelResponse]":
    from pydantic_ai import messages as theirs

    parts = [part for part in message.parts if not isinstance(part, ours.ToolResultPart)]
    marks = [part.mark for part in parts if isinstance(part, _MARKED) and part.mark]
    providers = [mark.provider for mark in marks if mark.provider]
    converted = [_response_part(part) for part in parts if not isinstance(part, ours.ImagePart)]
    if converted:
        # Clients send ids and signatures back only to the vendor that they believe to have made
        # them.
        yield theirs.ModelResponse(
            parts=converted, provider_name=providers[0] if providers else None
        )


_MARKED: Final = (ours.ProsePart, ours.ReasoningPart, ours.ToolCallPart)


def _response_part(part: ours.TextPart | ours.ReplyPart) -> "theirs.ModelResponsePart":
    from pydantic_ai import messages as theirs

    match part:
        case ours.TextPart():
            return theirs.TextPart(part.text)
        case ours.ProsePart():
            return theirs.TextPart(part.text, **_attached(part.mark))
        case ours.ReasoningPart():
            signature = part.mark.signature if part.mark else None
            return theirs.ThinkingPart(part.text, signature=signature, **_attached(part.mark))
        case ours.ToolCallPart():
            # Arguments that are no JSON object are sent as ``{"INVALID_JSON": "<what the model
            # wrote>"}``: the client makes that of them, since vendors refuse a history with broken
            # arguments in it.
            return theirs.ToolCallPart(
                part.tool, part.arguments, part.call_id, **_attached(part.mark)
            )
        case _:
            assert_never(part)


def _attached(mark: ProviderMark | None) -> dict[str, Any]:
    if mark is None:
        return {}
    details = None if mark.details is None else _plain_object(mark.details)
    return {"id": mark.part_id, "provider_name": mark.provider, "provider_details": details}
