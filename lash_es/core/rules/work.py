"""Rules of queued work: taking, claiming, giving back, withdrawing, completing."""

from collections.abc import Iterator

from lash_es.core import leases, work
from lash_es.core.batches import (
    DeliveryPolicy,
    MergeGroup,
    NeverMerge,
    SlotPolicy,
    WorkBoundary,
    WorkClass,
    WorkCompletion,
    classes_of,
)
from lash_es.core.errors import QueueFull
from lash_es.core.events import Event
from lash_es.core.ids import BatchId, ClaimId
from lash_es.core.known import BatchEntry, Known
from lash_es.core.limits import Limits
from lash_es.core.rules.bounds import require_body, require_name, require_within
from lash_es.core.rules.leases import fenced
from lash_es.core.rules.open_turns import require_turn
from lash_es.core.state import Open
from lash_es.core.turns import OpenTurn
from lash_es.core.work import Batch
from lash_es.core.work_commands import (
    AbandonWorkClaim,
    CancelWork,
    ClaimWork,
    EnqueueWork,
    LeadingCommand,
    LeadingTurnWork,
    TheseBatches,
    WorkSelection,
)
from lash_es.core.work_errors import (
    BatchIdConflict,
    BatchNotOfOneClass,
    QueuedWorkClaimSuperseded,
)
from lash_es.core.work_events import (
    WorkCancelled,
    WorkClaimAbandoned,
    WorkClaimed,
    WorkCompleted,
    WorkEnqueued,
    WorkFailed,
)


def enqueue(session: Open, command: EnqueueWork, now_ms: int, known: Known) -> tuple[Event, ...]:
    """Take the batch; under a source key that is remembered, nothing more is taken."""
    limits = known.limits
    _require_batch(command, limits)
    if command.source_key is not None:
        require_name("source_key", command.source_key, limits.source_key_chars_max)
        if named(session, command.source_key, known) is not None:
            return ()
    batches = session.work.batches
    if command.batch_id in batches:
        raise BatchIdConflict(session_id=session.session_id, batch_id=command.batch_id)
    if len(batches) >= limits.batches_open_max:
        raise QueueFull(limit="batches_open_max", allowed=limits.batches_open_max)
    enqueued = WorkEnqueued(
        at_ms=now_ms,
        batch_id=command.batch_id,
        sequence=session.work.next_sequence,
        source_key=command.source_key,
        delivery=command.delivery,
        slot=command.slot,
        merge_key=command.merge_key,
        available_at_ms=command.available_at_ms,
        kinds=command.kinds,
        bodies=tuple(body.commitment for body in command.bodies),
    )
    return (enqueued,)


def _require_batch(command: EnqueueWork, limits: Limits) -> None:
    classes = classes_of(command.kinds)
    if len(classes) != 1 or len(command.kinds) != len(command.bodies):
        raise BatchNotOfOneClass(
            batch_id=command.batch_id,
            classes=tuple(each.value for each in classes),
            kinds_count=len(command.kinds),
            bodies_count=len(command.bodies),
        )
    require_within("items_per_batch_max", len(command.kinds), limits.items_per_batch_max)
    for body in command.bodies:
        require_body(body, limits)
    if isinstance(command.merge_key, MergeGroup):
        require_name("merge_group", command.merge_key.group, limits.merge_group_chars_max)


def named(session: Open, source_key: str, known: Known) -> Batch | BatchEntry | None:
    """Return the batch that a source key names, open or finished, unless that was pruned."""
    key = known.work_key(source_key)
    if key is None:
        return None
    return session.work.batches.get(key.batch_id) or finished(session, key.batch_id, known)


def finished(session: Open, batch_id: BatchId, known: Known) -> BatchEntry | None:
    """Return what became of a batch, unless that was pruned."""
    entry = known.finished_batch(batch_id)
    if entry is None or entry.finished < session.work.pruned_below:
        return None
    return entry


def is_held(session: Open, batch: Batch, now_ms: int) -> bool:
    """Tell whether a live claim, or the open turn, holds the batch."""
    if _is_taken(session, batch):
        return True
    if batch.claim is None or batch.claim.generation != session.lease.generation:
        return False
    return leases.live_holder(session.lease, now_ms) is not None


def _is_taken(session: Open, batch: Batch) -> bool:
    return isinstance(session.turn, OpenTurn) and batch.batch_id in session.turn.batch_ids


def claim(session: Open, command: ClaimWork, now_ms: int, limits: Limits) -> tuple[Event, ...]:
    """Hold what leads among what is ready and free; who asks for nothing needs no lease."""
    selection = command.selection
    if _asked_count(selection) == 0:
        return ()
    fenced(session, command, now_ms)
    turn_id = selection.turn_id if isinstance(selection, LeadingTurnWork) else None
    if turn_id is not None:
        require_turn(session, turn_id)
    group = _selected(session, selection, now_ms, limits)
    if not group:
        return ()
    claimed = WorkClaimed(
        at_ms=now_ms,
        generation=session.lease.generation,
        claim_id=work.claim_name(group[0]),
        token=command.token,
        turn_id=turn_id,
        batch_ids=tuple(batch.batch_id for batch in group),
    )
    return (claimed,)


def _asked_count(selection: WorkSelection) -> int:
    if isinstance(selection, LeadingCommand):
        return 1
    if isinstance(selection, TheseBatches):
        return len(selection.batch_ids)
    return max(0, selection.batches_max)


def _selected(
    session: Open, selection: WorkSelection, now_ms: int, limits: Limits
) -> tuple[Batch, ...]:
    candidates = _candidates(session, now_ms)
    if isinstance(selection, LeadingCommand):
        head = next(candidates, None)
        is_command = head is not None and head.work_class is WorkClass.SESSION_COMMAND
        return (head,) if head is not None and is_command else ()
    batches_max = min(_asked_count(selection), limits.batches_per_claim_max)
    group = _leading_turn_work(candidates, selection.boundary, batches_max)
    if isinstance(selection, LeadingTurnWork):
        return group
    # A selection cannot skip what is in front of it, nor reorder it.
    is_exact = tuple(batch.batch_id for batch in group) == selection.batch_ids
    return group if is_exact else ()


def _candidates(session: Open, now_ms: int) -> Iterator[Batch]:
    """Go through what is ready and free: what is not ready yet blocks nothing behind it."""
    return (
        batch
        for batch in session.work.batches.values()
        if batch.available_at_ms <= now_ms and not is_held(session, batch, now_ms)
    )


def _leading_turn_work(
    candidates: Iterator[Batch], boundary: WorkBoundary, batches_max: int
) -> tuple[Batch, ...]:
    head = next(candidates, None)
    if head is None or head.work_class is not WorkClass.TURN_WORK:
        return ()
    waits_for_idle = head.delivery is DeliveryPolicy.AFTER_CURRENT_TURN_COMMIT
    if waits_for_idle and boundary is WorkBoundary.ACTIVE_TURN_CHECKPOINT:
        return ()
    group = [head]
    for batch in candidates:
        if len(group) == batches_max or not _joins(head, batch):
            break
        group.append(batch)
    return tuple(group)


def _joins(head: Batch, batch: Batch) -> bool:
    """Tell whether a batch shares the claim of the head that it follows."""
    return (
        head.slot is SlotPolicy.JOIN
        and batch.slot is SlotPolicy.JOIN
        and batch.work_class is WorkClass.TURN_WORK
        and batch.delivery is head.delivery
        and batch.merge_key == head.merge_key
        and not isinstance(head.merge_key, NeverMerge)
    )


def held_by(session: Open, claim_id: ClaimId, token: str) -> tuple[Batch, ...]:
    """List what the claim still holds: a later claim of the same batch has replaced it."""
    return tuple(
        batch
        for batch in session.work.batches.values()
        if batch.claim is not None
        and (batch.claim.claim_id, batch.claim.token) == (claim_id, token)
    )


def abandon(session: Open, command: AbandonWorkClaim, now_ms: int) -> tuple[Event, ...]:
    """Give back what the claim holds and no turn has taken; nothing left is no error."""
    claimed = held_by(session, command.claim_id, command.token)
    held = [batch for batch in claimed if not _is_taken(session, batch)]
    if not held:
        return ()
    abandoned = WorkClaimAbandoned(
        at_ms=now_ms,
        claim_id=command.claim_id,
        batch_ids=tuple(batch.batch_id for batch in held),
    )
    return (abandoned,)


def cancel(session: Open, command: CancelWork, now_ms: int) -> tuple[Event, ...]:
    """Withdraw what nobody holds."""
    batch = session.work.batches.get(command.batch_id)
    if batch is None or is_held(session, batch, now_ms):
        return ()
    return (WorkCancelled(at_ms=now_ms, batch_id=command.batch_id),)


def complete(
    session: Open, completions: tuple[WorkCompletion, ...], now_ms: int
) -> tuple[Event, ...]:
    """Finish exactly what each claim holds; one that is stale refuses them all."""
    if len({each.claim_id for each in completions}) != len(completions):
        raise QueuedWorkClaimSuperseded(
            session_id=session.session_id, claim_id=completions[-1].claim_id
        )
    return tuple(_completed(session, each, now_ms) for each in completions)


def _completed(session: Open, completion: WorkCompletion, now_ms: int) -> WorkCompleted:
    generation = session.lease.generation
    held = tuple(
        batch.batch_id
        for batch in held_by(session, completion.claim_id, completion.token)
        if batch.claim is not None and batch.claim.generation == generation
    )
    if not held or sorted(held) != sorted(completion.batch_ids):
        raise QueuedWorkClaimSuperseded(
            session_id=session.session_id, claim_id=completion.claim_id
        )
    return WorkCompleted(
        at_ms=now_ms,
        generation=generation,
        claim_id=completion.claim_id,
        batch_ids=held,
    )


def require_turn_work(session: Open, claim_id: ClaimId, token: str) -> tuple[BatchId, ...]:
    """Return the turn work that a claim of this generation holds."""
    generation = session.lease.generation
    held = tuple(
        batch.batch_id
        for batch in held_by(session, claim_id, token)
        if batch.work_class is WorkClass.TURN_WORK
        and batch.claim is not None
        and batch.claim.generation == generation
    )
    if not held:
        raise QueuedWorkClaimSuperseded(session_id=session.session_id, claim_id=claim_id)
    return held


def taken(
    session: Open, turn: OpenTurn, completions: tuple[WorkCompletion, ...], now_ms: int
) -> tuple[Event, ...]:
    """Finish what the turn has taken, whoever holds the lease, but for what is named besides."""
    named_ids = {batch_id for each in completions for batch_id in each.batch_ids}
    claims: dict[ClaimId, list[BatchId]] = {}
    for batch in _held_by_turn(session, turn):
        if batch.claim is not None and batch.batch_id not in named_ids:
            claims.setdefault(batch.claim.claim_id, []).append(batch.batch_id)
    return tuple(
        WorkCompleted(
            at_ms=now_ms,
            generation=session.lease.generation,
            claim_id=claim_id,
            batch_ids=tuple(batch_ids),
        )
        for claim_id, batch_ids in claims.items()
    )


def failing(session: Open, turn: OpenTurn, now_ms: int, limits: Limits) -> tuple[Event, ...]:
    """Give up what was tried as often as it may be; the turn ends without a commit."""
    tried = tuple(
        batch.batch_id
        for batch in _held_by_turn(session, turn)
        if batch.attempts >= limits.drain_attempts_max
    )
    if not tried:
        return ()
    failed = WorkFailed(at_ms=now_ms, generation=session.lease.generation, batch_ids=tried)
    return (failed,)


def _held_by_turn(session: Open, turn: OpenTurn) -> list[Batch]:
    # Without batches, the queue is not looked at: what a turn comes to does not depend on it.
    found = (session.work.batches.get(batch_id) for batch_id in turn.batch_ids)
    return [batch for batch in found if batch is not None]
