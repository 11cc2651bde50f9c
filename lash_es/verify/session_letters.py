"""Letters of the session itself and of the world around it: crashes, clocks, the graph."""

from collections.abc import Iterable
from typing import Final

from lash_es.core.commands import (
    BeginAnew,
    ConfigureSession,
    DeleteSession,
    OpenSession,
    ParkSession,
)
from lash_es.core.descriptions import DescribeSession, Description
from lash_es.core.graph_commands import MaintainSession
from lash_es.core.policy import ModelSpec, SessionPolicy
from lash_es.core.state import Open
from lash_es.verify.bounds import TTL_MS, Bounds
from lash_es.verify.parts import SESSION
from lash_es.verify.worlds import Ask, ClockJump, Crash, Move, World, holder_of, living

POLICY: Final = SessionPolicy(provider_id="offline", model=ModelSpec(model_id="m1"))
OTHER_POLICY: Final = SessionPolicy(provider_id="offline", model=ModelSpec(model_id="m2"))


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


def maintains(world: World, bounds: Bounds) -> Iterable[Move]:
    """What is over is forgotten."""
    del bounds
    yield Ask(MaintainSession(now_ms=world.now_ms))


def describes(world: World, bounds: Bounds) -> Iterable[Move]:
    """Say what it is, also when that is too late, and say nothing."""
    del bounds
    for description in (Description(name="a name"), Description()):
        yield Ask(DescribeSession(now_ms=world.now_ms, description=description))
