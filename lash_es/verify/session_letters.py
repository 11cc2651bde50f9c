"""Letters of the session itself and of the world around it: crashes, clocks, the graph."""

from collections.abc import Iterable
from typing import Final

from lash_es.core.bodies import BodyRef
from lash_es.core.commands import (
    BeginAnew,
    BranchToNode,
    ConfigureSession,
    DeleteSession,
    OpenSession,
    ParkSession,
)
from lash_es.core.ids import Position
from lash_es.core.messages import Role
from lash_es.core.owners import Fence
from lash_es.core.policy import ModelSpec, SessionPolicy
from lash_es.core.state import Open
from lash_es.core.transcripts import FromInputs, Node, node_name
from lash_es.verify.bounds import TTL_MS, Bounds, fences, holders
from lash_es.verify.parts import SESSION
from lash_es.verify.worlds import Ask, ClockJump, Crash, Move, World, holder_of, living

POLICY: Final = SessionPolicy(provider_id="offline", model=ModelSpec(model_id="m1"))
OTHER_POLICY: Final = SessionPolicy(provider_id="offline", model=ModelSpec(model_id="m2"))
_SAID: Final = FromInputs(bodies=(BodyRef(position=Position(0), ordinal=0),))


def crashes(world: World, bounds: Bounds) -> Iterable[Move]:
    """The process that holds the lease forgets it; who holds nothing has nothing to forget."""
    holder = holder_of(world)
    if holder is not None:
        actor = living(world, holder)
        if actor is not None and world.crashes < bounds.crashes:
            yield Crash(actor.name)


def jumps(world: World, bounds: Bounds) -> Iterable[Move]:
    """Whatever has a time is over, or due."""
    if _is_timed(world) and world.jumps < bounds.jumps:
        yield ClockJump(TTL_MS)


def sets_back(world: World, bounds: Bounds) -> Iterable[Move]:
    """The clock goes back, behind the facts."""
    if bounds.setbacks and world.setbacks < bounds.setbacks:
        yield ClockJump(-TTL_MS)


def _is_timed(world: World) -> bool:
    assert isinstance(world.state, Open)
    batches = world.state.work.batches
    return holder_of(world) is not None or any(
        batch.available_at_ms > world.now_ms for batch in batches.values()
    )


def opens(world: World, bounds: Bounds) -> Iterable[Move]:
    """Open what is not there, or what is: then nothing is to happen."""
    del bounds
    yield Ask(OpenSession(now_ms=world.now_ms, session_id=SESSION, policy=POLICY))


def begins_anew(world: World, bounds: Bounds) -> Iterable[Move]:
    """Go on without what is there."""
    del bounds
    yield Ask(BeginAnew(now_ms=world.now_ms, session_id=SESSION, policy=POLICY))


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


def branches(world: World, bounds: Bounds) -> Iterable[Move]:
    """Go on from nothing, or from the first message of each turn, committed or not."""
    del bounds
    for fence in fences(world):
        yield Ask(_branch(world, fence, ()))
    for fence in holders(world):
        for turn_id in world.turns:
            first = Node(node_id=node_name(turn_id, 1), role=Role.USER, source=_SAID)
            yield Ask(_branch(world, fence, (first,)))


def _branch(world: World, fence: Fence, nodes: tuple[Node, ...]) -> BranchToNode:
    return BranchToNode(now_ms=world.now_ms, fence=fence, parent=None, nodes=nodes)
