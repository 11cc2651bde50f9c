"""What must not grow: opening a session, committing to it, listing sessions, checking a page."""

from collections.abc import Awaitable, Callable, Mapping
from itertools import count, islice
from typing import Final, TypeAlias

from lash_es.codec.streams import StreamId
from lash_es.core.commands import CancelTurnInput
from lash_es.core.ids import InputId
from lash_es.core.limits import Limits
from lash_es.log.loading import RECORDS_PER_PAGE, read_facts
from lash_es.log.log import StoreLog
from lash_es.runtime.committing import Lane
from lash_es.runtime.opening import open_session
from lash_es.runtime.world import World
from tests.growth.building import Shape, enqueue
from tests.log.tapes import OTHER

NOW_MS: Final = 2
SESSIONS_PER_PAGE: Final = 32

Operation: TypeAlias = Callable[[int], Awaitable[None]]


class Host:
    """Uses one database as a process does that knows nothing of its sessions yet."""

    def __init__(self, log: StoreLog, shape: Shape, page: int = SESSIONS_PER_PAGE) -> None:
        self._log = log
        self._shape = shape
        self._page = page
        self._numbers = count()
        self._lanes: dict[StreamId, Lane] = {}

    @property
    def operations(self) -> Mapping[str, Operation]:
        """List them; each takes the number of a session, which may be larger than there are."""
        return {"open": self.open, "commit": self.commit, "list": self.list, "check": self.check}

    async def open(self, number: int) -> None:
        """Open a session from nothing but the log."""
        lane = Lane(self._log, self._shape.stream(number), World(), Limits())
        await open_session(lane, OTHER)
        self._lanes[lane.stream] = lane

    async def commit(self, number: int) -> None:
        """Take an input and withdraw it: two appends to a session that is open."""
        input_id = InputId(f"new{next(self._numbers)}")
        lane = self._lanes[self._shape.stream(number)]
        await lane.execute(enqueue(input_id, NOW_MS))
        await lane.execute(CancelTurnInput(now_ms=NOW_MS, input_id=input_id))

    async def list(self, number: int) -> None:
        """List a page of sessions from one on that is not among the last."""
        first = number % max(1, self._shape.sessions - self._page)
        after = "" if first == 0 else self._shape.stream(first - 1).key
        heads = await self._log.read(
            lambda store: store.heads("default", after=after, heads_max=self._page)
        )
        assert len(heads) == min(self._shape.sessions, self._page)

    async def check(self, number: int) -> None:
        """Check a page of a session's facts."""
        stream = self._shape.stream(number)
        facts = await self._log.read(
            lambda store: list(islice(read_facts(store, stream), RECORDS_PER_PAGE))
        )
        assert len(facts) == RECORDS_PER_PAGE
