"""Trimming a session of a log in use: on a thread, piece by piece, between what others do."""

import asyncio
from functools import partial

from lash_es.codec.streams import StreamId
from lash_es.core.ids import Version
from lash_es.core.limits import Limits
from lash_es.log.borrowing import borrowed, lent, told_ms
from lash_es.log.port import Log
from lash_es.log.removing import Archive
from lash_es.log.trimming import Minted, Trimmed, Trimming
from lash_es.runtime.world import World


async def trim_history(
    log: Log,
    stream: StreamId,
    archive: Archive,
    *,
    below: Version | None,
    world: World,
    limits: Limits,
) -> Trimmed:
    """
    Trim as ``Trimming.trim`` does, while others read and append.

    Who is cancelled here stops it between two calls of the store; the same call goes on.

    Raises:
        As ``Trimming.trim``.

    Cost: the loop and other writers wait for one page that is read, or one removal, at most.
    """
    with lent(log) as loan:
        minted = Minted(now_ms=partial(told_ms, loan), token=world.token, salt=world.salt)
        trimming = Trimming(store=borrowed(loan), archive=archive, minted=minted, limits=limits)
        return await asyncio.to_thread(trimming.trim, stream, below)
