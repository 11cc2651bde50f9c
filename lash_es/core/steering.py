"""
Slice: what a person says while a turn runs. It is accepted at a checkpoint, and the next recorded
model call brings it into the turn; what no model was asked about is part of the commit all the
same.
"""

from lash_es.core import inputs, turns
from lash_es.core.effects import ModelCall
from lash_es.core.events import EffectRequested
from lash_es.core.state import Open
from lash_es.core.turns import OpenTurn


def delivered(session: Open, event: EffectRequested, turn: OpenTurn) -> OpenTurn:
    """Tell the turn, with a model call, what it has accepted and not been told."""
    return all_told(session, turn) if isinstance(event.request, ModelCall) else turn


def all_told(session: Open, turn: OpenTurn) -> OpenTurn:
    """Tell the turn all that it has accepted."""
    accepted = inputs.accepted_by(session.inputs, turn.turn_id, session.lease.generation)
    news = [each for each in accepted if each.input_id not in turn.delivered_ids]
    return turns.told(turn, [(each.input_id, each.content) for each in news])
