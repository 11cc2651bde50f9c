"""
Writes that somebody waits for, and how a group of them is written in one go.

What fails fails by itself: whoever asked is given its error, whatever it is, and nobody else's.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeAlias, TypeVar

from attrs import define, field, frozen

from lash_es.log.appends import AppendResult, StreamAppend
from lash_es.log.errors import (
    StoreBusy,
    StoreClosed,
    StoreDisconnected,
    StoreReadOnly,
    StoreUnavailable,
)
from lash_es.log.port import Store

_Q = TypeVar("_Q")
_A = TypeVar("_A")

_STORE_FAILURES: Final = (
    StoreBusy,
    StoreClosed,
    StoreDisconnected,
    StoreReadOnly,
    StoreUnavailable,
)
"""What fails for every write alike: to try each alone would only take longer."""


@frozen
class Failed:
    """It was not done; whoever asked is told why."""

    error: BaseException


@frozen
class Unanswered:
    """It is not done yet."""


_UNANSWERED: Final = Unanswered()


@define(eq=False)
class Pending(Generic[_Q, _A]):
    """A write that somebody waits for, and what became of it."""

    asked: _Q
    since_ns: int
    is_withdrawn: bool = False
    _answer: _A | Failed | Unanswered = field(default=_UNANSWERED, init=False)
    _waiter: asyncio.Future[None] | None = field(default=None, init=False)

    def settle(self, answer: _A | Failed) -> None:
        """Answer, and wake whoever waits."""
        self._answer = answer
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def answered(self) -> _A:
        """
        Wait for the answer. Who is cancelled before the commit has begun withdraws the write;
        later it is written, and nobody hears of it here.

        Its group is due in the loop's next turn, in front of whoever waits: the first wait is for
        that turn, and only a commit on the thread takes longer.
        """
        try:
            await asyncio.sleep(0)
            if isinstance(self._answer, Unanswered):
                self._waiter = asyncio.get_running_loop().create_future()
                await self._waiter
        except asyncio.CancelledError:
            self.is_withdrawn = True
            raise
        answer = self._answer
        if isinstance(answer, Failed):
            raise answer.error
        assert not isinstance(answer, Unanswered)
        return answer


Append: TypeAlias = Pending[Sequence[StreamAppend], AppendResult]
Other: TypeAlias = Pending[Callable[[Store, bool], None], None]


@frozen
class Group:
    """
    What is committed together. The others come first, each by itself: activity follows the facts
    that its writer has seen, and would be refused after those of this group.
    """

    others: Sequence[Other]
    appends: Sequence[Append]

    def after(self, committed: "Committed") -> "Group":
        """Return what is still to be written."""
        return Group(self.others[len(committed.others) :], self.appends[len(committed.appends) :])

    def __bool__(self) -> bool:
        return bool(self.others or self.appends)


@define
class Committed:
    """
    What became of a group's writes, in their order, and how long it took in microseconds. Where a
    lock was held by another process and nobody was to wait, the last ones are missing.
    """

    others: Sequence[Failed | None]
    appends: Sequence[AppendResult | Failed]
    duration_us: int = 0


def commit(store: Store, group: Group, *, may_wait: bool) -> Committed:
    """Write a group: all of it, or without ``may_wait`` as much as no lock holds up."""
    others: list[Failed | None] = []
    batches = [each.asked for each in group.appends]
    try:
        for each in group.others:  # Not in one expression: what is done counts if one is held up.
            done = _written(store, each.asked, may_wait=may_wait)
            others.append(done)
        appended = _appended(store, batches, may_wait=may_wait) if batches else ()
    except StoreBusy:
        return Committed(others, ())
    return Committed(others, appended)


def _written(
    store: Store, work: Callable[[Store, bool], None], *, may_wait: bool
) -> Failed | None:
    try:
        work(store, may_wait)
    except BaseException as error:
        if isinstance(error, StoreBusy) and not may_wait:
            raise
        return Failed(error)
    return None


def _appended(
    store: Store, batches: Sequence[Sequence[StreamAppend]], *, may_wait: bool
) -> Sequence[AppendResult | Failed]:
    """Append in one transaction; if that fails, nothing was written, and each is tried alone."""
    try:
        return store.append_each(batches, may_wait=may_wait)
    except BaseException as error:
        if isinstance(error, StoreBusy) and not may_wait:
            raise
        if len(batches) == 1 or isinstance(error, _STORE_FAILURES):
            return [Failed(error)] * len(batches)
        return [_appended(store, (batch,), may_wait=True)[0] for batch in batches]
