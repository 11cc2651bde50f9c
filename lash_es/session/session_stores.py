"""``SessionStore``: a place for one session, handed to its builder instead of the core's store."""

from lash_es.core.errors import StoreSessionMismatch
from lash_es.core.ids import SessionId
from lash_es.log.placing import DurabilityTier, tier_of
from lash_es.log.port import Store


class SessionStore:
    """
    A store that holds one session: the first one that is opened in it binds it.

    The core that opens it closes it.

    Args:
        store: where it is kept.
        session_id: whose it is already, if anybody's.
    """

    def __init__(self, store: Store, *, session_id: str | None = None) -> None:
        self.store = store
        self._session_id = session_id

    @property
    def session_id(self) -> str | None:
        """Whose it is; none before it was used."""
        return self._session_id

    @property
    def durability_tier(self) -> DurabilityTier:
        """What it keeps when the process ends."""
        return tier_of(self.store.waits_for)

    def bind(self, session_id: SessionId) -> None:
        """
        Take it for a session.

        Raises:
            StoreSessionMismatch: it is another one's.
        """
        if self._session_id not in (None, session_id):
            raise StoreSessionMismatch(loaded=str(self._session_id), requested=session_id)
        self._session_id = session_id
