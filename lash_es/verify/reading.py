"""What rules of a search read of a world, without asking the core."""

from lash_es.core.inputs import PendingInput
from lash_es.core.state import Open
from lash_es.core.turns import OpenTurn
from lash_es.core.work import Batch
from lash_es.verify.worlds import World


def opened(world: World) -> Open | None:
    """Return the session if it is open."""
    return world.state if isinstance(world.state, Open) else None


def turn_of(session: Open) -> OpenTurn | None:
    """Return the open turn."""
    return session.turn if isinstance(session.turn, OpenTurn) else None


def is_live(world: World, session: Open) -> bool:
    """Tell whether the lease is held and has not run out."""
    holder = session.lease.holder
    return holder is not None and max(world.now_ms, session.at_ms) < holder.expires_at_ms


def is_input_held(world: World, session: Open, entry: PendingInput) -> bool:
    """Tell whether a live claim, or the open turn, holds an input."""
    turn = turn_of(session)
    if turn is not None and entry.input_id in turn.input_ids:
        return True
    claim = entry.claim
    is_claimed = claim is not None and claim.generation == session.lease.generation
    return is_claimed and is_live(world, session)


def is_batch_held(world: World, session: Open, batch: Batch) -> bool:
    """Tell whether a live claim, or the open turn, holds a batch."""
    claim, turn = batch.claim, turn_of(session)
    if turn is not None and batch.batch_id in turn.batch_ids:
        return True
    is_claimed = claim is not None and claim.generation == session.lease.generation
    return is_claimed and is_live(world, session)
