"""
A random life of a session that is looked at, beside a naive model of what its observer may see.

The writer is a process of its own: it enqueues, cancels, runs turns, is taken over, streams text,
loses some, prunes it and trims facts. The observer follows through the facade, gives up, is
cancelled, and comes back from its cursor with another core, as after a restart. The model is a
list of what was written; it knows the table below and nothing else.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from attrs import Factory, define

from lash_es import (
    Committed,
    LashCore,
    LashSession,
    NoArchive,
    ObservableSession,
    ParkedSession,
    QueueChanged,
    SessionCursor,
    SessionObservationStream,
    StreamEvent,
    StreamGap,
    TrimHeldBack,
    TurnActivity,
)
from lash_es.codec.activities import encode_activity
from lash_es.codec.records import read_event
from lash_es.core.activity import ProseStreamed
from lash_es.core.commands import ConfigureSession, ContinueTurn
from lash_es.core.events import Event
from lash_es.core.ids import EffectId, Position, SessionId, TurnId
from lash_es.core.limits import Limits
from lash_es.core.owners import Fence
from lash_es.log.activities import ActivityWindow
from lash_es.log.appends import ActivityAppended
from lash_es.log.trimming import Minted, Trimming
from lash_es.runtime.world import World
from lash_es.session.observations import SessionObservationEvent
from tests.scenarios.hands import POLICY, Site
from tests.session.host import host
from tests.session.stores import Place, stream

Offset: TypeAlias = tuple[int, int]
Step: TypeAlias = tuple[str, int]
Observe: TypeAlias = Callable[[ObservableSession, SessionCursor], SessionObservationStream]

EVER: Final = 10**12
WRITES: Final = (
    *("enqueue", "withdraw", "turn", "turn", "text", "text", "text"),
    *("takeover", "configure", "prune", "lose", "trim"),
)
LOOKS: Final = ("take", "take", "take", "cancel", "reopen", "restart")


def summary(event: Event) -> tuple[str, str] | None:
    """Say in two words what an observer is told of a fact; what is not listed tells nothing."""
    match type(event).__name__:
        case "TurnInputEnqueued":
            return "enqueued", event.input_id  # type: ignore[union-attr]  # by its name
        case "TurnInputCancelled":
            return "cancelled", event.input_id  # type: ignore[union-attr]
        case "EffectRequested":
            return "ModelRequestStarted", event.effect_id  # type: ignore[union-attr]
        case "TurnContinued":
            return "EffectsRepeated", str(event.turn_id)  # type: ignore[union-attr]
        case "TurnCommitted" | "SessionConfigured":
            return "committed", ""
        case _:
            return None


def told(event: SessionObservationEvent) -> tuple[str, str]:
    """Say the same of what an observer was told."""
    match event.payload:
        case QueueChanged():
            (batch_id,) = event.payload.batch_ids
            return event.payload.kind.value, batch_id
        case Committed():
            assert event.payload.version == event.payload.read_view.version
            assert (event.payload.version, 0) == (event.cursor.version, event.cursor.seq)
            assert event.payload.revision == event.payload.read_view.revision == event.revision
            return "committed", ""
        case TurnActivity():
            shown = event.payload.event
            kind = type(shown).__name__
            for name in ("text", "effect_id", "turn_id"):
                if hasattr(shown, name):
                    return kind, getattr(shown, name)
            raise AssertionError(kind)
        case _:
            raise AssertionError(event)


@define
class Model:
    """What was written, what of it is gone, and where the observer is."""

    told: dict[Offset, tuple[str, str]] = Factory(dict[Offset, tuple[str, str]])
    gone: set[Offset] = Factory(set[Offset])
    revisions: list[int] = Factory(lambda: [0])
    instructions: list[str] = Factory(lambda: [""])
    oldest: int = 0
    cursor: Offset = (0, 0)
    events_count: int = 0
    gaps_count: int = 0

    def wrote(self, events: Sequence[Event]) -> None:
        """Take note of facts that came behind those that are known."""
        for event in events:
            is_commit = type(event).__name__ == "TurnCommitted"
            self.revisions.append(self.revisions[-1] + is_commit)
            policy = getattr(event, "policy", None)
            self.instructions.append(
                self.instructions[-1] if policy is None else policy.instructions
            )
            about = summary(event)
            if about is not None:
                self.told[len(self.revisions) - 1, 0] = about

    def see(self, event: SessionObservationEvent) -> None:
        """Refuse an event unless it is the very next one."""
        offset = (event.cursor.version, event.cursor.seq)
        following = min((each for each in self.told if each > self.cursor), default=None)
        assert offset == following, f"after {self.cursor} came {offset}, expected {following}"
        lost = [each for each in self.gone if self.cursor < each < offset]
        assert not lost, f"{lost} are gone, and nobody said so"
        assert told(event) == self.told[offset]
        assert event.revision == self.revisions[offset[0]]
        self.cursor = offset
        self.events_count += 1

    async def see_gap(self, item: StreamGap) -> None:
        """Refuse a gap where nothing is gone, and an observation that is not of its cursor."""
        asked, cursor = item.gap.requested_cursor, item.observation.cursor
        assert (asked.version, asked.seq) == self.cursor
        is_gone = any(each > self.cursor for each in self.gone)
        assert is_gone or self.cursor < (self.oldest, 0), "a gap, and nothing is gone"
        assert item.gap.latest_cursor == cursor
        assert (cursor.version, cursor.seq) > self.cursor
        view = item.observation.read_view
        assert view.version == cursor.version
        assert view.revision == item.gap.latest_revision == self.revisions[view.version]
        assert view.policy.instructions == self.instructions[view.version]
        assert [each.text for each in await view.messages()] == ["go"] * view.revision
        gone_here = [seq for version, seq in self.gone if version == cursor.version]
        assert cursor.seq == max(gone_here, default=0), "not the first good cursor of this state"
        self.cursor = (cursor.version, cursor.seq)
        self.gaps_count += 1

    def require_end(self) -> None:
        """Refuse an observer that has not seen everything that is there."""
        left = [each for each in self.told if each > self.cursor]
        assert not left, f"never came: {left}"


class Life:
    """One life: a writer, an observer, and the model of both."""

    def __init__(self, place: Place, observe: Observe) -> None:
        self._place = place
        self._observe = observe
        self._site = Site(place)
        self._stream = stream("s")
        self._enqueued: list[str] = []
        self._turns_count = self._texts_count = 0
        self._fence: Fence | None = None
        self._turn_id = ""
        self._owner = "owner-0"
        self._pending: asyncio.Future[StreamEvent | StreamGap] | None = None
        self.model = Model()

    async def live(self, steps: Sequence[Step]) -> Model:
        """Live, let the observer catch up, and look whether it has."""
        self._hand = await self._site.hand("s")
        self._reading = self._place.store()
        self._note()
        await self._open(SessionCursor(SessionId("s"), self._hand.lane.folded.version, 0))
        self.model.cursor = (self._hand.lane.folded.version, 0)
        try:
            for name, number in steps:
                await getattr(self, f"_{name}")(number)
                self._note()
                self._core._log.wakes.wake([self._stream])
            await self._take(10**6)
            self.model.require_end()
        finally:
            await self._close()
            await self._site.aclose()
            self._reading.close()
        return self.model

    # The observer

    async def _open(self, cursor: SessionCursor) -> None:
        self._core: LashCore = host(self._place.store())
        self._session: LashSession = await self._core.resume(
            ParkedSession(session_id=SessionId("s"))
        )
        self._watching = self._session.observe()
        self._seen = self._observe(self._watching, cursor)

    async def _close(self) -> None:
        await self._let_go()
        await self._seen.aclose()
        await self._watching.aclose()
        await self._session.close()
        await self._core.aclose()

    async def _let_go(self) -> None:
        if self._pending is not None:
            self._pending.cancel()
            await asyncio.wait({self._pending})
            if not self._pending.cancelled():
                await self._take_in(self._pending)
        self._pending = None

    async def _take(self, number: int) -> None:
        for _ in range(1 + 2 * number):
            if self._pending is None:
                self._pending = asyncio.ensure_future(anext(self._seen))
            for _ in range(12):
                await asyncio.sleep(0)
            if not self._pending.done():
                return
            done, self._pending = self._pending, None
            await self._take_in(done)

    async def _take_in(self, done: "asyncio.Future[StreamEvent | StreamGap]") -> None:
        item = done.result()
        if isinstance(item, StreamEvent):
            self.model.see(item.event)
        else:
            await self.model.see_gap(item)
        reached = self._seen.cursor
        assert (reached.version, reached.seq) == self.model.cursor

    async def _cancel(self, number: int) -> None:
        """Give up waiting after some turns of the loop."""
        if self._pending is None:
            self._pending = asyncio.ensure_future(anext(self._seen))
        for _ in range(number):
            await asyncio.sleep(0)
        await self._let_go()

    async def _reopen(self, _: int) -> None:
        await self._let_go()
        cursor = self._seen.cursor
        await self._seen.aclose()
        self._seen = self._observe(self._watching, cursor)

    async def _restart(self, _: int) -> None:
        await self._let_go()
        kept = str(self._seen.cursor)
        await self._close()
        await self._open(SessionCursor.parse(kept))

    # The writer

    def _note(self) -> None:
        """Read what was written, without the code under test."""
        known = Position(len(self.model.revisions) - 1)
        records = self._reading.read(self._stream, known, 1_000)
        self.model.wrote([read_event(self._stream, record) for record in records])

    async def _enqueue(self, number: int) -> None:
        receipt = await self._hand.enqueue(f"input {number}")
        self._enqueued.append(receipt.input_id)

    async def _withdraw(self, _: int) -> None:
        if self._enqueued:
            await self._hand.inputs.cancel(self._enqueued.pop())

    async def _turn(self, _: int) -> None:
        """Begin a turn that asks the model, or commit the one that does."""
        if self._fence is None:
            self._turns_count += 1
            self._turn_id = f"t{self._turns_count}"
            self._fence = await self._hand.fence(self._owner)
            await self._hand.start(self._fence, self._turn_id)
            await self._hand.ask_model(self._fence, self._turn_id)
        else:
            await self._hand.cancel_model(self._fence, self._turn_id)
            await self._hand.commit(self._fence, self._turn_id, is_interrupted=True)
            self._fence = None

    async def _takeover(self, number: int) -> None:
        """Let the lease run out, and another owner go on with the turn."""
        if self._fence is None:
            return
        await self._site.pass_ms(60_001)
        self._owner = f"owner-{number}-{self._turns_count}-{self._hand.now_ms}"
        self._fence = await self._hand.fence(self._owner)
        await self._hand.lane.execute(
            ContinueTurn(
                now_ms=self._hand.now_ms, fence=self._fence, turn_id=TurnId(self._turn_id)
            )
        )

    async def _configure(self, number: int) -> None:
        state = await self._hand.state()
        policy = type(POLICY)(
            provider_id=state.policy.provider_id,
            model=state.policy.model,
            instructions=f"say {number}, {self._hand.lane.folded.version}",
        )
        await self._hand.lane.execute(ConfigureSession(now_ms=self._hand.now_ms, policy=policy))

    async def _text(self, number: int) -> None:
        for _ in range(1 + number % 3):
            self._texts_count += 1
            text = f"word {self._texts_count}"
            payload = encode_activity(
                ProseStreamed(effect_id=EffectId("t1/1"), attempt=1, text=text)
            )
            state = await self._hand.state()
            result = await self._hand.lane.log.append_activity(
                self._stream,
                version=state.version,
                generation=state.lease.generation,
                payloads=[payload],
            )
            assert isinstance(result, ActivityAppended)
            self.model.told[result.version, result.seq] = ("AssistantProseDelta", text)

    async def _lose(self, _: int) -> None:
        """Fail to write a piece of text; the next thing that is written says so."""
        self._hand.lane.log.lose_activity(self._stream)
        head = self._reading.head(self._stream)
        assert head is not None
        self.model.gone.add((head.version, head.activity_seq + 1))
        await self._text(0)

    async def _prune(self, number: int) -> None:
        window = ActivityWindow(records_max=number, age_ms_max=EVER)
        self._reading.trim_activity(self._stream, window, 1)
        kept = [each for each in sorted(self.model.told) if each[1]]
        kept = [each for each in kept if each not in self.model.gone]
        self.model.gone.update(kept[: max(0, len(kept) - number)])

    async def _trim(self, _: int) -> None:
        """Let go of all facts that nothing needs."""
        world = World()
        minted = Minted(now_ms=lambda: self._hand.now_ms, token=world.token, salt=world.salt)
        trimming = Trimming(
            store=self._reading, archive=NoArchive(), minted=minted, limits=Limits()
        )
        try:
            trimming.trim(self._stream, None)
        except TrimHeldBack:
            return
        head = self._reading.head(self._stream)
        assert head is not None
        self.model.oldest = head.oldest
