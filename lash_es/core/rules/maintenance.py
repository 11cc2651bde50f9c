"""Rules of maintenance: one command, a fact for each kind of what is over."""

from lash_es.core.events import Event, TurnInputTombstonesPruned
from lash_es.core.graph_events import NodesForgotten
from lash_es.core.state import Open
from lash_es.core.work_events import FinishedWorkPruned


def maintain(session: Open, now_ms: int) -> tuple[Event, ...]:
    """Forget settled inputs, finished work and hidden messages, as far as there are any."""
    inputs_count = session.inputs.settled_count
    batches_count = session.work.finished_count
    nodes_count = session.graph.hidden_count - session.graph.forgotten_count
    found: list[Event] = []
    if inputs_count:
        found.append(TurnInputTombstonesPruned(at_ms=now_ms, tombstones_count=inputs_count))
    if batches_count:
        found.append(FinishedWorkPruned(at_ms=now_ms, batches_count=batches_count))
    if nodes_count:
        found.append(NodesForgotten(at_ms=now_ms, nodes_count=nodes_count))
    return tuple(found)
