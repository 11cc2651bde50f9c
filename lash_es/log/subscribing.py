"""
Following a stream: its facts and activity, each once and in order, those that are there and those
that come.

A subscription reads the store after its cursor, waits until it is woken, and reads again. The
store is the truth and a wake-up is a hint, so that there is no seam between replay and live. What
its own log has just committed exactly behind what it has read last, it takes without reading.
Nothing is buffered but one page: a slow consumer reads later, and meets a gap if its activity is
pruned meanwhile.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from enum import Enum
from typing import Final, Protocol, TypeAlias

from attrs import frozen

from lash_es.codec.errors import CorruptHistory
from lash_es.codec.records import GENESIS, Record
from lash_es.codec.streams import StreamId
from lash_es.core.errors import LashError
from lash_es.core.ids import Position, Version
from lash_es.log.announcing import Reading
from lash_es.log.appends import Activity
from lash_es.log.loading import Fact, checked_fact
from lash_es.log.pages import START, Offset, Page, offset_of
from lash_es.log.port import Log, Store
from lash_es.log.streams import ClosingStream
from lash_es.log.watching import Handed, Wakes

ITEMS_PER_PAGE: Final = 64
"""Of facts and of activity; also how many items one turn of the event loop may hand out."""


class GapReason(Enum):
    """Why something is not there."""

    TRIMMED = "trimmed"
    """It was pruned, or could not be written."""
    UNAVAILABLE = "unavailable"
    """The cursor is ahead of the log."""


@frozen(kw_only=True)
class Gap:
    """
    What follows is not all that there was after ``asked``.

    ``kept`` is the first cursor after which nothing is missing, ``latest`` the last one there is
    now: whoever takes a fresh observation there subscribes anew from it. This subscription goes on
    at ``goes_on``: with every fact that is kept, and the activity that is left.
    """

    reason: GapReason
    asked: Offset
    kept: Offset
    latest: Offset
    goes_on: Offset


Item: TypeAlias = Fact | Activity | Gap


class Subscribable(Protocol):
    """What of a log a subscription uses."""

    @property
    def read(self) -> Reading:
        """Run what only reads."""
        ...

    @property
    def wakes(self) -> Wakes:
        """What wakes whoever waits."""
        ...


class FollowedLog(Log, Protocol):
    """A log whose streams can be followed."""

    @property
    def wakes(self) -> Wakes:
        """What wakes whoever waits."""
        ...


def missing_after(page: Page, asked: Offset) -> Gap | None:
    """Say what a page lacks after the place that it was read from; none if it lacks nothing."""
    reason, goes_on = GapReason.TRIMMED, asked
    oldest = (Version(page.oldest), 0)
    if asked > page.end:
        goes_on, reason = page.end, GapReason.UNAVAILABLE
    elif asked < oldest:
        goes_on = oldest
    elif asked >= page.low_water:
        return None
    return Gap(
        reason=reason,
        asked=asked,
        kept=max(oldest, page.low_water),
        latest=page.end,
        goes_on=goes_on,
    )


def subscribe(
    log: Subscribable,
    stream: StreamId,
    *,
    after: Offset = START,
    digest: bytes | None = None,
    items_max: int = ITEMS_PER_PAGE,
) -> "Subscription":
    """
    Follow a stream from a cursor on; called on the event loop. The stream need not exist yet.

    Args:
        log: it, not the subscription, owns the store.
        stream: which one.
        after: the last offset that was seen.
        digest: of the last fact that was seen, as ``Folded`` has it. Without one, the record that
            is stored there is taken for the one that was seen.
        items_max: how many facts and activities are read, and buffered, at once.
    """
    return Subscription(log, stream, after, digest, items_max)


class Subscription(ClosingStream[Item]):
    """
    An async iterator of facts, activity and gaps; it ends when it is closed. For one consumer.

    Raises:
        CorruptHistory, WrittenByNewerVersion: as ``read_facts``; the subscription is closed.
        StorageError: the store cannot be read; the subscription is closed.

    Cost: one statement a page, and one each time it is woken by what was not handed on to it.
    """

    def __init__(
        self,
        log: Subscribable,
        stream: StreamId,
        after: Offset,
        digest: bytes | None,
        items_max: int,
    ) -> None:
        self._read_log = log.read
        self._wakes = log.wakes
        self._stream = stream
        self._cursor = after
        self._read_up_to = after
        self._items_max = items_max
        self._digest = GENESIS if after[0] == 0 else digest
        self._low_water_told = START
        self._ready: deque[tuple[Offset, Item]] = deque()
        self._watcher = self._wakes.watch(stream)
        self._is_closed = False

    @property
    def cursor(self) -> Offset:
        """The offset of the last item that was handed out: subscribe from here to go on."""
        return self._cursor

    async def __anext__(self) -> Item:
        """Return the next item, waiting for it; cancelling loses none."""
        try:
            while not self._ready and not self._is_closed:
                if self._watcher.is_to_read:
                    await self._read_unless_at_end()
                elif not self._take_handed():
                    await self._watcher.wait()
        except asyncio.CancelledError:
            raise
        except BaseException:
            await self.aclose()
            raise
        if self._is_closed:
            raise StopAsyncIteration
        self._cursor, item = self._ready.popleft()
        return item

    async def aclose(self) -> None:
        """End it, also for whoever waits for an item; twice is once."""
        self._is_closed = True
        self._ready.clear()
        await self._wakes.leave(self._watcher)

    async def _read_unless_at_end(self) -> None:
        """Read a page; only after one that was empty there is no reason to read the next."""
        self._watcher.about_to_read()
        is_at_end = False
        try:
            is_at_end = not await self._read()
        finally:
            if not is_at_end:
                self._watcher.wake()

    def _take_handed(self) -> bool:
        """
        Take what was committed exactly behind what was read last; returns whether anything was.

        What it was committed behind was compared under the store's lock: nothing lies in between.
        What does not fit, for whatever reason, is read.
        """
        for handed in self._watcher.take():
            if handed.after > self._read_up_to or not self._has_taken(handed):
                self._watcher.wake()
        return bool(self._ready)

    def _has_taken(self, handed: Handed) -> bool:
        """Take the records of one append, unless they are behind; returns whether they fit."""
        if handed.after < self._read_up_to:
            return True
        try:
            for record in handed.records:
                fact = self._checked(record)
                self._ready.append(((Version(record.position + 1), 0), fact))
        except LashError:
            return False
        return True

    def _checked(self, record: Record) -> Fact:
        """Check a record as the next one, and go on behind it."""
        fact = checked_fact(self._stream, record, Position(self._read_up_to[0]), self._digest)
        self._digest = fact.digest
        self._read_up_to = (Version(record.position + 1), 0)
        return fact

    async def _read(self) -> bool:
        """Read one page; returns whether there was anything. What was read is kept as a whole."""
        digest, page = await self._read_log(self._page)
        # A page is as much as one turn of the loop hands out.
        await asyncio.sleep(0)
        gap = self._gap(page)
        if gap is not None:
            self._low_water_told = page.low_water
            self._ready.append((gap.goes_on, gap))
            if gap.goes_on != self._read_up_to:
                self._read_up_to, self._digest = gap.goes_on, None
                return True
        self._digest = digest
        try:
            self._ready.extend(self._items(page))
        except LashError:
            if not self._ready:
                raise
            # What came before it is handed out first; then it is met again.
        return bool(self._ready)

    def _page(self, store: Store) -> tuple[bytes | None, Page]:
        """Read a page, and before the first one the digest that its facts are chained to."""
        version, digest = self._read_up_to[0], self._digest
        if digest is None:
            for record in store.read(self._stream, Position(version - 1), 1):
                digest = record.digest if record.position == version - 1 else None
        return digest, store.read_page(self._stream, self._read_up_to, self._items_max)

    def _gap(self, page: Page) -> Gap | None:
        """Say what is missing after what was read, once."""
        gap = missing_after(page, self._read_up_to)
        is_told = gap is not None and gap.goes_on == gap.asked
        return None if is_told and self._low_water_told >= page.low_water else gap

    def _items(self, page: Page) -> Iterator[tuple[Offset, Item]]:
        version = self._read_up_to[0]
        for item in page.in_order(self._items_max):
            offset = offset_of(item)
            if isinstance(item, Record):
                yield offset, self._checked(item)
            else:
                yield offset, item
                self._read_up_to = offset
        if len(page.records) < self._items_max and version + len(page.records) < page.end[0]:
            raise CorruptHistory(
                session_id=self._stream.session_id,
                position=Position(version + len(page.records)),
                reason=f"cut off: the head row counts {page.end[0]} facts",
            )
