"""
The end of a session's log, followed once for all who look on from one handle: what one has read,
checked and folded is handed to every other who has come so far.

A seat is one consumer's place at a tail. Who falls behind what the tail keeps, or finds it over,
reads the log by itself again, from where it is; so a tail can be dropped at any time.
"""

import asyncio
from bisect import bisect_right
from collections import deque
from typing import Final
from weakref import WeakSet

from lash_es.log.pages import Offset
from lash_es.session.holders import SharedSession
from lash_es.session.observations import Closed, SessionObservationEvent, SubscriberLagged
from lash_es.session.telling import Teller

EVENTS_KEPT_MAX: Final = 256
"""How many events a tail keeps for consumers that are slower than others."""


class Tail:
    """Follows the log with one teller, and keeps what it was told last."""

    def __init__(self, teller: Teller) -> None:
        self._teller = teller
        self._first = teller.offset
        self._base = 0
        self._events: deque[SessionObservationEvent] = deque()
        self._seats: WeakSet[Seat] = WeakSet()
        self._is_over = False
        self._failure: Exception | None = None
        self._following = asyncio.create_task(self._follow())

    @property
    def is_over(self) -> bool:
        """Tell whether it follows no more."""
        return self._is_over

    @property
    def failure(self) -> Exception | None:
        """Why nothing can be told any more; none for what reading on by oneself can mend."""
        return self._failure

    def seat(self, offset: Offset) -> "Seat | None":
        """Take a place behind an offset; none if not all that came after it is kept."""
        if self._is_over or offset < self._first:
            return None
        passed = bisect_right(self._events, offset, key=_offset)
        seat = Seat(self, self._base + passed, offset)
        self._seats.add(seat)
        return seat

    def event(self, number: int) -> SessionObservationEvent | None:
        """Return the event of a number, counted from the tail's beginning; none if not kept."""
        place = number - self._base
        return self._events[place] if 0 <= place < len(self._events) else None

    def is_coming(self, number: int) -> bool:
        """Tell whether an event of that number is yet to come."""
        return not self._is_over and number >= self._base + len(self._events)

    async def leave(self, seat: "Seat") -> None:
        """Give a place up; with the last one the tail is over."""
        self._seats.discard(seat)
        if not self._seats and not self._following.done():
            self._is_over = True
            self._following.cancel()
            await asyncio.wait({self._following})

    async def _follow(self) -> None:
        try:
            while True:
                event = await self._teller.next()
                if event is None or not self._seats:
                    return
                self._keep(event)
                self._wake()
        except (SubscriberLagged, Closed):
            pass  # Whoever reads on by itself finds the gap.
        except Exception as failure:  # noqa: BLE001 - it is raised by every seat
            self._failure = failure
        finally:
            self._is_over = True
            self._wake()
            await self._teller.aclose()

    def _keep(self, event: SessionObservationEvent) -> None:
        self._events.append(event)
        if len(self._events) > EVENTS_KEPT_MAX:
            self._first = _offset(self._events.popleft())
            self._base += 1

    def _wake(self) -> None:
        for seat in self._seats:
            seat.wake()


class Seat:
    """One consumer's place at a tail."""

    def __init__(self, tail: Tail, number: int, after: Offset) -> None:
        self._tail = tail
        self._number = number
        self._after = after
        self._woken = asyncio.Event()

    async def next(self) -> SessionObservationEvent | None:
        """
        Return the next event, waiting for it; none if it has to be read from the log. Cancelling
        loses none. Raises what the tail met in the log.
        """
        while True:
            while self._tail.is_coming(self._number):
                self._woken.clear()
                await self._woken.wait()
            event = self._tail.event(self._number)
            if event is None:
                break
            self._number += 1
            # Whoever comes may have read on further than the tail.
            if _offset(event) > self._after:
                return event
        if self._tail.failure is not None and self._number >= 0:
            raise self._tail.failure
        return None

    def wake(self) -> None:
        """Let whoever waits look again."""
        self._woken.set()

    async def leave(self) -> None:
        """Give the place up, also for whoever waits."""
        self._number = -1
        self.wake()
        await self._tail.leave(self)


def seated(shared: SharedSession, teller: Teller) -> tuple[Seat | None, Teller | None]:
    """
    Give a consumer whose teller has come to the end a place at the session's tail.

    Returns:
        The seat, none if the tail has gone on too far; and the teller if nobody needs it any more:
        it is to be closed. A new tail takes it over.
    """
    tail = shared.tail
    if not isinstance(tail, Tail) or tail.is_over:
        tail = shared.tail = Tail(teller)
        return tail.seat(teller.offset), None
    seat = tail.seat(teller.offset)
    return seat, None if seat is None else teller


def _offset(event: SessionObservationEvent) -> Offset:
    return (event.cursor.version, event.cursor.seq)
