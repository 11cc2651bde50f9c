"""
Looking at a session from the side: never waits for a turn, and holds the session until it is
closed.
"""

from types import TracebackType
from typing import Self

from lash_es.codec.cursors import SessionCursor
from lash_es.core.ids import SessionId, Version
from lash_es.core.messages import ToolSpec
from lash_es.core.policy import SessionPolicy
from lash_es.core.state import Open
from lash_es.projections.usage import SessionUsageReport, usage_report
from lash_es.remote.observations import RemoteSessionCursor, RemoteSessionObservation
from lash_es.runtime.opening import require_open
from lash_es.session.event_streams import (
    SessionObservationStream,
    Subscription,
    resume_from,
    subscribe_from,
)
from lash_es.session.holders import Hold, SharedSession
from lash_es.session.observations import SessionObservation, SessionResume
from lash_es.session.remote_mapping import remote_observation
from lash_es.session.remote_streams import (
    RemoteSessionObservationStream,
    RemoteSubscription,
    subscribe_from_remote,
)
from lash_es.session.telling import observe_now
from lash_es.session.views import SessionReadView, read_view


class ObservableSession:
    """
    A read-only handle; made by ``LashSession.observe``.

    A cursor is a ``SessionCursor`` or its text; any process serves any cursor of the session.
    """

    def __init__(self, shared: SharedSession) -> None:
        self._shared = shared
        self._hold = Hold(self, shared, "an observer")

    # What is resident

    @property
    def session_id(self) -> SessionId:
        """The session's id."""
        return self._shared.lane.stream.session_id

    @property
    def version(self) -> Version:
        """How many facts the answers from memory are as of."""
        return self._state().version

    def policy_snapshot(self) -> SessionPolicy:
        """Return the policy of the turns to come."""
        return self._state().policy

    def read_view(self) -> SessionReadView:
        """Take a view of what is resident."""
        return read_view(self._shared.lane, self._state(), self._shared.residency)

    def usage_report(self) -> SessionUsageReport:
        """Sum what the session has used."""
        return usage_report(self._state().ledger)

    def active_tool_manifests(self) -> list[ToolSpec]:
        """List the tools that turns of this handle offer to the model; none if it has none."""
        return list(self._shared.runner.tool_specs())

    # What is in the log

    async def current_observation(self) -> SessionObservation:
        """
        Catch up with the log, and return what is there with the cursor after it, of one state.

        Raises:
            SessionDeleted: the session has ended.
        """
        return await observe_now(self._shared)

    async def resume_from_cursor(self, cursor: SessionCursor | str) -> SessionResume:
        """
        Read what came after a cursor, once.

        Returns:
            Replayed: the events, none if the cursor is at the end; as many as fit one answer.
            Gap: something after it is gone; a fresh observation, and the cursor to go on from.

        Raises:
            CursorRefused: it is no cursor, or another session's; the log was not read.
            SessionDeleted: the session has ended.
        """
        return await resume_from(self._shared, cursor)

    async def subscribe_from_cursor(self, cursor: SessionCursor | str) -> Subscription:
        """
        Follow the session from a cursor on.

        Returns:
            Subscribed: a stream of what came after it and what comes, each once and in order; it
                tells a consumer that was too slow, and does not recover.
            Gap: as for ``resume_from_cursor``.

        Raises:
            As ``resume_from_cursor``.
        """
        return await subscribe_from(self._shared, cursor)

    def subscribe_and_recover(self, cursor: SessionCursor | str) -> SessionObservationStream:
        """
        Follow the session from a cursor on, and from a fresh observation wherever something is
        gone. Reads at the first ``anext``, which also raises what is wrong with the cursor.
        """
        return SessionObservationStream(self._shared, cursor)

    # The same for a wire

    async def current_remote_observation(self) -> RemoteSessionObservation:
        """Return ``current_observation`` without its words, for a wire."""
        return remote_observation(await observe_now(self._shared))

    async def subscribe_from_remote_cursor(
        self, cursor: RemoteSessionCursor
    ) -> RemoteSubscription:
        """
        Follow the session as ``subscribe_from_cursor`` does, for a wire.

        Raises:
            RemoteProtocolError: the cursor's envelope is not what the protocol says.
            CursorRefused, SessionDeleted: as there.
        """
        return await subscribe_from_remote(self._shared, cursor)

    def subscribe_and_recover_remote(
        self, cursor: RemoteSessionCursor
    ) -> RemoteSessionObservationStream:
        """
        Follow the session as ``subscribe_and_recover`` does, for a wire.

        Raises:
            RemoteProtocolError: the cursor's envelope is not what the protocol says.
        """
        return RemoteSessionObservationStream(self._shared, cursor)

    async def aclose(self) -> None:
        """Let the session go; twice is once."""
        self._hold.release()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def _state(self) -> Open:
        return require_open(self._shared.lane.state, self.session_id)
