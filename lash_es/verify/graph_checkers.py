"""
Oracles of the graph: frames, messages beside turns, tombstones, and what maintenance forgets. The
path and the view are made again from the facts, naively.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

from attrs import Factory, define

from lash_es.core.events import (
    Event,
    TurnCommitted,
    TurnEnded,
    TurnInputCancelled,
    TurnInputTombstonesPruned,
)
from lash_es.core.graph_events import (
    FrameOpened,
    NodesAppended,
    NodesForgotten,
    NodesTombstoned,
    SessionBegunAnew,
)
from lash_es.core.ids import NodeId
from lash_es.core.state import Open
from lash_es.core.transcripts import FromResults
from lash_es.core.work_events import (
    FinishedWorkPruned,
    WorkCancelled,
    WorkCompleted,
    WorkFailed,
)
from lash_es.verify.evidence import Evidence, Wish, Witnesses

Holder: TypeAlias = TurnCommitted | FrameOpened | NodesAppended
_HOLDERS: Final = (TurnCommitted, FrameOpened, NodesAppended)


@define
class _Path:
    """The place of the leaf, and of the fact that opened the frame."""

    leaf: int | None = None
    frame: int | None = None
    hidden: set[NodeId] = Factory(set[NodeId])

    def apply(self, position: int, event: Event) -> None:
        if isinstance(event, _HOLDERS) and event.nodes:
            self.leaf = position
        if isinstance(event, FrameOpened):
            self.frame = position
        if isinstance(event, SessionBegunAnew):
            self.leaf = self.frame = None
        if isinstance(event, NodesTombstoned):
            self.hidden.update(event.node_ids)


def _paths(facts: Sequence[Event]) -> Iterator[tuple[int, Event, _Path]]:
    """Go through facts, each with the path as it was in front of it."""
    path = _Path()
    for position, event in enumerate(facts):
        yield position, event, path
        path.apply(position, event)


def graph_is_sound(evidence: Evidence) -> Witnesses:
    """SIM-11: nodes have unique ids, and whatever holds some follows the leaf there was."""
    for session, facts in evidence.facts.items():
        seen = Counter[str]()
        for position, event, path in _paths(facts):
            if isinstance(event, _HOLDERS):
                seen.update(node.node_id for node in event.nodes)
                if event.parent != path.leaf:
                    yield session, f"what is at {position} follows {event.parent}, not {path.leaf}"
        twice = [name for name, times in seen.items() if times > 1]
        if twice:
            yield session, f"nodes twice: {twice}"


def frames_followed(evidence: Evidence) -> Witnesses:
    """SIM-12: one frame is the current one, entered once; no node is of an unknown frame."""
    for session, facts in evidence.facts.items():
        current = initial = f"s{session}:frame:initial"
        entered = {initial}
        for position, event in enumerate(facts):
            if isinstance(event, SessionBegunAnew):
                current = initial
            if isinstance(event, FrameOpened):
                owners = {node.node_id.rpartition(":f")[0] for node in event.nodes}
                if event.previous_frame_id != current or event.frame_id in entered:
                    yield session, f"{event.frame_id!r} follows {current!r}, at {position}"
                if not owners <= {event.frame_id}:
                    yield session, f"nodes of {owners} are in {event.frame_id!r}, at {position}"
                current = event.frame_id
                entered.add(current)
        state = evidence.states[session]
        frame = state.graph.frame if isinstance(state, Open) else None
        if current != (initial if frame is None else frame.frame_id):
            yield session, f"the frame is {current!r}, the state says {frame}"


def shown_as_made(evidence: Evidence) -> Witnesses:
    """What a reader is shown are the messages of the frame on the path, but for hidden ones."""
    for session, facts in evidence.facts.items():
        path = _Path()
        for position, event in enumerate(facts):
            path.apply(position, event)
        expected = list(_shown(facts, path))
        if expected != list(evidence.shown[session]):
            yield session, f"shown are {evidence.shown[session]}, made were {expected}"


def _shown(facts: Sequence[Event], path: _Path) -> Iterator[NodeId]:
    holders: list[Holder] = []
    leaf = path.leaf
    while leaf is not None and leaf >= (path.frame or 0):
        holder = facts[leaf]
        assert isinstance(holder, _HOLDERS)
        holders.append(holder)
        leaf = holder.parent
    for holder in reversed(holders):
        is_hidden = False
        for node in holder.nodes:
            # Results are hidden with their calls.
            with_calls = is_hidden and isinstance(node.source, FromResults)
            is_hidden = with_calls or node.node_id in path.hidden
            if not is_hidden:
                yield node.node_id


def wishes_granted_once(evidence: Evidence) -> Witnesses:
    """COMMIT-27: what was asked to be put on the path is there once, whoever died meanwhile."""
    for session, wish in evidence.promises.granted:
        times = sum(_grants(event, wish) for event in evidence.facts[session])
        if times != 1:
            yield session, f"{wish.name!r} is there {times} times"


def _grants(event: Event, wish: Wish) -> bool:
    if isinstance(event, FrameOpened):
        return wish.is_frame and event.frame_id == wish.name
    return isinstance(event, NodesAppended) and not wish.is_frame and event.name == wish.name


def hidden_once(evidence: Evidence) -> Witnesses:
    """COMMIT-30: what is hidden was there, and is hidden once; who was told so can rely on it."""
    for session, facts in evidence.facts.items():
        made: set[NodeId] = set()
        for position, event, path in _paths(facts):
            if isinstance(event, _HOLDERS):
                made.update(node.node_id for node in event.nodes)
            if isinstance(event, NodesTombstoned):
                wrong = [
                    each for each in event.node_ids if each in path.hidden or each not in made
                ]
                if wrong:
                    yield session, f"{wrong} cannot be hidden, at {position}"
    for session, node_id in evidence.promises.hidden:
        if node_id in evidence.shown[session]:
            yield session, f"{node_id!r} was hidden and is shown"


def maintenance_counts(evidence: Evidence) -> Witnesses:
    """INPUT-16, QUEUE-47: maintenance says exactly how much was over since the last time."""
    for session, facts in evidence.facts.items():
        over = Counter[str]()
        for position, event in enumerate(facts):
            said = _said(event)
            if said is not None:
                kind, count = said
                if count != over[kind]:
                    yield session, f"{over[kind]} {kind} were over, not {count}, at {position}"
                over[kind] = 0
            over.update(_over(event))


def _said(event: Event) -> tuple[str, int] | None:
    match event:
        case TurnInputTombstonesPruned():
            return "inputs", event.tombstones_count
        case FinishedWorkPruned():
            return "batches", event.batches_count
        case NodesForgotten():
            return "messages", event.nodes_count
        case _:
            return None


def _over(event: Event) -> dict[str, int]:  # noqa: PLR0911 - a table
    match event:
        case TurnCommitted():
            return {"inputs": len(event.completed_input_ids)}
        case TurnEnded():
            return {"inputs": len(event.failed_input_ids)}
        case TurnInputCancelled():
            return {"inputs": 1}
        case WorkCompleted() | WorkFailed():
            return {"batches": len(event.batch_ids)}
        case WorkCancelled():
            return {"batches": 1}
        case NodesTombstoned():
            return {"messages": len(event.node_ids)}
        case _:
            return {}
