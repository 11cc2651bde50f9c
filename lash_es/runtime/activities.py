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
from attrs import frozen

from lash_es.codec.activities import encode_activity
from lash_es.core.activity import ProseStreamed, ReasoningStreamed, StreamedActivity
from lash_es.core.batches import WorkBoundary
from lash_es.core.errors import LashError
from lash_es.core.ids import BatchId, CallId, EffectId, Generation, Version
from lash_es.core.ingress import Boundary
from lash_es.core.messages import Message, TokenUsage, ToolStatus
from lash_es.log.appends import ActivityRefused
from lash_es.runtime.committing import Lane

ACTIVITY_CHARS_MAX: Final = 2_048
"""A stretch of text is written when it is this long,"""
ACTIVITY_AGE_MS_MAX: Final = 100
"""or when its first character has waited this long."""
ACTIVITIES_WAITING_MAX: Final = 1_024
"""From here on a slow reader gets longer stretches of text, so that what waits is bounded."""


@frozen(kw_only=True)
class ModelRequestStarted:
    """The model is being asked; ``attempt`` above 1 replaces what the attempt before streamed."""

    effect_id: EffectId
    protocol_iteration: int
    attempt: int


@frozen(kw_only=True)
class AssistantProseDelta:
    """A piece of the answer."""

    effect_id: EffectId
    attempt: int
    text: str


@frozen(kw_only=True)
class ReasoningTextDelta:
    """A piece of the model's reasoning."""

    effect_id: EffectId
    attempt: int
    text: str


@frozen(kw_only=True)
class ToolCallStarted:
    """A tool is being called."""

    effect_id: EffectId
    call_id: CallId
    name: str
    arguments: str
    attempt: int


@frozen(kw_only=True)
class ToolCallCompleted:
    """A call's outcome is recorded."""

    effect_id: EffectId
    call_id: CallId
    name: str
    status: ToolStatus
    text: str


@frozen(kw_only=True)
class UsageReported:
    """A model call's tokens, and the turn's so far."""

    protocol_iteration: int
    usage: TokenUsage
    cumulative: TokenUsage


@frozen(kw_only=True)
class ErrorReported:
    """Something went wrong, in words."""

    code: str
    message: str


@frozen(kw_only=True)
class AcceptedInput:
    """An input that a running turn took, under the name that its caller gave it, if any."""

    id: str
    message: Message


@frozen(kw_only=True)
class QueuedInputAccepted:
    """The turn took inputs at a checkpoint; the next model call brings them to the model."""

    checkpoint: Boundary
    inputs: tuple[AcceptedInput, ...]


@frozen(kw_only=True)
class WorkCause:
    """What a process had to say; the same ``cause_id``, the same cause."""

    cause_id: str
    event_type: str
    process_id: str
    sequence: int
    text: str


@frozen(kw_only=True)
class QueuedWorkStarted:
    """The turn took queued work, or began with it."""

    boundary: WorkBoundary
    batch_ids: tuple[BatchId, ...]
    causes: tuple[WorkCause, ...]


TurnActivityEvent: TypeAlias = (
    QueuedWorkStarted
    | QueuedInputAccepted
    | ModelRequestStarted
    | AssistantProseDelta
    | ReasoningTextDelta
    | ToolCallStarted
    | ToolCallCompleted
    | UsageReported
    | ErrorReported
)


@frozen(kw_only=True)
class TurnActivity:
    """
    One thing to show.

    What belongs together (a call and its end, one reply's text) shares ``correlation_id``.
    """

    activity_id: str
    correlation_id: str
    event: TurnActivityEvent


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
        self._pump = asyncio.create_task(self._run())

    def show(self, event: TurnActivityEvent, correlation_id: str) -> None:
        """Hand on an activity."""
        token = self._lane.world.token()
        activity = TurnActivity(activity_id=token, correlation_id=correlation_id, event=event)
        if len(self._waiting) >= ACTIVITIES_WAITING_MAX:
            joined = _joined(self._waiting[-1], activity)
            if joined is not None:
                self._waiting[-1] = joined
                return
        self._waiting.append(activity)
        self._arrived.set()

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
            self._buffer(activity.event)
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
        if last is not None and with_changes(last, text="") == with_changes(streamed, text=""):
            self._unwritten[-1] = with_changes(last, text=last.text + streamed.text)
        else:
            self._unwritten.append(streamed)

    async def _write(self) -> None:
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
