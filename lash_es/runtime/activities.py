"""
What a turn shows while it runs: to the caller's sink at once, and its streamed text to the log,
coalesced.

A pump stands between the turn and its readers, so that a slow reader never costs the turn its
lease. A failed write of activity never fails a turn.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from attrs import evolve as with_changes

from lash_es.codec.activities import encode_activity
from lash_es.core.activity import ProseStreamed, ReasoningStreamed, StreamedActivity
from lash_es.core.errors import LashError
from lash_es.core.ids import Generation, Version
from lash_es.log.appends import ActivityRefused
from lash_es.runtime.committing import Lane
from lash_es.turns.activities import (
    AssistantProseDelta,
    ReasoningTextDelta,
    TurnActivity,
    TurnActivityEvent,
)

ACTIVITY_CHARS_MAX: Final = 2_048
"""A stretch of text is written, and the next one begun, when it is this long,"""
ACTIVITY_AGE_MS_MAX: Final = 100
"""or when its first character has waited this long."""
ACTIVITIES_WAITING_MAX: Final = 1_024
"""From here on a slow reader gets longer stretches of text, so that what waits is bounded."""


ActivitySink: TypeAlias = Callable[[TurnActivity], Awaitable[None]]


async def ignore(_: TurnActivity) -> None:
    """Show nothing to anyone."""


class ActivityPump:
    """
    Takes activities in order, without waiting, and hands them on; ``finish`` waits until all is
    delivered.
    """

    def __init__(self, lane: Lane, generation: Generation, sink: ActivitySink) -> None:
        self._lane = lane
        self._generation = generation
        self._sink = sink
        self._waiting: deque[TurnActivity] = deque()
        self._arrived = asyncio.Event()
        self._is_complete = False
        self._unwritten: list[StreamedActivity] = []
        self._waiting_since_ms = 0
        self._writing = asyncio.Lock()
        self._pump = asyncio.create_task(self._run())

    def show(self, event: TurnActivityEvent, correlation_id: str) -> None:
        """Hand on an activity."""
        self._buffer(event)
        token = self._lane.world.token()
        activity = TurnActivity(activity_id=token, correlation_id=correlation_id, event=event)
        if len(self._waiting) >= ACTIVITIES_WAITING_MAX:
            joined = _joined(self._waiting[-1], activity)
            if joined is not None:
                self._waiting[-1] = joined
                return
        self._waiting.append(activity)
        self._arrived.set()

    async def write_out(self) -> None:
        """
        Write the text that was shown so far, in front of the fact that is recorded next: whoever
        looks on has it before what supersedes it.
        """
        await self._write()

    async def finish(self) -> None:
        """
        Wait until everything that was shown has reached the sink; what the sink raised is raised
        here.
        """
        self._is_complete = True
        self._arrived.set()
        await self._pump

    def abort(self) -> None:
        """Stop without delivering the rest."""
        self._pump.cancel()

    async def _run(self) -> None:
        failure: Exception | None = None
        while (activity := await self._next()) is not None:
            if self._is_due():
                await self._write()
            if failure is None:
                failure = await self._shown_to_sink(activity)
        await self._write()
        if failure is not None:
            raise failure

    async def _shown_to_sink(self, activity: TurnActivity) -> Exception | None:
        """Show it to the caller; a sink that raises is left alone, and the log's readers go on."""
        try:
            await self._sink(activity)
        except Exception as failure:  # noqa: BLE001 - the sink is the host's; it is told in the end
            return failure
        return None

    async def _next(self) -> TurnActivity | None:
        """Wait for the next activity; text that has waited long enough is written meanwhile."""
        while not self._waiting:
            if self._is_complete:
                return None
            self._arrived.clear()
            try:
                async with asyncio.timeout(
                    self._patience_ms() / 1000 if self._unwritten else None
                ):
                    await self._arrived.wait()
            except TimeoutError:
                await self._write()
        return self._waiting.popleft()

    def _patience_ms(self) -> int:
        waited_ms = self._lane.world.monotonic_ms() - self._waiting_since_ms
        return max(0, ACTIVITY_AGE_MS_MAX - waited_ms)

    def _is_due(self) -> bool:
        if not self._unwritten:
            return False
        chars_count = sum(len(entry.text) for entry in self._unwritten)
        return chars_count >= ACTIVITY_CHARS_MAX or self._patience_ms() == 0

    def _buffer(self, event: TurnActivityEvent) -> None:
        streamed = _streamed(event)
        if streamed is None:
            return
        if not self._unwritten:
            self._waiting_since_ms = self._lane.world.monotonic_ms()
        last = self._unwritten[-1] if self._unwritten else None
        if (
            last is not None
            and len(last.text) < ACTIVITY_CHARS_MAX
            and with_changes(last, text="") == with_changes(streamed, text="")
        ):
            self._unwritten[-1] = with_changes(last, text=last.text + streamed.text)
        else:
            self._unwritten.append(streamed)

    async def _write(self) -> None:
        async with self._writing:
            payloads = [encode_activity(entry) for entry in self._unwritten]
            self._unwritten.clear()
            if not payloads:
                return
            try:
                await self._append(payloads)
            except LashError:
                self._lane.log.tally.gaps += 1  # A reader will meet it; the turn goes on.

    async def _append(self, payloads: list[bytes]) -> None:
        """
        Write after the newest fact; a fact that came in between is no reason to drop the text.
        """
        version: Version = self._lane.folded.version
        for _ in range(3):
            result = await self._lane.log.append_activity(
                self._lane.stream, version=version, generation=self._generation, payloads=payloads
            )
            if not isinstance(result, ActivityRefused) or result.generation != self._generation:
                return
            version = result.version
        self._lane.log.lose_activity(self._lane.stream)


def _joined(last: TurnActivity, new: TurnActivity) -> TurnActivity | None:
    """Put two stretches of one text together; none if they are not of one text."""
    before, after = last.event, new.event
    for kind in (AssistantProseDelta, ReasoningTextDelta):
        if (
            isinstance(before, kind)
            and isinstance(after, kind)
            and with_changes(before, text="") == with_changes(after, text="")
        ):
            return with_changes(last, event=with_changes(before, text=before.text + after.text))
    return None


def _streamed(event: TurnActivityEvent) -> StreamedActivity | None:
    match event:
        case AssistantProseDelta():
            return ProseStreamed(effect_id=event.effect_id, attempt=event.attempt, text=event.text)
        case ReasoningTextDelta():
            return ReasoningStreamed(
                effect_id=event.effect_id, attempt=event.attempt, text=event.text
            )
        case _:
            return None
