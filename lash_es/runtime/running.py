"""
Running turns: accept, drive to the end, and say which turn it was.

A turn of a dead generation is continued first, by whoever drives next: the same turn id returns
its result, another turn brings it to its end before it starts. Pre-flight checks come before
acceptance and write nothing.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import TypeAlias

from attrs import Factory, frozen

from lash_es.codec.contents import encode_content
from lash_es.core.commands import ContinueTurn, StartTurn, WithInput
from lash_es.core.errors import LashError
from lash_es.core.frames import PLAIN_GRAPH
from lash_es.core.ids import TurnId
from lash_es.core.known import IndexKey, IndexKind
from lash_es.core.leases import Holder
from lash_es.core.messages import ToolSpec, TurnInput
from lash_es.core.owners import Fence, LeaseOwner
from lash_es.core.receipts import Busy, TurnOver, started
from lash_es.core.state import Open
from lash_es.core.turns import OpenTurn
from lash_es.core.work_events import WorkCompleted
from lash_es.log.errors import StorageError
from lash_es.runtime.activities import ActivityPump, ActivitySink
from lash_es.runtime.advancing import advance
from lash_es.runtime.branching import BriefOwner
from lash_es.runtime.cancelling import CancelToken
from lash_es.runtime.checkpoints import Taken
from lash_es.runtime.committing import APPEND_ATTEMPTS_MAX, Draft, Lane
from lash_es.runtime.contending import Chance, Contest, Sightings
from lash_es.runtime.draining import Drain, Nothing, Over, Start, Started, do_commands
from lash_es.runtime.driving import TurnDriver
from lash_es.runtime.faults import (
    LLM_PROVIDER,
    SESSION_EXECUTION_BUSY,
    SESSION_EXECUTION_LEASE_LOST,
    STORE_COMMIT_FAILED,
    AppendUnresolved,
    RuntimeFault,
    TooManyConflicts,
)
from lash_es.runtime.leasing import LeaseGuard, LeaseTimings, release, take
from lash_es.runtime.opening import require_open
from lash_es.runtime.performing import (
    UNCERTAIN_TOOL_WAIT_MS_MAX,
    Performer,
    UncertainToolHandler,
)
from lash_es.runtime.providers import Provider
from lash_es.runtime.tools import ToolSet
from lash_es.runtime.transcripts import Transcript, Transcripts


@frozen(kw_only=True)
class Equipment:
    """What turns are run with in this process; none of it is recorded but the provider's kind."""

    provider: Provider | None
    tools: ToolSet
    timings: LeaseTimings
    on_uncertain_tool: UncertainToolHandler | None = None
    uncertain_tool_wait_ms_max: int = UNCERTAIN_TOOL_WAIT_MS_MAX
    transcripts: Transcripts = Factory(Transcripts)
    sightings: Sightings = Factory(Sightings)


@frozen
class Ours:
    """The lease is ours, and this turn is open: drive it. ``taken`` is to be shown."""

    fence: Fence
    turn_id: TurnId
    acquired_at_ms: int
    taken: tuple[Taken, ...] = ()


@frozen
class Moved:
    """Something was appended since it was said that the lease may be taken: look again."""


_Begun: TypeAlias = Ours | Over | Busy | Nothing
_Starting: TypeAlias = Callable[[Draft, Fence, int], Start]


class TurnRunner:
    """Runs the turns of one session for one owner."""

    def __init__(self, lane: Lane, owner: LeaseOwner, equipment: Equipment) -> None:
        self._lane = lane
        self._owner = owner
        self._equipment = equipment
        self._contest = Contest(lane, owner, equipment.sightings)

    @property
    def brief_owner(self) -> BriefOwner:
        """Who writes outside turns: the same owner, for one append."""
        ttl_ms = self._equipment.timings.ttl_ms
        return BriefOwner(lane=self._lane, owner=self._owner, contest=self._contest, ttl_ms=ttl_ms)

    def tool_specs(self) -> Sequence[ToolSpec]:
        """List the tools that its turns offer to the model."""
        return self._equipment.tools.specs()

    async def run_direct(
        self, turn_id: TurnId, turn_input: TurnInput, cancel: CancelToken, sink: ActivitySink
    ) -> None:
        """
        Run a turn on its own input; one that ran before under this id is not run again.

        Raises:
            RuntimeFault: ``session_execution_busy``, ``session_execution_lease_lost``,
                ``llm_provider``. TurnIdConflict: the id belongs to a turn with another input.
        """
        source = WithInput(body=encode_content(turn_input, self._lane.world.salt()))

        def start(draft: Draft, fence: Fence, now_ms: int) -> Started | Over:
            if draft.known.turn(turn_id) is None:
                do_commands(draft, fence, now_ms)
            command = StartTurn(now_ms=now_ms, fence=fence, turn_id=turn_id, source=source)
            draft.do(command)
            if isinstance(started(command, draft.known), TurnOver):
                return Over()
            return Started(turn_id=turn_id)

        while True:
            begun = await self._begin(start, turn_id)
            if isinstance(begun, Busy):
                raise busy(begun.holder)
            if not isinstance(begun, Ours):
                return
            await self._drive(begun, cancel, sink)
            if begun.turn_id == turn_id:
                return

    async def run_drained(
        self, drain: Drain, cancel: CancelToken, sink: ActivitySink
    ) -> TurnId | None:
        """
        Continue what another owner left, or do the session commands whose turn it is and run one
        turn on what waits.

        Returns:
            The id of the turn that was run; none if none was: nothing waits but commands, or
            another owner holds the session.

        Raises:
            RuntimeFault: ``session_execution_lease_lost``, ``llm_provider``.
        """
        begun = await self._begin(drain.start, drain.drain_id)
        if not isinstance(begun, Ours):
            return drain.drain_id if isinstance(begun, Over) else None
        await self._drive(begun, cancel, sink)
        return begun.turn_id

    async def _begin(self, start: _Starting, turn_id: TurnId) -> _Begun:
        """Take the lease and start or continue a turn, in one append; or write nothing."""
        token = self._lane.world.token()
        with _log_failures_named():
            await self._lane.log.keep_time()
            for _ in range(APPEND_ATTEMPTS_MAX):
                await self._lane.catch_up()
                self._preflight()
                standing = await self._contest.standing()
                if isinstance(standing, Busy):
                    return standing
                step = partial(
                    self._begin_on, start=start, turn_id=turn_id, token=token, chance=standing
                )
                begun = await self._lane.transact(step, IndexKey(IndexKind.TURN, turn_id))
                if not isinstance(begun, Moved):
                    return begun
        session_id = self._lane.stream.session_id
        raise TooManyConflicts(session_id=session_id, attempts=APPEND_ATTEMPTS_MAX)

    def _begin_on(
        self, draft: Draft, start: _Starting, turn_id: TurnId, token: str, chance: Chance
    ) -> _Begun | Moved:
        if self._contest.is_anothers(draft.session) and draft.session.version != chance.version:
            return Moved()
        acquired_at_ms = self._lane.world.monotonic_ms()
        now_ms = chance.now_ms
        ttl_ms = self._equipment.timings.ttl_ms
        lease = take(draft, self._owner, token, ttl_ms, chance)
        if isinstance(lease, Busy):
            return lease
        turn = _open_turn(draft)
        if turn is not None:
            if turn.turn_id == turn_id:
                start(draft, lease.fence, now_ms)  # Refuses if the id came with another input.
            draft.do(ContinueTurn(now_ms=now_ms, fence=lease.fence, turn_id=turn.turn_id))
            taken = advance(draft, lease.fence, now_ms, is_cancelled=False).taken
            return Ours(lease.fence, turn.turn_id, acquired_at_ms, taken)
        begun = start(draft, lease.fence, now_ms)
        if isinstance(begun, Over | Nothing):
            _leave(draft, lease.fence, now_ms)
            return begun
        advance(draft, lease.fence, now_ms, is_cancelled=False)
        return Ours(lease.fence, begun.turn_id, acquired_at_ms, begun.taken)

    def _preflight(self) -> Provider:
        """
        Refuse before anything is written what could not be run to its end.

        Raises:
            RuntimeFault: ``llm_provider``: the recorded provider is not the one at hand.
            UnknownModel, MissingCredentials, ModelsExtraMissing: the model cannot be asked.
            ToolUnusable: a tool cannot be offered.
        """
        session_id = self._lane.stream.session_id
        session = require_open(self._lane.state, session_id)
        policy = session.turn.policy if isinstance(session.turn, OpenTurn) else session.policy
        provider = self._equipment.provider
        recorded = policy.provider_id
        if provider is None:
            message = f"session {session_id!r} has no provider to ask: pass one as provider=..."
            raise RuntimeFault(code=LLM_PROVIDER, message=message)
        if provider.kind != recorded:
            found = f"is recorded with provider {recorded!r}, found {provider.kind!r}"
            raise RuntimeFault(code=LLM_PROVIDER, message=f"session {session_id!r} {found}")
        provider.check(policy.model.model_id)
        self._equipment.tools.specs()
        return provider

    async def _drive(self, begun: Ours, cancel: CancelToken, sink: ActivitySink) -> None:
        """
        Drive the open turn to its end.

        When the log fails, the lease is kept until it runs out: nobody knows what of the last
            append is there. After anything else it is let go, so that the next driver need not
            wait.
        """
        pump = ActivityPump(self._lane, begun.fence.generation, sink)
        try:
            with _log_failures_named():
                await self._drive_guarded(begun, cancel, pump)
            await pump.finish()
        except BaseException as reason:
            if _is_log_failure(reason):
                raise
            self._lane.log.tally.lease_losses += _is_lease_loss(reason)
            await self._let_go(begun.fence)
            raise
        finally:
            pump.abort()

    async def _drive_guarded(self, begun: Ours, cancel: CancelToken, pump: ActivityPump) -> None:
        timings = self._equipment.timings
        async with LeaseGuard(self._lane, begun.fence, timings, begun.acquired_at_ms) as guard:
            performer = self._performer(pump)
            driver = TurnDriver(
                lane=self._lane,
                guard=guard,
                performer=performer,
                pump=pump,
                cancel=cancel,
                turn_id=begun.turn_id,
            )
            await driver.drive(begun.taken)

    def _performer(self, pump: ActivityPump) -> Performer:
        state = self._lane.state
        leaf, graph = None, PLAIN_GRAPH
        if isinstance(state, Open):
            leaf, graph = state.head.leaf, state.graph
        return Performer(
            lane=self._lane,
            transcript=Transcript(
                self._lane.log,
                self._lane.stream,
                leaf,
                self._equipment.transcripts,
                graph,
            ),
            provider=self._preflight(),
            tools=self._equipment.tools,
            pump=pump,
            on_uncertain_tool=self._equipment.on_uncertain_tool,
            uncertain_tool_wait_ms_max=self._equipment.uncertain_tool_wait_ms_max,
        )

    async def _let_go(self, fence: Fence) -> None:
        """
        Release the lease so that the next driver need not wait; if the log is gone, it runs out by
        itself.
        """
        with suppress(LashError):
            await self._lane.transact(lambda draft: release(draft, fence, self._lane.log.now_ms()))


@contextmanager
def _log_failures_named() -> Generator[None]:
    """Say in the runtime's words that the log failed, whatever failed in it."""
    try:
        yield
    except (StorageError, AppendUnresolved) as failure:
        raise RuntimeFault(code=STORE_COMMIT_FAILED, message=str(failure)) from failure


def _is_lease_loss(reason: BaseException) -> bool:
    """Tell whether another owner may hold the session by now."""
    return isinstance(reason, RuntimeFault) and reason.code == SESSION_EXECUTION_LEASE_LOST


def _is_log_failure(reason: BaseException) -> bool:
    return isinstance(reason, RuntimeFault) and reason.code == STORE_COMMIT_FAILED


def _leave(draft: Draft, fence: Fence, now_ms: int) -> None:
    """Start no turn: record the commands that were done, or nothing at all."""
    if any(isinstance(event, WorkCompleted) for event in draft.events):
        release(draft, fence, now_ms)
    else:
        draft.discard()


def _open_turn(draft: Draft) -> OpenTurn | None:
    if isinstance(draft.state, Open) and isinstance(draft.state.turn, OpenTurn):
        return draft.state.turn
    return None


def busy(holder: Holder) -> RuntimeFault:
    """
    Say that another owner drives the session; nothing happened, and the same call may work later.
    """
    owner = holder.owner.owner_id
    return RuntimeFault(
        code=SESSION_EXECUTION_BUSY, message=f"owner {owner!r} holds the session lease"
    )
