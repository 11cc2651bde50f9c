"""
What may be asked of a session, letter by letter: each lists the moves that it can make of a world.

A letter tries what makes sense and what does not. To extend a search by a command, write one
letter and add it to ``ALPHABET``. Names are fresh or known, never both: what is interchangeable is
tried once.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias

from attrs import frozen

from lash_es.core.agenda import agenda
from lash_es.core.bodies import NewBody
from lash_es.core.commands import (
    AbandonTurnInputClaim,
    AcquireLease,
    CancelTurnInput,
    ClaimTurnInputs,
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
)
from lash_es.core.effects import EffectRequest, ModelCall, ToolCall
from lash_es.core.ids import CallId, InputId, SessionId, TurnId
from lash_es.core.ingress import ActiveTurn, NextTurn, TurnInputIngress
from lash_es.core.messages import FinishReason, TokenUsage
from lash_es.core.outcomes import (
    EffectCancelled,
    EffectFailed,
    EffectOutcome,
    Finished,
    ModelReplied,
    Stopped,
    StopReason,
    ToolCallRef,
    ToolReturned,
)
from lash_es.core.owners import Fence
from lash_es.core.policy import ModelSpec, SessionPolicy
from lash_es.core.state import Deleted, NotOpened, Open
from lash_es.core.turns import BatchDone, Begun, OpenTurn, Replied, effect_name
from lash_es.verify.worlds import Actor, Ask, ClockJump, Crash, Move, World

TTL_MS: Final = 1_000
SESSION: Final = SessionId("s1")
POLICY: Final = SessionPolicy(provider_id="offline", model=ModelSpec(model_id="m1"))
OTHER_POLICY: Final = SessionPolicy(provider_id="offline", model=ModelSpec(model_id="m2"))
SALT: Final = b"16 bytes of salt"


@frozen(kw_only=True)
class Bounds:
    """How much of everything is tried; ``depth_max`` and ``states_max`` end a search early."""

    owners: int = 2
    inputs: int = 3
    turns: int = 2
    model_calls_per_turn: int = 1
    tool_calls_per_reply: int = 1
    source_keys: int = 1
    crashes: int = 1
    jumps: int = 1
    depth_max: int = 100
    states_max: int = 1_000_000


Letter: TypeAlias = Callable[[World, Bounds], Iterable[Move]]


def body(text: bytes) -> NewBody:
    """Make content; equal words have equal salts, so that a search tells no two of them apart."""
    return NewBody(content=text, salt=SALT)


# The world around the session


def crashes(world: World, bounds: Bounds) -> Iterable[Move]:
    """A process that knows something forgets it."""
    if world.crashes < bounds.crashes:
        for actor in world.actors:
            if actor.fence is not None:
                yield Crash(actor.name)


def jumps(world: World, bounds: Bounds) -> Iterable[Move]:
    """Every lease runs out."""
    if world.jumps < bounds.jumps and isinstance(world.state, Open) and world.state.lease.holder:
        yield ClockJump(TTL_MS)


# The session


def opens(world: World, bounds: Bounds) -> Iterable[Move]:
    """Open what is not there, or what is: then nothing is to happen."""
    del bounds
    yield Ask(OpenSession(now_ms=world.now_ms, session_id=SESSION, policy=POLICY))


def configures(world: World, bounds: Bounds) -> Iterable[Move]:
    """Change the policy of the turns to come."""
    del bounds
    yield Ask(ConfigureSession(now_ms=world.now_ms, policy=OTHER_POLICY))


def parks(world: World, bounds: Bounds) -> Iterable[Move]:
    """Let it go."""
    del bounds
    yield Ask(ParkSession(now_ms=world.now_ms))


def deletes(world: World, bounds: Bounds) -> Iterable[Move]:
    """End it."""
    del bounds
    yield Ask(DeleteSession(now_ms=world.now_ms))


# The lease


def acquires(world: World, bounds: Bounds) -> Iterable[Move]:
    """Each asks for the lease."""
    del bounds
    token = f"token{world.version}"
    for actor in world.actors:
        command = AcquireLease(now_ms=world.now_ms, owner=actor.owner, token=token, ttl_ms=TTL_MS)
        yield Ask(command, actor.name)


def renews(world: World, bounds: Bounds) -> Iterable[Move]:
    """Each who ever held it says that it is still there."""
    del bounds
    for actor, fence in believers(world):
        yield Ask(RenewLease(now_ms=world.now_ms, fence=fence, ttl_ms=TTL_MS), actor.name)


def releases(world: World, bounds: Bounds) -> Iterable[Move]:
    """Each who ever held it lets it go."""
    del bounds
    for actor, fence in believers(world):
        yield Ask(ReleaseLease(now_ms=world.now_ms, fence=fence), actor.name)


# Inputs


def enqueues(world: World, bounds: Bounds) -> Iterable[Move]:
    """One more input, for the next turn or into this one; and those with a key again."""
    ingresses: list[TurnInputIngress] = [NextTurn()]
    ingresses += (ActiveTurn(turn.turn_id) for turn in open_turns(world))
    keys = [None, *(f"k{number}" for number in range(bounds.source_keys))]
    is_full = len(world.inputs) >= bounds.inputs
    for key in keys:
        known = None if key is None else world.known.source_key(key)
        if is_full and known is None:
            continue
        for text in (b"hello",) if known is None else (b"hello", b"goodbye"):
            for ingress in ingresses:
                yield Ask(
                    EnqueueTurnInput(
                        now_ms=world.now_ms,
                        input_id=InputId(f"i{len(world.inputs)}"),
                        source_key=key,
                        ingress=ingress,
                        body=body(text),
                    )
                )


def claims(world: World, bounds: Bounds) -> Iterable[Move]:
    """Each who ever held the lease claims one input, or all."""
    token = f"claim{world.version}"
    for actor, fence in believers(world):
        for most in {1, bounds.inputs}:
            command = ClaimTurnInputs(
                now_ms=world.now_ms, fence=fence, token=token, inputs_max=most
            )
            yield Ask(command, actor.name)


def abandons(world: World, bounds: Bounds) -> Iterable[Move]:
    """Each gives back what it claimed last, even if others have it by now."""
    del bounds
    for actor in world.actors:
        if actor.claim is not None:
            claim_id, token = actor.claim
            command = AbandonTurnInputClaim(now_ms=world.now_ms, claim_id=claim_id, token=token)
            yield Ask(command, actor.name)


def cancels(world: World, bounds: Bounds) -> Iterable[Move]:
    """Somebody withdraws an input, even one that is settled."""
    del bounds
    for input_id in world.inputs:
        yield Ask(CancelTurnInput(now_ms=world.now_ms, input_id=input_id))


# Turns


def starts(world: World, bounds: Bounds) -> Iterable[Move]:
    """A new turn, or one that was started before, on an input of its own or on a claim."""
    turn_ids = [*world.turns]
    if len(world.turns) < bounds.turns:
        turn_ids.append(TurnId(f"t{len(world.turns)}"))
    for actor, fence in believers(world):
        sources: list[WithInput | WithClaim] = [WithInput(body=body(b"do"))]
        if actor.claim is not None:
            sources.append(WithClaim(claim_id=actor.claim[0], token=actor.claim[1]))
        for turn_id in turn_ids:
            for source in sources:
                command = StartTurn(
                    now_ms=world.now_ms, fence=fence, turn_id=turn_id, source=source
                )
                yield Ask(command, actor.name)


def continues(world: World, bounds: Bounds) -> Iterable[Move]:
    """Each who ever held the lease goes on with the turn."""
    del bounds
    for turn, actor, fence in drivers(world):
        command = ContinueTurn(now_ms=world.now_ms, fence=fence, turn_id=turn.turn_id)
        yield Ask(command, actor.name)


def requests(world: World, bounds: Bounds) -> Iterable[Move]:
    """Each asks for the model, and for each call of the last reply."""
    for turn, actor, fence in drivers(world):
        for request in _requests(turn, bounds):
            command = RequestEffect(
                now_ms=world.now_ms,
                fence=fence,
                turn_id=turn.turn_id,
                effect_id=effect_name(turn),
                request=request,
            )
            yield Ask(command, actor.name)


def _requests(turn: OpenTurn, bounds: Bounds) -> Iterator[EffectRequest]:
    replies = sum(node.role.value == "assistant" for node in turn.nodes)
    if replies < bounds.model_calls_per_turn and isinstance(turn.step, Begun | BatchDone):
        yield ModelCall(iteration=turn.iteration)
    if isinstance(turn.step, Replied):
        for ordinal, call in enumerate(turn.step.outcome.tool_calls):
            yield ToolCall(
                call_id=call.call_id, tool=call.tool, reply=turn.step.reply, ordinal=ordinal
            )


def settles(world: World, bounds: Bounds) -> Iterable[Move]:
    """Each brings every outcome of every effect that is open, and one that does not fit."""
    for turn, actor, fence in drivers(world):
        for effect in agenda(world.state):
            for outcome in outcomes(bounds):
                yield Ask(
                    SettleEffect(
                        now_ms=world.now_ms,
                        fence=fence,
                        turn_id=turn.turn_id,
                        effect_id=effect.effect_id,
                        outcome=outcome,
                        body=None if isinstance(outcome, EffectCancelled) else body(b"said"),
                    ),
                    actor.name,
                )


def outcomes(bounds: Bounds) -> Iterable[EffectOutcome]:
    """List what an effect can come to; not all of them fit it."""
    yield EffectFailed(code="broken", is_retryable=False)
    yield EffectCancelled()
    yield ToolReturned()
    for calls_count in range(bounds.tool_calls_per_reply + 1):
        yield ModelReplied(
            finish=FinishReason.STOP,
            has_content=True,
            tool_calls=tuple(
                ToolCallRef(call_id=CallId(f"c{n}"), tool="read") for n in range(calls_count)
            ),
            usage=TokenUsage(input_tokens=1),
        )


def commits(world: World, bounds: Bounds) -> Iterable[Move]:
    """Each who ever held the lease commits the turn."""
    del bounds
    for turn, actor, fence in drivers(world):
        command = CommitTurn(
            now_ms=world.now_ms, fence=fence, turn_id=turn.turn_id, outcome=Finished()
        )
        yield Ask(command, actor.name)


def ends(world: World, bounds: Bounds) -> Iterable[Move]:
    """Each who ever held the lease ends the turn."""
    del bounds
    stopped = Stopped(reason=StopReason.CANCELLED)
    for turn, actor, fence in drivers(world):
        command = EndTurn(now_ms=world.now_ms, fence=fence, turn_id=turn.turn_id, outcome=stopped)
        yield Ask(command, actor.name)


ALPHABET: Final[tuple[Letter, ...]] = (
    opens,
    enqueues,
    acquires,
    claims,
    starts,
    requests,
    settles,
    commits,
    ends,
    continues,
    cancels,
    abandons,
    renews,
    releases,
    jumps,
    crashes,
    deletes,
)


def moves(world: World, bounds: Bounds, alphabet: Iterable[Letter] = ALPHABET) -> Iterator[Move]:
    """List every move from a world, in the order of the alphabet."""
    if isinstance(world.state, NotOpened | Deleted):
        yield from opens(world, bounds)
        yield from deletes(world, bounds)
        return
    for letter in alphabet:
        yield from letter(world, bounds)


def believers(world: World) -> Iterator[tuple[Actor, Fence]]:
    """List who has a fence, rightly or not."""
    for actor in world.actors:
        if actor.fence is not None:
            yield actor, actor.fence


def open_turns(world: World) -> Iterator[OpenTurn]:
    """Return the open turn, if there is one."""
    if isinstance(world.state, Open) and isinstance(world.state.turn, OpenTurn):
        yield world.state.turn


def drivers(world: World) -> Iterator[tuple[OpenTurn, Actor, Fence]]:
    """List who would drive the open turn."""
    for turn in open_turns(world):
        for actor, fence in believers(world):
            yield turn, actor, fence
