"""
Driving a turn: perform the agenda until the turn has ended.

1. Fold, then do the agenda: a turn just started and a turn taken over go through the same lines.
2. An outcome is recorded on arrival, in one append with whatever follows from it.
3. A cancelled turn commits like any other; a lost lease stops it without a commit.
4. No effect is started unless the lease is ours beyond doubt.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from attrs import evolve as with_changes

from lash_es.codec.contents import encode_content
from lash_es.codec.errors import UnencodableValue
from lash_es.core.agenda import agenda
from lash_es.core.commands import SettleEffect
from lash_es.core.effects import Effect, ModelCall, ToolCall
from lash_es.core.errors import (
    EffectNotOpen,
    LimitExceeded,
    SessionExecutionLeaseExpired,
    TurnNotOpen,
)
from lash_es.core.ids import EffectId, TurnId
from lash_es.core.known import IndexKey, IndexKind
from lash_es.core.messages import EffectFailure, ModelReply, TokenUsage, ToolOutput, ToolStatus
from lash_es.core.outcomes import EffectCancelled, EffectFailed
from lash_es.core.state import Open
from lash_es.core.turns import OpenTurn
from lash_es.runtime.activities import ActivityPump
from lash_es.runtime.advancing import advance
from lash_es.runtime.cancelling import CancelToken
from lash_es.runtime.checkpoints import Taken, shown
from lash_es.runtime.committing import Draft, Lane, read_known
from lash_es.runtime.faults import SESSION_EXECUTION_LEASE_LOST, RuntimeFault
from lash_es.runtime.leasing import LeaseGuard
from lash_es.runtime.performing import Performed, Performer, failed
from lash_es.turns.activities import ErrorReported, ToolCallCompleted, UsageReported

_R = TypeVar("_R")


class TurnDriver:
    """Drives the open turn of a session under a lease."""

    def __init__(
        self,
        *,
        lane: Lane,
        guard: LeaseGuard,
        performer: Performer,
        pump: ActivityPump,
        cancel: CancelToken,
        turn_id: TurnId,
    ) -> None:
        self._lane = lane
        self._guard = guard
        self._performer = performer
        self._pump = pump
        self._cancel = cancel
        self._turn_id = turn_id
        self._used = TokenUsage() if (turn := self._turn()) is None else turn.usage
        self._running: dict[EffectId, asyncio.Task[Performed]] = {}
        self._begun_at_ms: dict[EffectId, int] = {}
        self._meant: str | None = None

    async def drive(self, taken: Sequence[Taken] = ()) -> None:
        """
        Drive the turn to its end; ``taken`` is what it began with, to be shown.

        Raises:
            RuntimeFault: ``session_execution_lease_lost``; the turn did not commit.
            StorageError: the log failed; the turn can be continued from what was recorded.
        """
        try:
            await self._show_taken(taken)
            while (turn := self._turn()) is not None:
                if not self._cancel.is_cancelled:
                    self._start(turn)
                await self._settle_what_arrives()
        except (SessionExecutionLeaseExpired, EffectNotOpen, TurnNotOpen) as refusal:
            if not await self._is_committed():
                raise lease_lost(refusal.summary()) from refusal
        finally:
            await self._stop(self._running.values())

    async def _is_committed(self) -> bool:
        """
        Tell whether the commit that was meant is recorded, though its append was said to have lost
        a race: it is recognised by what it means.
        """
        if self._meant is None:
            return False
        lane, key = self._lane, IndexKey(IndexKind.TURN, self._turn_id)
        known = await lane.log.read(
            lambda store: read_known(store, lane.stream, (key,), lane.limits)
        )
        entry = known.turn(self._turn_id)
        return (
            entry is not None
            and entry.stamp is not None
            and entry.stamp.commit_hash == self._meant
        )

    def _turn(self) -> OpenTurn | None:
        state = self._lane.state
        if not isinstance(state, Open) or not isinstance(state.turn, OpenTurn):
            return None
        if state.turn.turn_id == self._turn_id:
            return state.turn
        raise lease_lost(f"turn {state.turn.turn_id!r} is open by now")

    def _start(self, turn: OpenTurn) -> None:
        """Start every effect on the agenda that is not running."""
        for effect in agenda(self._lane.state):
            if effect.effect_id in self._running:
                continue
            if not self._guard.is_certain:
                raise lease_lost("it may have run out before the next effect could start")
            task = asyncio.create_task(self._performer.perform(turn, effect))
            self._running[effect.effect_id] = task
            self._begun_at_ms[effect.effect_id] = self._lane.log.now_ms()

    async def _settle_what_arrives(self) -> None:
        """
        Wait for an outcome, a cancellation or the loss of the lease, and record what follows.
        """
        cancelled = asyncio.ensure_future(self._cancel.wait())
        lost = asyncio.ensure_future(self._guard.wait_lost())
        try:
            await asyncio.wait(
                {*self._running.values(), cancelled, lost}, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for waiter in (cancelled, lost):
                waiter.cancel()
        if not self._guard.is_certain:
            raise lease_lost("it could not be renewed")
        await self._record_outcomes()

    async def _record_outcomes(self) -> None:
        """Record what has arrived; of a cancelled turn, also that the rest was stopped."""
        is_cancelled = self._cancel.is_cancelled
        arrived = {key: task for key, task in self._running.items() if task.done()}
        outcomes = {key: _performed(task) for key, task in arrived.items()}
        if is_cancelled:
            await self._stop(task for key, task in self._running.items() if key not in arrived)
            self._running.clear()
        for key in arrived:
            self._running.pop(key, None)
        if not outcomes and not is_cancelled:
            return
        effects = {effect.effect_id: effect for effect in agenda(self._lane.state)}
        await self._pump.write_out()
        recorded, taken = await self._record(
            lambda draft: self._settle(draft, outcomes, is_cancelled=is_cancelled)
        )
        for key, performed in recorded.items():
            self._show(effects[key], performed)
        await self._show_taken(taken)

    def _settlement(self, effect_id: EffectId, performed: Performed, now_ms: int) -> SettleEffect:
        return SettleEffect(
            now_ms=now_ms,
            fence=self._guard.fence,
            turn_id=self._turn_id,
            effect_id=effect_id,
            outcome=performed.outcome,
            body=encode_content(performed.content, self._lane.world.salt()),
        )

    def _settle(
        self, draft: Draft, outcomes: Mapping[EffectId, Performed], *, is_cancelled: bool
    ) -> tuple[dict[EffectId, Performed], tuple[Taken, ...]]:
        """
        Put on the draft what has arrived and what follows; returns what will be recorded, and
        what was taken in.
        """
        now_ms = self._guard.now_ms(draft.session.lease)
        recorded = {
            key: self._settle_one(draft, key, performed, now_ms)
            for key, performed in outcomes.items()
        }
        if is_cancelled:
            for effect in agenda(draft.state):
                draft.do(self._cancellation(effect, now_ms))
        advanced = advance(draft, self._guard.fence, now_ms, is_cancelled=is_cancelled)
        self._meant = advanced.commit_hash
        return recorded, advanced.taken

    def _settle_one(
        self, draft: Draft, effect_id: EffectId, performed: Performed, now_ms: int
    ) -> Performed:
        """
        Settle an effect; what cannot be recorded has failed, or its turn could never end.
        """
        try:
            draft.do(self._settlement(effect_id, performed, now_ms))
        except (LimitExceeded, UnencodableValue) as refusal:
            is_too_large = isinstance(refusal, LimitExceeded)
            code = "limit_exceeded" if is_too_large else "unencodable_value"
            failure = failed(code, refusal.summary())
            performed = with_changes(failure, arguments=performed.arguments)
            draft.do(self._settlement(effect_id, performed, now_ms))
        return performed

    def _cancellation(self, effect: Effect, now_ms: int) -> SettleEffect:
        return SettleEffect(
            now_ms=now_ms,
            fence=self._guard.fence,
            turn_id=self._turn_id,
            effect_id=effect.effect_id,
            outcome=EffectCancelled(),
            body=None,
        )

    async def _record(self, step: Callable[[Draft], _R]) -> _R:
        before_ms = self._lane.world.monotonic_ms()
        result = await self._lane.transact(step)
        self._guard.spoke(before_ms)
        return result

    async def _show_taken(self, taken: Sequence[Taken]) -> None:
        for each in taken:
            self._pump.show(await shown(self._lane, each), self._lane.world.token())

    def _show(self, effect: Effect, performed: Performed) -> None:
        """Show what was recorded, after it was."""
        content = performed.content
        if isinstance(effect.request, ToolCall) and not isinstance(content, ModelReply):
            completed = _completed(
                effect,
                effect.request,
                content,
                arguments=performed.arguments,
                duration_ms=self._lane.log.now_ms() - self._begun_at_ms[effect.effect_id],
            )
            self._pump.show(completed, f"tool:{effect.request.call_id}")
        elif isinstance(content, ModelReply):
            self._pump.show(self._usage(effect, content), effect.effect_id)
        elif isinstance(performed.outcome, EffectFailed) and isinstance(content, EffectFailure):
            error = ErrorReported(code=performed.outcome.code, message=content.message)
            self._pump.show(error, effect.effect_id)

    def _usage(self, effect: Effect, reply: ModelReply) -> UsageReported:
        self._used += reply.usage
        iteration = effect.request.iteration if isinstance(effect.request, ModelCall) else 0
        return UsageReported(
            protocol_iteration=iteration, usage=reply.usage, cumulative=self._used
        )

    @staticmethod
    async def _stop(tasks: Iterable[asyncio.Task[Performed]]) -> None:
        """Cancel effects and wait until they have let go."""
        stopping = list(tasks)
        for task in stopping:
            task.cancel()
        await asyncio.gather(*stopping, return_exceptions=True)


def _performed(task: asyncio.Task[Performed]) -> Performed:
    """Take an effect's outcome; one that nobody stopped and that was cancelled has failed."""
    if task.cancelled():
        return failed("unexpected", "it was cancelled from inside")
    return task.result()


def _completed(
    effect: Effect,
    call: ToolCall,
    content: ToolOutput | EffectFailure,
    *,
    arguments: str,
    duration_ms: int,
) -> ToolCallCompleted:
    has_failed = isinstance(content, EffectFailure)
    return ToolCallCompleted(
        effect_id=effect.effect_id,
        call_id=call.call_id,
        name=call.tool,
        arguments=arguments,
        status=ToolStatus.FAILED if has_failed else ToolStatus.SUCCEEDED,
        text=content.message if isinstance(content, EffectFailure) else content.text,
        duration_ms=duration_ms,
    )


def lease_lost(reason: str) -> RuntimeFault:
    """Say that another owner may hold the session: this turn was not committed here."""
    return RuntimeFault(
        code=SESSION_EXECUTION_LEASE_LOST, message=f"the session lease was lost: {reason}"
    )
