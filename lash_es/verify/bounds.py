"""How much of everything a search tries, and what the letters of its alphabet have in common."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias

from attrs import frozen

from lash_es.core.ids import ClaimId, Generation, TurnId
from lash_es.core.owners import Fence, LeaseOwner
from lash_es.core.state import Open
from lash_es.core.turns import OpenTurn
from lash_es.verify.worlds import Move, World, holder_of, living

TTL_MS: Final = 1_000


@frozen(kw_only=True)
class Bounds:
    """
    How much of everything is tried; ``depth_max`` and ``states_max`` end a search early.

    ``inputs``, ``batches`` and ``turns`` count all that there ever are; ``shapes`` says how many
    kinds of batches there are (``work_letters.SHAPES``), ``boundaries`` at how many checkpoints an
    input may want into a turn. A ``jump`` sets the clock forward by a ttl, a ``setback`` back.
    """

    owners: int = 2
    inputs: int = 3
    batches: int = 1
    turns: int = 2
    model_calls_per_turn: int = 1
    tool_calls_per_reply: int = 1
    source_keys: int = 1
    boundaries: int = 1
    shapes: int = 2
    crashes: int = 1
    jumps: int = 1
    setbacks: int = 0
    depth_max: int = 200
    states_max: int = 1_000_000

    def floor_ms(self, world: World) -> int:
        """Say by how much a clock may still be set back, as a time that is not positive."""
        # Without a setback it is not looked at how many there were.
        return (world.setbacks - self.setbacks) * TTL_MS if self.setbacks else 0


Letter: TypeAlias = Callable[[World, Bounds], Iterable[Move]]

STALE: Final = Fence(
    owner=LeaseOwner(owner_id="former", incarnation_id="former1"),
    token="gone",  # noqa: S106 - of a fence
    generation=Generation(0),
)
"""A fence that is over, as everybody has one whom another followed."""

FIRST_TURN: Final = TurnId("t0")
"""The turn that is meant by who comes too late: the first that there can be."""

GONE: Final = (ClaimId("gone"), "gone")
"""A claim of which nothing is left."""


def fences(world: World) -> Iterator[Fence]:
    """List the fences that are shown: the living holder's, run out or not, and a stale one."""
    yield from believers(world)
    yield STALE


def believers(world: World) -> Iterator[Fence]:
    """Return the fence of the holder, if it lives."""
    holder = holder_of(world)
    if holder is not None and living(world, holder) is not None:
        yield observed(world)


def holders(world: World) -> Iterator[Fence]:
    """Return the fence of the holder, if it lives and has not run out: it tries everything."""
    holder = holder_of(world)
    if holder is not None and holder.expires_at_ms > world.now_ms:
        yield from believers(world)


def late(world: World) -> Iterator[Fence]:
    """
    List the fences of those who come too late: the holder's if it ran out, and a stale one.

    Each of them asks one thing a letter, in every state, whatever else there is.
    """
    holder = holder_of(world)
    if holder is not None and holder.expires_at_ms <= world.now_ms:
        yield from believers(world)
    yield STALE


def observed(world: World) -> Fence:
    """Return the fence of the holder, dead or alive, as everybody can see it."""
    holder = holder_of(world)
    assert isinstance(world.state, Open)
    if holder is None:
        return STALE
    return Fence(owner=holder.owner, token=holder.token, generation=world.state.lease.generation)


def open_turns(world: World) -> Iterator[OpenTurn]:
    """Return the open turn, if there is one."""
    if isinstance(world.state, Open) and isinstance(world.state.turn, OpenTurn):
        yield world.state.turn


def drivers(world: World) -> Iterator[tuple[OpenTurn, Fence]]:
    """Return who drives the open turn."""
    for fence in holders(world):
        for turn in open_turns(world):
            yield turn, fence
