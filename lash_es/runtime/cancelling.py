"""Cancel tokens: fired once, seen by whoever waits."""

import asyncio


class CancelToken:
    """
    Tells a turn to stop.

    Firing it twice is firing it once; a token given to two turns cancels both.
    """

    def __init__(self) -> None:
        self._fired = asyncio.Event()

    @property
    def is_cancelled(self) -> bool:
        """Tell whether it was fired."""
        return self._fired.is_set()

    def cancel(self) -> None:
        """Fire it."""
        self._fired.set()

    async def wait(self) -> None:
        """Wait until it is fired."""
        await self._fired.wait()
