"""Sessions as a host's own code sees them in a store: their tier and the record of their birth."""

from collections.abc import Awaitable, Callable

from attrs import evolve as with_changes
from attrs import field, frozen

from lash_es.core.descriptions import UNDESCRIBED, Description
from lash_es.core.ids import SessionId
from lash_es.core.policy import ModelSpec, SessionPolicy
from lash_es.core.state import NotOpened, Open
from lash_es.log.placing import DurabilityTier
from lash_es.runtime.committing import Lane
from lash_es.runtime.opening import open_session, require_open
from lash_es.session.arguments import as_model_spec, as_session_id


@frozen(kw_only=True)
class SessionMeta:
    """
    The record of a session's birth. ``name`` is its id unless it was given one; ``model`` is what
    it was created with; it is a root if it has no parent.
    """

    session_id: SessionId
    name: str
    created_at_ms: int
    model: ModelSpec
    cwd: str | None
    parent_session_id: SessionId | None


def metadata(session: Open) -> SessionMeta:
    """Read the record of the birth."""
    birth, said = session.birth, session.birth.description
    return SessionMeta(
        session_id=session.session_id,
        name=said.name or session.session_id,
        created_at_ms=session.opened_at_ms,
        model=session.policy.model if birth.model is None else birth.model,
        cwd=said.cwd,
        parent_session_id=said.parent_session_id,
    )


@frozen(kw_only=True)
class SessionRequest:
    """What a session is created with."""

    session_id: str
    model: ModelSpec | str | None = None
    description: Description = UNDESCRIBED


@frozen(kw_only=True)
class StoredSession:
    """A session that is there; made by a ``SessionFactory``."""

    session_id: SessionId
    durability_tier: DurabilityTier
    _lane: Lane = field(repr=False, eq=False, alias="lane")

    async def load_meta(self) -> SessionMeta:
        """
        Read the record of its birth.

        Raises:
            SessionDeleted: it was deleted meanwhile.
        """
        return metadata(require_open(await self._lane.catch_up(), self.session_id))


class SessionFactory:
    """Creates and finds the sessions of one log; made by ``LashCore.session_factory``."""

    def __init__(
        self,
        lane_of: Callable[[SessionId], Lane],
        policy: SessionPolicy,
        delete: Callable[[str], Awaitable[bool]],
        tier: DurabilityTier,
    ) -> None:
        self._lane_of = lane_of
        self._policy = policy
        self._delete = delete
        self._tier = tier

    @property
    def durability_tier(self) -> DurabilityTier:
        """What its sessions survive, and theirs."""
        return self._tier

    async def create_store(self, request: SessionRequest) -> StoredSession:
        """
        Create a session, or find the one that is there: its record stays as it is, and so does its
        policy.

        Raises:
            SessionDeleted: the id is used up.
            BlankValue, LimitExceeded: nothing was written.
        """
        session_id = SessionId(as_session_id(request.session_id))
        found = await self.open_existing(session_id)
        if found is not None:
            return found
        model = self._policy.model if request.model is None else as_model_spec(request.model)
        lane = self._lane_of(session_id)
        await open_session(lane, with_changes(self._policy, model=model), request.description)
        return self._stored(lane)

    async def open_existing(self, session_id: str) -> StoredSession | None:
        """
        Find a session; none if there never was one of this id.

        Raises:
            SessionDeleted: the id is used up.
        """
        lane = self._lane_of(SessionId(session_id))
        state = await lane.catch_up()
        if isinstance(state, NotOpened):
            return None
        require_open(state, lane.stream.session_id)
        return self._stored(lane)

    async def delete_session(self, session_id: str) -> bool:
        """End a session for ever, as ``LashCore.delete_session`` does."""
        return await self._delete(session_id)

    def _stored(self, lane: Lane) -> StoredSession:
        return StoredSession(
            session_id=lane.stream.session_id, durability_tier=self._tier, lane=lane
        )
