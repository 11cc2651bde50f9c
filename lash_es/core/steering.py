"""
Slice: what a person says, and what happens elsewhere, while a turn runs. It is accepted at a
checkpoint, and the next recorded model call brings it into the turn. What a person said is part of
the commit also when no model was asked about it; work that no model was told of waits again.
"""

from lash_es.core import inputs, turns, work
from lash_es.core.effects import ModelCall
from lash_es.core.events import EffectRequested
from lash_es.core.state import Open
from lash_es.core.turns import OpenTurn


def delivered(session: Open, event: EffectRequested, turn: OpenTurn) -> OpenTurn:
    """Tell the turn, with a model call, what it has accepted and not been told."""
    if not isinstance(event.request, ModelCall):
        return turn
    return _told_work(session, all_told(session, turn))


def all_told(session: Open, turn: OpenTurn) -> OpenTurn:
    """Tell the turn all that it has accepted of what persons said."""
    accepted = inputs.accepted_by(session.inputs, turn.turn_id, session.lease.generation)
    news = [each for each in accepted if each.input_id not in turn.delivered_ids]
    return turns.told(turn, [(each.input_id, each.content) for each in news])


def _told_work(session: Open, turn: OpenTurn) -> OpenTurn:
    accepted = work.accepted_by(session.work, turn.turn_id, session.lease.generation)
    news = [each for each in accepted if each.batch_id not in turn.batch_ids]
    return turns.told_work(turn, [(each.batch_id, each.contents) for each in news])
