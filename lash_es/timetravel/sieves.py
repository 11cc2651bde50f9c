"""
Which facts can change what is at a path: the others need not be folded to know that they did not.

A row of the table says which paths a fact may change, as ``evolve`` folds it; a fact without a row
may change anything, so that a new one is never passed over. Whatever waits in a queue is only
changed by facts that name it, and by the end of a turn.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Final

import orjson
from attrs import frozen

from lash_es.codec.records import Record
from lash_es.codec.wire_names import EVENT_NAMES
from lash_es.core import descriptions, events, graph_events, work_events
from lash_es.core.events import Event
from lash_es.timetravel.paths import StatePath

_ALWAYS: Final = ("version", "at_ms", "is_parked")
_EXTENDED: Final = ("lease.holder.expires_at_ms",)
_QUEUES: Final = (("inputs", "pending"), ("work", "batches"))
_NAMELESS: Final = frozenset({EVENT_NAMES[events.TurnEnded][0]})
"""What gives back what its turn had taken, without naming it."""

TOUCHED: Final[Mapping[type[Event], tuple[str, ...]]] = {
    events.SessionConfigured: ("policy", "birth"),
    descriptions.SessionDescribed: ("birth",),
    events.SessionParked: (),
    events.HistoryTrimmed: ("trim",),
    events.LeaseAcquired: ("lease",),
    events.LeaseRenewed: ("lease",),
    events.LeaseReleased: ("lease",),
    events.TurnInputEnqueued: ("inputs",),
    events.TurnInputsClaimed: ("inputs", *_EXTENDED),
    events.TurnInputClaimAbandoned: ("inputs",),
    events.TurnInputsDeferred: ("inputs",),
    events.TurnInputsCancelled: ("inputs",),
    events.TurnInputTombstonesPruned: ("inputs",),
    events.TurnInputCancelled: ("inputs",),
    events.TurnInputsAccepted: ("inputs", *_EXTENDED),
    events.TurnStarted: ("turn", *_EXTENDED),
    events.TurnContinued: ("turn", *_EXTENDED),
    events.TurnCommitted: ("turn", "inputs", "head", "ledger", *_EXTENDED),
    events.TurnEnded: ("turn", "inputs", "work", "ledger", *_EXTENDED),
    events.EffectRequested: ("turn", *_EXTENDED),
    events.EffectSettled: ("turn", *_EXTENDED),
    graph_events.LeafMoved: ("head", *_EXTENDED),
    graph_events.SessionBegunAnew: ("policy", "head", "graph", "birth"),
    graph_events.FrameOpened: ("head", "graph", *_EXTENDED),
    graph_events.NodesAppended: ("head", *_EXTENDED),
    graph_events.NodesTombstoned: ("graph",),
    graph_events.NodesForgotten: ("graph",),
    work_events.WorkEnqueued: ("work",),
    work_events.WorkClaimed: ("work", *_EXTENDED),
    work_events.WorkCompleted: ("work", *_EXTENDED),
    work_events.WorkFailed: ("work", *_EXTENDED),
    work_events.WorkClaimAbandoned: ("work",),
    work_events.WorkCancelled: ("work",),
    work_events.FinishedWorkPruned: ("work",),
}


@frozen
class Sieve:
    """Holds back the facts that may change what is at a path."""

    path: StatePath

    def holds_back(self, record: Record) -> bool:
        """Tell of a record, by its wire name and by what its header names."""
        if record.name in self._passing:
            return False
        is_any = record.name in self._unknown or record.name in _NAMELESS
        return is_any or self._needle in record.header

    def holds_back_event(self, event: Event) -> bool:
        """Tell of an event, by its class."""
        return EVENT_NAMES[type(event)][0] not in self._passing

    @cached_property
    def _passing(self) -> frozenset[str]:
        """The names of what never changes this path."""
        return frozenset(
            EVENT_NAMES[kind][0]
            for kind, touched in TOUCHED.items()
            if not any(_meet(self.path.segments, each) for each in (*touched, *_ALWAYS))
        )

    @cached_property
    def _unknown(self) -> frozenset[str]:
        """The names of what may change anything, whatever it names."""
        return frozenset(name for kind, (name, _) in EVENT_NAMES.items() if kind not in TOUCHED)

    @cached_property
    def _needle(self) -> bytes:
        """What a header holds that changes one entry of a queue; nothing is in every header."""
        queue, entry = self.path.segments[:2], self.path.segments[2:3]
        if not entry or queue not in _QUEUES:
            return b""
        try:
            return orjson.dumps(entry[0])
        except orjson.JSONEncodeError:
            return b""  # No such name can be stored, and a needle that is nowhere would be one.


def _meet(segments: tuple[str, ...], touched: str) -> bool:
    """Tell whether one path leads to the other, or on from it."""
    return all(one == other for one, other in zip(segments, touched.split("."), strict=False))
