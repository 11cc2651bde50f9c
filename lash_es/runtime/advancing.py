"""
What follows without the world: from where the open turn stands to the effects that it waits for,
or to its end, in one append.
"""

from attrs import evolve as with_changes
from attrs import frozen

from lash_es.core.commands import CommitTurn, EndTurn, RequestEffect
from lash_es.core.owners import Fence
from lash_es.core.stamps import meant
from lash_es.core.state import Open
from lash_es.core.turns import OpenTurn
from lash_es.runtime.checkpoints import Taken, take_in
from lash_es.runtime.committing import Draft
from lash_es.runtime.leasing import release
from lash_es.turns.standard import checkpoint, next_commands


@frozen(kw_only=True)
class Advanced:
    """What a turn took in on a draft, and what its commit means, if it comes to that."""

    taken: tuple[Taken, ...]
    commit_hash: str | None


def advance(draft: Draft, fence: Fence, now_ms: int, *, is_cancelled: bool) -> Advanced:
    """
    Put on the draft all that follows without the world: what the turn takes in at a checkpoint,
    and the next effects, or the end and the lease's release.
    """
    news: list[Taken] = []
    commit_hash: str | None = None
    while isinstance(draft.state, Open) and isinstance(draft.state.turn, OpenTurn):
        turn = draft.state.turn
        boundary = checkpoint(turn, is_cancelled=is_cancelled)
        taken = () if boundary is None else take_in(draft, turn, fence, now_ms, boundary)
        news.extend(taken)
        commands = next_commands(
            turn, fence, now_ms, is_cancelled=is_cancelled, has_news=bool(taken)
        )
        if not commands:
            return Advanced(taken=tuple(news), commit_hash=None)
        for command in commands:
            commit_hash = _follow(draft, turn, command)
    release(draft, fence, now_ms)  # Without effect after a commit, which has let it go.
    return Advanced(taken=tuple(news), commit_hash=commit_hash)


def _follow(
    draft: Draft, turn: OpenTurn, command: RequestEffect | CommitTurn | EndTurn
) -> str | None:
    """Do a command; a commit says what it means, and lets the lease go."""
    if not isinstance(command, CommitTurn):
        draft.do(command)
        return None
    commit_hash = meant(draft.session, turn, command.outcome)
    draft.do(with_changes(command, commit_hash=commit_hash, releases_lease=True))
    return commit_hash
