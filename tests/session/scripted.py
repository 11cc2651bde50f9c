"""
A provider that says what a test wrote down, when the test lets it.

A script is a function from a request to a ``Say``: ``in_order`` goes by the calls,
``by_transcript`` by what the model has said before, so that a call that is asked again gets the
same answer in any process.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import TypeAlias

from attrs import Factory, field, frozen

from lash_es import (
    ModelReply,
    ModelRequest,
    ProsePart,
    ReasoningPart,
    Role,
    TokenUsage,
    ToolCallPart,
)
from lash_es.core.ids import CallId
from lash_es.core.messages import FinishReason, JsonObject
from lash_es.runtime.providers import Delta, DeltaSink

USAGE = TokenUsage(input_tokens=10, output_tokens=3)


@frozen(kw_only=True)
class Say:
    """One answer: what is streamed, what is waited for, and the reply or failure at the end."""

    reply: ModelReply | None = None
    failure: BaseException | None = None
    deltas: tuple[Delta, ...] = ()
    gate: asyncio.Event | None = None


Script: TypeAlias = Callable[[ModelRequest], Say]


def says(
    *texts: str,
    usage: TokenUsage = USAGE,
    finish: FinishReason = FinishReason.STOP,
    deltas: Sequence[Delta] = (),
    gate: asyncio.Event | None = None,
) -> Say:
    """Answer in prose, one part for each text."""
    parts = tuple(ProsePart(text=text) for text in texts)
    reply = ModelReply(parts=parts, usage=usage, finish=finish)
    return Say(reply=reply, deltas=tuple(deltas), gate=gate)


def thinks(text: str) -> Say:
    """Answer with reasoning and nothing for the reader."""
    return Say(reply=ModelReply(parts=(ReasoningPart(text=text),), usage=USAGE))


def call(call_id: str, tool: str, arguments: JsonObject | str = "{}") -> ToolCallPart:
    """Make a call; arguments given as a text are taken as the model wrote them."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return ToolCallPart(call_id=CallId(call_id), tool=tool, arguments=text)


def calls(*parts: ToolCallPart, text: str = "") -> Say:
    """Ask for tools, after a word to the reader if there is one."""
    prose = (ProsePart(text=text),) if text else ()
    reply = ModelReply(parts=(*prose, *parts), usage=USAGE, finish=FinishReason.TOOL_CALLS)
    return Say(reply=reply)


def fails(failure: BaseException) -> Say:
    """Raise instead of answering."""
    return Say(failure=failure)


def in_order(*steps: Say) -> Script:
    """Give the answers one after the other, whatever is asked; one call more is a defect."""
    rest = list(steps)

    def script(_: ModelRequest) -> Say:
        return rest.pop(0)

    return script


def always(step: Say) -> Script:
    """Give the same answer for ever."""
    return lambda _: step


def by_transcript(*steps: Say) -> Script:
    """Give the answer that follows what the model has said before."""

    def script(request: ModelRequest) -> Say:
        said = sum(message.role is Role.ASSISTANT for message in request.messages)
        return steps[said]

    return script


@frozen(kw_only=True)
class ScriptedProvider:
    """A ``Provider``; ``requests`` is what it was asked, ``aborted`` what was taken back."""

    script: Script = field(repr=False)
    kind: str = "scripted"
    requests: list[ModelRequest] = Factory(list[ModelRequest])
    aborted: list[ModelRequest] = Factory(list[ModelRequest])
    is_asked: asyncio.Event = Factory(asyncio.Event)

    def check(self, model_id: str) -> None:
        """Every name will do."""

    async def request(self, request: ModelRequest, on_delta: DeltaSink) -> ModelReply:
        """Play the script."""
        self.requests.append(request)
        step = self.script(request)
        for delta in step.deltas:
            on_delta(delta)
        self.is_asked.set()
        try:
            if step.gate is not None:
                await step.gate.wait()
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.aborted.append(request)
            raise
        if step.failure is not None:
            raise step.failure
        if step.reply is None:
            raise AssertionError("a step must have a reply or a failure")
        return step.reply

    async def aclose(self) -> None:
        """Hold nothing."""


def speaking(*steps: Say, kind: str = "scripted") -> ScriptedProvider:
    """Make a provider that answers in order."""
    return ScriptedProvider(script=in_order(*steps), kind=kind)


def remembering(*steps: Say) -> ScriptedProvider:
    """Make a provider that answers by transcript."""
    return ScriptedProvider(script=by_transcript(*steps))
