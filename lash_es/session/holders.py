"""
Who holds an opened session: the handle, its clones, observers, running turns.

Closing and parking need to be the last holder. The seed counts references; here every holder
registers.
"""

import asyncio
import weakref
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager

from lash_es.runtime.cancelling import CancelToken
from lash_es.runtime.committing import Lane
from lash_es.runtime.faults import SessionStillInUse
from lash_es.runtime.running import TurnRunner
from lash_es.session.residency import Residency
from lash_es.session.session_stores import SessionStore


class Hold:
    """
    One holder's hold on an opened session: let go once, by its owner or when nobody has that any
    more.
    """

    def __init__(self, owner: object, shared: "SharedSession", holder: str) -> None:
        shared.hold(holder)
        self._let_go = weakref.finalize(owner, shared.let_go, holder)
        self._let_go.atexit = False

    def release(self) -> None:
        """Let the session go; twice is once."""
        self._let_go()


class SharedSession:
    """
    What a handle and its clones share: the lane, the runner, the writer's turnstile, the cancel
    tokens.
    """

    def __init__(
        self,
        lane: Lane,
        runner: TurnRunner,
        store: SessionStore | None = None,
        residency: Residency = Residency.KEEP_ALL,
    ) -> None:
        self.store = store
        self.residency = residency
        self.lane = lane
        self.runner = runner
        self.writer = asyncio.Lock()
        self.tail: object = None  # What ``tails.py`` keeps with the session.
        self._tokens: list[CancelToken] = []
        self._holders: Counter[str] = Counter()

    @contextmanager
    def running(self, token: CancelToken) -> Generator[None]:
        """
        Register a turn: it counts for ``cancel_running_turns`` and holds the session, also while
        it waits.
        """
        self._tokens.append(token)
        self.hold("a running turn")
        try:
            yield
        finally:
            self._tokens.remove(token)
            self.let_go("a running turn")

    def cancel_running_turns(self) -> int:
        """Fire every registered token; returns how many there are."""
        for token in self._tokens:
            token.cancel()
        return len(self._tokens)

    def hold(self, holder: str) -> None:
        """Count a holder."""
        self._holders[holder] += 1

    def let_go(self, holder: str) -> None:
        """Count one less."""
        self._holders[holder] -= 1

    def require_last(self, holder: str) -> None:
        """
        Let go, and refuse if anyone else holds on.

        Raises:
            SessionStillInUse: naming the others.
        """
        self.let_go(holder)
        others = tuple(sorted(name for name, count in self._holders.items() if count > 0))
        if others:
            raise SessionStillInUse(session_id=self.lane.stream.session_id, holders=others)
