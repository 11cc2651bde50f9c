"""Rules of retention: what may be let go, and what holds it back."""

from collections.abc import Iterator

from lash_es.core.commands import TrimHistory
from lash_es.core.errors import TrimHeldBack, TrimOutOfRange
from lash_es.core.events import Event, HistoryTrimmed
from lash_es.core.ids import Position, Version
from lash_es.core.limits import Limits
from lash_es.core.retention import oldest
from lash_es.core.rules.bounds import require_body, require_within
from lash_es.core.state import Deleted, Open
from lash_es.core.turns import OpenTurn


def trim(
    session: Open | Deleted, command: TrimHistory, now_ms: int, limits: Limits
) -> tuple[Event, ...]:
    """What was trimmed to there already is not trimmed again."""
    _require_range(session, command.below)
    if command.below == oldest(session.trim):
        return ()
    for pin in command.pins:
        _require_below(session, command.below, pin.version, f"the pin {pin.name!r}")
    if isinstance(session, Open):
        for position, work in open_work(session):
            _require_below(session, command.below, Version(position), work)
    require_within("trim_bodies_max", len(command.bodies), limits.trim_bodies_max)
    for body in command.bodies:
        require_body(body, limits)
    trimmed = HistoryTrimmed(
        at_ms=now_ms,
        below=command.below,
        digest=command.digest,
        bodies=tuple(body.commitment for body in command.bodies),
    )
    return (trimmed,)


def open_work(session: Open) -> Iterator[tuple[Position, str]]:
    """
    List the facts that the state still points at, with a word for each.

    The commit that holds the leaf is not among them: a trim keeps its nodes.
    """
    if isinstance(session.turn, OpenTurn):
        yield session.turn.started, f"the open turn {session.turn.turn_id!r}"
    for entry in session.inputs.pending.values():
        yield entry.position, f"the pending input {entry.input_id!r}"
    for batch in session.work.batches.values():
        yield batch.position, f"the batch {batch.batch_id!r}"
    if session.lease.holder is not None and session.lease.position is not None:
        yield session.lease.position, "the lease"


def below_max(session: Open | Deleted) -> Version:
    """Return the newest version that a trim may go up to, but for pins."""
    if isinstance(session, Deleted):
        return session.version
    return Version(min([session.version, *(position for position, _ in open_work(session))]))


def _require_range(session: Open | Deleted, below: Version) -> None:
    kept = oldest(session.trim)
    if not kept <= below <= session.version:
        raise TrimOutOfRange(
            session_id=session.session_id, below=below, oldest=kept, version=session.version
        )


def _require_below(session: Open | Deleted, below: Version, allowed: Version, work: str) -> None:
    if below > allowed:
        raise TrimHeldBack(
            session_id=session.session_id, below=below, allowed=allowed, held_back_by=work
        )
