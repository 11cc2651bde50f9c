"""The part of a session's handle that concerns queued work."""

from lash_es.core.ids import BatchId
from lash_es.core.work_receipts import (
    BatchFinished,
    BatchReceipt,
    BatchUnknown,
    WorkClaimReceipt,
)
from lash_es.runtime.faults import HandleConsumed, InvalidArgument
from lash_es.runtime.queueing import WorkQueue
from lash_es.session.holders import SharedSession
from lash_es.session.work import (
    QueuedWorkBatch,
    SessionCommandAdmin,
    Until,
    enqueue_wake,
    read_batch,
)


class QueuedWorkHandle:
    """What every handle can do with queued work; ``LashSession`` is the only one."""

    _shared: SharedSession
    _is_consumed: bool

    async def queued_work(self) -> list[QueuedWorkBatch]:
        """List the batches that no live claim holds, items included, in order."""
        lane = self._usable("queued_work").lane
        return [await read_batch(lane, each) for each in await WorkQueue(lane).pending()]

    def commands(self) -> SessionCommandAdmin:
        """Return the admin of session commands."""
        return SessionCommandAdmin(self._usable("commands").lane)

    async def enqueue_wake(
        self,
        text: str,
        *,
        process_id: str,
        sequence: int,
        event_type: str,
        event_invocation: str = "",
        process_caused_by: str | None = None,
        dedupe_key: str | None = None,
        target_scope_id: str | None = None,
    ) -> BatchReceipt:
        """
        Let a process say something to the session, at most once for each of its events.

        ``process_id`` and ``sequence`` name the event: what is sent again for it, also after the
        wake was delivered, is the first wake. ``target_scope_id`` is the session's id unless
        named, ``dedupe_key`` the event's name.
        """
        return await enqueue_wake(
            self._usable("enqueue_wake").lane,
            process_id=process_id,
            sequence=sequence,
            event_type=event_type,
            text=text,
            event_invocation=event_invocation,
            process_caused_by=process_caused_by,
            dedupe_key=dedupe_key,
            target_scope_id=target_scope_id,
        )

    async def cancel_queued_work_batch(self, batch_id: str) -> QueuedWorkBatch | None:
        """Withdraw a batch that no live claim holds, and return it; none if there is none."""
        lane = self._usable("cancel_queued_work_batch").lane
        batch = await WorkQueue(lane).cancel(BatchId(batch_id))
        return None if batch is None else await read_batch(lane, batch)

    async def abandon_queued_work_claim(self, claim: WorkClaimReceipt) -> None:
        """Give claimed batches back; without effect if the claim holds nothing any more."""
        lane = self._usable("abandon_queued_work_claim").lane
        await WorkQueue(lane).abandon(claim.claim_id, claim.token)

    async def await_queued_work_batch(
        self, batch_id: str, *, until: Until = "hidden"
    ) -> BatchFinished | BatchUnknown | None:
        """
        Wait for a batch; there is no deadline.

        Args:
            batch_id: an id that nobody knows is not waited for.
            until: ``hidden``: until it is not pending, which it also is while somebody works on
                it. ``completed``: until it has finished.

        Returns:
            None for ``hidden``; for ``completed`` how it finished, or that it is unknown.
        """
        queue = WorkQueue(self._usable("await_queued_work_batch").lane)
        if until == "hidden":
            await queue.wait_hidden(BatchId(batch_id))
            return None
        if until != "completed":
            raise InvalidArgument(
                argument="until", found=repr(until), expected="'hidden' or 'completed'"
            )
        return await queue.wait_finished(BatchId(batch_id))

    def _usable(self, operation: str) -> SharedSession:
        if self._is_consumed:
            raise HandleConsumed(operation=operation)
        return self._shared
