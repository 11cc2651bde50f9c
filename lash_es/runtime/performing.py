"""
Performing one effect: a model call or a tool call, from its request to its outcome.

Whatever a model or a tool does wrong becomes an outcome. What goes wrong with the log is raised:
an outcome that cannot be recorded must not be made up.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias, assert_never

from attrs import evolve as with_changes
from attrs import fields, frozen

from lash_es.codec.errors import UnencodableValue
from lash_es.codec.records import require_recordable
from lash_es.core.effects import Effect, ModelCall, ToolCall
from lash_es.core.events import EffectSettled
from lash_es.core.ids import CallId, EffectId, Generation, TurnId
from lash_es.core.messages import (
    EffectFailure,
    ModelReply,
    ProsePart,
    ReasoningPart,
    TokenUsage,
    ToolCallPart,
    ToolOutput,
)
from lash_es.core.outcomes import (
    EffectFailed,
    EffectOutcome,
    ModelReplied,
    ToolCallRef,
    ToolReturned,
)
from lash_es.core.turns import OpenTurn
from lash_es.runtime.activities import ActivityPump
from lash_es.runtime.committing import Lane
from lash_es.runtime.providers import Delta, ModelCallFailed, ProseDelta, Provider
from lash_es.runtime.tools import OnTakeover, ToolCallFailed, ToolCallRefused, ToolSet
from lash_es.runtime.transcripts import Transcript
from lash_es.turns.activities import (
    AssistantProseDelta,
    ModelRequestStarted,
    ReasoningTextDelta,
    ToolCallStarted,
)
from lash_es.turns.prompts import model_request

UNCERTAIN_TOOL_WAIT_MS_MAX: Final = 60_000
INTERRUPTED: Final = "interrupted"
TOKENS_MAX: Final = 10**12
"""What one bucket of one reply may count: the sums of a turn and of a session stay countable."""


@frozen(kw_only=True)
class UncertainToolCall:
    """A call that was in flight when its owner died: it may have happened, or not."""

    session_id: str
    turn_id: TurnId
    effect_id: EffectId
    call_id: CallId
    tool: str
    arguments: str


@frozen(kw_only=True)
class Rerun:
    """Call the tool again."""


@frozen(kw_only=True)
class Settle:
    """Do not call it again: this is what it came to, an output or the words of its failure."""

    output: str
    has_failed: bool = False


UncertainToolHandler: TypeAlias = Callable[[UncertainToolCall], Awaitable[Rerun | Settle]]


@frozen(kw_only=True)
class Performed:
    """What came of an effect: the control data, and the words; of a call, also what went in."""

    outcome: EffectOutcome
    content: ModelReply | ToolOutput | EffectFailure
    arguments: str = ""


def failed(code: str, text: str, *, is_retryable: bool = False) -> Performed:
    """Make the outcome of an effect that failed for good."""
    return Performed(
        outcome=EffectFailed(code=code, is_retryable=is_retryable),
        content=EffectFailure(message=text),
    )


class Performer:
    """Performs the effects of one turn."""

    def __init__(
        self,
        *,
        lane: Lane,
        transcript: Transcript,
        provider: Provider,
        tools: ToolSet,
        pump: ActivityPump,
        on_uncertain_tool: UncertainToolHandler | None,
        uncertain_tool_wait_ms_max: int = UNCERTAIN_TOOL_WAIT_MS_MAX,
    ) -> None:
        self._lane = lane
        self._transcript = transcript
        self._provider = provider
        self._tools = tools
        self._pump = pump
        self._on_uncertain_tool = on_uncertain_tool
        self._uncertain_tool_wait_ms_max = uncertain_tool_wait_ms_max

    async def perform(self, turn: OpenTurn, effect: Effect) -> Performed:
        """
        Perform one effect to its outcome.

        Raises:
            StorageError, CorruptHistory, CorruptBody: the log could not be read; there is no
                outcome.
        """
        match effect.request:
            case ModelCall():
                return await self._ask_model(turn, effect, effect.request)
            case ToolCall():
                arguments = await self._arguments(effect.request)
                performed = await self._call_tool(turn, effect, effect.request, arguments)
                return with_changes(performed, arguments=arguments)
            case _:
                assert_never(effect.request)

    async def _ask_model(self, turn: OpenTurn, effect: Effect, call: ModelCall) -> Performed:
        history, messages = await self._transcript.messages(turn)
        request = model_request(turn.policy, messages, self._tools.specs(), history=history)
        started = ModelRequestStarted(
            effect_id=effect.effect_id, protocol_iteration=call.iteration, attempt=effect.attempt
        )
        self._pump.show(started, effect.effect_id)
        try:
            reply = await self._provider.request(request, lambda d: self._show_delta(effect, d))
        except ModelCallFailed as failure:
            return failed(failure.code, failure.message, is_retryable=failure.is_retryable)
        except Exception as error:  # noqa: BLE001 - a provider's bug ends its call, not the process
            return failed("unexpected", f"the provider raised {type(error).__name__}")
        return _answered(reply)

    def _show_delta(self, effect: Effect, delta: Delta) -> None:
        kind = AssistantProseDelta if isinstance(delta, ProseDelta) else ReasoningTextDelta
        shown = kind(effect_id=effect.effect_id, attempt=effect.attempt, text=delta.text)
        self._pump.show(shown, effect.effect_id)

    async def _call_tool(
        self, turn: OpenTurn, effect: Effect, call: ToolCall, arguments: str
    ) -> Performed:
        started = ToolCallStarted(
            effect_id=effect.effect_id,
            call_id=call.call_id,
            name=call.tool,
            arguments=arguments,
            attempt=effect.attempt,
        )
        self._pump.show(started, f"tool:{call.call_id}")
        try:
            tool = self._tools.get(call.tool)
            if effect.attempt > 1 and tool.on_takeover is OnTakeover.ASK:
                settled = await self._ask_host(turn, effect, call, arguments)
                if settled is not None:
                    return settled
            output = await tool.call(arguments)
        except (ToolCallRefused, ToolCallFailed) as failure:
            return failed(failure.code, failure.message)
        return Performed(outcome=ToolReturned(), content=ToolOutput(text=output))

    async def _arguments(self, call: ToolCall) -> str:
        """Read the call's arguments as the model wrote them."""
        reply = await self._transcript.reply(call.reply)
        calls = [part for part in reply.parts if isinstance(part, ToolCallPart)]
        return calls[call.ordinal].arguments

    async def _ask_host(
        self, turn: OpenTurn, effect: Effect, call: ToolCall, arguments: str
    ) -> Performed | None:
        """Ask what became of a call in flight; none means that it is to be called again."""
        interrupted = failed(
            INTERRUPTED, "interrupted: whether the call had its effect is not known"
        )
        if self._on_uncertain_tool is None:
            return interrupted
        question = UncertainToolCall(
            session_id=self._lane.stream.session_id,
            turn_id=turn.turn_id,
            effect_id=effect.effect_id,
            call_id=call.call_id,
            tool=call.tool,
            arguments=arguments,
        )
        try:
            async with asyncio.timeout(self._uncertain_tool_wait_ms_max / 1000):
                answer = await self._on_uncertain_tool(question)
        except Exception:  # noqa: BLE001 - no answer, for whatever reason: the declared outcome
            return interrupted
        if isinstance(answer, Rerun):
            return None
        if answer.has_failed:
            return failed(INTERRUPTED, answer.output)
        return Performed(outcome=ToolReturned(), content=ToolOutput(text=answer.output))


def _answered(reply: ModelReply) -> Performed:
    """Take a reply as it is, or as a failure: types bind no provider, nor the server behind it."""
    try:
        reply = with_changes(reply, usage=_counted(reply.usage))
        outcome = replied(reply)
        require_recordable(_settled(outcome))
    except UnencodableValue as refusal:
        return failed("unencodable_value", refusal.summary())
    except Exception as error:  # noqa: BLE001 - whatever a foreign value makes of our code
        return failed("unexpected", f"the reply is none: {type(error).__name__}")
    return Performed(outcome=outcome, content=reply)


def _settled(outcome: ModelReplied) -> EffectSettled:
    """Make a fact of an outcome, to see whether it can be one."""
    return EffectSettled(
        at_ms=0,
        generation=Generation(0),
        turn_id=TurnId(""),
        effect_id=EffectId(""),
        outcome=outcome,
        bodies=(),
    )


def _counted(usage: TokenUsage) -> TokenUsage:
    """Make what is negative nothing, and refuse what no count of tokens can be."""
    counts = {each.name: max(0, getattr(usage, each.name)) for each in fields(TokenUsage)}
    if max(counts.values()) > TOKENS_MAX:
        raise UnencodableValue(what="token usage", reason=f"a count is over {TOKENS_MAX}")
    return TokenUsage(**counts)


def replied(reply: ModelReply) -> ModelReplied:
    """Take from a reply what decides how the turn goes on."""
    calls = tuple(
        ToolCallRef(call_id=part.call_id, tool=part.tool)
        for part in reply.parts
        if isinstance(part, ToolCallPart)
    )
    return ModelReplied(
        finish=reply.finish,
        has_content=any(_says_something(part) for part in reply.parts),
        tool_calls=calls,
        usage=reply.usage,
    )


def _says_something(part: ProsePart | ReasoningPart | ToolCallPart) -> bool:
    match part:
        case ProsePart():
            return bool(part.text.strip())
        case ReasoningPart():
            return True
        case ToolCallPart():
            return False
