"""
The product's side of the units of work, through what a host uses; and lanes where a host has
nothing.

W1, W4 and the turn as it is run go through ``LashCore``. Claiming and completing are steps that
the runtime takes inside a turn, so W2 sends their commands through ``Lane``, as the runtime does.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from attrs import evolve as with_changes

from benchmarks.contests import WARM_UPS, Contender
from benchmarks.instant import Instant, search_documents
from benchmarks.load import input_text, our_turn
from benchmarks.our_lanes import Owned, owned_lane
from benchmarks.places import Setting, StoreKind
from benchmarks.timing import Work
from lash_es import Durability, LashCore, LashSession, Limits, SQLiteStore
from lash_es.codec.streams import StreamId
from lash_es.core.ids import SessionId
from lash_es.log.loading import refold
from lash_es.log.log import StoreLog
from lash_es.log.port import Store
from lash_es.log.stores.postgres import PostgresStore
from lash_es.runtime.world import system_now_ms

NAME: Final = "lash_es"
INPUTS_PER_SESSION_MAX: Final = 100
_ONE: Final = "session/1"


def open_store(setting: Setting, *, create: bool = True) -> Store:
    """Open the store of a place, at the durability that is measured."""
    if setting.kind is StoreKind.POSTGRES:
        return PostgresStore.open(setting.where, create=create)
    return SQLiteStore.open(setting.file, create=create, durability=setting.durability)


@asynccontextmanager
async def core_on(setting: Setting) -> AsyncIterator[LashCore]:
    """Open a core on the place, with a model that answers at once."""
    core = LashCore(
        model="m",
        provider=Instant(),
        store=open_store(setting),
        tools=[search_documents],
        limits=Limits(inputs_pending_max=100_000),
    )
    async with core:
        yield core


async def _sessions(core: LashCore, held: AsyncExitStack, many: int) -> list[LashSession]:
    """Open sessions, each so short that none carries a queue of thousands."""
    return [
        await held.enter_async_context(core.session(f"session/{number}").open())
        for number in range(many)
    ]


@asynccontextmanager
async def _enqueueing(setting: Setting) -> AsyncIterator[Work]:
    async with core_on(setting) as core, AsyncExitStack() as held:
        if setting.sessions == 1:
            # One session at a time; its queue is never as long as that of one nobody drains.
            many = 2 + setting.operations // INPUTS_PER_SESSION_MAX
            sessions = await _sessions(core, held, many)

            async def alone(number: int) -> None:
                await sessions[number // INPUTS_PER_SESSION_MAX].enqueue(input_text(number))

            yield alone
            return
        sessions = await _sessions(core, held, setting.sessions)

        async def together(number: int) -> None:
            await sessions[number % len(sessions)].enqueue(input_text(number))

        yield together


@asynccontextmanager
async def _lanes(setting: Setting, sessions: int) -> AsyncIterator[list[Owned]]:
    """Open lanes on one log, each owning its session for as long as it is measured."""
    log = StoreLog(open_store(setting), system_now_ms)
    try:
        yield [await owned_lane(log, f"session/{number + 1}") for number in range(sessions)]
    finally:
        await log.aclose()


@asynccontextmanager
async def _cycling(setting: Setting) -> AsyncIterator[Work]:
    async with _lanes(setting, setting.sessions) as lanes:

        async def work(number: int) -> None:
            await lanes[number % len(lanes)].cycle(number)

        yield work


@asynccontextmanager
async def _running_queued(setting: Setting) -> AsyncIterator[Work]:
    async with core_on(setting) as core, AsyncExitStack() as held:
        # Each turn on a session of its own: how a turn grows with its history is W3.
        sessions = await _sessions(core, held, setting.operations + WARM_UPS + 1)

        async def work(number: int) -> None:
            session = sessions[number]
            await session.enqueue(input_text(number))
            await session.queued_turn()

        yield work


@asynccontextmanager
async def _recording_turns(setting: Setting) -> AsyncIterator[Work]:
    async with _lanes(setting, 1) as (lane,):

        async def work(number: int) -> None:
            await lane.record_turn(setting.history + number)

        yield work


@asynccontextmanager
async def _running_turns(setting: Setting) -> AsyncIterator[Work]:
    async with core_on(setting) as core, core.session(_ONE).open() as session:

        async def work(number: int) -> None:
            asked = our_turn(number)[0]
            await session.turn(asked, turn_id=f"run/{number}")

        yield work


async def fill(setting: Setting) -> None:
    """Record a history of turns, each in one append, as fast as the store takes them."""
    quick = with_changes(setting, durability=Durability.NORMAL)
    log = StoreLog(open_store(quick), system_now_ms)
    lane = await owned_lane(log, _ONE)
    for number in range(setting.history):
        await lane.record_turn(number)
    await lane.release()
    await log.aclose()


@asynccontextmanager
async def _opening(setting: Setting) -> AsyncIterator[Work]:
    """Open the session in a core that runs, as one that this process has never seen."""
    async with core_on(setting) as core:

        async def work(_: int) -> None:
            async with core.session(_ONE).open():
                pass

        yield work


def _opened_cold(name: str, then: Callable[[LashSession], Awaitable[object]]) -> Contender:
    @asynccontextmanager
    async def prepare(setting: Setting) -> AsyncIterator[Work]:
        async with core_on(setting):  # Kept open, so that the log outlives each reader.

            async def work(_: int) -> None:
                async with core_on(setting) as core, core.session(_ONE).open() as session:
                    await then(session)

            yield work

    return Contender(name=name, prepare=prepare, fill=fill, note="store and core opened too")


async def _nothing(_: LashSession) -> None:
    """Be ready."""


@asynccontextmanager
async def _replaying(setting: Setting) -> AsyncIterator[Work]:
    store = open_store(setting)
    stream = StreamId("default", SessionId(_ONE))

    async def work(_: int) -> None:
        refold(store, stream)  # Not from a snapshot: the goal is about every fact.

    yield work
    store.close()


async def _messages(session: LashSession) -> object:
    return await session.read_view().messages()


INPUTS: Final = Contender(name=NAME, prepare=_enqueueing)
CYCLES: Final = Contender(name=NAME, prepare=_cycling, note="commands, as the runtime sends them")
QUEUED_TURNS: Final = Contender(
    name=f"{NAME}, a turn on it", prepare=_running_queued, note="enqueue and queued_turn"
)
TURNS: Final = Contender(
    name=NAME, prepare=_recording_turns, fill=fill, note="a whole turn in one append"
)
RUN_TURNS: Final = Contender(
    name=f"{NAME}, as it is run", prepare=_running_turns, fill=fill, note="each outcome on arrival"
)
OPEN: Final = Contender(name=NAME, prepare=_opening, fill=fill, note="the core runs already")
COLD_OPEN: Final = _opened_cold(f"{NAME}, cold", _nothing)
WHOLE_HISTORY: Final = _opened_cold(f"{NAME}, whole history", _messages)
REPLAY: Final = Contender(name=NAME, prepare=_replaying, fill=fill)
