"""
What the world owes a session: the effects that were requested and have no outcome.

The live path and crash recovery are the same: fold, then do the agenda. An outcome that is
recorded is never asked for twice, since a settled effect is not on it.
"""

from lash_es.core.effects import Effect
from lash_es.core.state import Open, State
from lash_es.core.turns import OpenTurn


def agenda(state: State) -> tuple[Effect, ...]:
    """List the unsettled effects, in the order of their requests."""
    if isinstance(state, Open) and isinstance(state.turn, OpenTurn):
        return tuple(state.turn.effects.values())
    return ()
