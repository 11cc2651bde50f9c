from lash_es.codec.cursors import MalformedCursor, SessionCursor, WrongSession
from lash_es.codec.errors import (
    CorruptBody,
    CorruptHistory,
    StoredDataError,
    UndecodableValue,
    UnencodableValue,
    WrittenByNewerVersion,
)
from lash_es.core.batches import (
    BatchStatus,
    DeliveryPolicy,
    MergeGroup,
    NeverMerge,
    PayloadDefault,
    ProcessWake,
    RefreshToolCatalog,
    ResetSession,
    SlotPolicy,
    WorkBoundary,
    WorkClass,
)
from lash_es.core.cancel_receipts import (
    AnchorNotFound,
    CancelResult,
    Outcomes,
    SuffixCancelOutcome,
)
from lash_es.core.commit_errors import (
    BusyWithTurn,
    FrameIdConflict,
    HeadRevisionConflict,
    NodeNotFound,
    RuntimeTurnCommitConflict,
    SessionBindingMismatch,
)
from lash_es.core.descriptions import Description
from lash_es.core.errors import (
    BlankValue,
    CommandRejected,
    LashError,
    LimitExceeded,
    QueueFull,
    SessionDeleted,
    SessionExecutionLeaseExpired,
    SessionNotOpen,
    SourceKeyConflict,
    StoreSessionMismatch,
    TrimHeldBack,
    TrimOutOfRange,
    TurnIdConflict,
)
from lash_es.core.graph_receipts import FrameReceipt, Maintained, NodesAdded, StaleBranch
from lash_es.core.ingress import ActiveTurn, Boundary, NextTurn
from lash_es.core.limits import Limits
from lash_es.core.messages import (
    ImageItem,
    ImagePart,
    Message,
    ModelReply,
    ModelRequest,
    ProsePart,
    ReasoningPart,
    Role,
    TextItem,
    TextPart,
    TokenUsage,
    ToolCallPart,
    ToolResultPart,
    ToolSpec,
    ToolStatus,
    TurnInput,
)
from lash_es.core.outcomes import Finished, FrameSwitched, InputStatus, Stopped, StopReason
from lash_es.core.owners import LeaseOwner, LocalProcess, Opaque
from lash_es.core.policy import ModelSpec, SessionPolicy
from lash_es.core.receipts import (
    AlreadyCancelled,
    AlreadyClaimed,
    AlreadyCompleted,
    Cancelled,
    CancelOutcome,
    ClaimDiagnostics,
    NotFound,
    TurnInputClaim,
)
from lash_es.core.targets import CancelTarget, InputId, SourceKey
from lash_es.core.work_errors import BatchIdConflict, BatchNotOfOneClass, QueuedWorkClaimSuperseded
from lash_es.core.work_receipts import BatchFinished, BatchReceipt, BatchUnknown, WorkClaimReceipt
from lash_es.log.activities import ActivityWindow
from lash_es.log.archiving import FolderArchive
from lash_es.log.errors import (
    StorageError,
    StoreBusy,
    StoreClosed,
    StoreFailed,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
)
from lash_es.log.formats import FormatTooOld
from lash_es.log.graphs import AgentFrame
from lash_es.log.placing import DurabilityTier
from lash_es.log.removing import Archive, NoArchive, Removed
from lash_es.log.sealing import AtRest, KeyRing
from lash_es.log.sealing_errors import BodySealed, KeyUnusable, SealBroken
from lash_es.log.stores.ciphers import aes_keys, keys_from_environment
from lash_es.log.stores.memory import MemoryStore
from lash_es.log.stores.sqlite import SQLiteStore
from lash_es.log.stores.sqlite_connections import Durability
from lash_es.log.subscribing import GapReason
from lash_es.log.trimming import Trimmed
from lash_es.projections.chronology import Called, Said, Shown, Thought
from lash_es.projections.message_tree import TreeMessage
from lash_es.projections.observation import AgentFrameSwitched, QueueChange, QueueChanged
from lash_es.projections.pending import PendingQueues
from lash_es.projections.usage import SessionUsageReport
from lash_es.runtime.activities import ActivitySink
from lash_es.runtime.cancelling import CancelToken
from lash_es.runtime.faults import (
    HandleConsumed,
    InvalidArgument,
    MissingModelSpec,
    RuntimeFault,
    SessionFault,
    SessionStillInUse,
)
from lash_es.runtime.leasing import (
    LeaseTimings,
    LeaseTimingsInvalid,
    RenewIntervalTooSmall,
    TtlRenewRatioTooSmall,
    TtlTooSmall,
)
from lash_es.runtime.liveness import this_process
from lash_es.runtime.models import PydanticProvider, function_provider, provider
from lash_es.runtime.performing import Rerun, Settle, UncertainToolCall
from lash_es.runtime.providers import (
    MissingCredentials,
    ModelCallFailed,
    ModelsExtraMissing,
    Provider,
    UnknownModel,
)
from lash_es.runtime.tools import OnTakeover, Tool, tool
from lash_es.runtime.world import World
from lash_es.session.builder import Opening, SessionBuilder, SessionSpec
from lash_es.session.core import LashCore
from lash_es.session.event_streams import SessionEventStream, SessionObservationStream, Subscribed
from lash_es.session.exporting import RuntimeSessionState
from lash_es.session.factories import SessionFactory, SessionMeta, SessionRequest, StoredSession
from lash_es.session.graph_handle import NewMessage
from lash_es.session.observations import (
    Closed,
    Committed,
    CursorRefused,
    Gap,
    LiveReplayGap,
    Replayed,
    SessionObservation,
    SessionObservationEvent,
    StreamEvent,
    StreamGap,
    SubscriberLagged,
)
from lash_es.session.observing import ObservableSession
from lash_es.session.residency import Residency
from lash_es.session.results import ToolCallRecord, TurnIssue, TurnOutput, TurnResult
from lash_es.session.session import LashSession, ParkedSession
from lash_es.session.session_stores import SessionStore
from lash_es.session.turn_builders import (
    EnqueueTurnBuilder,
    PendingTurnInput,
    QueuedTurnBuilder,
    TurnBuilder,
)
from lash_es.session.views import MessagePage, SessionReadView
from lash_es.session.work import (
    QueuedWorkBatch,
    QueuedWorkItem,
    SessionCommandAdmin,
    SessionCommandReceipt,
)
from lash_es.turns.activities import (
    AcceptedInput,
    AssistantProseDelta,
    EffectsRepeated,
    ErrorReported,
    ModelRequestStarted,
    QueuedInputAccepted,
    QueuedWorkStarted,
    ReasoningTextDelta,
    RepeatedEffect,
    ToolCallCompleted,
    ToolCallStarted,
    TurnActivity,
    TurnEndedUncommitted,
    UsageReported,
    WorkCause,
)

__version__: str
_HOMES: dict[str, str]

__all__ = [
    "AcceptedInput",
    "ActiveTurn",
    "ActivitySink",
    "ActivityWindow",
    "AgentFrame",
    "AgentFrameSwitched",
    "AlreadyCancelled",
    "AlreadyClaimed",
    "AlreadyCompleted",
    "AnchorNotFound",
    "Archive",
    "AssistantProseDelta",
    "AtRest",
    "BatchFinished",
    "BatchIdConflict",
    "BatchNotOfOneClass",
    "BatchReceipt",
    "BatchStatus",
    "BatchUnknown",
    "BlankValue",
    "BodySealed",
    "Boundary",
    "BusyWithTurn",
    "Called",
    "CancelOutcome",
    "CancelResult",
    "CancelTarget",
    "CancelToken",
    "Cancelled",
    "ClaimDiagnostics",
    "Closed",
    "CommandRejected",
    "Committed",
    "CorruptBody",
    "CorruptHistory",
    "CursorRefused",
    "DeliveryPolicy",
    "Description",
    "Durability",
    "DurabilityTier",
    "EffectsRepeated",
    "EnqueueTurnBuilder",
    "ErrorReported",
    "Finished",
    "FolderArchive",
    "FormatTooOld",
    "FrameIdConflict",
    "FrameReceipt",
    "FrameSwitched",
    "Gap",
    "GapReason",
    "HandleConsumed",
    "HeadRevisionConflict",
    "ImageItem",
    "ImagePart",
    "InputId",
    "InputStatus",
    "InvalidArgument",
    "KeyRing",
    "KeyUnusable",
    "LashCore",
    "LashError",
    "LashSession",
    "LeaseOwner",
    "LeaseTimings",
    "LeaseTimingsInvalid",
    "LimitExceeded",
    "Limits",
    "LiveReplayGap",
    "LocalProcess",
    "Maintained",
    "MalformedCursor",
    "MemoryStore",
    "MergeGroup",
    "Message",
    "MessagePage",
    "MissingCredentials",
    "MissingModelSpec",
    "ModelCallFailed",
    "ModelReply",
    "ModelRequest",
    "ModelRequestStarted",
    "ModelSpec",
    "ModelsExtraMissing",
    "NeverMerge",
    "NewMessage",
    "NextTurn",
    "NoArchive",
    "NodeNotFound",
    "NodesAdded",
    "NotFound",
    "ObservableSession",
    "OnTakeover",
    "Opaque",
    "Opening",
    "Outcomes",
    "ParkedSession",
    "PayloadDefault",
    "PendingQueues",
    "PendingTurnInput",
    "ProcessWake",
    "ProsePart",
    "Provider",
    "PydanticProvider",
    "QueueChange",
    "QueueChanged",
    "QueueFull",
    "QueuedInputAccepted",
    "QueuedTurnBuilder",
    "QueuedWorkBatch",
    "QueuedWorkClaimSuperseded",
    "QueuedWorkItem",
    "QueuedWorkStarted",
    "ReasoningPart",
    "ReasoningTextDelta",
    "RefreshToolCatalog",
    "Removed",
    "RenewIntervalTooSmall",
    "RepeatedEffect",
    "Replayed",
    "Rerun",
    "ResetSession",
    "Residency",
    "Role",
    "RuntimeFault",
    "RuntimeSessionState",
    "RuntimeTurnCommitConflict",
    "SQLiteStore",
    "Said",
    "SealBroken",
    "SessionBindingMismatch",
    "SessionBuilder",
    "SessionCommandAdmin",
    "SessionCommandReceipt",
    "SessionCursor",
    "SessionDeleted",
    "SessionEventStream",
    "SessionExecutionLeaseExpired",
    "SessionFactory",
    "SessionFault",
    "SessionMeta",
    "SessionNotOpen",
    "SessionObservation",
    "SessionObservationEvent",
    "SessionObservationStream",
    "SessionPolicy",
    "SessionReadView",
    "SessionRequest",
    "SessionSpec",
    "SessionStillInUse",
    "SessionStore",
    "SessionUsageReport",
    "Settle",
    "Shown",
    "SlotPolicy",
    "SourceKey",
    "SourceKeyConflict",
    "StaleBranch",
    "StopReason",
    "Stopped",
    "StorageError",
    "StoreBusy",
    "StoreClosed",
    "StoreFailed",
    "StoreFull",
    "StoreReadOnly",
    "StoreSessionMismatch",
    "StoreUnavailable",
    "StoredDataError",
    "StoredSession",
    "StreamEvent",
    "StreamGap",
    "Subscribed",
    "SubscriberLagged",
    "SuffixCancelOutcome",
    "TextItem",
    "TextPart",
    "Thought",
    "TokenUsage",
    "Tool",
    "ToolCallCompleted",
    "ToolCallPart",
    "ToolCallRecord",
    "ToolCallStarted",
    "ToolResultPart",
    "ToolSpec",
    "ToolStatus",
    "TreeMessage",
    "TrimHeldBack",
    "TrimOutOfRange",
    "Trimmed",
    "TtlRenewRatioTooSmall",
    "TtlTooSmall",
    "TurnActivity",
    "TurnBuilder",
    "TurnEndedUncommitted",
    "TurnIdConflict",
    "TurnInput",
    "TurnInputClaim",
    "TurnIssue",
    "TurnOutput",
    "TurnResult",
    "UncertainToolCall",
    "UndecodableValue",
    "UnencodableValue",
    "UnknownModel",
    "UsageReported",
    "WorkBoundary",
    "WorkCause",
    "WorkClaimReceipt",
    "WorkClass",
    "World",
    "WrittenByNewerVersion",
    "WrongSession",
    "__version__",
    "aes_keys",
    "function_provider",
    "keys_from_environment",
    "provider",
    "this_process",
    "tool",
]
