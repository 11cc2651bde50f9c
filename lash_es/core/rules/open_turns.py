"""What rules ask of the open turn: that there is one, and that it is the one that is meant."""

from lash_es.core.errors import TurnNotOpen
from lash_es.core.ids import TurnId
from lash_es.core.state import Open
from lash_es.core.turns import OpenTurn


def require_turn(session: Open, turn_id: TurnId) -> OpenTurn:
    """Return the open turn, if it is the one that is meant."""
    turn = session.turn
    if isinstance(turn, OpenTurn) and turn.turn_id == turn_id:
        return turn
    open_turn_id = turn.turn_id if isinstance(turn, OpenTurn) else None
    raise TurnNotOpen(
        session_id=session.session_id, requested_turn_id=turn_id, open_turn_id=open_turn_id
    )
