"""
A log's store in the hands of long synchronous work, such as a trim, while the log goes on.

The work runs on a thread of its own and never touches the store there: each call goes back to the
loop and is made where the log makes it, a read as ``Log.read``, a write in turn with everybody
else's as ``Log.write``. So however long it takes, the loop and other writers wait for one call of
it at most.
"""

import asyncio
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from functools import partial
from operator import methodcaller
from typing import Final, TypeVar, cast

from attrs import define, field, frozen

from lash_es.log.appends import AppendResult, StreamAppend
from lash_es.log.errors import StoreClosed
from lash_es.log.port import Log, Store

_R = TypeVar("_R")

READS: Final = frozenset(
    {
        "head",
        "heads",
        "pins",
        "read",
        "read_bodies",
        "read_blob_names",
        "read_blob_page",
        "read_blobs",
        "read_index",
        "read_index_page",
        "read_named_blobs",
        "read_snapshot",
        "record_formats",
    }
)
WRITES: Final = frozenset({"delete_blobs", "forget_snapshots", "remove_facts"})


@define
class Loan:
    """A log that is lent to another thread, until it is given back."""

    log: Log
    loop: asyncio.AbstractEventLoop
    is_over: bool = False

    def call(self, asked: Callable[[], Awaitable[_R]]) -> _R:
        """
        Have the loop do something, and wait for it; on the borrower's thread.

        Raises:
            StoreClosed: it was given back: whoever asked for the work waits no more.
        """
        if self.is_over:
            raise StoreClosed(where=self.log.store.where)
        return asyncio.run_coroutine_threadsafe(_awaited(asked), self.loop).result()


async def _awaited(asked: Callable[[], Awaitable[_R]]) -> _R:
    return await asked()


@frozen
class Borrowed:
    """
    What long work (a trim, an archive, collecting) uses of a ``Store``, by the same names; nothing
    else is there.
    """

    _loan: Loan
    _lies_sealed: bool = field(default=False, alias="lies_sealed")

    @property
    def where(self) -> str:
        """Say where the store is."""
        return self._loan.log.store.where

    @property
    def as_stored(self) -> "Borrowed":
        """The same, below the layer that seals."""
        return Borrowed(self._loan, lies_sealed=True)

    def append(self, appends: Sequence[StreamAppend]) -> AppendResult:
        """Append with the log's next group."""
        return self._loan.call(lambda: self._loan.log.append(appends))

    def __getattr__(self, name: str) -> Callable[..., object]:
        if name not in READS | WRITES:
            raise AttributeError(name)
        return partial(self._made, name)

    def _made(self, name: str, *args: object, **named: object) -> object:
        """Make a call of the store's where the log makes such calls."""
        call = methodcaller(name, *args, **named)
        log = self._loan.log
        do = log.write if name in WRITES else log.read
        return self._loan.call(lambda: do(lambda store: call(self._meant(store))))

    def _meant(self, store: Store) -> Store:
        return store.as_stored if self._lies_sealed else store


@contextmanager
def lent(log: Log) -> Generator[Loan]:
    """Lend a log to a thread for as long as this lasts; on the loop's thread."""
    loan = Loan(log, asyncio.get_running_loop())
    try:
        yield loan
    finally:
        loan.is_over = True


def borrowed(loan: Loan) -> Store:
    """Return the store of a loan, for code that is written for a store of its own."""
    return cast("Store", Borrowed(loan))


def told_ms(loan: Loan) -> int:
    """Tell the log's time on the borrower's thread: its clock is the loop's."""

    async def now_ms() -> int:
        return loan.log.now_ms()

    return loan.call(now_ms)
