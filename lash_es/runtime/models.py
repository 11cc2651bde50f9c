"""
The one adapter to models: ``pydantic_ai`` as a bare client, without its agent loop.

1. ``pydantic_ai`` is imported at first use, never with this module: that costs most of a second.
2. What a model wrote comes back as it wrote it. A call's arguments are its raw JSON text, valid or
   not; broken ones are not patched up (``args_as_dict`` would give ``{"INVALID_JSON": ...}``).
3. What a provider attached to a part (ids, signatures, details) goes back with it in the next
   request.
4. A failure leaves as ``ModelCallFailed`` and nothing else, without the exception that caused it:
   that one, or what it was raised from, may quote a request header.
"""

import os
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, assert_never, cast

from attrs import define, field, frozen

from lash_es.core import messages as ours
from lash_es.core.errors import LashError
from lash_es.core.ids import CallId
from lash_es.core.messages import FinishReason, ModelReply, ModelRequest, ProviderMark, TokenUsage
from lash_es.runtime.providers import (
    Delta,
    DeltaSink,
    MissingCredentials,
    ModelCallFailed,
    ModelsExtraMissing,
    ProseDelta,
    ReasoningDelta,
    UnknownModel,
)

if TYPE_CHECKING:
    from pydantic_ai import messages as theirs
    from pydantic_ai.models import Model, ModelRequestParameters
    from pydantic_ai.models.function import (
        AgentInfo,
        BuiltinToolCallsReturns,
        DeltaThinkingCalls,
        DeltaToolCalls,
        FunctionDef,
        StreamFunctionDef,
    )
    from pydantic_ai.providers import Provider as Client
    from pydantic_ai.settings import ModelSettings
    from pydantic_ai.usage import RequestUsage

    StreamedItem: TypeAlias = str | DeltaToolCalls | DeltaThinkingCalls | BuiltinToolCallsReturns
    MarkedPart: TypeAlias = theirs.TextPart | theirs.ThinkingPart | theirs.ToolCallPart

RETRIES_MAX: Final = 2
"""
How often a vendor's client may repeat one request. It does so only while nothing of the answer has
arrived (refused connection, 408, 409, 429, 5xx), so no text is ever streamed twice, and it honours
``Retry-After``, which we could not do better. The runtime repeats no model call of its own:
whatever comes back is recorded.
"""

MESSAGE_CHARS_MAX: Final = 600
"""How much of a vendor's own words a failure repeats."""

MODELS_INSTALL: Final = "pip install 'lash-es[models]'"

_MODEL_ID: Final = re.compile(r"[^\s\x00-\x1f\x7f]{1,256}")
_VARIABLE: Final = re.compile(r"`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)`")
_INSTALL: Final = re.compile(r"`(pip install [^`]+)`")
_SECRET_NAME: Final = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)
_SECRET_CHARS_MIN: Final = 6
_SECRET: Final = re.compile(
    r"(?i:\b(?:bearer|basic)\s+[^\s'\",]+)|\b(?:sk|pk|rk|gsk|xai|key)[-_][\w*.-]{6,}|\bAIza[\w-]{20,}"
)


# --- where models come from


class _Source(Protocol):
    """Makes ``pydantic_ai`` models by name."""

    @property
    def usage_is_estimated(self) -> bool: ...

    def model(self, model_id: str) -> "Model": ...

    async def aclose(self) -> None: ...


@define(kw_only=True)
class _Vendor:
    """The models of one vendor, over one client."""

    kind: str
    usage_is_estimated: bool = False
    _client: "Client[Any] | None" = field(default=None, init=False)

    def model(self, model_id: str) -> "Model":
        from pydantic_ai.models import infer_model
        from pydantic_ai.providers import infer_provider

        client = self._client = self._client or infer_provider(self.kind)
        return infer_model(f"{self.kind}:{model_id}", provider_factory=lambda _: client)

    async def aclose(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            async with client:
                """Leaving a client closes its connections; who wants to leave has to enter."""


@frozen(kw_only=True)
class _Functions:
    """Models that are two functions: ``FunctionModel`` needs one for each way of asking."""

    stream_function: "StreamFunctionDef"
    function: "FunctionDef"
    usage_is_estimated: bool = True

    def model(self, model_id: str) -> "Model":
        from pydantic_ai.models.function import FunctionModel

        return FunctionModel(self.function, stream_function=self._stream, model_name=model_id)

    async def _stream(
        self, messages: "list[theirs.ModelMessage]", info: "AgentInfo"
    ) -> "AsyncIterator[StreamedItem]":
        answer = self.stream_function(messages, info)
        is_silent = True
        try:
            async for item in answer:
                is_silent = False
                yield item
            if is_silent:
                # ``FunctionModel`` calls that a bug; for us it is a model that answers nothing.
                yield ""
        finally:
            if close := getattr(answer, "aclose", None):
                await close()

    async def aclose(self) -> None:
        """Nothing is open."""


@frozen(kw_only=True)
class _TestModel:
    """The library's own dummy: it calls every tool once and then says what came of it."""

    usage_is_estimated: bool = True

    def model(self, model_id: str) -> "Model":
        from pydantic_ai.models.test import TestModel

        return TestModel(model_name=model_id)

    async def aclose(self) -> None:
        """Nothing is open."""


# --- the provider


@define(kw_only=True, eq=False)
class PydanticProvider:
    """A ``Provider`` over ``pydantic_ai``; made by ``provider`` or ``function_provider``."""

    kind: str
    retries_max: int = RETRIES_MAX
    _source: _Source = field(alias="source", repr=False)

    def check(self, model_id: str) -> None:
        """Make the model: that takes the library, a known vendor, a sane name and a key."""
        self._model(model_id)

    async def request(self, request: ModelRequest, on_delta: DeltaSink) -> ModelReply:
        """Stream one answer; see ``Provider.request``."""
        failure: ModelCallFailed
        try:
            response = await _streamed(
                self._model(request.model), request, on_delta, self.retries_max
            )
            return _reply(response, request, is_estimated=self._source.usage_is_estimated)
        except LashError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a client library raises is recorded
            failure = _failure(error)
        # Raised out here, so that the error it came of is not even its ``__context__``.
        raise failure

    async def aclose(self) -> None:
        """Close the connections of this provider's client."""
        await self._source.aclose()

    def _model(self, model_id: str) -> "Model":
        if not _MODEL_ID.fullmatch(model_id):
            raise UnknownModel(
                provider=self.kind,
                model_id=model_id[:256],
                reason="a name has 1 to 256 characters, no blanks",
            )
        refusal: LashError
        try:
            return self._source.model(model_id)
        except Exception as error:  # noqa: BLE001 - every vendor's client refuses in its own way
            refusal = _refusal(error, self.kind, model_id)
        raise refusal


def provider(kind: str, *, retries_max: int = RETRIES_MAX) -> PydanticProvider:
    """
    Make the provider of a vendor by the name that ``pydantic_ai`` knows it by.

    Keys, and addresses that differ from the vendor's own, come from the environment. ``openai``
    speaks the Responses API, ``openai-chat`` the older Chat Completions API, which is what most
    compatible servers speak; ``test`` is a dummy that needs neither key nor network.
    """
    source = _TestModel() if kind == "test" else _Vendor(kind=kind)
    return PydanticProvider(kind=kind, retries_max=retries_max, source=source)


def function_provider(
    stream_function: "StreamFunctionDef", function: "FunctionDef", *, kind: str = "offline"
) -> PydanticProvider:
    """
    Make a provider whose models are two functions of the transcript.

    Only the streaming one is called here; the library wants the other for requests without a
    stream.
    """
    source = _Functions(stream_function=stream_function, function=function)
    return PydanticProvider(kind=kind, source=source)


# --- one request


async def _streamed(
    model: "Model", request: ModelRequest, on_delta: DeltaSink, retries_max: int
) -> "theirs.ModelResponse":
    from pydantic_ai.direct import model_request_stream

    stream = model_request_stream(
        model,
        _history(request),
        model_settings=_settings(model, request.settings, retries_max),
        model_request_parameters=_parameters(request),
    )
    async with stream as events:
        async for event in events:
            if delta := _delta(event):
                on_delta(delta)
        return events.get()


def _delta(event: "theirs.ModelResponseStreamEvent") -> Delta | None:
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


def _settings(model: "Model", settings: ours.JsonObject, retries_max: int) -> "ModelSettings":
    # A vendor whose client cannot be told warns about a setting that it ignores.
    bound = {} if "max_retries" in model.unsupported_settings else {"max_retries": retries_max}
    return cast("ModelSettings", {**bound, **settings})


def _parameters(request: ModelRequest) -> "ModelRequestParameters":
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


# --- our history -> theirs


def _history(request: ModelRequest) -> "list[theirs.ModelMessage]":
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


# --- their response -> ours


@define(kw_only=True)
class _Unusable(Exception):
    """The response cannot be recorded as a reply."""

    code: str
    said: str
    retryable: bool


def _reply(
    response: "theirs.ModelResponse", request: ModelRequest, *, is_estimated: bool
) -> ModelReply:
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
        raise _Unusable(code="unsupported_reply", said=said, retryable=False)
    if response.state != "complete":
        said = "the stream ended before the answer did"
        raise _Unusable(code="invalid_response", said=said, retryable=True)


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
                raise _Unusable(code="unsupported_reply", said=said, retryable=False)


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


# --- what went wrong


def _refusal(error: Exception, kind: str, model_id: str) -> LashError:
    """Say in our terms why a model could not even be made."""
    said = str(error)
    if isinstance(error, ImportError):
        install = _INSTALL.search(said)
        return ModelsExtraMissing(
            missing=error.name or f"the client of {kind}",
            install=install[1] if install else MODELS_INSTALL,
        )
    variables = tuple(dict.fromkeys(_VARIABLE.findall(said)))
    if (variables or "credentials" in said) and not said.startswith("Unknown"):
        return MissingCredentials(provider=kind, variables=variables)
    return UnknownModel(provider=kind, model_id=model_id, reason=_scrubbed(said))


def _failure(error: Exception) -> ModelCallFailed:
    code, retryable = _verdict(error)
    return ModelCallFailed(code=code, message=_words(error, code), retryable=retryable)


def _verdict(error: Exception) -> tuple[str, bool]:
    """Find the stable code of a failure, and whether the same call may work later."""
    from pydantic_ai import exceptions as known

    if isinstance(error, _Unusable):
        return error.code, error.retryable
    # The first that fits: a more specific class stands before the one it is derived from.
    verdicts: tuple[tuple[type[Exception], str, bool], ...] = (
        (known.ModelContextWindowExceededError, "context_overflow", False),
        (known.ModelAuthenticationError, "authentication", False),
        (known.ModelNotFoundError, "model_not_found", False),
        (known.ModelQuotaExceededError, "quota_exceeded", False),
        (known.ModelRateLimitError, "rate_limited", True),
        (known.ModelUnavailableError, "provider_unavailable", True),
        (known.ModelServerError, "provider_unavailable", True),
        (known.ModelTimeoutError, "timeout", True),
        (known.ModelRequestTimeout, "timeout", True),
        (known.ModelConnectionError, "connection", True),
        (known.ModelRequestRejectedError, "invalid_request", False),
        (known.ContentFilterError, "content_filter", False),
        (known.UnexpectedModelBehavior, "invalid_response", True),
        (known.UserError, "invalid_request", False),
        (TimeoutError, "timeout", True),
        (OSError, "connection", True),
    )
    for kind, code, retryable in verdicts:
        if isinstance(error, kind):
            return code, retryable
    if isinstance(error, known.ModelHTTPError):
        return _status_verdict(error.status_code)
    if isinstance(error, known.ModelAPIError):
        # What the client could not parse, it raises from the parser's error.
        is_garbled = isinstance(error.__cause__, ValueError)
        return ("invalid_response", True) if is_garbled else ("provider_error", False)
    return _transport_verdict(error)


def _status_verdict(status: int) -> tuple[str, bool]:
    """Judge a status that the library puts into no category."""
    if status in {408, 504}:
        return "timeout", True
    return ("provider_unavailable", True) if status >= 500 else ("invalid_request", False)


def _transport_verdict(error: Exception) -> tuple[str, bool]:
    """Judge what a client let through, by name: which HTTP library it uses is its business."""
    names = [f"{kind.__module__}.{kind.__name__}" for kind in type(error).__mro__]
    if not any(name.startswith(("httpx", "httpcore")) for name in names):
        return "unexpected", False
    return ("timeout", True) if any("Timeout" in name for name in names) else ("connection", True)


def _words(error: Exception, code: str) -> str:
    """
    Tell a person what happened, without anything that could be a secret.

    A vendor that refuses a key likes to quote it, shortened in a way that no pattern catches:
    there the words are ours.
    """
    if code == "authentication":
        return f"the provider refused the credentials ({_status_words(error)})"
    if isinstance(error, _Unusable):
        return error.said
    if code == "unexpected":
        return _scrubbed(f"{type(error).__name__}: {error}")
    said = _body_message(getattr(error, "body", None)) or getattr(error, "message", None)
    suggested = getattr(error, "suggested_model_id", None)
    hint = f" Did you mean {suggested!r}?" if suggested else ""
    return _scrubbed(f"{_status_words(error)}: {said or str(error) or 'no details'}{hint}")


def _status_words(error: Exception) -> str:
    status = getattr(error, "status_code", None)
    return type(error).__name__ if status is None else f"HTTP {status}"


def _body_message(body: object) -> str | None:
    """Find the sentence in a vendor's error body, which most wrap in one object, some in two."""
    for _ in range(2):
        if not isinstance(body, Mapping):
            return None
        fields = cast("Mapping[str, object]", body)
        if isinstance(said := fields.get("message"), str):
            return said
        body = fields.get("error")
    return None


def _scrubbed(text: str) -> str:
    """Blank out what is a secret in this process's environment or looks like one; bounded."""
    for name, value in os.environ.items():
        secret = value.strip()
        if _SECRET_NAME.search(name) and len(secret) >= _SECRET_CHARS_MIN:
            text = text.replace(secret, "***")
    return _SECRET.sub("***", text)[:MESSAGE_CHARS_MAX]
