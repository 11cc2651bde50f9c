"""
A session and those who act on it, as a value: what a search goes through and a move leads on.

An actor is a process that may hold the lease. What it knows is not kept: a holder that lives knows
its lease, a crash takes that away, and everything else that was ever handed out (a fence that is
over, a claim whoever made it) is tried by somebody in every state, as a request that was long
under way would.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias, assert_never

from attrs import evolve as with_changes
from attrs import field, frozen

from lash_es.core.bodies import BodyRef, NewBody
from lash_es.core.commands import Command
from lash_es.core.decide import decide
from lash_es.core.errors import CommandRejected
from lash_es.core.events import Event, TurnInputEnqueued, TurnStarted
from lash_es.core.evolve import evolve
from lash_es.core.ids import BatchId, InputId, TurnId
from lash_es.core.index import IndexRow, index_rows
from lash_es.core.known import IndexEntry, IndexKey, IndexKind, Known, follows, names
from lash_es.core.leases import Holder
from lash_es.core.limits import DEFAULT_LIMITS, Limits
from lash_es.core.owners import LeaseOwner, LocalProcess
from lash_es.core.state import NOT_OPENED, NotOpened, Open, State
from lash_es.core.work_events import WorkEnqueued

Decide: TypeAlias = Callable[[State, Command, Known], tuple[Event, ...]]
Evolve: TypeAlias = Callable[[State, Event], State]
Index: TypeAlias = Mapping[IndexKey, IndexEntry]
BEGIN_MS: Final = 1_000
SALT: Final = b"16 bytes of salt"
OF_WORK: Final = frozenset({IndexKind.WORK_KEY, IndexKind.BATCH})
OF_TURNS: Final = frozenset({IndexKind.TURN})
OF_GRAPH: Final = frozenset({IndexKind.FRAME, IndexKind.APPEND, IndexKind.TOMBSTONE})
_OF_OTHERS: Final = OF_WORK | OF_TURNS | OF_GRAPH
NOTHING: Final[Index] = {}


@frozen
class Reducers:
    """The shipped ``decide`` and ``evolve``, or ones with a planted bug."""

    decide: Decide = decide
    evolve: Evolve = evolve


@frozen(kw_only=True)
class Actor:
    """A process, one of a machine that they share; ``boots`` tells its incarnations apart."""

    name: str
    pid: int
    boots: int = 1

    @property
    def owner(self) -> LeaseOwner:
        """The owner that it is at present."""
        return LeaseOwner(
            owner_id=self.name,
            incarnation_id=f"{self.name}{self.boots}",
            liveness=LocalProcess(
                host_id="host", boot_id="boot", pid=self.pid, process_start=self.boots
            ),
        )


@frozen
class Ask:
    """Somebody asks something."""

    command: Command


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


class _OneSalt(Mapping[BodyRef, bytes]):
    """Every content of a search has the same salt, and none is erased."""

    def __getitem__(self, key: BodyRef) -> bytes:
        return SALT

    def __iter__(self) -> Iterator[BodyRef]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "every salt is the same"


SALTS: Final = _OneSalt()


@frozen(kw_only=True)
class World:
    """
    Where everybody stands. ``inputs``, ``turns`` and ``batches`` are those that were ever
    acknowledged; ``said`` is the index of inputs, ``taken`` of turns, ``done`` of queued work,
    ``drawn`` of the graph.
    """

    actors: tuple[Actor, ...]
    state: State = NOT_OPENED
    said: Index = NOTHING
    taken: Index = NOTHING
    done: Index = NOTHING
    drawn: Index = NOTHING
    now_ms: int = BEGIN_MS
    inputs: tuple[InputId, ...] = ()
    turns: tuple[TurnId, ...] = ()
    batches: tuple[BatchId, ...] = ()
    crashes: int = 0
    jumps: int = 0
    setbacks: int = 0
    limits: Limits = field(default=DEFAULT_LIMITS, repr=False)
    reducers: Reducers = field(default=Reducers(), repr=False)

    @property
    def version(self) -> int:
        """How many facts there are."""
        return 0 if isinstance(self.state, NotOpened) else self.state.version


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
    actors = tuple(Actor(name=name, pid=place) for place, name in enumerate(names, start=1))
    return World(actors=actors, limits=limits, reducers=reducers or Reducers())


def body(text: bytes) -> NewBody:
    """Make content; equal words have equal salts, so that a search tells no two of them apart."""
    return NewBody(content=text, salt=SALT)


def holder_of(world: World) -> Holder | None:
    """Return who holds the lease, live or run out."""
    return world.state.lease.holder if isinstance(world.state, Open) else None


def living(world: World, holder: Holder) -> Actor | None:
    """Return the process that holds the lease, if it is still the one that took it."""
    return next((actor for actor in world.actors if actor.owner == holder.owner), None)


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
            after = _crashed(world, move.actor)
        case ClockJump():
            after = _jumped(world, move.by_ms)
        case _:
            assert_never(move)
    return Transition(before=world, move=move, found=(), after=after)


def _crashed(world: World, name: str) -> World:
    actors = tuple(
        with_changes(actor, boots=actor.boots + 1) if actor.name == name else actor
        for actor in world.actors
    )
    return with_changes(world, actors=actors, crashes=world.crashes + 1)


def _jumped(world: World, by_ms: int) -> World:
    now_ms = world.now_ms + by_ms
    if by_ms < 0:
        return with_changes(world, now_ms=now_ms, setbacks=world.setbacks + 1)
    return with_changes(world, now_ms=now_ms, jumps=world.jumps + 1)


def _asked(world: World, ask: Ask) -> Transition:
    try:
        found = world.reducers.decide(world.state, ask.command, answer(world, ask.command))
    except CommandRejected as refusal:
        return Transition(before=world, move=ask, found=refusal, after=world)
    after = recorded(world, found) if found else world
    return Transition(before=world, move=ask, found=found, after=after)


def recorded(world: World, events: tuple[Event, ...]) -> World:
    """Apply facts as a store would: to the state and to the index."""
    state, rows = world.state, list[IndexRow]()
    for event in events:
        rows += index_rows(state, event)
        state = world.reducers.evolve(state, event)
    inputs = tuple(e.input_id for e in events if isinstance(e, TurnInputEnqueued))
    turns = tuple(e.turn_id for e in events if isinstance(e, TurnStarted))
    batches = tuple(e.batch_id for e in events if isinstance(e, WorkEnqueued))
    return World(
        actors=world.actors,
        state=state,
        said=_with(world.said, rows, None),
        taken=_with(world.taken, rows, OF_TURNS),
        done=_with(world.done, rows, OF_WORK),
        drawn=_with(world.drawn, rows, OF_GRAPH),
        now_ms=world.now_ms,
        inputs=world.inputs + inputs if inputs else world.inputs,
        turns=world.turns + turns if turns else world.turns,
        batches=world.batches + batches if batches else world.batches,
        crashes=world.crashes,
        jumps=world.jumps,
        setbacks=world.setbacks,
        limits=world.limits,
        reducers=world.reducers,
    )


def _with(index: Index, rows: list[IndexRow], kinds: frozenset[IndexKind] | None) -> Index:
    """Add the rows of these kinds; without kinds, of those that no other index has."""
    mine = {
        key: entry
        for key, entry in rows
        if (key.kind in kinds if kinds is not None else key.kind not in _OF_OTHERS)
    }
    return {**index, **mine} if mine else index


def answer(world: World, command: Command) -> Known:
    """Look up what the command names and what that leads to, and nothing else."""
    return Known(entries=_Answer(world, names(command)), salts=SALTS, limits=world.limits)


class _Answer(Mapping[IndexKey, IndexEntry]):
    """The entries that a command may see, looked up when they are asked for."""

    def __init__(self, world: World, named: tuple[IndexKey, ...]) -> None:
        self._world, self._named = world, named

    def __getitem__(self, key: IndexKey) -> IndexEntry:
        found = _entry(self._world, key) if self._is_named(key) else None
        if found is None:
            raise KeyError(key)
        return found

    def _is_named(self, key: IndexKey) -> bool:
        if key in self._named:
            return True
        entries = (_entry(self._world, each) for each in self._named)
        return any(entry is not None and key in follows(entry) for entry in entries)

    def __iter__(self) -> Iterator[IndexKey]:
        return iter(self._named)

    def __len__(self) -> int:
        return len(self._named)


def _entry(world: World, key: IndexKey) -> IndexEntry | None:
    kind = key.kind
    if kind in OF_GRAPH:
        return world.drawn.get(key)
    if kind in OF_TURNS:
        return world.taken.get(key)
    return (world.done if kind in OF_WORK else world.said).get(key)
