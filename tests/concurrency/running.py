"""Start clients on one database, let them ask at once, and judge what they wrote down."""

import asyncio
import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from random import Random
from typing import Any, Final, TypeAlias

from attrs import frozen

from lash_es.codec.records import read_event
from lash_es.core.ids import Position
from lash_es.log.log import StoreLog
from lash_es.log.port import Store
from lash_es.runtime.world import system_now_ms
from lash_es.timetravel.verifying import verify_session
from tests.concurrency.clients import Client, birth, lane_of, stream_of
from tests.concurrency.entries import Entry
from tests.concurrency.lying import honest
from tests.concurrency.replaying import problems
from tests.growth.grounds import Ground

Distortion: TypeAlias = Callable[[Store], Store]
"""What stands in front of a client's store; the honest one is the store itself."""

SESSIONS: Final = ("one", "two")
SEEDS_MAX: Final = 8
START_S_MAX: Final = 60
PAUSE_S_MAX: Final = 0.003
"""So that they take turns also where one processor has to do for all."""

_FACTS_MAX: Final = 1_000_000
SOMETIMES: Final = frozenset(
    {
        "a decision made again after a lost race",
        "a key recognised",
        "a key with other content refused",
        "a lease taken from another that had not let it go",
        "a lease that is another's",
        "a stale fence refused",
        "a claim completed",
        "a claim that was superseded",
        "an input cancelled",
        "a cancel that came too late",
        "a full queue",
        "work completed",
    }
)
"""What has to happen now and then, or the run proved little."""


@frozen(kw_only=True)
class Found:
    """What came of a run: what is wrong, and how often what is rare has happened."""

    wrong: tuple[str, ...]
    entries: tuple[Entry, ...]
    happened: Mapping[str, int]

    @property
    def never(self) -> list[str]:
        """Name what did not happen."""
        return sorted(SOMETIMES - self.happened.keys())


def run(
    ground: Ground,
    *,
    clients: int,
    steps: int,
    seed: int,
    distortions: Mapping[int, Distortion] | None = None,
) -> Found:
    """
    Let so many processes ask so many things of the same sessions, and judge their receipts.

    Args:
        ground: an empty database.
        clients: how many processes there are.
        steps: how many things each of them asks.
        seed: what each asks first; what it is told depends on the others.
        distortions: what stands in front of the store of which client.
    """
    asyncio.run(_born(ground))
    distorted = distortions or {}
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    barrier = context.Barrier(clients)
    with ProcessPoolExecutor(
        clients, mp_context=context, initializer=_meet, initargs=(barrier,)
    ) as pool:
        futures = [
            pool.submit(_live, ground, number, steps, seed, distorted.get(number, honest))
            for number in range(clients)
        ]
        entries = tuple(entry for future in futures for entry in future.result())
    return judged(ground, entries)


def run_until_rare(
    ground: Callable[[int], Ground], *, clients: int, steps: int
) -> tuple[tuple[str, ...], list[str]]:
    """
    Run by one seed after the other, only for as long as something rare has not happened yet; each
    on a ground of its own. Returns what is wrong, and what never happened.
    """
    missing = SOMETIMES
    for seed in range(SEEDS_MAX):
        found = run(ground(seed), clients=clients, steps=steps, seed=seed)
        missing -= found.happened.keys()
        if found.wrong or not missing:
            return found.wrong, sorted(missing)
    return (), sorted(missing)


def judged(ground: Ground, entries: tuple[Entry, ...]) -> Found:
    """Hold the receipts against the facts, and check these."""
    store = ground.store(create=False)
    try:
        facts = {session: _facts(store, session) for session in SESSIONS}
        damages = [
            f"damaged: {session!r}, {damage}"
            for session in SESSIONS
            for damage in verify_session(store, stream_of(session)).problems
        ]
    finally:
        store.close()
    wrong = (*damages, *problems(entries, facts))
    return Found(wrong=wrong, entries=entries, happened=Counter(_rare(entries)))


def _facts(store: Store, session: str) -> list[str]:
    """Name the facts that are there, whether or not they follow each other."""
    stream = stream_of(session)
    records = store.read(stream, Position(0), _FACTS_MAX)
    return [type(read_event(stream, record)).__name__ for record in records]


async def _born(ground: Ground) -> None:
    log = StoreLog(ground.store(create=True), system_now_ms)
    for session in SESSIONS:
        lane = lane_of(log, session)
        await lane.execute(birth(session, log.now_ms()))
    await log.aclose()


_barriers: list[Any] = []


def _meet(barrier: Any) -> None:  # noqa: ANN401 - the class is multiprocessing's own
    _barriers[:] = [barrier]


def _live(
    ground: Ground, number: int, steps: int, seed: int, distortion: Distortion
) -> list[Entry]:
    """Be one client: wait for all the others, then ask."""
    return asyncio.run(_asked(ground, number, steps, seed, distortion))


async def _asked(
    ground: Ground, number: int, steps: int, seed: int, distortion: Distortion
) -> list[Entry]:
    log = StoreLog(distortion(ground.store(create=False)), system_now_ms)
    chance = Random(f"{seed}/{number}")
    clients: list[Client] = []
    for session in SESSIONS:
        lane = lane_of(log, session)
        await lane.catch_up()
        clients.append(Client(number, session, lane, chance))
    try:
        _barriers[0].wait(START_S_MAX)
        for _ in range(steps):
            await chance.choice(clients).step()
            await asyncio.sleep(chance.random() * PAUSE_S_MAX)
    finally:
        await log.aclose()
    return [entry for client in clients for entry in client.entries]


# What happens now and then


def _rare(entries: Sequence[Entry]) -> Iterable[str]:
    for session in SESSIONS:
        mine = [entry for entry in entries if entry.session == session]
        in_order = sorted(mine, key=lambda e: (e.version, bool(e.facts), e.began_ns))
        holder = ""
        for entry in in_order:
            yield from _rare_of(entry)
            if "LeaseReleased" in entry.facts:
                holder = ""
            if "LeaseAcquired" in entry.facts:
                owner = entry.words["owner"]
                if holder not in ("", owner):
                    yield "a lease taken from another that had not let it go"
                holder = owner


def _rare_of(entry: Entry) -> Iterable[str]:
    if entry.tries > 1:
        yield "a decision made again after a lost race"
    word = {
        ("enqueue", "-"): "a key recognised",
        ("enqueue", "!SourceKeyConflict"): "a key with other content refused",
        ("enqueue", "!QueueFull"): "a full queue",
        ("acquire", "-"): "a lease that is another's",
        ("complete", "TurnStarted, TurnCommitted"): "a claim completed",
        ("complete", "!TurnInputClaimSuperseded"): "a claim that was superseded",
        ("complete work", "WorkCompleted"): "work completed",
        ("cancel", "TurnInputCancelled"): "an input cancelled",
    }.get((entry.asked, entry.said))
    if word is not None:
        yield word
    if entry.refused == "SessionExecutionLeaseExpired":
        yield "a stale fence refused"
    if entry.told in ("AlreadyClaimed", "AlreadyCompleted"):
        yield "a cancel that came too late"
