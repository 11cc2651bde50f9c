"""
What every command costs on one session: commits, statements and rows as the store counts them, and
what the fold copied.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias

from attrs import frozen

from benchmarks.counts import still_world
from benchmarks.every_command import ONLY_AT_BIRTH, left_over, steps
from benchmarks.long_sessions import NOW_MS, STREAM, Size
from lash_es.core.commands import Command
from lash_es.core.known import names
from lash_es.core.limits import Limits
from lash_es.core.state import State
from lash_es.log.log import StoreLog
from lash_es.log.port import Store
from lash_es.runtime.committing import Draft, Lane
from lash_es.runtime.opening import require_open
from tests.flat.copying import copied

OPEN: Final = 3
"""How many inputs and batches are open, whatever is over."""

Measured: TypeAlias = Mapping[str, int]
Measure: TypeAlias = Callable[[Callable[[], Awaitable[object]]], Awaitable[Measured]]
"""Runs something, and says what the store had to do for it."""


@frozen(kw_only=True)
class Cost:
    """What one command cost; ``copied`` counts nodes and entries of the state."""

    measured: Measured
    copied: int
    facts: int


def size_of(rounds: int) -> Size:
    """Say how large a session is whose past has so many rounds."""
    return Size(rounds=rounds, inputs=OPEN, batches=OPEN)


async def costs(log: StoreLog, reading: Store, measure: Measure) -> dict[str, Cost]:
    """Ask everything once, and count; the session is opened first, which is counted too."""
    lane = Lane(log, STREAM, still_world(), Limits())
    opening = await measure(lane.catch_up)
    found = {"open from the log": Cost(measured=opening, copied=0, facts=0)}
    asked: list[Command] = []
    recorded: list[Command] = []
    for name, ask in steps(reading):
        asked.append(ask(require_open(lane.state, STREAM.session_id)))
        found[name] = await _cost(lane, asked[-1], measure)
        recorded += asked[-1:] if found[name].facts else []
    assert left_over(asked) == set()
    # A command that never records anything costs little, and shows nothing.
    assert left_over(recorded) == {each.__name__ for each in ONLY_AT_BIRTH}
    return found


async def _cost(lane: Lane, command: Command, measure: Measure) -> Cost:
    before = lane.state
    made: list[State] = []

    def step(draft: Draft) -> None:
        draft.do(command)
        made[:] = draft.states

    async def asked() -> None:
        await lane.transact(step, *names(command))

    measured = await measure(asked)
    pairs = zip([before, *made], made, strict=False)
    return Cost(
        measured=measured,
        copied=sum(copied(one, other) for one, other in pairs),
        facts=len(made),
    )


def grown(small: Mapping[str, Cost], large: Mapping[str, Cost]) -> list[str]:
    """Name what costs more on the larger session, in anything that is counted."""
    return [
        f"{name}: {what} {getattr(small[name], what)} and {getattr(large[name], what)}"
        for name in small
        for what in ("measured", "copied", "facts")
        if _is_more(getattr(large[name], what), getattr(small[name], what))
    ]


def _is_more(one: Measured | int, other: Measured | int) -> bool:
    if isinstance(one, int) or isinstance(other, int):
        return one != other
    return any(one[name] > other[name] for name in other)


def opened(store: Store) -> StoreLog:
    """Open a log whose time stands still."""
    return StoreLog(store, lambda: NOW_MS)
