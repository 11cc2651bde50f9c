"""
One life of a session as a tape of commands, in which every kind of fact happens, and who plays it.

A player decides, encodes and appends as the runtime does, with fixed times, ids and salts: the
same tape makes the same bytes on every store.
"""

from collections.abc import Iterator

from lash_es.codec.contents import StoredContent, encode_content
from lash_es.codec.streams import StreamId
from lash_es.core.bodies import BodyRef, NewBody
from lash_es.core.commands import (
    AbandonTurnInputClaim,
    AcquireLease,
    CancelTurnInput,
    ClaimTurnInputs,
    Command,
    CommitTurn,
    ConfigureSession,
    ContinueTurn,
    DeleteSession,
    EndTurn,
    EnqueueTurnInput,
    OpenSession,
    ParkSession,
    ReleaseLease,
    RenewLease,
    RequestEffect,
    SettleEffect,
    StartTurn,
    WithClaim,
    WithInput,
    new_bodies,
)
from lash_es.core.decide import decide
from lash_es.core.effects import ModelCall, ToolCall
from lash_es.core.events import Event
from lash_es.core.evolve import evolve
from lash_es.core.ids import (
    AppendId,
    CallId,
    ClaimId,
    EffectId,
    Generation,
    InputId,
    Position,
    SessionId,
    TurnId,
)
from lash_es.core.index import index_rows
from lash_es.core.ingress import ActiveTurn, NextTurn
from lash_es.core.known import IndexEntry, IndexKey, Known
from lash_es.core.messages import (
    EffectFailure,
    FinishReason,
    ModelReply,
    ProsePart,
    TokenUsage,
    ToolCallPart,
    ToolOutput,
    TurnInput,
)
from lash_es.core.outcomes import (
    EffectFailed,
    Finished,
    ModelReplied,
    Stopped,
    StopReason,
    ToolCallRef,
    ToolReturned,
)
from lash_es.core.owners import Fence, LeaseOwner, LocalProcess
from lash_es.core.policy import ModelSpec, SessionPolicy
from lash_es.log.appends import Appended, StreamAppend
from lash_es.log.encoding import encode_append, nothing_folded
from lash_es.log.port import Store

SESSION = SessionId("taped")
STREAM = StreamId("default", SESSION)
POLICY = SessionPolicy(provider_id="offline", model=ModelSpec(model_id="m1"))
OTHER = SessionPolicy(
    provider_id="offline",
    model=ModelSpec(model_id="m2", settings_json='{"temperature":0.5}'),
    max_turns=9,
    instructions="Antworte kurz. \U0001f642",
)
ALICE = LeaseOwner(
    owner_id="alice",
    incarnation_id="boot-1",
    liveness=LocalProcess(host_id="h", boot_id="b", pid=7, process_start=8),
)
BOB = LeaseOwner(owner_id="bob", incarnation_id="boot-9")
ALICES = Fence(owner=ALICE, token="a-token", generation=Generation(1))
BOBS = Fence(owner=BOB, token="b-token", generation=Generation(2))
T1, T2 = TurnId("t1"), TurnId("t2")
I1, I2, I3 = InputId("i1"), InputId("i2"), InputId("i3")
USAGE = TokenUsage(input_tokens=10, output_tokens=4, reasoning_output_tokens=1)
CALLS = (
    ToolCallRef(call_id=CallId("c1"), tool="read_file"),
    ToolCallRef(call_id=CallId("c2"), tool="list_files"),
)


def body(content: StoredContent) -> NewBody:
    """Encode content under a salt that only depends on its length."""
    salted = encode_content(content, b"")
    return encode_content(content, len(salted.content).to_bytes(16, "big"))


def said(text: str) -> NewBody:
    """Encode what a person said."""
    return body(TurnInput.of_text(text))


REPLY = ModelReply(
    parts=(
        ProsePart(text="I look it up."),
        ToolCallPart(call_id=CallId("c1"), tool="read_file", arguments='{"path":"a.txt"}'),
        ToolCallPart(call_id=CallId("c2"), tool="list_files", arguments="{}"),
    ),
    finish=FinishReason.TOOL_CALLS,
    usage=USAGE,
)
CALLED = ModelReplied(
    finish=FinishReason.TOOL_CALLS, has_content=True, tool_calls=CALLS, usage=USAGE
)
ANSWERED = ModelReplied(
    finish=FinishReason.STOP, has_content=True, tool_calls=(), usage=TokenUsage(output_tokens=3)
)


def commands(session_id: SessionId = SESSION) -> Iterator[Command]:
    """The tape: each command makes one fact at least."""
    yield OpenSession(now_ms=10, session_id=session_id, policy=POLICY)
    yield ConfigureSession(now_ms=11, policy=OTHER)
    yield from _queue()
    yield from _first_turn()
    yield from _after_a_takeover()
    yield from _ending()


def _enqueue(
    input_id: InputId, source_key: str | None, ingress: ActiveTurn | NextTurn
) -> EnqueueTurnInput:
    return EnqueueTurnInput(
        now_ms=12,
        input_id=input_id,
        source_key=source_key,
        ingress=ingress,
        body=said(f"this is {input_id}"),
    )


def _queue() -> Iterator[Command]:
    yield _enqueue(I1, "mail/1", NextTurn())
    yield _enqueue(I2, None, NextTurn())
    yield _enqueue(I3, "mail/3", ActiveTurn(T1))
    yield AcquireLease(now_ms=20, owner=ALICE, token="a-token", ttl_ms=1_000)
    yield ClaimTurnInputs(now_ms=21, fence=ALICES, token="claim", inputs_max=1)
    yield AbandonTurnInputClaim(now_ms=22, claim_id=ClaimId("tic:1:1"), token="claim")
    yield CancelTurnInput(now_ms=23, input_id=I2)
    yield ClaimTurnInputs(now_ms=24, fence=ALICES, token="claim", inputs_max=5)


def _request(number: int, fence: Fence, request: ModelCall | ToolCall) -> RequestEffect:
    return RequestEffect(
        now_ms=30 + number,
        fence=fence,
        turn_id=T1,
        effect_id=EffectId(f"t1/{number}"),
        request=request,
    )


def _settle(
    number: int, fence: Fence, outcome: ModelReplied | ToolReturned | EffectFailed, what: NewBody
) -> SettleEffect:
    return SettleEffect(
        now_ms=2_000 if fence is BOBS else 40 + number,
        fence=fence,
        turn_id=T1,
        effect_id=EffectId(f"t1/{number}"),
        outcome=outcome,
        body=what,
    )


REPLY_POSITION = Position(12)
"""Where the tape's first reply is recorded; a test says so."""


def _call(ordinal: int) -> ToolCall:
    return ToolCall(
        call_id=CALLS[ordinal].call_id,
        tool=CALLS[ordinal].tool,
        reply=BodyRef(position=REPLY_POSITION, ordinal=0),
        ordinal=ordinal,
    )


def _first_turn() -> Iterator[Command]:
    source = WithClaim(claim_id=ClaimId("tic:1:2"), token="claim")
    yield StartTurn(now_ms=25, fence=ALICES, turn_id=T1, source=source)
    yield _request(1, ALICES, ModelCall(iteration=0))
    yield _settle(1, ALICES, CALLED, body(REPLY))
    yield _request(2, ALICES, _call(0))
    yield _request(3, ALICES, _call(1))
    yield _settle(2, ALICES, ToolReturned(), body(ToolOutput(text="contents of a.txt")))


def _after_a_takeover() -> Iterator[Command]:
    yield AcquireLease(now_ms=1_999, owner=BOB, token="b-token", ttl_ms=60_000)
    yield ContinueTurn(now_ms=2_000, fence=BOBS, turn_id=T1)
    failed = EffectFailed(code="tool_raised", is_retryable=False)
    yield _settle(3, BOBS, failed, body(EffectFailure(message="no such directory")))
    yield _request(4, BOBS, ModelCall(iteration=1))
    yield _settle(4, BOBS, ANSWERED, body(ModelReply(parts=(ProsePart(text="Done."),))))
    yield CommitTurn(now_ms=2_001, fence=BOBS, turn_id=T1, outcome=Finished())


def _ending() -> Iterator[Command]:
    yield RenewLease(now_ms=2_002, fence=BOBS, ttl_ms=60_000)
    yield StartTurn(now_ms=2_003, fence=BOBS, turn_id=T2, source=WithInput(body=said("more")))
    stopped = Stopped(reason=StopReason.CANCELLED, code="by_user")
    yield EndTurn(now_ms=2_004, fence=BOBS, turn_id=T2, outcome=stopped)
    yield ReleaseLease(now_ms=2_005, fence=BOBS)
    yield ParkSession(now_ms=2_006)
    yield DeleteSession(now_ms=2_007)


class Player:
    """Plays commands into a store, and keeps what was appended: events, appends, index."""

    def __init__(self, store: Store, stream: StreamId = STREAM) -> None:
        self.store = store
        self.folded = nothing_folded(stream)
        self.events: list[Event] = []
        self.appends: list[StreamAppend] = []
        self.entries: dict[IndexKey, IndexEntry] = {}

    def send(self, command: Command) -> StreamAppend:
        """Decide one command and append what it makes happen."""
        events = decide(self.folded.state, command, Known(entries=self.entries))
        append_id = AppendId(f"append-{len(self.appends)}")
        append, after = encode_append(self.folded, events, new_bodies(command), append_id)
        assert self.store.append((append,)) == Appended(versions=(after.version,))
        self._keep(events)
        self.appends.append(append)
        self.folded = after
        return append

    def _keep(self, events: tuple[Event, ...]) -> None:
        state = self.folded.state
        for event in events:
            self.entries.update(index_rows(state, event))
            state = evolve(state, event)
            self.events.append(event)


def play(store: Store, stream: StreamId = STREAM) -> Player:
    """Play the whole tape into a store."""
    player = Player(store, stream)
    for command in commands(stream.session_id):
        player.send(command)
    return player
