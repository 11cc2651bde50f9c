"""
A session and those who act on it, as a value: what a search goes through and a move leads on.

An actor is a process that may hold the lease. It acts on what it believes: the fence that it got
when it acquired, the claim that it made last. A crash takes both away; a takeover does not, and so
every stale owner is tried at every moment.
"""

from collections.abc import Callable
from typing import Final, TypeAlias, assert_never

from attrs import evolve as with_changes
from attrs import field, frozen

from lash_es.core.bodies import BodyRef
from lash_es.core.commands import Command, new_bodies
from lash_es.core.decide import decide
from lash_es.core.errors import CommandRejected
from lash_es.core.events import (
    Event,
    LeaseAcquired,
    TurnInputEnqueued,
    TurnInputsClaimed,
    TurnStarted,
    commitments,
)
from lash_es.core.evolve import evolve
from lash_es.core.ids import ClaimId, InputId, Position, TurnId
from lash_es.core.index import index_rows
from lash_es.core.known import IndexEntry, IndexKey, Known, follows, names
from lash_es.core.limits import DEFAULT_LIMITS, Limits
from lash_es.core.owners import Fence, LeaseOwner
from lash_es.core.state import NOT_OPENED, NotOpened, Open, State
from lash_es.verify.likeness import alike

Decide: TypeAlias = Callable[[State, Command, Known], tuple[Event, ...]]
Evolve: TypeAlias = Callable[[State, Event], State]
BEGIN_MS: Final = 1_000


@frozen
class Reducers:
    """The shipped ``decide`` and ``evolve``, or ones with a planted bug."""

    decide: Decide = decide
    evolve: Evolve = evolve


@frozen(kw_only=True)
class Actor:
    """A process and what it believes; ``boots`` tells its incarnations apart."""

    name: str
    boots: int = 1
    fence: Fence | None = None
    claim: tuple[ClaimId, str] | None = None

    @property
    def owner(self) -> LeaseOwner:
        """The owner that it is at present."""
        return LeaseOwner(owner_id=self.name, incarnation_id=f"{self.name}{self.boots}")


@frozen
class Ask:
    """Somebody asks something; without an actor, anybody."""

    command: Command
    actor: str | None = None


@frozen
class Crash:
    """A process ends, and begins again knowing nothing."""

    actor: str


@frozen
class ClockJump:
    """The clock is suddenly elsewhere."""

    by_ms: int


Move: TypeAlias = Ask | Crash | ClockJump
Found: TypeAlias = tuple[Event, ...] | CommandRejected


@frozen(kw_only=True)
class World:
    """Where everybody stands. ``inputs`` and ``turns`` are those that were ever acknowledged."""

    actors: tuple[Actor, ...]
    state: State = NOT_OPENED
    known: Known = field(default=Known(), repr=False)
    now_ms: int = BEGIN_MS
    inputs: tuple[InputId, ...] = ()
    turns: tuple[TurnId, ...] = ()
    crashes: int = 0
    jumps: int = 0
    reducers: Reducers = field(default=Reducers(), repr=False)

    @property
    def version(self) -> int:
        """How many facts there are."""
        return 0 if isinstance(self.state, NotOpened) else self.state.version

    def actor(self, name: str) -> Actor:
        """Find an actor."""
        return next(actor for actor in self.actors if actor.name == name)

    def _open(self) -> Open:
        assert isinstance(self.state, Open)
        return self.state

    def likeness(self) -> tuple[object, ...]:
        """Return what is the same for all worlds that are like this one."""
        if not isinstance(self.state, Open):
            return (type(self.state).__name__,)
        known = tuple(self.known.entries.items())
        # A clock that is behind the last fact is; one that is ahead of it is as good as there.
        now = _Now(now_ms=self.now_ms, last_ms=max(self.now_ms, self.state.at_ms))
        ordered = (self.state, now, self.crashes, self.jumps)
        return alike(ordered, (*map(self._belief, self.actors), *known))

    def _belief(self, actor: Actor) -> "_Belief":
        """
        Say what an actor believes. Tokens are used once, so what is over stays over: of a fence or
        a claim that nothing goes by any more it only counts that there is one.
        """
        lease, inputs = self._open().lease, self._open().inputs
        held = {(e.claim.claim_id, e.claim.token) for e in inputs.pending.values() if e.claim}
        fence, holder = actor.fence, lease.holder
        return _Belief(
            owner=actor.owner,
            is_holder=holder is not None and fence is not None and fence.token == holder.token,
            has_fence=fence is not None,
            has_claim=actor.claim is not None,
            token=actor.claim[1] if actor.claim in held and actor.claim else None,
        )


@frozen(kw_only=True)
class _Now:
    now_ms: int
    last_ms: int


@frozen(kw_only=True)
class _Belief:
    owner: LeaseOwner
    is_holder: bool
    has_fence: bool
    has_claim: bool
    token: str | None


@frozen(kw_only=True)
class Transition:
    """A move and what came of it; ``found`` is empty for what is no question."""

    before: World
    move: Move
    found: Found
    after: World

    @property
    def events(self) -> tuple[Event, ...]:
        """The recorded facts; none of a refusal."""
        return () if isinstance(self.found, CommandRejected) else self.found


def begin(*names: str, limits: Limits = DEFAULT_LIMITS, reducers: Reducers | None = None) -> World:
    """Begin with these processes and nothing recorded."""
    actors = tuple(Actor(name=name) for name in names)
    return World(actors=actors, known=Known(limits=limits), reducers=reducers or Reducers())


def moved(world: World, move: Move) -> Transition:
    """
    Make a move.

    Raises:
        ImpossibleEvent: what was decided cannot be applied.
    """
    match move:
        case Ask():
            return _asked(world, move)
        case Crash():
            actors = tuple(
                Actor(name=a.name, boots=a.boots + 1) if a.name == move.actor else a
                for a in world.actors
            )
            after = with_changes(world, actors=actors, crashes=world.crashes + 1)
            return Transition(before=world, move=move, found=(), after=after)
        case ClockJump():
            now_ms = max(0, world.now_ms + move.by_ms)
            after = with_changes(world, now_ms=now_ms, jumps=world.jumps + 1)
            return Transition(before=world, move=move, found=(), after=after)
        case _:
            assert_never(move)


def _asked(world: World, ask: Ask) -> Transition:
    try:
        found = world.reducers.decide(world.state, ask.command, answer(world.known, ask.command))
    except CommandRejected as refusal:
        return Transition(before=world, move=ask, found=refusal, after=world)
    after = recorded(world, ask, found) if found else world
    return Transition(before=world, move=ask, found=found, after=after)


def recorded(world: World, ask: Ask, events: tuple[Event, ...]) -> World:
    """Apply facts as a store would: the state, the index, the salts, and what the actor learns."""
    state, version = world.state, world.version
    entries, salts = dict(world.known.entries), dict(world.known.salts)
    salt_of = {body.commitment: body.salt for body in new_bodies(ask.command)}
    for event in events:
        entries.update(index_rows(state, event))
        for ordinal, commitment in enumerate(commitments(event)):
            ref = BodyRef(position=Position(version), ordinal=ordinal)
            salts[ref] = salt_of[commitment]
        state, version = world.reducers.evolve(state, event), version + 1
    actors = tuple(_learned(a, events) if a.name == ask.actor else a for a in world.actors)
    inputs = tuple(e.input_id for e in events if isinstance(e, TurnInputEnqueued))
    turns = tuple(e.turn_id for e in events if isinstance(e, TurnStarted))
    return World(
        actors=actors,
        state=state,
        known=Known(entries=entries, salts=salts, limits=world.known.limits),
        now_ms=world.now_ms,
        inputs=world.inputs + inputs,
        turns=world.turns + turns,
        crashes=world.crashes,
        jumps=world.jumps,
        reducers=world.reducers,
    )


def _learned(actor: Actor, events: tuple[Event, ...]) -> Actor:
    for event in events:
        if isinstance(event, LeaseAcquired):
            fence = Fence(owner=event.owner, token=event.token, generation=event.generation)
            actor = with_changes(actor, fence=fence)
        if isinstance(event, TurnInputsClaimed):
            actor = with_changes(actor, claim=(event.claim_id, event.token))
    return actor


def answer(index: Known, command: Command) -> Known:
    """Look up what the command names and what that leads to, and nothing else."""
    entries: dict[IndexKey, IndexEntry] = {}
    for key in names(command):
        if key in index.entries:
            entries[key] = index.entries[key]
            for led_to in follows(entries[key]):
                if led_to in index.entries:
                    entries[led_to] = index.entries[led_to]
    return Known(entries=entries, salts=index.salts, limits=index.limits)
