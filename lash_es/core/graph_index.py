"""Which index entries the facts of the graph make; called by ``index.py``."""

from typing import TypeAlias, assert_never

from lash_es.core.graph_events import FrameOpened, NodesAppended, NodesTombstoned
from lash_es.core.ids import Position
from lash_es.core.known import (
    AppendEntry,
    FrameEntry,
    IndexEntry,
    IndexKey,
    IndexKind,
    TombstoneEntry,
)

_Row: TypeAlias = tuple[IndexKey, IndexEntry]


def graph_rows(
    event: FrameOpened | NodesAppended | NodesTombstoned, here: Position
) -> tuple[_Row, ...]:
    """A frame and an append are found by name, and a hidden message by its own."""
    match event:
        case FrameOpened():
            frame = FrameEntry(
                frame_id=event.frame_id,
                previous_frame_id=event.previous_frame_id,
                reason=event.reason,
                opened=here,
            )
            return ((IndexKey(IndexKind.FRAME, event.frame_id), frame),)
        case NodesAppended():
            appended = AppendEntry(name=event.name, appended=here)
            return ((IndexKey(IndexKind.APPEND, event.name), appended),)
        case NodesTombstoned():
            return tuple(
                (
                    IndexKey(IndexKind.TOMBSTONE, each),
                    TombstoneEntry(node_id=each, tombstoned=here),
                )
                for each in event.node_ids
            )
        case _:
            assert_never(event)
