"""
A log over one store, for the runtime.

It commits on the thread of the event loop, in the call itself: a commit that is short costs less
than a hop to another thread, and a caller that is cancelled is cancelled before its commit or
after it, never in between. The runtime asks the time here, of a clock that is handed in.
"""

from collections.abc import Callable, Sequence

from lash_es.codec.streams import StreamId
from lash_es.core.ids import Generation, Version
from lash_es.log.appends import ActivityResult, AppendResult, StreamAppend
from lash_es.log.port import Store


class StoreLog:
    """A ``Log``. ``clock_ms`` tells epoch milliseconds; the log owns the store and closes it."""

    def __init__(self, store: Store, clock_ms: Callable[[], int]) -> None:
        self._store = store
        self._clock_ms = clock_ms

    @property
    def store(self) -> Store:
        """The synchronous side."""
        return self._store

    def now_ms(self) -> int:
        """Tell the time by the clock that was handed in."""
        return self._clock_ms()

    async def append(self, appends: Sequence[StreamAppend]) -> AppendResult:
        """Commit before the first chance to be cancelled."""
        return self._store.append(appends)

    async def append_activity(
        self,
        stream: StreamId,
        *,
        version: Version,
        generation: Generation,
        payloads: Sequence[bytes],
    ) -> ActivityResult:
        """Commit at the clock's time."""
        return self._store.append_activity(
            stream,
            version=version,
            generation=generation,
            payloads=payloads,
            at_ms=self.now_ms(),
        )

    async def aclose(self) -> None:
        """Close the store."""
        self._store.close()
