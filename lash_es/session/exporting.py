"""``RuntimeSessionState``: where a session stood, as a value that a host keeps and opens with."""

from attrs import frozen

from lash_es.core.errors import StoreSessionMismatch
from lash_es.core.ids import NodeId, Revision, SessionId, Version
from lash_es.core.policy import SessionPolicy
from lash_es.core.state import Open


@frozen(kw_only=True)
class RuntimeSessionState:
    """
    Where a session stood at ``version``: its policy, and the message that its history went on
    from, none for a root. The messages themselves are in the log, and stay there.
    """

    session_id: SessionId
    version: Version
    revision: Revision
    turn_index: int
    policy: SessionPolicy
    leaf_node_id: NodeId | None


def exported(state: Open) -> RuntimeSessionState:
    """Take where a session stands."""
    leaf = state.head.leaf
    return RuntimeSessionState(
        session_id=state.session_id,
        version=state.version,
        revision=state.head.revision,
        turn_index=state.head.turn_index,
        policy=state.policy,
        leaf_node_id=None if leaf is None else leaf.node_id,
    )


def require_same_session(state: RuntimeSessionState, requested: SessionId) -> None:
    """
    Refuse the state of another session.

    Raises:
        StoreSessionMismatch: carrying both ids.
    """
    if state.session_id != requested:
        raise StoreSessionMismatch(loaded=state.session_id, requested=requested)
