"""Rules of queued work and of the graph with one planted bug each, for the simulation."""

from collections.abc import Mapping

from attrs import evolve as with_changes

from lash_es.core.batches import (
    WorkBoundary,
)
from lash_es.core.commands import BeginAnew, Command
from lash_es.core.decide import decide
from lash_es.core.events import (
    Event,
    TurnCommitted,
)
from lash_es.core.graph_commands import TombstoneNodes
from lash_es.core.known import IndexKind, Known
from lash_es.core.state import State
from lash_es.core.transcripts import FromWork
from lash_es.core.work_commands import ClaimWork, EnqueueWork, LeadingTurnWork
from lash_es.verify.worlds import Decide


def silent(state: State, command: Command, known: Known) -> tuple[Event, ...]:
    """Complete work, and say nothing of it in the commit."""
    return tuple(map(unsaid, decide(state, command, known)))


def unsaid(event: Event) -> Event:
    if not isinstance(event, TurnCommitted):
        return event
    nodes = tuple(node for node in event.nodes if not isinstance(node.source, FromWork))
    return with_changes(event, nodes=nodes)


def forgetting(kind: type[Command]) -> Decide:
    """Decide as if nothing were known of what a command names."""

    def wrong(state: State, command: Command, known: Known) -> tuple[Event, ...]:
        is_it = isinstance(command, kind)
        if not is_it:
            return decide(state, command, known)
        kept = {k: e for k, e in known.entries.items() if k.kind not in _MEMORY}
        return decide(state, command, with_changes(known, entries=kept))

    return wrong


_MEMORY = (IndexKind.WORK_KEY, IndexKind.TOMBSTONE)


def impatient(state: State, command: Command, known: Known) -> tuple[Event, ...]:
    """Let a turn take whatever an idle driver may take."""
    if isinstance(command, ClaimWork) and isinstance(command.selection, LeadingTurnWork):
        selection = with_changes(command.selection, boundary=WorkBoundary.IDLE)
        command = with_changes(command, selection=selection)
    return decide(state, command, known)


def staying(state: State, command: Command, known: Known) -> tuple[Event, ...]:
    return () if isinstance(command, BeginAnew) else decide(state, command, known)


DECIDING: Mapping[str, Decide] = {
    "A commit says what the work says that it completes": silent,
    "A key that is remembered takes nothing more": forgetting(EnqueueWork),
    "Work that waits for the turn's end is not taken at a checkpoint": impatient,
    "A reset begins the session anew": staying,
    "A message is hidden once": forgetting(TombstoneNodes),
}
