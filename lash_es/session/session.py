"""
``LashSession``: the handle on one opened session.

Resident state answers at once; what appends is awaited.
"""

from collections.abc import Iterable
from contextlib import nullcontext, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

import attrs
from attrs import field, frozen

from lash_es.core.cancel_receipts import CancelResult, SuffixCancelOutcome
from lash_es.core.commands import ConfigureSession, ParkSession
from lash_es.core.ids import NodeId, Revision, SessionId, Version
from lash_es.core.ingress import TurnInputIngress
from lash_es.core.messages import TurnInput
from lash_es.core.policy import ModelSpec, SessionPolicy
from lash_es.core.receipts import CancelOutcome, TurnInputClaim, pending, waiting
from lash_es.core.state import Open
from lash_es.core.targets import CancelTarget
from lash_es.log.contents import read_content
from lash_es.projections.pending import PendingQueues, pending_queues
from lash_es.projections.usage import SessionUsageReport, usage_report
from lash_es.runtime.cancelling import CancelToken
from lash_es.runtime.committing import Draft
from lash_es.runtime.faults import SessionStillInUse
from lash_es.runtime.opening import require_open
from lash_es.runtime.running import busy
from lash_es.session.arguments import as_max_turns, as_model_spec, as_turn_input
from lash_es.session.exporting import RuntimeSessionState, exported
from lash_es.session.factories import SessionMeta, metadata
from lash_es.session.graph_handle import GraphHandle
from lash_es.session.holders import SharedSession
from lash_es.session.inheriting import INHERIT, Inherit
from lash_es.session.session_inputs import SessionInputs
from lash_es.session.session_stores import SessionStore
from lash_es.session.turn_builders import (
    EnqueueTurnBuilder,
    PendingTurnInput,
    QueuedTurnBuilder,
    TurnBuilder,
    pending_turn_input,
)
from lash_es.session.views import SessionReadView, read_view

if TYPE_CHECKING:
    from lash_es.session.observing import ObservableSession

_HOLDER = "a handle"


@frozen(kw_only=True)
class ParkedSession:
    """
    What is needed to resume a session: by ``LashCore.resume``, in this process or another.

    ``store`` is its own, if it has one: then it is resumed by the same core.
    """

    session_id: SessionId
    store: SessionStore | None = field(default=None, repr=False)


class LashSession(GraphHandle):
    """
    One opened session.

    ``close`` and ``park`` use the handle up, also when they fail because somebody else holds the
    session.
    """

    def __init__(self, shared: SharedSession) -> None:
        self._shared = shared
        self._is_consumed = False
        shared.hold(_HOLDER)

    # What is resident

    @property
    def session_id(self) -> SessionId:
        """The session's id."""
        return self._shared.lane.stream.session_id

    @property
    def version(self) -> Version:
        """How many facts this handle's answers are as of."""
        return self._state().version

    @property
    def revision(self) -> Revision:
        """How many commits this handle's answers are as of."""
        return self._state().head.revision

    @property
    def pending(self) -> PendingQueues:
        """The queues of inputs and of work, without their contents."""
        return pending_queues(self._state(), self._shared.lane.log.now_ms())

    def metadata(self) -> SessionMeta:
        """Return the record of the session's birth; no reopening changes it."""
        return metadata(self._state())

    @property
    def parent_session_id(self) -> SessionId | None:
        """The session whose child this was created as; none of a root."""
        return self._state().birth.description.parent_session_id

    def policy_snapshot(self) -> SessionPolicy:
        """Return the policy of the turns to come."""
        return self._state().policy

    def read_view(self) -> SessionReadView:
        """Take a view of the history as of ``version``; its messages are read when asked for."""
        return read_view(self._shared.lane, self._state(), self._shared.residency)

    def export(self) -> RuntimeSessionState:
        """Take where the session stands; ``SessionBuilder.open_with_state`` goes on from there."""
        return exported(self._state())

    def usage_report(self) -> SessionUsageReport:
        """Sum what the session has used."""
        return usage_report(self._state().ledger)

    def observe(self) -> "ObservableSession":
        """Make a read-only handle; it holds the session until it is closed."""
        # Most processes look at nothing, and need none of what streams and wires are made of.
        from lash_es.session.observing import ObservableSession  # noqa: PLC0415

        return ObservableSession(self._usable("observe"))

    def clone(self) -> "LashSession":
        """Make another handle on the same opened session."""
        return LashSession(self._usable("clone"))

    # Turns and inputs

    def turn(
        self,
        turn_input: TurnInput | str,
        *,
        turn_id: str | None = None,
        cancel: CancelToken | None = None,
    ) -> TurnBuilder:
        """Build a turn on this input; each keyword is the builder's setter of that name."""
        builder = TurnBuilder(shared=self._usable("turn"), input=as_turn_input(turn_input))
        if turn_id is not None:
            builder = builder.turn_id(turn_id)
        return builder if cancel is None else builder.cancel(cancel)

    def queued_turn(
        self,
        *,
        drain_id: str | None = None,
        batch_ids: Iterable[str] = (),
        cancel: CancelToken | None = None,
    ) -> QueuedTurnBuilder:
        """Build a drain, one turn on what waits; keywords are the builder's setters."""
        builder = QueuedTurnBuilder(shared=self._usable("queued_turn")).batch_ids(batch_ids)
        if drain_id is not None:
            builder = builder.drain_id(drain_id)
        return builder if cancel is None else builder.cancel(cancel)

    def enqueue(
        self,
        turn_input: TurnInput | str,
        *,
        id: str | None = None,  # noqa: A002 - the seed's name for it
        ingress: TurnInputIngress | None = None,
    ) -> EnqueueTurnBuilder:
        """Build an input for a turn to come; each keyword is the builder's setter of that name."""
        builder = EnqueueTurnBuilder(
            shared=self._usable("enqueue"), input=as_turn_input(turn_input)
        )
        if id is not None:
            builder = builder.id(id)
        return builder if ingress is None else builder.ingress(ingress)

    def cancel_running_turns(self) -> int:
        """
        Tell every turn of this handle and its clones to stop; returns how many there are, waiting
        ones included.

        It appends nothing and reaches no other handle. A cancelled turn commits like any other.
        """
        return self._usable("cancel_running_turns").cancel_running_turns()

    async def pending_turn_inputs(self) -> list[PendingTurnInput]:
        """
        List the inputs that nothing holds, contents included, in the order of their sequence.
        """
        lane = self._usable("pending_turn_inputs").lane
        state = require_open(await lane.catch_up(), self.session_id)
        receipts = [waiting(entry) for entry in pending(state, lane.log.now_ms())]
        contents = await lane.log.read(
            lambda store: [
                read_content(store, lane.stream, receipt.body, TurnInput) for receipt in receipts
            ]
        )
        return list(map(pending_turn_input, receipts, contents))

    async def cancel_pending_turn_input(self, input_id: str) -> CancelOutcome:
        """Withdraw an input that no turn has taken; the outcome says what became of it."""
        lane = self._usable("cancel_pending_turn_input").lane
        return await SessionInputs(lane).cancel(input_id)

    async def cancel_pending_turn_inputs(
        self, targets: Iterable[CancelTarget]
    ) -> list[CancelResult]:
        """
        Withdraw several inputs, by id or by full source key (``host:...``), in one append.

        Returns:
            One result for each target, in their order.

        Raises:
            LimitExceeded: more than ``cancel_targets_max``; nothing was cancelled.
        """
        lane = self._usable("cancel_pending_turn_inputs").lane
        return await SessionInputs(lane).cancel_many(targets)

    async def cancel_pending_turn_input_suffix(self, anchor: CancelTarget) -> SuffixCancelOutcome:
        """
        Withdraw an input and all that were enqueued after it, in one append.

        The anchor may be in any state; every input from there on has its outcome.
        """
        lane = self._usable("cancel_pending_turn_input_suffix").lane
        return await SessionInputs(lane).cancel_suffix(anchor)

    async def abandon_turn_input_claim(self, claim: TurnInputClaim) -> None:
        """Give claimed inputs back; what the claim does not hold any more is left alone."""
        lane = self._usable("abandon_turn_input_claim").lane
        await SessionInputs(lane).abandon(claim)

    # The session itself

    async def configure(
        self,
        *,
        model: ModelSpec | str | None = None,
        max_turns: int | Inherit | None = INHERIT,
        instructions: str | None = None,
    ) -> None:
        """
        Change the policy of the turns to come; what is not named stays.

        ``max_turns=None`` clears it. Recorded when this returns.
        """
        lane = self._usable("configure").lane

        def step(draft: Draft) -> None:
            # On the draft, so that what another handle has changed meanwhile is not undone.
            policy = draft.session.policy
            wanted = attrs.evolve(
                policy,
                model=policy.model if model is None else as_model_spec(model),
                max_turns=policy.max_turns
                if isinstance(max_turns, Inherit)
                else as_max_turns(max_turns),
                instructions=policy.instructions if instructions is None else instructions,
            )
            draft.do(ConfigureSession(now_ms=lane.log.now_ms(), policy=wanted))

        await lane.transact(step)

    async def branch_to_node(self, node_id: str | None) -> SessionReadView:
        """
        Go on from this message, on the active path or off it; from none, with a new root.

        Nothing is lost: what leaves the active path can be branched to again. Recorded when this
        returns.

        Raises:
            RuntimeFault: ``session_execution_busy``: another owner holds the session.
            BusyWithTurn: a turn is open.
            NodeNotFound: no commit holds the message.
        """
        shared = self._usable("branch_to_node")
        wanted = None if node_id is None else NodeId(node_id)
        async with shared.writer:
            found = await shared.runner.brief_owner.branch_to_node(wanted)
        if found is not None:
            raise busy(found.holder)
        return self.read_view()

    async def park(self) -> ParkedSession:
        """
        Let the session go, so that any process can resume it. Appends the fact of it, and nothing
        else.

        Raises:
            SessionStillInUse: a clone, an observer or a running turn holds it; this handle is used
                up.
        """
        shared = self._consume("park")
        shared.require_last(_HOLDER)
        await shared.lane.execute(ParkSession(now_ms=shared.lane.log.now_ms()))
        return ParkedSession(session_id=self.session_id, store=shared.store)

    async def close(self) -> None:
        """
        Let the session go. Everything is recorded already, so nothing is appended.

        Raises:
            SessionStillInUse: as for ``park``.
        """
        self._consume("close").require_last(_HOLDER)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._is_consumed:
            return
        # What the body raised matters more than who else still holds the session.
        with nullcontext() if error is None else suppress(SessionStillInUse):
            await self.close()

    def _state(self) -> Open:
        return require_open(self._shared.lane.state, self.session_id)

    def _consume(self, operation: str) -> SharedSession:
        shared = self._usable(operation)
        self._is_consumed = True
        return shared
