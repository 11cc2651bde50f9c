"""
Looking at a session from the side: never waits for a turn, and holds the session until it is
closed.
"""

from types import TracebackType
from typing import Self

from attrs import frozen

from lash_es.codec.cursors import SessionCursor
from lash_es.core.ids import SessionId
from lash_es.core.policy import SessionPolicy
from lash_es.projections.usage import SessionUsageReport, usage_report
from lash_es.runtime.opening import require_open
from lash_es.session.holders import SharedSession
from lash_es.session.views import SessionReadView, read_view

_HOLDER = "an observer"


@frozen(kw_only=True)
class SessionObservation:
    """A view, and the cursor from which to go on: both of one state."""

    read_view: SessionReadView
    cursor: SessionCursor


class ObservableSession:
    """A read-only handle; made by ``LashSession.observe``."""

    def __init__(self, shared: SharedSession) -> None:
        self._shared = shared
        self._is_holding = True
        shared.hold(_HOLDER)

    @property
    def session_id(self) -> SessionId:
        """The session's id."""
        return self._shared.lane.stream.session_id

    async def current_observation(self) -> SessionObservation:
        """Catch up with the log, and return what is there with the cursor after it."""
        lane = self._shared.lane
        state = require_open(await lane.catch_up(), lane.stream.session_id)
        cursor = SessionCursor(state.session_id, state.version)
        return SessionObservation(
            read_view=read_view(lane, state, self._shared.residency), cursor=cursor
        )

    def policy_snapshot(self) -> SessionPolicy:
        """Return the policy of the turns to come."""
        return self.read_view().policy

    def read_view(self) -> SessionReadView:
        """Take a view of what is resident."""
        lane = self._shared.lane
        state = require_open(lane.state, lane.stream.session_id)
        return read_view(lane, state, self._shared.residency)

    def usage_report(self) -> SessionUsageReport:
        """Sum what the session has used."""
        lane = self._shared.lane
        return usage_report(require_open(lane.state, lane.stream.session_id).ledger)

    async def aclose(self) -> None:
        """Let the session go; twice is once."""
        if self._is_holding:
            self._is_holding = False
            self._shared.let_go(_HOLDER)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()
