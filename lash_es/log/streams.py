"""What every stream of ours has alike: it is iterated over, and closed by whoever is done."""

from abc import abstractmethod
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self, TypeVar

_T = TypeVar("_T")


class ClosingStream(AsyncIterator[_T]):
    """An async iterator that ``async with`` closes."""

    @abstractmethod
    async def aclose(self) -> None:
        """End it, also for whoever waits for an item; twice is once."""

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        await self.aclose()
