"""
What the adapter to models promises, each promise a sentence.

The client under test is the real one of OpenAI, pointed at a tiny server on 127.0.0.1; the traps
of streams are sprung with functions in the place of a model. Nothing leaves the machine.
"""

import asyncio
import json
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeAlias, TypeVar, cast

import httpx2
import pytest
from attrs import define, evolve, field, frozen

from lash_es.core.ids import CallId
from lash_es.core.messages import (
    FinishReason,
    ImagePart,
    JsonObject,
    Message,
    ModelReply,
    ModelRequest,
    Part,
    ProsePart,
    ProviderMark,
    ReasoningPart,
    ReplyPart,
    Role,
    TextPart,
    TokenUsage,
    ToolCallPart,
    ToolResultPart,
    ToolSpec,
    ToolStatus,
)
from lash_es.runtime.models import PydanticProvider, function_provider, provider
from lash_es.runtime.providers import (
    Delta,
    MissingCredentials,
    ModelCallFailed,
    ModelsExtraMissing,
    ProseDelta,
    Provider,
    ReasoningDelta,
    UnknownModel,
)

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage
    from pydantic_ai.models.function import AgentInfo, DeltaThinkingPart, DeltaToolCall

Messages: TypeAlias = "list[ModelMessage]"
Info: TypeAlias = "AgentInfo"
StreamedItem: TypeAlias = "str | dict[int, DeltaToolCall] | dict[int, DeltaThinkingPart]"

JsonBody: TypeAlias = dict[str, Any]

T = TypeVar("T")

KEY = "sk-local-0123456789abcdef"


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(coroutine, timeout=30))


# --- requests ---------------------------------------------------------------------------------


def said(*parts: Part, role: Role = Role.USER) -> Message:
    return Message(message_id="m", role=role, parts=parts)


def request_of(*messages: Message, **changes: object) -> ModelRequest:
    plain = ModelRequest(
        model="gpt-local",
        settings={},
        instructions="Be brief.",
        messages=messages or (said(TextPart(text="hello")),),
        tools=(),
    )
    return evolve(plain, **cast("Any", changes))


READ_FILE = ToolSpec(
    name="read_file",
    description="Read one file.",
    parameters={
        "type": "object",
        "properties": {"path": {"type": "string"}},
        "required": ("path",),
    },
)


async def asked(provider: Provider, request: ModelRequest) -> tuple[ModelReply, list[Delta]]:
    deltas: list[Delta] = []
    try:
        return await provider.request(request, deltas.append), deltas
    finally:
        await provider.aclose()


def failure_of(provider: Provider, request: ModelRequest) -> ModelCallFailed:
    with pytest.raises(ModelCallFailed) as caught:
        run(asked(provider, request))
    return caught.value


# --- functions in the place of a model --------------------------------------------------------


def streaming(*items: StreamedItem) -> PydanticProvider:
    async def stream(_messages: Messages, _info: Info) -> AsyncIterator[StreamedItem]:
        for item in items:
            yield item

    return function_provider(stream, unasked)


def unasked(_messages: Messages, _info: Info) -> NoReturn:
    raise AssertionError("only the streaming function is to be called")


def calling(
    name: str | None = None, json_args: str | None = None, tool_call_id: str | None = None
) -> "DeltaToolCall":
    from pydantic_ai.models.function import DeltaToolCall

    return DeltaToolCall(name=name, json_args=json_args, tool_call_id=tool_call_id)


def thinking(content: str, signature: str | None = None) -> "DeltaThinkingPart":
    from pydantic_ai.models.function import DeltaThinkingPart

    return DeltaThinkingPart(content=content, signature=signature)


def test_the_first_chunk_is_streamed_although_it_arrives_in_the_start_event() -> None:
    reply, deltas = run(asked(streaming("The ", "first ", "chunk."), request_of()))

    assert deltas == [ProseDelta(text=text) for text in ("The ", "first ", "chunk.")]
    assert reply.parts == (ProsePart(text="The first chunk."),)


def test_final_result_and_part_end_events_are_no_content() -> None:
    items = ({0: thinking(content="so", signature="s")}, "a", "b", {2: calling(name="t")})
    _, deltas = run(asked(streaming(*items), request_of()))

    assert deltas == [ReasoningDelta(text="so"), ProseDelta(text="a"), ProseDelta(text="b")]


def test_the_delta_sink_sees_every_character_of_the_reply_once() -> None:
    items = [{0: thinking(content="hm", signature="s")}, {0: thinking(content="m")}, *"prose"]
    reply, deltas = run(asked(streaming(*items), request_of()))

    reasoned = "".join(delta.text for delta in deltas if isinstance(delta, ReasoningDelta))
    told = "".join(delta.text for delta in deltas if isinstance(delta, ProseDelta))

    assert [part.text for part in reply.parts if isinstance(part, ReasoningPart)] == [reasoned]
    assert prose(reply) == [told]


def test_broken_arguments_come_back_as_the_text_that_the_model_wrote() -> None:
    call = {0: calling(name="read_file", json_args='{"path": ', tool_call_id="c1")}
    reply, _ = run(asked(streaming(call), request_of()))

    assert reply.parts == (
        ToolCallPart(call_id=CallId("c1"), tool="read_file", arguments='{"path": '),
    )


def test_valid_arguments_keep_their_blanks_and_their_order() -> None:
    raw = '{ "b": 1,\n  "a": [2] }'
    items = (
        {0: calling(name="t", json_args=raw[:5], tool_call_id="c1")},
        {0: calling(json_args=raw[5:])},
    )
    reply, _ = run(asked(streaming(*items), request_of()))

    assert [p.arguments for p in reply.parts if isinstance(p, ToolCallPart)] == [raw]


def test_a_call_without_arguments_has_an_empty_object() -> None:
    reply, _ = run(asked(streaming({0: calling(name="t", tool_call_id="c1")}), request_of()))

    assert [p.arguments for p in reply.parts if isinstance(p, ToolCallPart)] == ["{}"]


def test_a_blank_call_id_is_replaced_by_a_free_one() -> None:
    items = (
        {0: calling(name="t", tool_call_id=" ")},
        {1: calling(name="t", tool_call_id="call_1")},
    )
    reply, _ = run(asked(streaming(*items), request_of()))

    ids = call_ids(reply.parts)
    assert len(set(ids)) == 2
    assert all(call_id.strip() for call_id in ids)


def test_a_call_id_that_is_taken_in_the_reply_or_the_transcript_is_replaced() -> None:
    earlier = said(
        ToolCallPart(call_id=CallId("old"), tool="t", arguments="{}"), role=Role.ASSISTANT
    )
    result = said(
        ToolResultPart(call_id=CallId("old"), tool="t", status=ToolStatus.SUCCEEDED, text="")
    )
    items = [{n: calling(name="t", tool_call_id=i)} for n, i in enumerate(("old", "new", "new"))]
    request = request_of(said(TextPart(text="go")), earlier, result)
    reply, _ = run(asked(streaming(*items), request))
    again, _ = run(asked(streaming(*items), request))

    ids = call_ids(reply.parts)
    assert len({"old", *ids}) == 4
    assert ids[1] == "new"
    assert call_ids(again.parts) == ids


def prose(reply: ModelReply) -> list[str]:
    return [part.text for part in reply.parts if isinstance(part, ProsePart)]


def call_ids(parts: Sequence[ReplyPart]) -> list[str]:
    return [part.call_id for part in parts if isinstance(part, ToolCallPart)]


def test_usage_of_functions_is_marked_as_an_estimate() -> None:
    reply, _ = run(asked(streaming("some words"), request_of()))

    assert reply.usage_is_estimated
    assert reply.usage.output_tokens > 0


def test_a_function_that_says_nothing_is_a_model_that_answers_nothing() -> None:
    reply, deltas = run(asked(streaming(), request_of()))

    assert reply.parts == ()
    assert reply.finish is FinishReason.STOP
    assert deltas == []


def test_function_model_answers_a_plain_request_only_if_it_has_a_plain_function() -> None:
    """The trap itself: this is why ``function_provider`` takes both."""
    from pydantic_ai.direct import model_request
    from pydantic_ai.messages import ModelRequest as TheirRequest
    from pydantic_ai.models.function import FunctionModel

    async def stream(_messages: Messages, _info: Info) -> AsyncIterator[str]:
        yield "words"

    history = [TheirRequest.user_text_prompt("hello")]
    with pytest.raises(AssertionError, match="non-streamed"):
        run(model_request(FunctionModel(stream_function=stream), history))


def test_a_function_that_raises_fails_the_call_with_its_words() -> None:
    async def stream(_messages: Messages, _info: Info) -> AsyncIterator[str]:
        yield "so far"
        raise LookupError("no such script")

    failure = failure_of(function_provider(stream, unasked), request_of())

    assert (failure.code, failure.is_retryable) == ("unexpected", False)
    assert failure.message == "LookupError: no such script"


def test_a_part_that_cannot_be_recorded_fails_the_call_instead_of_getting_lost() -> None:
    from pydantic_ai.messages import NativeToolCallPart

    search: Any = {0: NativeToolCallPart("web_search", {"query": "x"}, "c1")}
    failure = failure_of(streaming("Let me see.", search), request_of())

    assert (failure.code, failure.retryable) == ("unsupported_reply", False)
    assert "builtin-tool-call" in failure.message


def test_functions_are_told_instructions_tools_and_the_transcript() -> None:
    seen: list[Any] = []

    async def stream(messages: Messages, info: Info) -> AsyncIterator[str]:
        seen.append((messages, info))
        yield "ok"

    request = request_of(tools=(READ_FILE,), settings={"temperature": 0})
    run(asked(function_provider(stream, unasked), request))

    messages, info = seen[0]
    assert info.instructions == "Be brief."
    assert [tool.name for tool in info.function_tools] == ["read_file"]
    assert info.function_tools[0].parameters_json_schema["required"] == ["path"]
    assert messages[-1].parts[-1].content == "hello"


def test_the_dummy_of_the_library_needs_neither_key_nor_network() -> None:
    reply, _ = run(asked(provider("test"), request_of(tools=(READ_FILE,))))

    assert [p.tool for p in reply.parts if isinstance(p, ToolCallPart)] == ["read_file"]
    assert reply.finish is FinishReason.TOOL_CALLS
    assert reply.usage_is_estimated


def test_cancelling_in_mid_stream_closes_the_function_and_is_not_an_error_of_the_model() -> None:
    closed = asyncio.Event()

    async def stream(_messages: Messages, _info: Info) -> AsyncIterator[str]:
        try:
            yield "one"
            await asyncio.sleep(60)
        finally:
            closed.set()

    async def story() -> None:
        await cancelled_after_first_delta(function_provider(stream, unasked))
        await asyncio.wait_for(closed.wait(), timeout=5)

    run(story())


async def cancelled_after_first_delta(provider: Provider) -> None:
    started = asyncio.Event()
    call = asyncio.create_task(provider.request(request_of(), lambda _: started.set()))
    await started.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await provider.aclose()


# --- a server in the place of a vendor --------------------------------------------------------


@frozen(kw_only=True)
class Asked:
    """One request that the server got."""

    path: str
    headers: dict[str, str]
    body: JsonBody


Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


@define
class Vendor:
    """A server that answers its requests one after the other, the last answer again and again."""

    answers: list[Answer]
    asked: list[Asked] = field(factory=list)
    hung_up: asyncio.Event = field(factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.asked.append(await read_request(head, reader))
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                await answer(writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            self.hung_up.set()
        finally:
            writer.close()


async def read_request(head: bytes, reader: asyncio.StreamReader) -> Asked:
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Asked(path=first.split()[1], headers=headers, body=json.loads(body))


Story = Callable[[Vendor], Coroutine[Any, Any, T]]


class Play(Protocol):
    def __call__(self, story: Story[T], *answers: Answer) -> T: ...


@pytest.fixture
def with_vendor(monkeypatch: pytest.MonkeyPatch) -> Play:
    """Run a story while a vendor with the given answers is up and the environment points at it."""

    async def played(story: Story[T], answers: Sequence[Answer]) -> T:
        vendor = Vendor(answers=list(answers))
        server = await asyncio.start_server(vendor.serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{port}/v1")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        try:
            return await story(vendor)
        finally:
            server.close()

    def play(story: Story[T], *answers: Answer) -> T:
        return run(played(story, answers))

    return play


def sse(*events: JsonObject, named: bool = False) -> bytes:
    lines: list[str] = []
    for event in events:
        name = f"event: {event['type']}\n" if named else ""
        lines.append(f"{name}data: {json.dumps(event)}\n\n")
    return "".join(lines).encode()


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)


def streams(*events: JsonObject, named: bool = False) -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM_HEAD)
        for event in events:
            writer.write(chunk(sse(event, named=named)))
            await writer.drain()
        end = b"" if named else b"data: [DONE]\n\n"
        writer.write((chunk(end) if end else b"") + b"0\r\n\r\n")

    return answer


def breaks_off(*events: JsonObject) -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM_HEAD + chunk(sse(*events)))
        await writer.drain()
        writer.close()

    return answer


def just_ends(*events: JsonObject) -> Answer:
    """Like a proxy that closes a stream of unknown length: nobody can see that it is cut off."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + sse(*events))
        await writer.drain()
        writer.close()

    return answer


def refuses(status: int, error: object, *headers: str) -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        body = json.dumps({"error": error}).encode() if not isinstance(error, bytes) else error
        lines = (
            f"HTTP/1.1 {status} No",
            "content-type: application/json",
            f"content-length: {len(body)}",
            *headers,
        )
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await writer.drain()

    return answer


async def hangs_up(writer: asyncio.StreamWriter) -> None:
    writer.close()


async def waits(writer: asyncio.StreamWriter) -> None:
    """Stream one chunk and then nothing until the other side hangs up."""
    writer.write(STREAM_HEAD + chunk(sse(delta(content="one"))))
    await writer.drain()


def delta(finish: str | None = None, **fields: object) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "gpt-local-2026",
        "choices": [{"index": 0, "delta": fields, "finish_reason": finish}],
    }


USAGE: dict[str, Any] = {
    **delta(),
    "choices": [],
    "usage": {
        "prompt_tokens": 100,
        "completion_tokens": 30,
        "total_tokens": 130,
        "prompt_tokens_details": {"cached_tokens": 60},
        "completion_tokens_details": {"reasoning_tokens": 20},
    },
}

HELLO = (
    delta(role="assistant", content=""),
    delta(content="Hel"),
    delta(content="lo."),
    delta(finish="stop"),
    USAGE,
)


def chat(
    request: ModelRequest | None = None, **options: int
) -> Story[tuple[ModelReply, list[Delta]]]:
    async def story(_vendor: Vendor) -> tuple[ModelReply, list[Delta]]:
        return await asked(provider("openai-chat", **options), request or request_of())

    return story


def sent(request: ModelRequest, kind: str = "openai-chat") -> Story[JsonBody]:
    """Tell what body a request goes out with."""

    async def story(vendor: Vendor) -> JsonBody:
        await asked(provider(kind), request)
        return vendor.asked[0].body

    return story


def test_text_streams_through_the_real_client(with_vendor: Play) -> None:
    reply, deltas = with_vendor(chat(), streams(*HELLO))

    assert deltas == [ProseDelta(text="Hel"), ProseDelta(text="lo.")]
    assert prose(reply) == ["Hello."]
    assert reply.finish is FinishReason.STOP
    assert (reply.model, reply.response_id) == ("gpt-local-2026", "chatcmpl-1")


def test_usage_is_counted_by_bucket_and_is_no_estimate(with_vendor: Play) -> None:
    reply, _ = with_vendor(chat(), streams(*HELLO))

    assert not reply.usage_is_estimated
    assert reply.usage == TokenUsage(
        input_tokens=40,
        output_tokens=30,
        cache_read_input_tokens=60,
        reasoning_output_tokens=20,
    )


def test_usage_that_a_vendor_leaves_out_is_marked_as_an_estimate(with_vendor: Play) -> None:
    reply, _ = with_vendor(chat(), streams(*HELLO[:-1]))

    assert reply.usage_is_estimated
    assert reply.usage == TokenUsage()
    assert reply.finish is FinishReason.STOP


def call_delta(index: int, arguments: str, **fields: str) -> dict[str, Any]:
    """One piece of a streamed tool call."""
    name = {"name": fields["name"]} if "name" in fields else {}
    call_id = {"id": fields["id"], "type": "function"} if "id" in fields else {}
    call = {"index": index, **call_id, "function": {**name, "arguments": arguments}}
    return delta(tool_calls=[call])


def test_parallel_tool_calls_stream_through_the_real_client(with_vendor: Play) -> None:
    answer = streams(
        delta(role="assistant", content="Let me look."),
        call_delta(0, "", name="read_file", id="call_a"),
        call_delta(0, '{"path": '),
        call_delta(0, '"a.txt"}'),
        call_delta(1, '{"path": "b', name="read_file", id="call_b"),
        delta(finish="tool_calls"),
        USAGE,
    )
    reply, deltas = with_vendor(chat(request_of(tools=(READ_FILE,))), answer)

    assert deltas == [ProseDelta(text="Let me look.")]
    assert [(p.call_id, p.arguments) for p in reply.parts if isinstance(p, ToolCallPart)] == [
        ("call_a", '{"path": "a.txt"}'),
        ("call_b", '{"path": "b'),
    ]
    assert reply.finish is FinishReason.TOOL_CALLS


def test_the_whole_transcript_goes_out_in_the_words_of_the_vendor(with_vendor: Play) -> None:
    calls = ("c1", "c2", "c3")
    request = request_of(
        said(TextPart(text="What is "), TextPart(text="this?"), PNG),
        said(
            ProsePart(text="I look."),
            *(ToolCallPart(call_id=CallId(c), tool="t", arguments='{"a":1}') for c in calls),
            role=Role.ASSISTANT,
        ),
        said(
            ToolResultPart(call_id=CallId("c1"), tool="t", status=ToolStatus.SUCCEEDED, text="ok"),
            ToolResultPart(call_id=CallId("c2"), tool="t", status=ToolStatus.FAILED, text="no"),
            ToolResultPart(call_id=CallId("c3"), tool="t", status=ToolStatus.CANCELLED, text=""),
        ),
        said(TextPart(text="Go on."), role=Role.USER),
        said(TextPart(text="Turn limit reached."), role=Role.SYSTEM),
        tools=(READ_FILE,),
        settings={"temperature": 0.5},
    )
    body = with_vendor(sent(request), streams(*HELLO))

    assert [message["role"] for message in body["messages"]] == [
        "system", "user", "assistant", "tool", "tool", "tool", "user", "user",
    ]  # fmt: skip
    _, asks, assistant, done, failed, cancelled, _, notice = body["messages"]
    assert [item["type"] for item in asks["content"]] == ["text", "text", "image_url"]
    assert [call["id"] for call in assistant["tool_calls"]] == list(calls)
    assert done["content"] == "ok"
    assert json.loads(failed["content"]) == {"error": "no"}
    assert "cancelled" in cancelled["content"]
    assert notice["content"] == "<system>\nTurn limit reached.\n</system>"
    assert body["temperature"] == 0.5
    assert body["tools"][0]["function"]["name"] == "read_file"


PNG = ImagePart(media_type="image/png", data=b"\x89PNG\r\n\x1a\n")


@pytest.mark.parametrize("broken", ['{"path": ', "[1]", "", "nonsense", '{"a": "\\ud800"}'])
def test_broken_arguments_in_the_transcript_are_sent_as_a_json_object(
    with_vendor: Play, broken: str
) -> None:
    call = ToolCallPart(call_id=CallId("c1"), tool="read_file", arguments=broken)
    result = ToolResultPart(
        call_id=CallId("c1"), tool="read_file", status=ToolStatus.FAILED, text="not JSON"
    )
    request = request_of(said(TextPart(text="go")), said(call, role=Role.ASSISTANT), said(result))
    body = with_vendor(sent(request), streams(*HELLO))

    arguments = json.loads(body["messages"][2]["tool_calls"][0]["function"]["arguments"])
    assert arguments == ({"INVALID_JSON": broken} if broken else {})


def test_a_leading_system_message_stays_one(with_vendor: Play) -> None:
    leading = said(TextPart(text="You are old."), role=Role.SYSTEM)
    request = request_of(leading, said(TextPart(text="hi")))
    body = with_vendor(sent(request), streams(*HELLO))

    contents = [m["content"] for m in body["messages"] if m["role"] == "system"]
    assert "You are old." in "\n".join(contents)
    assert "Be brief." in "\n".join(contents)


# --- what a provider wants back ---------------------------------------------------------------

REASONED: dict[str, Any] = {
    "id": "rs_1",
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": "I think."}],
    "encrypted_content": "c2VhbGVk",
}
TOLD: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Hi.", "annotations": []}],
}
CALLED: dict[str, Any] = {
    "id": "fc_1",
    "type": "function_call",
    "call_id": "call_1",
    "name": "read_file",
    "arguments": '{"path": "a"}',
    "status": "completed",
}


def response(status: str, *output: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_700_000_000,
        "model": "gpt-5-local",
        "status": status,
        "output": list(output),
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": None
        if status == "in_progress"
        else {
            "input_tokens": 10,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": 5,
            "output_tokens_details": {"reasoning_tokens": 2},
            "total_tokens": 15,
        },
    }


def responses_events() -> list[dict[str, Any]]:
    """Reasoning, text and a call, the way the Responses API streams them."""
    where = {"item_id": "rs_1", "output_index": 0, "summary_index": 0}
    piece = {"type": "summary_text", "text": ""}
    text = {"item_id": "msg_1", "output_index": 1, "content_index": 0}
    empty = {"type": "output_text", "text": "", "annotations": []}
    call = {"item_id": "fc_1", "output_index": 2}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": response("in_progress")},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {**REASONED, "summary": [], "encrypted_content": None},
        },
        {"type": "response.reasoning_summary_part.added", **where, "part": piece},
        {"type": "response.reasoning_summary_text.delta", **where, "delta": "I think."},
        {"type": "response.output_item.done", "output_index": 0, "item": REASONED},
        {
            "type": "response.output_item.added",
            "output_index": 1,
            "item": {**TOLD, "content": [], "status": "in_progress"},
        },
        {"type": "response.content_part.added", **text, "part": empty},
        {"type": "response.output_text.delta", **text, "delta": "Hi.", "logprobs": []},
        {"type": "response.output_item.done", "output_index": 1, "item": TOLD},
        {
            "type": "response.output_item.added",
            "output_index": 2,
            "item": {**CALLED, "arguments": "", "status": "in_progress"},
        },
        {"type": "response.function_call_arguments.delta", **call, "delta": '{"path": "a"}'},
        {"type": "response.output_item.done", "output_index": 2, "item": CALLED},
        {"type": "response.completed", "response": response("completed", REASONED, TOLD, CALLED)},
    ]
    return [{**event, "sequence_number": n} for n, event in enumerate(events)]


def test_signatures_and_ids_of_a_provider_survive_into_the_next_request(with_vendor: Play) -> None:
    first = request_of(model="gpt-5", tools=(READ_FILE,))

    async def story(vendor: Vendor) -> tuple[ModelReply, Any]:
        reply, _ = await asked(provider("openai"), first)
        result = ToolResultPart(
            call_id=CallId("call_1"), tool="read_file", status=ToolStatus.SUCCEEDED, text="A"
        )
        spoken = (*first.messages, said(*reply.parts, role=Role.ASSISTANT), said(result))
        await asked(provider("openai"), evolve(first, messages=spoken))
        return reply, vendor.asked[1].body["input"]

    reply, sent_items = with_vendor(story, streams(*responses_events(), named=True))

    assert [(type(part), part.mark and part.mark.part_id) for part in reply.parts] == [
        (ReasoningPart, "rs_1"),
        (ProsePart, "msg_1"),
        (ToolCallPart, "fc_1"),
    ]
    by_id = {item["id"]: item for item in sent_items if "id" in item}
    assert by_id["rs_1"]["encrypted_content"] == "c2VhbGVk"
    assert by_id["rs_1"]["summary"] == [{"type": "summary_text", "text": "I think."}]
    assert by_id["msg_1"]["content"][0]["text"] == "Hi."
    assert by_id["fc_1"]["call_id"] == "call_1"
    assert [item["output"] for item in sent_items if item.get("type") == "function_call_output"]


def test_what_a_provider_attached_is_not_sent_to_another(with_vendor: Play) -> None:
    foreign = ProviderMark(part_id="rs_9", provider="anthropic", signature="sealed")
    past = said(
        ReasoningPart(text="I think.", mark=foreign), ProsePart(text="Hi."), role=Role.ASSISTANT
    )
    request = request_of(said(TextPart(text="a")), past, said(TextPart(text="b")), model="gpt-5")
    body = with_vendor(sent(request, kind="openai"), streams(*responses_events(), named=True))

    assert "sealed" not in json.dumps(body)
    assert "rs_9" not in json.dumps(body)


def test_every_field_of_a_mark_goes_round_through_the_client() -> None:
    seen: list[Any] = []
    marks = [
        ProviderMark(
            part_id=f"p{n}", provider="v", signature=sign, details={"n": (n, {"k": None})}
        )
        for n, sign in enumerate(("sig", None, None))
    ]
    past = said(
        ReasoningPart(text="", mark=marks[0]),
        ProsePart(text="Hi.", mark=marks[1]),
        ToolCallPart(call_id=CallId("c"), tool="t", arguments="{}", mark=marks[2]),
        role=Role.ASSISTANT,
    )
    result = ToolResultPart(call_id=CallId("c"), tool="t", status=ToolStatus.SUCCEEDED, text="A")

    async def stream(messages: Messages, _info: Info) -> AsyncIterator[str]:
        seen.extend(messages)
        yield "ok"

    request = request_of(said(TextPart(text="a")), past, said(result))
    run(asked(function_provider(stream, unasked), request))

    parts = seen[1].parts
    assert [part.id for part in parts] == ["p0", "p1", "p2"]
    assert [part.provider_name for part in parts] == ["v", "v", "v"]
    assert [part.provider_details for part in parts] == [{"n": [n, {"k": None}]} for n in range(3)]
    assert parts[0].signature == "sig"
    assert seen[1].provider_name == "v"


# --- failures ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "error", "code", "retryable"),
    [
        (400, {"message": "bad schema"}, "invalid_request", False),
        (
            400,
            {"message": "too long", "code": "context_length_exceeded"},
            "context_overflow",
            False,
        ),
        (401, {"message": f"Incorrect API key: {KEY}"}, "authentication", False),
        (403, {"message": "not yours"}, "authentication", False),
        (404, {"message": "no such model", "code": "model_not_found"}, "model_not_found", False),
        (408, {"message": "slow"}, "timeout", True),
        (409, {"message": "conflict"}, "invalid_request", False),
        (413, {"message": "large"}, "invalid_request", False),
        (422, {"message": "unprocessable"}, "invalid_request", False),
        (429, {"message": "slow down"}, "rate_limited", True),
        (429, {"message": "pay", "code": "insufficient_quota"}, "quota_exceeded", False),
        (500, {"message": "oops"}, "provider_unavailable", True),
        (502, b"<html>bad gateway</html>", "provider_unavailable", True),
        (503, {"message": "down"}, "provider_unavailable", True),
        (529, {"message": "overloaded"}, "provider_unavailable", True),
    ],
)
def test_a_status_has_a_stable_code_and_says_whether_to_try_again(
    with_vendor: Play, status: int, error: object, code: str, *, retryable: bool
) -> None:
    failure = failed(with_vendor, chat(retries_max=0), refuses(status, error))

    assert (failure.code, failure.retryable) == (code, retryable)
    assert failure.is_retryable is retryable
    assert str(status) in failure.message


def failed(with_vendor: Play, story: Story[Any], *answers: Answer) -> ModelCallFailed:
    with pytest.raises(ModelCallFailed) as caught:
        with_vendor(story, *answers)
    return caught.value


@pytest.mark.parametrize("answer", [hangs_up, breaks_off(*HELLO[:2])])
def test_a_connection_that_breaks_is_a_failure_that_may_pass(
    with_vendor: Play, answer: Answer
) -> None:
    failure = failed(with_vendor, chat(retries_max=0), answer)

    assert (failure.code, failure.retryable) == ("connection", True)


def test_nobody_at_the_address_is_a_failure_that_may_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    failure = failure_of(provider("openai-chat", retries_max=0), request_of())

    assert (failure.code, failure.retryable) == ("connection", True)


def test_a_slow_answer_is_a_timeout(with_vendor: Play) -> None:
    request = request_of(settings={"timeout": 0.2})
    failure = failed(with_vendor, chat(request, retries_max=0), waits)

    assert (failure.code, failure.retryable) == ("timeout", True)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (httpx2.ReadTimeout("slow"), "timeout"),
        (httpx2.ReadError("reset"), "connection"),
        (ConnectionResetError("reset"), "connection"),
        (TimeoutError(), "timeout"),
    ],
)
def test_what_a_client_lets_through_is_judged_by_its_kind(error: Exception, code: str) -> None:
    async def stream(_messages: Messages, _info: Info) -> AsyncIterator[StreamedItem]:
        yield "so far"
        raise error

    failure = failure_of(function_provider(stream, unasked), request_of())

    assert (failure.code, failure.retryable) == (code, True)


def test_an_answer_that_is_no_json_is_invalid(with_vendor: Play) -> None:
    async def garbage(writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM_HEAD + chunk(b"data: {nonsense\n\n") + b"0\r\n\r\n")

    failure = failed(with_vendor, chat(retries_max=0), garbage)

    assert (failure.code, failure.retryable) == ("invalid_response", True)


def test_an_error_inside_the_stream_is_judged_like_one_before_it(with_vendor: Play) -> None:
    answer = streams(HELLO[1], {"error": {"message": "slow", "code": "rate_limit_exceeded"}})
    failure = failed(with_vendor, chat(retries_max=0), answer)

    assert (failure.code, failure.retryable) == ("rate_limited", True)


def test_a_stream_that_just_ends_is_not_taken_for_a_finished_answer(with_vendor: Play) -> None:
    reply, _ = with_vendor(chat(), just_ends(*HELLO[:2]))

    assert reply.finish is FinishReason.UNKNOWN


def test_a_responses_stream_that_just_ends_is_a_failure(with_vendor: Play) -> None:
    async def story(_vendor: Vendor) -> object:
        return await asked(provider("openai", retries_max=0), request_of(model="gpt-5"))

    failure = failed(with_vendor, story, streams(*responses_events()[:8], named=True))

    assert (failure.code, failure.retryable) == ("invalid_response", True)


def test_the_client_tries_again_only_as_often_as_it_is_told(with_vendor: Play) -> None:
    soon = "retry-after-ms: 1"

    async def story(vendor: Vendor) -> int:
        with pytest.raises(ModelCallFailed):
            await asked(provider("openai-chat", retries_max=1), request_of())
        return len(vendor.asked)

    assert with_vendor(story, refuses(503, {"message": "down"}, soon)) == 2


def test_the_client_gets_over_a_short_failure_by_itself(with_vendor: Play) -> None:
    down = refuses(429, {"message": "slow down"}, "retry-after-ms: 1")
    reply, deltas = with_vendor(chat(), down, down, streams(*HELLO))

    assert prose(reply) == ["Hello."]
    assert "".join(delta.text for delta in deltas) == "Hello."


def test_the_client_never_tries_again_once_text_has_come(with_vendor: Play) -> None:
    async def story(vendor: Vendor) -> int:
        with pytest.raises(ModelCallFailed):
            await asked(provider("openai-chat"), request_of())
        return len(vendor.asked)

    assert with_vendor(story, breaks_off(*HELLO[:2])) == 1


def test_cancelling_in_mid_stream_hangs_up_on_the_vendor(with_vendor: Play) -> None:
    async def story(vendor: Vendor) -> bool:
        mine = provider("openai-chat")
        started = asyncio.Event()
        call = asyncio.create_task(mine.request(request_of(), lambda _: started.set()))
        await started.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.wait_for(vendor.hung_up.wait(), timeout=5)
        await mine.aclose()
        return vendor.hung_up.is_set()

    assert with_vendor(story, waits)


def test_closing_hangs_up_and_leaves_the_provider_usable(with_vendor: Play) -> None:
    async def story(vendor: Vendor) -> list[str]:
        mine = provider("openai-chat")
        first, _ = await asked(mine, request_of())
        await asyncio.wait_for(vendor.hung_up.wait(), timeout=5)
        second, _ = await asked(mine, request_of())
        return [text for reply in (first, second) for text in prose(reply)]

    assert with_vendor(story, streams(*HELLO)) == ["Hello.", "Hello."]


def test_calls_of_one_provider_run_side_by_side(with_vendor: Play) -> None:
    async def story(_vendor: Vendor) -> list[ModelReply]:
        mine = provider("openai-chat")
        calls = [mine.request(request_of(), lambda _: None) for _ in range(5)]
        replies = await asyncio.gather(*calls)
        await mine.aclose()
        return replies

    assert len(with_vendor(story, streams(*HELLO))) == 5


# --- secrets ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        refuses(401, {"message": f"Incorrect API key provided: {KEY}"}),
        refuses(400, {"message": f"header authorization: Bearer {KEY} is odd"}),
        refuses(500, {"message": f"dump: {KEY[:12]}***cdef"}),
        refuses(400, [f"Bearer {KEY}"]),
    ],
    ids=["quoted", "header", "shortened", "odd shape"],
)
def test_no_key_is_in_a_failure_whatever_the_vendor_says(
    with_vendor: Play, answer: Answer
) -> None:
    failure = failed(with_vendor, chat(retries_max=0), answer)

    assert_no_secret(failure, KEY, KEY[:12])


def test_no_secret_of_the_environment_is_in_a_failure_whatever_it_looks_like(
    with_vendor: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_OTHER_TOKEN", "correct horse")
    answer = refuses(400, {"message": "what is correct horse?"})
    failure = failed(with_vendor, chat(retries_max=0), answer)

    assert_no_secret(failure, "correct horse")
    assert failure.message == "HTTP 400: what is ***?"


def test_no_key_is_in_a_failure_when_the_key_itself_is_malformed(
    with_vendor: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An HTTP library quotes a header that it refuses to send."""

    async def story(_vendor: Vendor) -> object:
        monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\n")
        return await asked(provider("openai-chat", retries_max=0), request_of())

    assert_no_secret(failed(with_vendor, story, streams(*HELLO)), KEY)


def assert_no_secret(failure: ModelCallFailed, *secrets: str) -> None:
    shown = [
        str(failure),
        repr(failure),
        *traceback.format_exception(failure),
        str(failure.fields),
    ]
    assert not [text for text in shown if any(secret in text for secret in secrets)]
    assert failure.__cause__ is None
    assert failure.__context__ is None


# --- before a turn ----------------------------------------------------------------------------


def test_a_missing_key_is_named_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(MissingCredentials) as caught:
        provider("openai").check("gpt-5")

    assert caught.value.variables == ("OPENAI_API_KEY",)
    assert "OPENAI_API_KEY" in str(caught.value)


def test_credentials_that_are_kept_in_no_variable_are_missed_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CODEX_HOME", str(tmp_path))
    with pytest.raises(MissingCredentials) as caught:
        provider("openai-codex").check("gpt-5")

    assert str(tmp_path) not in str(caught.value)


def test_a_blank_key_is_a_missing_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "")
    monkeypatch.delenv("OPENAI_ADMIN_KEY", raising=False)
    with pytest.raises(MissingCredentials, match="OPENAI_API_KEY"):
        provider("openai").check("gpt-5")


def test_an_unchecked_request_says_the_same_as_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(MissingCredentials):
        run(asked(provider("openai"), request_of()))


def test_an_unknown_provider_is_an_unknown_model() -> None:
    with pytest.raises(UnknownModel, match="nonsense") as caught:
        provider("nonsense").check("gpt-5")

    assert (caught.value.provider, caught.value.model_id) == ("nonsense", "gpt-5")


@pytest.mark.parametrize("model_id", ["", " ", "gpt 5", "gpt\n5", "x" * 257])
def test_a_name_that_can_be_no_models_is_refused_before_anything_else(model_id: str) -> None:
    for mine in (provider("openai"), streaming("words")):
        with pytest.raises(UnknownModel):
            mine.check(model_id)


def test_a_client_that_is_not_installed_is_named_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [name for name in sys.modules if name.startswith("pydantic_ai")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pydantic_ai", None)
    with pytest.raises(ModelsExtraMissing) as caught:
        provider("test").check("test")

    assert "pip install" in str(caught.value)


def test_a_check_opens_no_connection(with_vendor: Play) -> None:
    async def story(vendor: Vendor) -> list[Asked]:
        mine = provider("openai")
        mine.check("gpt-5")
        await mine.aclose()
        return vendor.asked

    assert with_vendor(story, hangs_up) == []


def test_importing_the_adapter_loads_no_client_library() -> None:
    script = (
        "import sys, lash_es.runtime.models, lash_es.runtime.tools\n"
        "lash_es.runtime.models.provider('openai')\n"
        "heavy = ('pydantic', 'openai', 'httpx', 'griffe')\n"
        "print([name for name in sys.modules if name.startswith(heavy)])"
    )
    shown = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, check=True, text=True
    )

    assert shown.stdout.strip() == "[]"


def test_every_provider_fits_the_port() -> None:
    ports: list[Provider] = [provider("openai"), provider("test"), streaming("words")]

    assert [port.kind for port in ports] == ["openai", "test", "offline"]
