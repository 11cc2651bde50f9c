"""
Streams of what happens in a session: one that tells of a gap and stops there, one that goes on
from a fresh observation.

What is buffered is one page of the log, however slow the consumer is.
"""

from typing import Final, TypeAlias

from attrs import frozen

from lash_es.codec.cursors import SessionCursor
from lash_es.log.streams import ClosingStream
from lash_es.log.subscribing import GapReason
from lash_es.session.holders import Hold, SharedSession
from lash_es.session.observations import (
    Closed,
    Gap,
    Replayed,
    SessionObservationEvent,
    SessionResume,
    StreamEvent,
    StreamGap,
    SubscriberLagged,
    as_cursor,
)
from lash_es.session.tails import Seat, seated
from lash_es.session.telling import Teller, follow_from, gap_for

REPLAY_EVENTS_MAX: Final = 4_096
"""How many events one answer holds; whoever wants more goes on from its cursor."""


class SessionEventStream(ClosingStream[SessionObservationEvent]):
    """
    Events after a cursor, an async iterator; it says when the consumer lagged, and does not
    recover. It does not hold the session.
    """

    def __init__(self, teller: Teller, cursor: SessionCursor) -> None:
        self._teller = teller
        self._cursor = cursor

    @property
    def cursor(self) -> SessionCursor:
        """The place after the event that was delivered last."""
        return self._cursor

    async def next_event(self) -> SessionObservationEvent:
        """
        Return the next event, waiting for it; cancelling loses none.

        Raises:
            SubscriberLagged: activity was pruned before it was read; the next call goes on.
            Closed: the stream has ended.
            SessionDeleted: the session has.
            CorruptHistory, CorruptBody, StorageError: the log cannot be read.
        """
        event = await self._teller.next()
        if event is None:
            raise Closed
        self._cursor = event.cursor
        return event

    async def __anext__(self) -> SessionObservationEvent:
        """Return the next event; raises as ``next_event``, and ends when the stream does."""
        try:
            return await self.next_event()
        except Closed:
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        """End it, also for whoever waits for an event; twice is once."""
        await self._teller.aclose()


@frozen(kw_only=True)
class Subscribed:
    """Everything after the cursor is there: the stream replays it and goes on live."""

    stream: SessionEventStream


Subscription: TypeAlias = Subscribed | Gap


async def subscribe_from(shared: SharedSession, cursor: SessionCursor | str) -> Subscription:
    """
    Follow a session from a cursor on; or get a fresh observation, if something after it is gone.

    Raises:
        CursorRefused, SessionDeleted: see there.
    """
    wanted = as_cursor(cursor, shared.lane.stream.session_id)
    found = await follow_from(shared, wanted)
    if isinstance(found, GapReason):
        return await _gap(shared, wanted, found)
    return Subscribed(stream=SessionEventStream(found, wanted))


async def resume_from(shared: SharedSession, cursor: SessionCursor | str) -> SessionResume:
    """
    Read what came after a cursor, once; raises as ``subscribe_from``.

    Cost: reads what is returned, ``REPLAY_EVENTS_MAX`` events at most.
    """
    wanted = as_cursor(cursor, shared.lane.stream.session_id)
    found = await follow_from(shared, wanted)
    if isinstance(found, GapReason):
        return await _gap(shared, wanted, found)
    try:
        return await _replayed(found, wanted)
    except SubscriberLagged:
        return await _gap(shared, wanted, GapReason.TRIMMED)
    finally:
        await found.aclose()


async def _replayed(teller: Teller, cursor: SessionCursor) -> Replayed:
    events: list[SessionObservationEvent] = []
    while len(events) < REPLAY_EVENTS_MAX:
        event = await teller.next(until=teller.end)
        if event is None:
            break
        events.append(event)
    # What tells nothing need not be looked at again.
    reached = SessionCursor(cursor.session_id, *teller.offset)
    return Replayed(events=tuple(events), cursor=reached, is_complete=teller.offset >= teller.end)


async def _gap(shared: SharedSession, wanted: SessionCursor, reason: GapReason) -> Gap:
    observation, gap = await gap_for(shared, wanted, reason)
    return Gap(observation=observation, gap=gap)


class SessionObservationStream(ClosingStream[StreamEvent | StreamGap]):
    """
    Events after a cursor, and where something is gone a fresh observation instead: an async
    iterator that does not end by itself. It holds the session until it is closed.

    Raises (when iterated; then it is closed):
        CursorRefused: the cursor is none, or of another session.
        SessionDeleted: the session has ended.
        CorruptHistory, CorruptBody, StorageError: the log cannot be read.
    """

    def __init__(self, shared: SharedSession, cursor: SessionCursor | str) -> None:
        self._shared = shared
        self._cursor = cursor
        self._teller: Teller | None = None
        self._seat: Seat | None = None
        self._is_closed = False
        self._hold = Hold(self, shared, "a stream")

    @property
    def cursor(self) -> SessionCursor:
        """
        The place after what was delivered last: a host that keeps it goes on from there.

        Raises:
            CursorRefused: nothing was delivered, and what was given is no cursor of the session.
        """
        return as_cursor(self._cursor, self._shared.lane.stream.session_id)

    async def __anext__(self) -> StreamEvent | StreamGap:
        """Return the next item, waiting for it; cancelling loses none."""
        if self._is_closed:
            raise StopAsyncIteration
        try:
            return await self._next()
        except Closed:
            await self.aclose()
            raise StopAsyncIteration from None
        except Exception:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """End it, also for whoever waits for an item, and let the session go; twice is once."""
        self._is_closed = True
        await self._drop()
        self._hold.release()

    async def _next(self) -> StreamEvent | StreamGap:
        cursor = self.cursor
        try:
            event = await self._next_at_tail() or await self._next_of_own(cursor)
        except SubscriberLagged:
            return await self._gap(cursor, GapReason.TRIMMED)
        if isinstance(event, GapReason):
            return await self._gap(cursor, event)
        self._cursor = event.cursor
        return StreamEvent(event=event)

    async def _next_at_tail(self) -> SessionObservationEvent | None:
        """Take what the session's tail hands on; none if it has to be read from the log."""
        teller = self._teller
        if self._seat is None and teller is not None and teller.offset >= teller.end:
            self._seat, spare = seated(self._shared, teller)
            self._teller = teller if self._seat is None else None
            if spare is not None:
                await spare.aclose()
        if self._seat is None:
            return None
        event = await self._seat.next()
        if event is None:
            await self._drop()
        return event

    async def _next_of_own(self, cursor: SessionCursor) -> SessionObservationEvent | GapReason:
        """Read the log from the cursor on, with a teller of one's own, until there is a seat."""
        while not self._is_closed:
            if self._teller is None:
                found = await follow_from(self._shared, cursor)
                if isinstance(found, GapReason):
                    return found
                self._teller = found
            elif self._teller.offset < self._teller.end:
                event = await self._teller.next(until=self._teller.end)
                if event is not None:
                    return event
            else:
                # Either there is a seat now, or the tail is so far ahead that there is an event.
                event = await self._next_at_tail() or await self._next_told()
                if event is not None:
                    return event
        await self._drop()
        raise Closed

    async def _next_told(self) -> SessionObservationEvent | None:
        """Wait for what one's own teller tells; none if there is none by now."""
        return None if self._teller is None else await self._teller.next()

    async def _gap(self, cursor: SessionCursor, reason: GapReason) -> StreamGap:
        """Take a fresh observation, and go on from there."""
        # First the drop: whoever is cancelled in between finds the gap again.
        await self._drop()
        observation, gap = await gap_for(self._shared, cursor, reason)
        self._cursor = gap.latest_cursor
        return StreamGap(observation=observation, gap=gap)

    async def _drop(self) -> None:
        teller, self._teller = self._teller, None
        seat, self._seat = self._seat, None
        if teller is not None:
            await teller.aclose()
        if seat is not None:
            await seat.leave()
