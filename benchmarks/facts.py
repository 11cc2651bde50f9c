"""A long session as it would be recorded: turns with two tool calls, queued inputs, leases."""

from collections.abc import Iterator

from lash_es.core.bodies import NewBody
from lash_es.core.commands import (
    AcquireLease,
    ClaimTurnInputs,
    Command,
    CommitTurn,
    EnqueueTurnInput,
    OpenSession,
    ReleaseLease,
    RequestEffect,
    SettleEffect,
    StartTurn,
    WithClaim,
    WithInput,
)
from lash_es.core.decide import decide
from lash_es.core.effects import EffectRequest, ModelCall, ToolCall
from lash_es.core.events import Event, TurnInputsClaimed, body_ref
from lash_es.core.evolve import fold
from lash_es.core.ids import CallId, EffectId, Generation, InputId, Position, SessionId, TurnId
from lash_es.core.ingress import NextTurn
from lash_es.core.messages import FinishReason, TokenUsage
from lash_es.core.outcomes import EffectOutcome, Finished, ModelReplied, ToolCallRef, ToolReturned
from lash_es.core.owners import Fence, LeaseOwner, LocalProcess
from lash_es.core.policy import ModelSpec, SessionPolicy
from lash_es.core.state import NOT_OPENED, Open, State

SESSION = SessionId("a-session-with-a-long-history")
TURN_MS = 4_000
OWNER = LeaseOwner(
    owner_id="replica-1",
    incarnation_id="5d0c6f6e-0001",
    liveness=LocalProcess(host_id="host", boot_id="boot", pid=4_242, process_start=99),
)
POLICY = SessionPolicy(
    provider_id="offline", model=ModelSpec(model_id="m-large"), instructions="Be brief. " * 40
)
BODY = NewBody(content=b'{"items":[{"kind":"text","text":"hello"}]}', salt=b"0123456789abcdef")
CALLS = (
    ToolCallRef(call_id=CallId("call_Jq3x0T1mZ"), tool="read_file"),
    ToolCallRef(call_id=CallId("call_Jq3x0T1nA"), tool="search_text"),
)
USAGE = TokenUsage(input_tokens=1_200, output_tokens=340, cache_read_input_tokens=900)
CALLED = ModelReplied(
    finish=FinishReason.TOOL_CALLS, has_content=True, tool_calls=CALLS, usage=USAGE
)
ANSWERED = ModelReplied(finish=FinishReason.STOP, has_content=True, tool_calls=(), usage=USAGE)


class Recorder:
    """Decides commands one after the other and keeps what happens."""

    def __init__(self) -> None:
        self.state: State = NOT_OPENED
        self.events: list[Event] = []

    def do(self, command: Command) -> None:
        events = decide(self.state, command)
        self.state = fold(events, self.state)
        self.events.extend(events)


def recorded(facts_min: int) -> list[Event]:
    """Record turns until there are so many facts; every other turn drains two queued inputs."""
    recorder = Recorder()
    recorder.do(OpenSession(now_ms=1, session_id=SESSION, policy=POLICY))
    number = 0
    while len(recorder.events) < facts_min:
        number += 1
        for command in _turn(recorder, number, now_ms=number * TURN_MS):
            recorder.do(command)
    return recorder.events


def _turn(recorder: Recorder, number: int, now_ms: int) -> Iterator[Command]:
    token = f"token-{number}"
    fence = Fence(owner=OWNER, token=token, generation=Generation(number))
    turn_id = TurnId(f"turn-{number:06d}")
    if number % 2:
        yield from _enqueued(number, now_ms)
    yield AcquireLease(now_ms=now_ms, owner=OWNER, token=token, ttl_ms=30_000)
    source: WithInput | WithClaim = WithInput(body=BODY)
    if number % 2:
        yield ClaimTurnInputs(now_ms=now_ms, fence=fence, token=token, inputs_max=64)
        claimed = recorder.events[-1]
        assert isinstance(claimed, TurnInputsClaimed)
        source = WithClaim(claim_id=claimed.claim_id, token=token)
    yield StartTurn(now_ms=now_ms, fence=fence, turn_id=turn_id, source=source)
    yield from _effects(recorder, fence, turn_id, now_ms)
    yield CommitTurn(now_ms=now_ms, fence=fence, turn_id=turn_id, outcome=Finished())
    yield ReleaseLease(now_ms=now_ms, fence=fence)


def _enqueued(number: int, now_ms: int) -> Iterator[Command]:
    for place in (1, 2):
        yield EnqueueTurnInput(
            now_ms=now_ms,
            input_id=InputId(f"input-{number:06d}-{place}"),
            source_key=f"mail/{number}/{place}",
            ingress=NextTurn(),
            body=BODY,
        )


def _effects(recorder: Recorder, fence: Fence, turn_id: TurnId, now_ms: int) -> Iterator[Command]:
    """Ask the model, run both of its calls at once, and ask it again."""

    def request(number: int, request: EffectRequest) -> RequestEffect:
        effect_id = EffectId(f"{turn_id}/{number}")
        return RequestEffect(
            now_ms=now_ms, fence=fence, turn_id=turn_id, effect_id=effect_id, request=request
        )

    def settle(number: int, outcome: EffectOutcome) -> SettleEffect:
        return SettleEffect(
            now_ms=now_ms,
            fence=fence,
            turn_id=turn_id,
            effect_id=EffectId(f"{turn_id}/{number}"),
            outcome=outcome,
            body=BODY,
        )

    yield request(1, ModelCall(iteration=0))
    yield settle(1, CALLED)
    assert isinstance(recorder.state, Open)
    reply = body_ref(Position(recorder.state.version - 1))
    for place, call in enumerate(CALLS):
        wanted = ToolCall(call_id=call.call_id, tool=call.tool, reply=reply, ordinal=place)
        yield request(2 + place, wanted)
    yield settle(3, ToolReturned())
    yield settle(2, ToolReturned())
    yield request(4, ModelCall(iteration=1))
    yield settle(4, ANSWERED)
