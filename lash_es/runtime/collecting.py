"""
Letting go of what a log can do without: when it is asked for, and after so many commits.

Source keys are not among it: what is remembered so that work is done once, only maintenance
forgets.
"""

import asyncio
from contextlib import suppress

from lash_es.core.state import Open
from lash_es.log.borrowing import borrowed, lent
from lash_es.log.collecting import Collected, collect
from lash_es.log.errors import StorageError
from lash_es.log.port import Log
from lash_es.runtime.committing import Lane


async def collect_garbage(log: Log, namespace: str, *, grace_ms: int) -> Collected:
    """
    Collect as ``log.collecting.collect`` does, on a thread, call by call between what others do.

    Raises:
        StorageError: what was deleted is deleted; the same call goes on.
    """
    now_ms = log.now_ms()
    with lent(log) as loan:
        return await asyncio.to_thread(
            collect, borrowed(loan), namespace, now_ms=now_ms, grace_ms=grace_ms
        )


async def collect_after_commits(lane: Lane, commits_count: int | None) -> None:
    """
    Let go of superseded snapshots of a session, if its commits are a multiple of that many. A
    commit does not fail because this does.

    Cost: one transaction, of this session only.
    """
    state = lane.state
    if commits_count is None or not isinstance(state, Open):
        return
    if state.head.revision % commits_count == 0:
        with suppress(StorageError):
            await lane.log.write(lambda store: store.forget_snapshots(lane.stream))
