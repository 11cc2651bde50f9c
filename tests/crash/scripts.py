"""
What a host does with sessions, written so that it may be done again after a crash.

A script names its inputs and turns, and tells what was acknowledged before it goes on; done again
in another process it finds what is there, and finishes the rest. ``is_again`` is that other
process: nobody stalls there, and no owner of before is still alive.

A model goes by what it has said before, a tool by its name; both tell that they were asked.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Final, TypeAlias

from attrs import field, frozen

from lash_es import (
    LashCore,
    LashSession,
    LeaseTimings,
    Message,
    ModelCallFailed,
    ModelReply,
    ModelRequest,
    OnTakeover,
    Role,
    RuntimeFault,
    SessionDeleted,
    Tool,
    World,
)
from lash_es.log.port import Store
from lash_es.runtime.contending import LOOKS_PER_TTL
from lash_es.runtime.providers import DeltaSink, ProseDelta
from tests.crash.processes import Tell
from tests.session.scripted import Say, call, calls, says
from tests.session.virtual_time import VirtualTime

TTL_MS: Final = 30_000
SLOW_NS: Final = 10_000_000
LOOK_MS: Final = TTL_MS // LOOKS_PER_TTL
"""So long does who watches a lease sleep between two looks, and nobody else here does."""
STALLS: Final = "stall"
"""The tool call that never returns in a process that is going to lose its lease."""
NAPS: Final = "nap"
"""The tool call during which so much time passes that the lease has to be renewed."""
BAD: Final = "do what cannot be done"


@frozen
class Model:
    """A provider that says the next of its lines, in two pieces, and fails on what is bad."""

    lines: tuple[Say, ...]
    tell: Tell
    kind: str = "scripted"

    def check(self, model_id: str) -> None:
        """Every name will do."""

    async def request(self, request: ModelRequest, on_delta: DeltaSink) -> ModelReply:
        said = sum(message.role is Role.ASSISTANT for message in request.messages)
        self.tell(("asked", f"model {said}"))
        if request.messages[-1].text == BAD:
            raise ModelCallFailed(code="refused", message="it cannot be done", retryable=False)
        on_delta(ProseDelta(text="well, "))
        await asyncio.sleep(0)
        on_delta(ProseDelta(text="..."))
        reply = self.lines[said].reply
        if reply is None:
            raise AssertionError("every line has a reply")
        return reply

    async def aclose(self) -> None:
        """Hold nothing."""


@frozen
class Stage:
    """Where a script is played: one process, one database, one clock."""

    open_store: Callable[[], Store]
    tell: Tell
    is_again: bool
    time: VirtualTime
    is_in_order: bool = True
    """Whether everything happens on one thread, so that the same is written every time."""
    _numbers: "count[int]" = field(factory=count, init=False)
    _measurements: "count[int]" = field(factory=count, init=False)
    stalling: asyncio.Event = field(factory=asyncio.Event, init=False)
    _watching: asyncio.Event = field(factory=asyncio.Event, init=False)
    """Set while somebody watches a lease, and so waits for time to pass."""

    @asynccontextmanager
    async def core(self, *lines: Say, instructions: str = "") -> AsyncGenerator[LashCore]:
        """Make a core of its own, as another process would have one."""
        async with LashCore(
            model="m",
            provider=Model(lines, self.tell),
            store=self.open_store(),
            tools=[Tool.of(self._look(), on_takeover=OnTakeover.RERUN)],
            instructions=instructions,
            lease_timings=LeaseTimings(ttl_ms=TTL_MS, renew_interval_ms=TTL_MS // 3),
            world=World(
                monotonic_ms=self.time.now_ms,
                monotonic_ns=self._measured_ns,
                sleep_ms=self._sleep_ms,
                token=self._token,
                salt=self._salt,
            ),
            clock_ms=self.time.now_ms,
        ) as core:
            yield core

    def acked(self, session: LashSession, fact: str, name: str = "", value: str = "") -> None:
        """Tell what the session has confirmed: a fact, and by which of its fields to find it."""
        self.tell(("acked", session.session_id, str(session.version), fact, name, value))

    async def enqueue(self, session: LashSession, text: str, key: str) -> str:
        """Send an input under a key of ours, and tell."""
        sent = await session.enqueue(text).id(key)
        self.acked(session, "input.enqueued", "source_key", f"host:{key}")
        self.acked(session, "input.enqueued", "input_id", sent.input_id)
        return sent.input_id

    async def turn(self, session: LashSession, text: str, turn_id: str) -> None:
        """Run a turn, and tell."""
        result = (await session.turn(text).turn_id(turn_id)).result
        assert result.turn_id == turn_id
        self._turned(session, turn_id, result.is_success)

    async def drain(self, session: LashSession, drain_id: str) -> None:
        """Drain once, and tell; what another owner left is finished first."""
        output = await session.queued_turn().drain_id(drain_id)
        if output is not None:
            self._turned(session, output.result.turn_id, output.result.is_success)

    async def in_time(self, work: Coroutine[object, object, None]) -> None:
        """
        Do what may have to wait until time passes: who cannot believe the clock watches a lease.

        Time passes only then, since it is in what is written.
        """
        doing = asyncio.ensure_future(work)
        while not doing.done():
            watching = asyncio.ensure_future(self._watching.wait())
            await asyncio.wait({doing, watching}, return_when=asyncio.FIRST_COMPLETED)
            watching.cancel()
            if self._watching.is_set():
                await self.time.advance(TTL_MS)
        await doing

    async def _sleep_ms(self, duration_ms: int) -> None:
        if duration_ms != LOOK_MS:
            await self.time.sleep_ms(duration_ms)
            return
        self._watching.set()
        try:
            await self.time.sleep_ms(duration_ms)
        finally:
            self._watching.clear()

    def _turned(self, session: LashSession, turn_id: str, is_success: bool) -> None:
        fact = "turn.committed" if is_success else "turn.ended"
        self.acked(session, fact, "turn_id", turn_id)

    def _look(self) -> Callable[[str], Awaitable[str]]:
        async def look(name: str) -> str:
            """Look at something."""
            self.tell(("asked", f"tool {name}"))
            if name == STALLS and not self.is_again and not self.stalling.is_set():
                self.stalling.set()
                await asyncio.Event().wait()
            if name == NAPS:
                await self.time.advance(TTL_MS // 2)
            # Two that are called at once end apart.
            for _ in range(len(name)):
                await asyncio.sleep(0)
            return f"saw {name}"

        return look

    def _measured_ns(self) -> int:
        """Measure commits: none takes any time, or each takes so long that it gets a thread."""
        steps = 0 if self.is_in_order else next(self._measurements) * SLOW_NS
        return self.time.now_ms() * 1_000_000 + steps

    def _token(self) -> str:
        return f"{'again' if self.is_again else 'first'}-{next(self._numbers)}"

    def _salt(self) -> bytes:
        return next(self._numbers).to_bytes(16, "big")


Script: TypeAlias = Callable[[Stage], Awaitable[None]]


def looks(*names: str, text: str = "") -> Say:
    """Ask to look at several things; a call has the name of what it looks at."""
    return calls(*(call(name, "look", {"name": name}) for name in names), text=text)


async def creating(stage: Stage) -> None:
    """Make the database and a session, change it, let it go, open it again, and drain."""
    async with stage.core(says("hello")) as core:
        session = await core.session("s")
        stage.acked(session, "session.opened", "session_id", "s")
        await session.configure(instructions="be brief")
        stage.acked(session, "session.configured")
        await stage.enqueue(session, "hello", "greeting")
        await session.park()
        stage.tell(("acked", "s", "0", "session.parked", "", ""))
        async with core.session("s").open() as session:
            await stage.drain(session, "d")


async def queueing(stage: Stage) -> None:
    """Enqueue, repeat oneself, cancel, drain, and do that once more."""
    lines = (says("one"), says("two"))
    async with stage.core(*lines) as core, core.session("s").open() as session:
        first = await stage.enqueue(session, "first", "a")
        assert await stage.enqueue(session, "first", "a") == first
        second = await stage.enqueue(session, "second", "b")
        await session.cancel_pending_turn_input(second)
        stage.acked(session, "input.cancelled", "input_id", second)
        await stage.drain(session, "d1")
        await stage.enqueue(session, "third", "c")
        await stage.drain(session, "d2")


async def calling(stage: Stage) -> None:
    """Take a turn with two tools at once, whose text streams, and one with nothing to look at."""
    lines = (looks("a", "bbbb", text="let me see"), says("seen"), says("bye"))
    async with stage.core(*lines) as core, core.session("s").open() as session:
        await stage.turn(session, "look around", "t1")
        await stage.turn(session, "thank you", "t2")


async def taking_over(stage: Stage) -> None:
    """An owner falls silent in a tool; another takes the lease over and ends the turn."""
    lines = (looks(STALLS), says("seen"), says("later"))
    async with stage.core(*lines) as core, core.session("s").open() as session:
        await stage.enqueue(session, "meanwhile", "a")
        stalled = asyncio.ensure_future(session.turn("go").turn_id("t").run())
        waiting = asyncio.ensure_future(stage.stalling.wait())
        await asyncio.wait({stalled, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        stage.time.jump(TTL_MS)
        async with stage.core(*lines) as other, other.session("s").open() as again:
            await stage.in_time(stage.turn(again, "go", "t"))
            await stage.drain(again, "d")
        stalled.cancel()
        with suppress(RuntimeFault, asyncio.CancelledError):
            await stalled


async def parking(stage: Stage) -> None:
    """Take a turn, park, resume elsewhere, take another; a session is deleted on the way."""
    lines = (says("hello"), says("bye"))
    async with stage.core(*lines) as core:
        session = await core.session("s")
        await stage.turn(session, "go", "t1")
        parked = await session.park()
        stage.tell(("acked", "s", "0", "session.parked", "", ""))
        with suppress(SessionDeleted):
            gone = await core.session("gone")
            await core.delete_session("gone")
            stage.acked(gone, "session.tombstoned")
    async with stage.core(*lines) as core:
        session = await core.resume(parked)
        await stage.turn(session, "on", "t2")
        await session.park()
        stage.tell(("acked", "s", "0", "session.parked", "", ""))


NAMED: Final[dict[str, Script]] = {
    script.__name__: script for script in (creating, queueing, calling, taking_over, parking)
}
"""What is swept in CI."""


async def failing(stage: Stage) -> None:
    """Drain what cannot be done until it has failed for good, and then something else."""
    async with stage.core(says("done")) as core, core.session("s").open() as session:
        await stage.enqueue(session, BAD, "bad")
        for number in range(3):
            await stage.drain(session, f"try-{number}")
        await stage.enqueue(session, "do something else", "good")
        await stage.drain(session, "last")


async def napping(stage: Stage) -> None:
    """Take a turn whose tool is silent for so long that the lease has to be renewed."""
    lines = (looks(NAPS), says("rested"))
    async with stage.core(*lines) as core, core.session("s").open() as session:
        await stage.turn(session, "rest", "t")


async def crowding(stage: Stage) -> None:
    """Drive three sessions at once."""
    async with stage.core(says("one"), says("two")) as core:

        async def live(name: str) -> None:
            async with core.session(name).open() as session:
                await stage.enqueue(session, f"hello, {name}", "a")
                await stage.drain(session, "d")
                await stage.turn(session, "bye", "t")

        await asyncio.gather(*(live(name) for name in ("x", "y", "z")))


async def chatting(stage: Stage) -> None:
    """Take a long turn: ten tools in three rounds, and another turn."""
    lines = (
        looks("a", "bb", "ccc", "dddd", text="First these."),
        looks("e", "ff", "ggg"),
        looks("h", "ii", "jjj", text="The last ones."),
        says("I have seen ten things."),
        says("bye"),
    )
    async with stage.core(*lines) as core, core.session("s").open() as session:
        await stage.turn(session, "look around", "t1")
        await stage.turn(session, "thank you", "t2")


ALL: Final[Mapping[str, Script]] = NAMED | {
    script.__name__: script for script in (failing, napping, crowding, chatting)
}
"""What is swept in the long lane."""


async def transcripts(core: LashCore, *session_ids: str) -> list[list[Message]]:
    """Read what was said in sessions."""
    found: list[list[Message]] = []
    for session_id in session_ids:
        async with core.session(session_id).open() as session:
            found.append(list(await session.read_view().messages()))
    return found
