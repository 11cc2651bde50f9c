"""
One turn and the world around it: what may arrive, and what the protocol makes of it.

A world is a value and a move is what one append of the runtime holds, so that every order of
arrivals can be tried. Every command goes through ``decide``: a protocol that asks for what the
core refuses is found here, not in production.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Protocol, TypeAlias

from attrs import evolve as with_changes
from attrs import frozen

from lash_es.core.agenda import agenda
from lash_es.core.bodies import NewBody
from lash_es.core.commands import (
    AcquireLease,
    Command,
    ContinueTurn,
    EnqueueTurnInput,
    OpenSession,
    SettleEffect,
    StartTurn,
    WithInput,
)
from lash_es.core.decide import decide
from lash_es.core.effects import Effect, ModelCall
from lash_es.core.events import Event, LeaseAcquired
from lash_es.core.evolve import fold
from lash_es.core.ids import CallId, EffectId, Generation, InputId, SessionId, TurnId
from lash_es.core.ingress import TurnInputIngress
from lash_es.core.messages import FinishReason, TokenUsage
from lash_es.core.outcomes import (
    EffectCancelled,
    EffectFailed,
    EffectOutcome,
    ModelReplied,
    ToolCallRef,
    ToolReturned,
)
from lash_es.core.owners import Fence, LeaseOwner
from lash_es.core.policy import ModelSpec, SessionPolicy
from lash_es.core.state import NOT_OPENED, Open, State
from lash_es.core.turns import OpenTurn
from lash_es.turns.standard import next_commands

SESSION: Final = SessionId("s1")
TTL_MS: Final = 1_000
APPEND_MAX: Final = 20
"""More rounds than any append of the protocol needs: a planner that never waits is stopped."""


class Endless(Exception):
    """The planner asks on and on, and never waits."""


class NextCommands(Protocol):
    """The shipped ``next_commands``, or one with a planted bug."""

    def __call__(
        self, turn: OpenTurn, fence: Fence, now_ms: int, *, is_cancelled: bool
    ) -> Sequence[Command]: ...


@frozen
class Arrives:
    """An effect has its outcome."""

    effect_id: EffectId
    outcome: EffectOutcome


@frozen
class Cancelled:
    """Someone cancels the turn; what arrived in the same moment is recorded with it."""

    arrived: tuple[Arrives, ...] = ()


@frozen
class TakenOver:
    """The owner died; another one finds the turn, and goes on with it."""


@frozen
class Enqueued:
    """Someone says something while the turn runs."""

    input_id: InputId
    ingress: TurnInputIngress


Move: TypeAlias = Arrives | Cancelled | TakenOver | Enqueued


def replied(
    calls_count: int = 0,
    *,
    has_content: bool = True,
    finish: FinishReason = FinishReason.STOP,
) -> ModelReplied:
    """Say that the model answered; calls are counted anew in each reply, as some models do."""
    return ModelReplied(
        finish=finish,
        has_content=has_content,
        tool_calls=tuple(
            ToolCallRef(call_id=CallId(f"c{number}"), tool="read") for number in range(calls_count)
        ),
        usage=TokenUsage(input_tokens=7, output_tokens=1 + calls_count),
    )


RETURNED: Final = ToolReturned()
FAILED: Final = EffectFailed(code="broken", is_retryable=False)


def owner(number: int) -> Fence:
    """Make the fence of the owner of a generation."""
    return Fence(
        owner=LeaseOwner(owner_id=f"o{number}", incarnation_id="boot"),
        token=str(number),
        generation=Generation(number),
    )


FIRST: Final = owner(1)


@frozen(kw_only=True)
class World:
    """Where a session stands, how it came there, and who drives it."""

    state: State = NOT_OPENED
    events: tuple[Event, ...] = ()
    fence: Fence = FIRST
    now_ms: int = 10
    planner: NextCommands = next_commands

    @property
    def session(self) -> Open:
        """The session, which nobody deletes here."""
        assert isinstance(self.state, Open)
        return self.state

    @property
    def turn(self) -> OpenTurn | None:
        """The open turn."""
        return self.session.turn if isinstance(self.session.turn, OpenTurn) else None

    @property
    def agenda(self) -> tuple[Effect, ...]:
        """What the turn waits for."""
        return agenda(self.state)

    def do(self, *commands: Command) -> "World":
        """Decide commands, each on what the last one made."""
        state, events = self.state, list(self.events)
        for command in commands:
            decided = decide(state, command)
            state = fold(decided, state)
            events.extend(decided)
        return with_changes(self, state=state, events=tuple(events))

    def advanced(self, *, is_cancelled: bool = False) -> "World":
        """Do all that follows without the world."""
        world = self
        for _ in range(APPEND_MAX):
            if world.turn is None:
                return world
            commands = self.planner(
                world.turn, world.fence, world.now_ms, is_cancelled=is_cancelled
            )
            if not commands:
                return world
            world = world.do(*commands)
        raise Endless

    def after(self, move: Move) -> "World":
        """Make a move, and all that follows from it in the same append."""
        world = with_changes(self, now_ms=self.now_ms + 1)
        match move:
            case Arrives():
                return world.do(world.settlement(move)).advanced()
            case Cancelled():
                return world.stopped(move.arrived).advanced(is_cancelled=True)
            case TakenOver():
                return world.taken_over().advanced()
            case Enqueued():
                return world.do(
                    EnqueueTurnInput(
                        now_ms=world.now_ms,
                        input_id=move.input_id,
                        source_key=None,
                        ingress=move.ingress,
                        body=_body(),
                    )
                )

    def settlement(self, move: Arrives) -> SettleEffect:
        """Say that an effect has its outcome."""
        assert self.turn is not None
        is_silent = isinstance(move.outcome, EffectCancelled)
        return SettleEffect(
            now_ms=self.now_ms,
            fence=self.fence,
            turn_id=self.turn.turn_id,
            effect_id=move.effect_id,
            outcome=move.outcome,
            body=None if is_silent else _body(),
        )

    def stopped(self, arrived: Iterable[Arrives]) -> "World":
        """Settle what arrived, and the rest as cancelled."""
        world = self.do(*(self.settlement(each) for each in arrived))
        rest = [Arrives(effect.effect_id, EffectCancelled()) for effect in world.agenda]
        return world.do(*(world.settlement(each) for each in rest))

    def taken_over(self) -> "World":
        """Let the lease run out, and give it to the next owner."""
        assert self.turn is not None
        fence = owner(self.fence.generation + 1)
        world = with_changes(self, fence=fence, now_ms=self.now_ms + TTL_MS)
        return world.do(
            acquire(world),
            ContinueTurn(now_ms=world.now_ms, fence=fence, turn_id=self.turn.turn_id),
        )

    def started(self, turn_id: TurnId) -> "World":
        """Start a turn on an input of its own, as one append."""
        source = WithInput(body=_body())
        world = with_changes(self, now_ms=self.now_ms + 1)
        if world.session.lease.holder is None:
            world = world.do(acquire(world))
        start = StartTurn(now_ms=world.now_ms, fence=world.fence, turn_id=turn_id, source=source)
        return world.do(start).advanced()


def acquire(world: World) -> AcquireLease:
    """Ask for the lease."""
    fence = world.fence
    return AcquireLease(now_ms=world.now_ms, owner=fence.owner, token=fence.token, ttl_ms=TTL_MS)


def opened(*, model_calls_max: int, planner: NextCommands = next_commands) -> World:
    """Open a session whose turns may call the model so many times."""
    policy = SessionPolicy(
        provider_id="offline", model=ModelSpec(model_id="m1"), max_turns=model_calls_max
    )
    return World(planner=planner).do(OpenSession(now_ms=1, session_id=SESSION, policy=policy))


def begun(*, model_calls_max: int, planner: NextCommands = next_commands) -> World:
    """Begin a turn in a new session."""
    return opened(model_calls_max=model_calls_max, planner=planner).started(TurnId("t1"))


def arrivals(world: World, replies: Iterable[EffectOutcome]) -> Iterator[Arrives]:
    """List every outcome that may arrive next: one of ``replies``, or a tool's two."""
    for effect in world.agenda:
        is_model = isinstance(effect.request, ModelCall)
        for outcome in replies if is_model else (RETURNED, FAILED):
            yield Arrives(effect.effect_id, outcome)


def takeovers_count(world: World) -> int:
    """Count the owners after the first."""
    return sum(isinstance(event, LeaseAcquired) for event in world.events) - 1


def _body() -> NewBody:
    return NewBody(content=b'"words"', salt=b"16 bytes of salt")
