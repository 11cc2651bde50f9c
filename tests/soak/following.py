"""
The followers of a process, one for each session.

Their ledger, each line with session and process: ``saw`` with version and digest, ``heard`` with
version, seq and payload, ``gap`` with version and seq of what is whole again.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from random import Random
from typing import Final

from attrs import define, field

from lash_es.codec.streams import StreamId
from lash_es.log.appends import Activity
from lash_es.log.loading import Fact
from lash_es.log.log import StoreLog
from lash_es.log.pages import START, Offset
from lash_es.log.subscribing import Gap, Item, subscribe
from tests.soak.plans import Plan, Tell

_LOOK_S: Final = 0.2
_SLOW_ONCE_IN: Final = 50
_LEAVES_ONCE_IN: Final = 100


@define
class Followers:
    """All followers of one process; now and then one is slow, or leaves and comes back."""

    plan: Plan
    process: int
    log: StoreLog
    tell: Tell
    cursors: dict[StreamId, Offset] = field(factory=dict)

    def start(self) -> Sequence[asyncio.Task[None]]:
        """Begin to follow."""
        streams = self.plan.followed_by(self.process)
        return [asyncio.create_task(self._follow(stream)) for stream in streams]

    async def caught_up(self, ends: Mapping[StreamId, Offset], wait_s: float) -> None:
        """Wait until everything has come, and a little more for what must not; not for ever."""
        until_s = time.monotonic() + wait_s
        mine = [stream for stream in self.plan.followed_by(self.process) if stream in ends]
        while time.monotonic() < until_s:
            if all(self.cursors.get(stream, START) >= ends[stream] for stream in mine):
                break
            await asyncio.sleep(_LOOK_S)
        await asyncio.sleep(_LOOK_S)

    async def _follow(self, stream: StreamId) -> None:
        chance = Random(f"{self.plan.seed}/{self.process}/{stream.key}")
        while True:
            after = self.cursors.get(stream, START)
            async with subscribe(self.log, stream, after=after) as subscription:
                async for item in subscription:
                    self._tell(stream, item)
                    self.cursors[stream] = subscription.cursor
                    if chance.randrange(_SLOW_ONCE_IN) == 0:
                        await asyncio.sleep(chance.uniform(0, self.plan.slow_s))
                    if chance.randrange(_LEAVES_ONCE_IN) == 0:
                        break

    def _tell(self, stream: StreamId, item: Item) -> None:
        session = stream.session_id
        match item:
            case Fact():
                version = item.position + 1
                self.tell("saw", session, self.process, version, item.digest.hex())
            case Activity():
                where = (item.version, item.seq)
                self.tell("heard", session, self.process, *where, item.payload.decode())
            case Gap():
                self.tell("gap", session, self.process, *item.kept)
