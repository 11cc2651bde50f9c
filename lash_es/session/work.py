"""Queued work as a host sees it: batches with their items, and the admin of session commands."""

from typing import Final, Literal, TypeAlias

from attrs import frozen

from lash_es.core.batches import (
    NEVER_MERGE,
    BatchStatus,
    DeliveryPolicy,
    MergeKey,
    ProcessWake,
    RefreshToolCatalog,
    ResetSession,
    SlotPolicy,
    WorkItem,
    wake_name,
    wake_source_key,
)
from lash_es.core.ids import BatchId, SessionId
from lash_es.core.work_receipts import BatchReceipt
from lash_es.runtime.committing import Lane
from lash_es.runtime.faults import RuntimeFault
from lash_es.runtime.queueing import WorkQueue

SESSION_COMMAND_IDEMPOTENCY_KEY: Final = "session_command_idempotency_key"

Until: TypeAlias = Literal["hidden", "completed"]


@frozen(kw_only=True)
class QueuedWorkItem:
    """One thing to do; ``item_id`` is its batch's id and its place in it, from 0."""

    item_id: str
    payload: WorkItem


@frozen(kw_only=True)
class QueuedWorkBatch:
    """A batch with what it consists of."""

    session_id: SessionId
    batch_id: BatchId
    sequence: int
    source_key: str | None
    delivery_policy: DeliveryPolicy
    slot_policy: SlotPolicy
    merge_key: MergeKey
    available_at_ms: int
    enqueued_at_ms: int
    state: BatchStatus
    items: tuple[QueuedWorkItem, ...]


async def read_batch(lane: Lane, batch: BatchReceipt) -> QueuedWorkBatch:
    """Put a receipt and its items together."""
    items = await WorkQueue(lane).items(batch)
    return QueuedWorkBatch(
        session_id=lane.stream.session_id,
        batch_id=batch.batch_id,
        sequence=batch.sequence,
        source_key=batch.source_key,
        delivery_policy=batch.delivery,
        slot_policy=batch.slot,
        merge_key=batch.merge_key,
        available_at_ms=batch.available_at_ms,
        enqueued_at_ms=batch.enqueued_at_ms,
        state=batch.status,
        items=tuple(
            QueuedWorkItem(item_id=f"{batch.batch_id}:item:{ordinal}", payload=payload)
            for ordinal, payload in enumerate(items)
        ),
    )


async def enqueue_wake(
    lane: Lane,
    *,
    process_id: str,
    sequence: int,
    event_type: str,
    text: str,
    event_invocation: str,
    process_caused_by: str | None,
    dedupe_key: str | None,
    target_scope_id: str | None,
) -> BatchReceipt:
    """Queue a wake under the key of the event that it is for: it wakes at most once."""
    session_id = lane.stream.session_id
    scope = session_id if target_scope_id is None else target_scope_id
    key = f"{process_id}:{sequence}" if dedupe_key is None else dedupe_key
    wake = ProcessWake(
        wake_id=wake_name(scope, key),
        target_session_id=session_id,
        target_scope_id=scope,
        process_id=process_id,
        sequence=sequence,
        event_type=event_type,
        event_invocation=event_invocation,
        process_caused_by=process_caused_by,
        dedupe_key=key,
        input=text,
        created_at_ms=lane.log.now_ms(),
    )
    return await WorkQueue(lane).enqueue(
        wake,
        source_key=wake_source_key(process_id, sequence),
        delivery=DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
        slot=SlotPolicy.EXCLUSIVE,
        merge_key=NEVER_MERGE,
    )


@frozen(kw_only=True)
class SessionCommandReceipt:
    """A session command was queued, now or under the same key before."""

    session_id: SessionId
    batch_id: BatchId
    source_key: str


class SessionCommandAdmin:
    """Queues what is to be done to the session itself; made by ``LashSession.commands``."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane

    async def refresh_tool_catalog(
        self, *, reason: str, idempotency_key: str
    ) -> SessionCommandReceipt:
        """
        Have the session look at its tools again, between turns.

        Raises:
            RuntimeFault: ``session_command_idempotency_key``: the key is blank.
        """
        command = RefreshToolCatalog(reason=reason)
        return await self._submit(command, "refresh_tool_catalog", idempotency_key)

    async def reset(self, *, reason: str, idempotency_key: str) -> SessionCommandReceipt:
        """Have the session begin anew, between turns; raises as ``refresh_tool_catalog``."""
        return await self._submit(ResetSession(reason=reason), "reset_session", idempotency_key)

    async def _submit(self, command: WorkItem, kind: str, key: str) -> SessionCommandReceipt:
        if not key.strip():
            raise RuntimeFault(
                code=SESSION_COMMAND_IDEMPOTENCY_KEY, message="the idempotency key is blank"
            )
        source_key = f"command:{kind}:{key}"
        batch = await WorkQueue(self._lane).enqueue(
            command,
            source_key=source_key,
            delivery=DeliveryPolicy.AFTER_CURRENT_TURN_COMMIT,
            slot=SlotPolicy.EXCLUSIVE,
            merge_key=NEVER_MERGE,
        )
        return SessionCommandReceipt(
            session_id=self._lane.stream.session_id,
            batch_id=batch.batch_id,
            source_key=source_key,
        )
