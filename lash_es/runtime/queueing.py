"""
Queued work of one session: taking it, looking at it, withdrawing it, waiting for it.

Nothing here needs the lease. Who does the work claims it, which is another matter.
"""

from typing import Final

from lash_es.codec.contents import encode_content
from lash_es.core.batches import (
    DeliveryPolicy,
    MergeKey,
    ProcessWake,
    RefreshToolCatalog,
    ResetSession,
    SlotPolicy,
    WorkItem,
    WorkKind,
)
from lash_es.core.bodies import BodyRef
from lash_es.core.ids import BatchId, ClaimId
from lash_es.core.known import IndexKey, IndexKind, names
from lash_es.core.state import Open
from lash_es.core.work_commands import (
    AbandonWorkClaim,
    CancelWork,
    EnqueueWork,
)
from lash_es.core.work_receipts import (
    BatchFinished,
    BatchReceipt,
    BatchStanding,
    BatchUnknown,
    BatchWaits,
    described,
    standing,
    work_enqueued,
    work_pending,
)
from lash_es.log.contents import read_content
from lash_es.runtime.committing import Draft, Lane

POLL_MS_MIN: Final = 25
POLL_MS_MAX: Final = 400

_KINDS: Final[dict[WorkKind, type[WorkItem]]] = {
    WorkKind.PROCESS_WAKE: ProcessWake,
    WorkKind.REFRESH_TOOL_CATALOG: RefreshToolCatalog,
    WorkKind.RESET_SESSION: ResetSession,
}
_KIND_OF: Final = {kind: name for name, kind in _KINDS.items()}


class WorkQueue:
    """The queued work of a lane's session."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane

    async def enqueue(
        self,
        *items: WorkItem,
        source_key: str | None,
        delivery: DeliveryPolicy,
        slot: SlotPolicy,
        merge_key: MergeKey,
        available_at_ms: int = 0,
    ) -> BatchReceipt:
        """
        Take a batch; under a source key that is remembered, return the one that it names.

        Raises:
            BatchNotOfOneClass, QueueFull, LimitExceeded, BlankValue: nothing was recorded.
        """
        lane = self._lane
        command = EnqueueWork(
            now_ms=lane.log.now_ms(),
            batch_id=BatchId(f"qwb:{lane.world.token()}"),
            source_key=source_key,
            delivery=delivery,
            slot=slot,
            merge_key=merge_key,
            available_at_ms=available_at_ms,
            kinds=tuple(_KIND_OF[type(item)] for item in items),
            bodies=tuple(encode_content(item, lane.world.salt()) for item in items),
        )

        def step(draft: Draft) -> BatchReceipt:
            draft.do(command)
            return work_enqueued(draft.session, command, draft.known)

        return await lane.transact(step, *names(command))

    async def pending(self) -> tuple[BatchReceipt, ...]:
        """List what no live claim holds, as of now."""
        return work_pending(await self._newest(), self._lane.log.now_ms())

    async def items(self, batch: BatchReceipt) -> tuple[WorkItem, ...]:
        """
        Read what a batch consists of.

        Raises:
            HistoryTrimmedBelow: it has finished, and its facts were trimmed.
        """
        lane = self._lane
        refs = [
            (BodyRef(position=batch.enqueued, ordinal=ordinal), _KINDS[kind])
            for ordinal, kind in enumerate(batch.kinds)
        ]
        return await lane.log.read(
            lambda store: tuple(read_content(store, lane.stream, ref, kind) for ref, kind in refs)
        )

    async def cancel(self, batch_id: BatchId) -> BatchReceipt | None:
        """Withdraw a batch that nobody holds; returns it, or none if it is held or not there."""
        command = CancelWork(now_ms=self._lane.log.now_ms(), batch_id=batch_id)

        def step(draft: Draft) -> BatchReceipt | None:
            batch = draft.session.work.batches.get(batch_id)
            events = draft.do(command)
            return described(batch) if batch is not None and events else None

        return await self._lane.transact(step)

    async def abandon(self, claim_id: ClaimId, token: str) -> None:
        """Give back what a claim holds; one that holds nothing is given back silently."""
        now_ms = self._lane.log.now_ms()
        await self._lane.execute(AbandonWorkClaim(now_ms=now_ms, claim_id=claim_id, token=token))

    async def wait_hidden(self, batch_id: BatchId) -> None:
        """Wait until the batch is not pending: held, finished, or not there at all."""
        poll_ms = POLL_MS_MIN
        while isinstance(await self.standing(batch_id), BatchWaits):
            await self._lane.world.sleep_ms(poll_ms)
            poll_ms = min(2 * poll_ms, POLL_MS_MAX)

    async def wait_finished(self, batch_id: BatchId) -> BatchFinished | BatchUnknown:
        """Wait until the batch has finished, and say how; or that nothing is known of it."""
        poll_ms = POLL_MS_MIN
        while True:
            found = await self.standing(batch_id)
            if isinstance(found, BatchFinished | BatchUnknown):
                return found
            await self._lane.world.sleep_ms(poll_ms)
            poll_ms = min(2 * poll_ms, POLL_MS_MAX)

    async def standing(self, batch_id: BatchId) -> BatchStanding:
        """Say where the batch is, as of the newest fact."""
        key = IndexKey(IndexKind.BATCH, batch_id)
        now_ms = self._lane.log.now_ms()
        return await self._lane.transact(
            lambda draft: standing(draft.session, batch_id, draft.known, now_ms), key
        )

    async def _newest(self) -> Open:
        # A step that records nothing is taken only on the newest state.
        return await self._lane.transact(lambda draft: draft.session)
