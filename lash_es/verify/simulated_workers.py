"""
A process that drives sessions, in a simulation: takes a lease, drains inputs, runs turns, sleeps
while effects take their time, and renews in between.

It takes another's lease only after it watched it be silent for its ttl on its own clock.
"""

from collections.abc import Iterator
from random import Random
from typing import Final

from attrs import define

from lash_es.core.agenda import agenda
from lash_es.core.batches import WorkBoundary, WorkClass, WorkCompletion, WorkKind
from lash_es.core.commands import (
    AcquireLease,
    BeginAnew,
    ClaimTurnInputs,
    Command,
    ContinueTurn,
    ReleaseLease,
    RenewLease,
    SettleEffect,
    StartTurn,
    TurnSource,
    WithClaim,
    WithInput,
)
from lash_es.core.commit_errors import FrameIdConflict
from lash_es.core.effects import Effect, ModelCall
from lash_es.core.errors import SessionExecutionLeaseExpired
from lash_es.core.events import Event, LeaseAcquired, TurnInputsClaimed
from lash_es.core.graph_commands import AppendNodes, NewNode, OpenFrame
from lash_es.core.ids import CallId, FrameId, Generation, TurnId
from lash_es.core.ingress import NextTurn
from lash_es.core.known import IndexKey, IndexKind, names
from lash_es.core.leases import Lease
from lash_es.core.messages import FinishReason, Role, TokenUsage
from lash_es.core.outcomes import (
    EffectFailed,
    EffectOutcome,
    ModelReplied,
    ToolCallRef,
    ToolReturned,
)
from lash_es.core.owners import Fence, LeaseOwner
from lash_es.core.state import Open
from lash_es.core.turns import OpenTurn
from lash_es.core.work_commands import (
    ClaimWork,
    CompleteWork,
    LeadingCommand,
    LeadingTurnWork,
    WithWork,
    WorkSelection,
)
from lash_es.core.work_events import WorkClaimed
from lash_es.verify.desks import Desk, Sketch
from lash_es.verify.evidence import Performed, Registered, Surroundings, frame_of
from lash_es.verify.simulated_steps import CLAIM_MAX, Step
from lash_es.verify.virtual_clocks import Process

TTL_MS: Final = 30_000
RENEW_MS: Final = 10_000
POLL_MS: Final = 2_000
DURATIONS_MS: Final = (0, 0, 200, 3_000, 25_000, 100_000)


class Lost(Exception):
    """The lease is another's by now, or may be."""


@define
class Hold:
    """A lease, as its owner knows it."""

    fence: Fence
    spoke_ms: int


class SimulatedWorker:
    """One boot of one process; it serves every session in turn."""

    def __init__(self, name: str, boot: int, desks: list[Desk], around: Surroundings) -> None:
        self._name = name
        self._owner = LeaseOwner(owner_id=name, incarnation_id=f"{name}-boot-{boot}")
        self._desks = desks
        self._around = around
        self._sightings: dict[int, tuple[Lease, int]] = {}

    def run(self) -> Process:
        """Serve for ever."""
        while True:
            for session, desk in enumerate(self._desks):
                yield from self._serve(session, desk)
            yield POLL_MS

    def _serve(self, session: int, desk: Desk) -> Process:
        state = desk.catch_up()
        if not isinstance(state, Open) or not self._has_work(session, state):
            return
        hold = self._taken(session, desk, state)
        if hold is None:
            return
        try:
            yield from self._drive(session, desk, hold)
        except (Lost, SessionExecutionLeaseExpired) as refusal:
            self._around.losses += 1
            self._around.refusals.append(f"{self._name}: {refusal}")

    def _has_work(self, session: int, state: Open) -> bool:
        waits = any(isinstance(e.ingress, NextTurn) for e in state.inputs.pending.values())
        asked = bool(self._around.direct.get(session) or self._around.wishes.get(session))
        now_ms = max(self._around.clock.now_ms, state.at_ms)
        ready = any(e.available_at_ms <= now_ms for e in state.work.batches.values())
        return waits or asked or ready or isinstance(state.turn, OpenTurn)

    # The lease

    def _taken(self, session: int, desk: Desk, state: Open) -> Hold | None:
        """Take the lease if it is free, mine, or its owner was silent for long enough."""
        clock, holder = self._around.clock, state.lease.holder
        now_ms = clock.now_ms
        if holder is not None and not holder.owner.is_incarnation_of(self._owner):
            lease, since_ms = self._sightings.get(session, (None, 0))
            if lease != state.lease:
                self._sightings[session] = (state.lease, clock.running_ms)
                return None
            if clock.running_ms < since_ms + holder.ttl_ms:
                return None
            now_ms = max(now_ms, holder.expires_at_ms)
        token = self._around.ledgers.mint("token")
        command = AcquireLease(now_ms=now_ms, owner=self._owner, token=token, ttl_ms=TTL_MS)
        seen, spoke_ms = desk.folded.version, clock.running_ms

        def step(sketch: Sketch) -> tuple[Event, ...]:
            is_seen = sketch.session.version == seen
            return sketch.do(command) if is_seen else ()

        # If it is still the owner's, it goes by the token that it has.
        events = desk.record(step, token=token if holder is None else holder.token)
        if not events:
            return None
        generation = state.lease.generation
        if isinstance(events[0], LeaseAcquired):
            generation = Generation(generation + 1)
        elif holder is not None:
            token = holder.token
        fence = Fence(owner=self._owner, token=token, generation=generation)
        return Hold(fence=fence, spoke_ms=spoke_ms)

    def _record(self, desk: Desk, hold: Hold, *commands: Command) -> tuple[Event, ...]:
        """
        Record what the owner asks. One that overslept asks as well, so that it is refused by the
        rules and not by its own care.
        """
        spoke_ms = self._around.clock.running_ms
        hold.fence = Fence(
            owner=hold.fence.owner,
            token=hold.fence.token,
            generation=hold.fence.generation,
            is_certain=spoke_ms < hold.spoke_ms + TTL_MS,
        )
        step = Step(around=self._around, fence=hold.fence, session_id=desk.stream.session_id)
        keys = [key for command in commands for key in names(command)]
        events = desk.record(
            lambda sketch: step.all_of(sketch, commands),
            *keys,
            *_frame_keys(desk, commands),
            token=hold.fence.token,
        )
        if events:
            hold.spoke_ms = spoke_ms
        return events

    # The turn

    def _drive(self, session: int, desk: Desk, hold: Hold) -> Process:
        self._begin(session, desk, hold)
        begun_ms, sleeps = self._around.clock.running_ms, 0
        while isinstance(desk.folded.state, Open) and agenda(desk.folded.state):
            turn = desk.folded.state.turn
            assert isinstance(turn, OpenTurn)
            effect = agenda(desk.folded.state)[0]
            self._grant(session, desk, hold)
            for slept_ms in self._perform(session, desk, hold, effect):
                yield slept_ms
                sleeps += 1
            outcome = self._outcome(effect)
            settle = SettleEffect(
                now_ms=self._around.clock.now_ms,
                fence=hold.fence,
                turn_id=turn.turn_id,
                effect_id=effect.effect_id,
                outcome=outcome,
                body=self._around.ledgers.body(f"s{session} said {effect.effect_id}"),
            )
            self._record(desk, hold, settle)
            elapsed_ms = self._around.clock.running_ms - begun_ms
            self._around.longest_ms[turn.turn_id] = [elapsed_ms, sleeps]

    def _begin(self, session: int, desk: Desk, hold: Hold) -> None:
        """Go on with what is open, or else with what waits; or let the lease go."""
        now_ms, state = self._around.clock.now_ms, desk.catch_up()
        assert isinstance(state, Open)
        if not isinstance(state.turn, OpenTurn):
            self._grant(session, desk, hold)
        direct = self._around.direct.get(session, [])
        if isinstance(state.turn, OpenTurn):
            again = ContinueTurn(now_ms=now_ms, fence=hold.fence, turn_id=state.turn.turn_id)
            self._record(desk, hold, again)
        elif direct:
            body = self._around.ledgers.body(direct[0])
            self._start(desk, hold, WithInput(body=body))
            direct.pop(0)
        else:
            self._drain(desk, hold)

    def _grant(self, session: int, desk: Desk, hold: Hold) -> None:
        """Do what hosts want of an owner: messages at any time, frames between turns."""
        wishes, now_ms = self._around.wishes.get(session, []), self._around.clock.now_ms
        while wishes and isinstance(desk.folded.state, Open):
            wish, has_turn = wishes[0], isinstance(desk.folded.state.turn, OpenTurn)
            if wish.is_frame and has_turn:
                return
            body = self._around.ledgers.body(f"s{session} adds {wish.name}")
            nodes = (NewNode(role=Role.SYSTEM, body=body),)
            command: Command = AppendNodes(
                now_ms=now_ms, fence=hold.fence, name=wish.name, nodes=nodes
            )
            if wish.is_frame:
                command = OpenFrame(
                    now_ms=now_ms,
                    fence=hold.fence,
                    frame_id=FrameId(wish.name),
                    reason="a wish",
                    nodes=nodes[len(wish.name) % 2 :],
                )
            try:
                self._record(desk, hold, command)
            except FrameIdConflict as conflict:
                # It was opened by who died of it, and left since.
                self._around.refusals.append(f"{self._name}: {conflict}")
            self._around.promises.granted.append((session, wishes.pop(0)))

    def _drain(self, desk: Desk, hold: Hold) -> None:
        """Commands that are first, then a turn on inputs, or else on work."""
        if self._command_goes_first(desk):
            while self._do_command(desk, hold):
                pass
        if not self._start_on_inputs(desk, hold) and not self._start_on_work(desk, hold):
            now_ms = self._around.clock.now_ms
            self._record(desk, hold, ReleaseLease(now_ms=now_ms, fence=hold.fence))

    def _command_goes_first(self, desk: Desk) -> bool:
        state = desk.folded.state
        assert isinstance(state, Open)
        inputs = [e for e in state.inputs.pending.values() if isinstance(e.ingress, NextTurn)]
        commands = [
            batch.position
            for batch in state.work.batches.values()
            if batch.work_class is WorkClass.SESSION_COMMAND
        ]
        return not inputs or any(each < inputs[0].position for each in commands)

    def _do_command(self, desk: Desk, hold: Hold) -> bool:
        """Claim a command, and do it in another append: one may happen without the other."""
        claimed = self._claim_work(desk, hold, LeadingCommand())
        state, now_ms = desk.folded.state, self._around.clock.now_ms
        if claimed is None or not isinstance(state, Open):
            return False
        kinds = {kind for each in claimed.batch_ids for kind in state.work.batches[each].kinds}
        done = WorkCompletion(
            claim_id=claimed.claim_id, token=claimed.token, batch_ids=claimed.batch_ids
        )
        complete = CompleteWork(now_ms=now_ms, fence=hold.fence, completions=(done,))
        anew = BeginAnew(now_ms=now_ms, session_id=state.session_id, policy=state.policy)
        is_reset = WorkKind.RESET_SESSION in kinds
        self._record(desk, hold, *((anew, complete) if is_reset else (complete,)))
        return True

    def _claim_work(self, desk: Desk, hold: Hold, selection: WorkSelection) -> WorkClaimed | None:
        claim = ClaimWork(
            now_ms=self._around.clock.now_ms,
            fence=hold.fence,
            token=self._around.ledgers.mint("claim"),
            selection=selection,
        )
        for event in self._record(desk, hold, claim):
            if isinstance(event, WorkClaimed):
                return event
        return None

    def _start_on_inputs(self, desk: Desk, hold: Hold) -> bool:
        now_ms = self._around.clock.now_ms
        token = self._around.ledgers.mint("claim")
        claim = ClaimTurnInputs(now_ms=now_ms, fence=hold.fence, token=token, inputs_max=CLAIM_MAX)
        for event in self._record(desk, hold, claim):
            if isinstance(event, TurnInputsClaimed):
                self._start(desk, hold, WithClaim(claim_id=event.claim_id, token=token))
                return True
        return False

    def _start_on_work(self, desk: Desk, hold: Hold) -> bool:
        leading = LeadingTurnWork(boundary=WorkBoundary.IDLE, batches_max=CLAIM_MAX)
        claimed = self._claim_work(desk, hold, leading)
        if claimed is not None:
            source = WithWork(claim_id=claimed.claim_id, token=claimed.token)
            self._start(desk, hold, source)
        return claimed is not None

    def _start(self, desk: Desk, hold: Hold, source: TurnSource) -> None:
        turn_id = TurnId(self._around.ledgers.mint("turn"))
        start = StartTurn(
            now_ms=self._around.clock.now_ms, fence=hold.fence, turn_id=turn_id, source=source
        )
        self._record(desk, hold, start)

    # The world

    def _perform(self, session: int, desk: Desk, hold: Hold, effect: Effect) -> Iterator[int]:
        """Let an effect take its time; the owner speaks up when it has been silent for long."""
        clock, around = self._around.clock, self._around
        if clock.running_ms >= hold.spoke_ms + TTL_MS:
            raise Lost
        left_ms = self._chance(effect).choice(DURATIONS_MS)
        around.performed.append(
            Performed(
                session=session,
                effect_id=effect.effect_id,
                version=desk.folded.version,
                by=self._name,
            )
        )
        around.registered.append(
            Registered(
                effect_id=effect.effect_id,
                family=type(effect.request).__name__,
                by=self._name,
                units=max(1, left_ms),
                ready_ms=clock.running_ms + left_ms,
                predecessor=len(clock.deliveries) - 1,
            )
        )
        while left_ms > 0:
            slept_ms = min(left_ms, RENEW_MS)
            yield slept_ms
            left_ms -= slept_ms
            if clock.running_ms - hold.spoke_ms >= RENEW_MS:
                now_ms = clock.now_ms
                self._record(
                    desk, hold, RenewLease(now_ms=now_ms, fence=hold.fence, ttl_ms=TTL_MS)
                )

    def _outcome(self, effect: Effect) -> EffectOutcome:
        chance = self._chance(effect)
        chance.choice(DURATIONS_MS)
        kind = chance.random()
        if not isinstance(effect.request, ModelCall):
            return (
                ToolReturned() if kind < 0.8 else EffectFailed(code="broken", is_retryable=False)
            )
        if kind < 0.15:
            return EffectFailed(code="unreachable", is_retryable=True)
        calls_count = 0 if effect.request.iteration > 1 else chance.choice((0, 0, 1, 2))
        return ModelReplied(
            finish=FinishReason.STOP,
            has_content=True,
            tool_calls=tuple(
                ToolCallRef(call_id=CallId(f"c{n}"), tool="read") for n in range(calls_count)
            ),
            usage=TokenUsage(input_tokens=chance.randrange(100), output_tokens=7),
        )

    def _chance(self, effect: Effect) -> Random:
        """What becomes of an attempt is its own: it does not depend on who makes it, or when."""
        return Random(f"{self._around.seed}:{effect.effect_id}:{effect.attempt}")  # noqa: S311


def _frame_keys(desk: Desk, commands: tuple[Command, ...]) -> list[IndexKey]:
    """Name the frames that a turn may end with, in this append."""
    turn_ids = [command.turn_id for command in commands if isinstance(command, StartTurn)]
    state = desk.folded.state
    if isinstance(state, Open) and isinstance(state.turn, OpenTurn):
        turn_ids.append(state.turn.turn_id)
    return [IndexKey(IndexKind.FRAME, frame_of(turn_id)) for turn_id in turn_ids]
