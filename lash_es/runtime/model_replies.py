"""
Their response in our words: what is streamed of it, and the reply that it ends in.

What a model wrote stays as it wrote it. A call's arguments are its raw JSON text, valid or not;
broken ones are not patched up (``args_as_dict`` would give ``{"INVALID_JSON": ...}``).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from attrs import define

from lash_es.core import messages as ours
from lash_es.core.ids import CallId
from lash_es.core.messages import FinishReason, ModelReply, ModelRequest, ProviderMark, TokenUsage
from lash_es.runtime.providers import Delta, ProseDelta, ReasoningDelta

if TYPE_CHECKING:
    from pydantic_ai import messages as theirs
    from pydantic_ai.usage import RequestUsage

    MarkedPart: TypeAlias = theirs.TextPart | theirs.ThinkingPart | theirs.ToolCallPart


def delta_of(event: "theirs.ModelResponseStreamEvent") -> Delta | None:
    """
    Say what of an event is new text.

    The first chunk of a part is in its start event. ``FinalResultEvent`` and ``PartEndEvent``
    repeat what has been streamed and say nothing new.
    """
    from pydantic_ai.messages import PartDeltaEvent, PartStartEvent

    if isinstance(event, PartStartEvent):
        return _text_delta(event.part)
    return _text_delta(event.delta) if isinstance(event, PartDeltaEvent) else None


def _text_delta(piece: object) -> Delta | None:
    from pydantic_ai.messages import TextPart, TextPartDelta, ThinkingPart, ThinkingPartDelta

    match piece:
        case TextPart(content=text) | TextPartDelta(content_delta=text) if text:
            return ProseDelta(text=text)
        case ThinkingPart(content=text) | ThinkingPartDelta(content_delta=text) if text:
            return ReasoningDelta(text=text)
        case _:
            return None


@define(kw_only=True)
class UnusableResponse(Exception):
    """The response cannot be recorded as a reply."""

    code: str
    said: str
    retryable: bool


def reply_of(
    response: "theirs.ModelResponse", request: ModelRequest, *, is_estimated: bool
) -> ModelReply:
    """
    Convert a response to a request.

    Raises:
        UnusableResponse: it is not whole, or holds what cannot be recorded.

    """
    _refuse_unfinished(response)
    parts = tuple(_reply_parts(response.parts, _call_ids(request.messages)))
    return ModelReply(
        parts=parts,
        finish=_finish(response, parts, is_estimated=is_estimated),
        usage=_usage(response.usage),
        usage_is_estimated=is_estimated or bool(response.usage.unmeasured_requests),
        model=response.model_name,
        response_id=response.provider_response_id,
    )


def _refuse_unfinished(response: "theirs.ModelResponse") -> None:
    if response.state == "suspended":
        said = "the vendor suspended its answer, which this adapter cannot continue"
        raise UnusableResponse(code="unsupported_reply", said=said, retryable=False)
    if response.state != "complete":
        said = "the stream ended before the answer did"
        raise UnusableResponse(code="invalid_response", said=said, retryable=True)


def _call_ids(history: Iterable[ours.Message]) -> set[str]:
    parts = (part for message in history for part in message.parts)
    return {part.call_id for part in parts if isinstance(part, ours.ToolCallPart)}


def _reply_parts(
    parts: "Iterable[theirs.ModelResponsePart]", taken: set[str]
) -> Iterator[ours.ReplyPart]:
    """Convert; a call whose id is blank or taken gets one of ours, the same at every attempt."""
    from pydantic_ai import messages as theirs

    for part in parts:
        match part:
            case theirs.TextPart():
                if part.content or part.provider_details:
                    yield ours.ProsePart(text=part.content, mark=_mark(part))
            case theirs.ThinkingPart():
                yield ours.ReasoningPart(text=part.content, mark=_mark(part, part.signature))
            case theirs.ToolCallPart():
                yield _tool_call(part, taken)
            case _:
                said = f"the answer holds a part that cannot be recorded: {part.part_kind}"
                raise UnusableResponse(code="unsupported_reply", said=said, retryable=False)


def _tool_call(part: "theirs.ToolCallPart", taken: set[str]) -> ours.ToolCallPart:
    call_id = _free_id(part.tool_call_id, taken)
    taken.add(call_id)
    return ours.ToolCallPart(
        call_id=CallId(call_id), tool=part.tool_name, arguments=_raw(part.args), mark=_mark(part)
    )


def _free_id(wanted: str, taken: set[str]) -> str:
    if wanted.strip() and wanted not in taken:
        return wanted
    return next(name for number in count(1) if (name := f"call_{number}") not in taken)


def _raw(arguments: str | Mapping[str, Any] | None) -> str:
    """Keep the text that the model wrote. One that wrote nothing calls without arguments."""
    if isinstance(arguments, str):
        return arguments if arguments.strip() else "{}"
    from pydantic_core import to_json

    return to_json(arguments or {}).decode()


def _mark(part: "MarkedPart", signature: str | None = None) -> ProviderMark | None:
    from pydantic_core import to_jsonable_python

    details = part.provider_details and to_jsonable_python(part.provider_details, fallback=str)
    mark = ProviderMark(
        part_id=part.id,
        provider=part.provider_name,
        signature=signature,
        details=details or None,
    )
    return None if mark == ProviderMark() else mark


_FINISHES: Final = {
    "stop": FinishReason.STOP,
    "length": FinishReason.OUTPUT_LIMIT,
    "content_filter": FinishReason.CONTENT_FILTER,
    "tool_call": FinishReason.TOOL_CALLS,
    "error": FinishReason.ERROR,
}


def _finish(
    response: "theirs.ModelResponse", parts: Sequence[ours.ReplyPart], *, is_estimated: bool
) -> FinishReason:
    calls_tools = any(isinstance(part, ours.ToolCallPart) for part in parts)
    said = _FINISHES.get(response.finish_reason or "", FinishReason.UNKNOWN)
    if is_estimated and said is FinishReason.UNKNOWN:
        # Functions give no reason: they stop when they are done.
        said = FinishReason.STOP
    if said is FinishReason.STOP and _is_guessed(response):
        said = FinishReason.UNKNOWN
    plain = {FinishReason.STOP, FinishReason.UNKNOWN}
    return FinishReason.TOOL_CALLS if calls_tools and said in plain else said


def _is_guessed(response: "theirs.ModelResponse") -> bool:
    """
    Tell whether the vendor itself said that it was done.

    The Chat Completions client takes a stream that just ends for a finished one. One that ended
    without usage and without a reason of the vendor's own may as well have been cut off.
    """
    reasons = response.provider_details or {}
    return bool(response.usage.unmeasured_requests) and "finish_reason" not in reasons


def _usage(usage: "RequestUsage") -> TokenUsage:
    """Count by bucket: theirs counts both caches into the input, ours does not."""
    cached = usage.cache_read_tokens + usage.cache_write_tokens
    details = usage.details or {}
    names = ("reasoning_tokens", "thoughts_tokens", "thinking_tokens")
    listed = max((details.get(name) or 0 for name in names), default=0)
    return TokenUsage(
        input_tokens=max(usage.input_tokens - cached, 0),
        output_tokens=usage.output_tokens,
        cache_read_input_tokens=usage.cache_read_tokens,
        cache_write_input_tokens=usage.cache_write_tokens,
        reasoning_output_tokens=usage.output_reasoning_tokens or listed,
    )
