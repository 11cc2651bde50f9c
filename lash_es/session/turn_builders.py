"""
Builders of what a session does: a turn, a drain, an input. Each is a value; a setter returns a new
one.

Each terminal call runs the description once more; awaiting a builder is its usual terminal.
"""

from collections.abc import Generator, Iterable
from typing import Any, Self

import attrs
from attrs import field, frozen

from lash_es.codec.contents import encode_content
from lash_es.core.commands import EnqueueTurnInput
from lash_es.core.errors import BlankValue
from lash_es.core.ids import BatchId, InputId, TurnId
from lash_es.core.ingress import NEXT_TURN, TurnInputIngress
from lash_es.core.known import names
from lash_es.core.messages import TurnInput
from lash_es.core.outcomes import InputStatus
from lash_es.core.receipts import TurnInputReceipt, enqueued
from lash_es.runtime.activities import ActivitySink
from lash_es.runtime.cancelling import CancelToken
from lash_es.runtime.committing import Draft
from lash_es.runtime.draining import Drain
from lash_es.session.holders import SharedSession
from lash_es.session.results import TurnOutput, TurnResult, read_result
from lash_es.turns.activities import TurnActivity


class _Collector:
    """A sink that keeps what it is shown."""

    def __init__(self) -> None:
        self.activities: list[TurnActivity] = []

    async def __call__(self, activity: TurnActivity) -> None:
        self.activities.append(activity)

    def output(self, result: TurnResult) -> TurnOutput:
        return TurnOutput(result=result, activities=tuple(self.activities))


@frozen(kw_only=True)
class TurnBuilder:
    """A foreground turn on its own input; made by ``LashSession.turn``."""

    _shared: SharedSession = field(repr=False, alias="shared")
    _input: TurnInput = field(alias="input")
    _turn_id: TurnId | None = field(default=None, alias="turn_id")
    _cancel: CancelToken | None = field(default=None, repr=False, alias="cancel")

    def turn_id(self, turn_id: str) -> Self:
        """
        Choose the turn's id.

        A turn that ran under it is not run again: its result is returned.
        """
        return attrs.evolve(self, turn_id=TurnId(turn_id))

    def cancel(self, token: CancelToken) -> Self:
        """Use the caller's token; ``cancel_running_turns`` fires this very one."""
        return attrs.evolve(self, cancel=token)

    async def run(self) -> TurnOutput:
        """
        Run the turn and collect what it shows.

        Raises:
            RuntimeFault: ``session_execution_busy``, ``session_execution_lease_lost``,
                ``llm_provider``,
                ``store_commit_failed``.
            TurnIdConflict: the id belongs to a turn with another input.
        """
        collector = _Collector()
        return collector.output(await self.stream_to(collector))

    async def stream_to(self, sink: ActivitySink) -> TurnResult:
        """
        Run the turn and hand each activity to ``sink``, awaited, in order; raises as ``run``.
        """
        shared = self._shared
        turn_id = self._turn_id
        if turn_id is None:
            turn_id = TurnId(shared.lane.world.token())
        token = self._cancel or CancelToken()
        with shared.running(token):
            async with shared.writer:
                await shared.runner.run_direct(turn_id, self._input, token, sink)
        return await _result(shared, turn_id)

    def __await__(self) -> Generator[Any, None, TurnOutput]:
        return self.run().__await__()


@frozen(kw_only=True)
class QueuedTurnBuilder:
    """
    A drain: session commands, then one turn on what waits; made by ``LashSession.queued_turn``.

    Who was queued first goes first: inputs for the next turn all together, or else turn work.
    """

    _shared: SharedSession = field(repr=False, alias="shared")
    _drain_id: TurnId | None = field(default=None, alias="drain_id")
    _batch_ids: tuple[BatchId, ...] = field(default=(), alias="batch_ids")
    _cancel: CancelToken | None = field(default=None, repr=False, alias="cancel")

    def drain_id(self, drain_id: str) -> Self:
        """Choose the id of the drain, which is its turn's id."""
        return attrs.evolve(self, drain_id=TurnId(drain_id))

    def batch_ids(self, batch_ids: Iterable[str]) -> Self:
        """
        Run on exactly these batches, in this order, and on no input.

        A batch that others are in front of, or that does not share a turn with the ones named
        with it, is not taken: then no turn runs.
        """
        return attrs.evolve(self, batch_ids=tuple(map(BatchId, batch_ids)))

    def cancel(self, token: CancelToken) -> Self:
        """Use the caller's token."""
        return attrs.evolve(self, cancel=token)

    async def run(self) -> TurnOutput | None:
        """
        Continue what another owner left, or do the session commands whose turn it is and run one
        turn on what waits.

        Returns:
            None if no turn ran: nothing but commands waits, or another owner holds the session.

        Raises:
            RuntimeFault: ``session_execution_lease_lost``, ``llm_provider``,
                ``store_commit_failed``.
        """
        collector = _Collector()
        result = await self.stream_to(collector)
        return None if result is None else collector.output(result)

    async def stream_to(self, sink: ActivitySink) -> TurnResult | None:
        """Drain and hand each activity to ``sink``; returns and raises as ``run``."""
        shared = self._shared
        drain_id = self._drain_id
        if drain_id is None:
            drain_id = TurnId(f"drain:{shared.lane.world.token()}")
        token = self._cancel or CancelToken()
        with shared.running(token):
            async with shared.writer:
                drain = Drain(drain_id=drain_id, batch_ids=self._batch_ids)
                turn_id = await shared.runner.run_drained(drain, token, sink)
        return None if turn_id is None else await _result(shared, turn_id)

    def __await__(self) -> Generator[Any, None, TurnOutput | None]:
        return self.run().__await__()


async def _result(shared: SharedSession, turn_id: TurnId) -> TurnResult:
    result = await read_result(shared.lane, turn_id)
    if result is None:
        raise LookupError(f"turn {turn_id!r} was driven to its end and has no record")
    return result


@frozen(kw_only=True)
class PendingTurnInput:
    """An input as a host sees it: the receipt, and what it says."""

    input_id: InputId
    sequence: int
    source_key: str | None
    ingress: TurnInputIngress
    state: InputStatus
    enqueued_at_ms: int
    input: TurnInput


def pending_turn_input(receipt: TurnInputReceipt, content: TurnInput) -> PendingTurnInput:
    """Put a receipt and its content together."""
    return PendingTurnInput(
        input_id=receipt.input_id,
        sequence=receipt.sequence,
        source_key=receipt.source_key,
        ingress=receipt.ingress,
        state=receipt.status,
        enqueued_at_ms=receipt.enqueued_at_ms,
        input=content,
    )


@frozen(kw_only=True)
class EnqueueTurnBuilder:
    """An input for a turn to come; made by ``LashSession.enqueue``."""

    _shared: SharedSession = field(repr=False, alias="shared")
    _input: TurnInput = field(alias="input")
    _source_key: str | None = field(default=None, alias="source_key")
    _ingress: TurnInputIngress = field(default=NEXT_TURN, alias="ingress")

    def id(self, submission_id: str) -> Self:
        """Make the submission idempotent: the same id and content again is the same input."""
        if not submission_id.strip():
            raise BlankValue(field="the submission's id")
        return attrs.evolve(self, source_key=f"host:{submission_id}")

    def ingress(self, ingress: TurnInputIngress) -> Self:
        """Say where it goes: into the next turn (the default), or into a running one."""
        return attrs.evolve(self, ingress=ingress)

    async def send(self) -> PendingTurnInput:
        """
        Record the input; when this returns, it is durable.

        Raises:
            SourceKeyConflict: the id was used for another content or ingress.
            QueueFull, LimitExceeded: nothing was recorded.
        """
        lane = self._shared.lane
        command = EnqueueTurnInput(
            now_ms=lane.log.now_ms(),
            input_id=InputId(f"ti:{lane.world.token()}"),
            source_key=self._source_key,
            ingress=self._ingress,
            body=encode_content(self._input, lane.world.salt()),
        )

        def step(draft: Draft) -> TurnInputReceipt:
            draft.do(command)
            return enqueued(draft.session, command, draft.known)

        receipt = await lane.transact(step, *names(command))
        return pending_turn_input(receipt, self._input)

    def __await__(self) -> Generator[Any, None, PendingTurnInput]:
        return self.send().__await__()
