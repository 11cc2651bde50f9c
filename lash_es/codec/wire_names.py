"""
Every name that is stored, written by hand: renaming a class touches no log, and no two names ever
collide.

A name is never reused for another meaning. The number is the schema version that is written now;
older ones are read through ``upcast.py`` for ever.
"""

from collections.abc import Mapping
from typing import Final

from lash_es.core import (
    batches,
    effects,
    events,
    fork_events,
    graph_events,
    ingress,
    known,
    messages,
    outcomes,
    owners,
    state,
    transcripts,
    trims,
    turns,
    work_events,
)

EVENT_NAMES: Final[Mapping[type[events.Event], tuple[str, int]]] = {
    events.SessionOpened: ("session.opened", 1),
    events.SessionConfigured: ("session.configured", 1),
    events.SessionParked: ("session.parked", 1),
    graph_events.SessionBegunAnew: ("session.begun_anew", 1),
    events.SessionTombstoned: ("session.tombstoned", 1),
    events.HistoryTrimmed: ("history.trimmed", 1),
    fork_events.SessionForked: ("session.forked", 1),
    events.LeaseAcquired: ("lease.acquired", 1),
    events.LeaseRenewed: ("lease.renewed", 1),
    events.LeaseReleased: ("lease.released", 1),
    events.TurnInputEnqueued: ("input.enqueued", 1),
    events.TurnInputsClaimed: ("input.claimed", 1),
    events.TurnInputClaimAbandoned: ("input.claim_abandoned", 1),
    events.TurnInputsAccepted: ("input.accepted", 1),
    events.TurnInputsDeferred: ("input.deferred", 1),
    events.TurnInputsCancelled: ("input.cancelled_together", 1),
    events.TurnInputTombstonesPruned: ("input.tombstones_pruned", 1),
    events.TurnInputCancelled: ("input.cancelled", 1),
    events.TurnStarted: ("turn.started", 1),
    events.TurnContinued: ("turn.continued", 1),
    events.TurnCommitted: ("turn.committed", 1),
    graph_events.LeafMoved: ("head.moved", 1),
    events.TurnEnded: ("turn.ended", 1),
    events.EffectRequested: ("effect.requested", 1),
    events.EffectSettled: ("effect.settled", 1),
    work_events.WorkEnqueued: ("work.enqueued", 1),
    work_events.WorkClaimed: ("work.claimed", 1),
    work_events.WorkClaimAbandoned: ("work.claim_abandoned", 1),
    work_events.WorkCancelled: ("work.cancelled", 1),
    work_events.WorkCompleted: ("work.completed", 1),
    work_events.FinishedWorkPruned: ("work.pruned", 1),
}

EVENT_CLASSES: Final[Mapping[str, type[events.Event]]] = {
    name: event_class for event_class, (name, _) in EVENT_NAMES.items()
}

BODY_TYPES: Final[Mapping[type[object], tuple[str, int]]] = {
    messages.TurnInput: ("lash/turn-input", 1),
    messages.ModelReply: ("lash/model-reply", 1),
    messages.ToolOutput: ("lash/tool-output", 1),
    messages.EffectFailure: ("lash/failure", 1),
    batches.ProcessWake: ("lash/process-wake", 1),
    batches.RefreshToolCatalog: ("lash/refresh-tool-catalog", 1),
    batches.ResetSession: ("lash/reset-session", 1),
    trims.KeptState: ("lash/kept-state", 2),
    trims.IndexPage: ("lash/kept-index", 2),
    trims.CommitPage: ("lash/kept-commits", 1),
    trims.BodyPage: ("lash/kept-bodies", 1),
}

UNION_TAGS: Final[Mapping[type[object], str]] = {
    owners.Opaque: "opaque",
    owners.LocalProcess: "local_process",
    ingress.ActiveTurn: "active_turn",
    ingress.NextTurn: "next_turn",
    transcripts.FromInputs: "inputs",
    transcripts.FromReply: "reply",
    transcripts.FromResults: "results",
    transcripts.TurnLimitNotice: "turn_limit",
    events.DirectInput: "direct",
    events.DrainedInputs: "drained",
    effects.ModelCall: "model_call",
    effects.ToolCall: "tool_call",
    outcomes.ModelReplied: "model_replied",
    outcomes.ToolReturned: "tool_returned",
    outcomes.EffectFailed: "failed",
    outcomes.EffectCancelled: "cancelled",
    outcomes.Finished: "finished",
    outcomes.Stopped: "stopped",
    known.SourceKeyEntry: "source_key",
    known.InputEntry: "input",
    known.SequenceEntry: "sequence",
    known.TurnEntry: "turn",
    known.WorkKeyEntry: "work_key",
    known.BatchEntry: "batch",
    batches.NeverMerge: "never",
    batches.PayloadDefault: "payload_default",
    batches.MergeGroup: "group",
    messages.TextPart: "text",
    messages.ImagePart: "image",
    messages.ProsePart: "prose",
    messages.ReasoningPart: "reasoning",
    messages.ToolCallPart: "tool_call",
    messages.ToolResultPart: "tool_result",
    messages.TextItem: "text",
    messages.ImageItem: "image",
    state.Open: "open",
    state.Deleted: "deleted",
    turns.NoTurn: "no_turn",
    turns.OpenTurn: "open_turn",
    turns.Begun: "begun",
    turns.Replied: "replied",
    turns.ModelCallFailed: "model_call_failed",
    turns.BatchDone: "batch_done",
    turns.Interrupted: "interrupted",
}
"""The ``kind`` of each member of a stored union."""
