"""
The index of every rule. ``decide(state, command, known)`` refuses, or says what is to be recorded.

1. It changes nothing, reads no clock and draws nothing at random: times and ids are in the
   command.
2. A command that finds its wish fulfilled, or lost a race, records nothing; the receipt says
   which.
3. A time never falls: a command from a slower clock is decided at the time of the last fact.
4. What only an owner may do is refused unless its fence is the live lease, whatever the store.
"""

from typing import assert_never

from lash_es.core import inputs, leases, turns
from lash_es.core.bodies import NewBody
from lash_es.core.commands import (
    AbandonTurnInputClaim,
    AcquireLease,
    CancelTurnInput,
    ClaimTurnInputs,
    Command,
    CommitTurn,
    ConfigureSession,
    ContinueTurn,
    DeleteSession,
    EndTurn,
    EnqueueTurnInput,
    OpenSession,
    OwnerCommand,
    ParkSession,
    ReleaseLease,
    RenewLease,
    RequestEffect,
    SettleEffect,
    StartTurn,
    WithClaim,
    WithInput,
)
from lash_es.core.effects import EffectRequest, ModelCall, ToolCall
from lash_es.core.errors import (
    BlankValue,
    EffectNotOpen,
    EffectOutcomeMismatch,
    EffectRequestRefused,
    EffectsUnsettled,
    InputIdConflict,
    LimitExceeded,
    QueueFull,
    SessionDeleted,
    SessionExecutionLeaseExpired,
    SessionNotOpen,
    SourceKeyConflict,
    StoreSessionMismatch,
    TurnIdConflict,
    TurnInProgress,
    TurnInputClaimSuperseded,
    TurnNotOpen,
)
from lash_es.core.events import (
    DirectInput,
    DrainedInputs,
    EffectRequested,
    EffectSettled,
    Event,
    LeaseAcquired,
    LeaseReleased,
    LeaseRenewed,
    SessionConfigured,
    SessionOpened,
    SessionParked,
    SessionTombstoned,
    TurnCommitted,
    TurnContinued,
    TurnEnded,
    TurnInputCancelled,
    TurnInputClaimAbandoned,
    TurnInputEnqueued,
    TurnInputsClaimed,
    TurnOrigin,
    TurnStarted,
)
from lash_es.core.heads import Leaf
from lash_es.core.ids import ClaimId, Generation, InputId, Position, Revision, TurnId
from lash_es.core.ingress import NextTurn
from lash_es.core.inputs import PendingInput
from lash_es.core.known import NOTHING_KNOWN, Known
from lash_es.core.limits import Limits
from lash_es.core.messages import Role
from lash_es.core.outcomes import (
    EffectCancelled,
    EffectFailed,
    EffectOutcome,
    ModelReplied,
    Stopped,
    StopReason,
    ToolReturned,
)
from lash_es.core.policy import SessionPolicy
from lash_es.core.state import Deleted, NotOpened, Open, State
from lash_es.core.transcripts import Node, TurnLimitNotice
from lash_es.core.turns import OpenTurn, Replied

_Events = tuple[Event, ...]


def decide(state: State, command: Command, known: Known = NOTHING_KNOWN) -> _Events:
    """
    Say what the command makes happen, or refuse it.

    Args:
        state: the fold of the stream.
        command: what is asked, with its time and ids.
        known: the index entries that ``known.names(command)`` lists, read at the state's version.

    Returns:
        The facts to append, in order; none if there is nothing to record.

    Raises:
        CommandRejected: the command cannot be; nothing is to be written.
    """
    match state:
        case Open():
            return _decide_open(state, command, known)
        case NotOpened():
            if not isinstance(command, OpenSession):
                raise SessionNotOpen(command=type(command).__name__)
            return _open(command, known.limits)
        case Deleted():
            raise SessionDeleted(session_id=state.session_id)
        case _:
            assert_never(state)


def _decide_open(session: Open, command: Command, known: Known) -> _Events:
    now_ms = max(command.now_ms, session.at_ms)
    match command:
        case SettleEffect():
            return _settle(session, command, _fenced(session, command, now_ms), known.limits)
        case RequestEffect():
            return _request(session, command, _fenced(session, command, now_ms))
        case EnqueueTurnInput():
            return _enqueue(session, command, now_ms, known)
        case AcquireLease():
            return _acquire(session, command, now_ms, known.limits)
        case ReleaseLease():
            return _release(session, command, now_ms)
        case RenewLease():
            return _renew(session, command, _fenced(session, command, now_ms))
        case StartTurn():
            return _start(session, command, _fenced(session, command, now_ms), known)
        case ContinueTurn():
            return _continue(session, command, _fenced(session, command, now_ms))
        case CommitTurn():
            return _commit(session, command, _fenced(session, command, now_ms))
        case EndTurn():
            return _end(session, command, _fenced(session, command, now_ms), known.limits)
        case ClaimTurnInputs():
            return _claim(session, command, _fenced(session, command, now_ms), known.limits)
        case AbandonTurnInputClaim():
            return _abandon(session, command, now_ms)
        case CancelTurnInput():
            return _cancel(session, command, now_ms)
        case ConfigureSession():
            return _configure(session, command.policy, now_ms, known.limits)
        case ParkSession():
            return () if session.is_parked else (SessionParked(at_ms=now_ms),)
        case DeleteSession():
            return (SessionTombstoned(at_ms=now_ms),)
        case OpenSession():
            return _reopen(session, command, now_ms, known.limits)
        case _:
            assert_never(command)


# The session itself


def _open(command: OpenSession, limits: Limits) -> _Events:
    _require_name("session_id", command.session_id, limits.session_id_chars_max)
    _require_policy(command.policy, limits)
    opened = SessionOpened(
        at_ms=command.now_ms, session_id=command.session_id, policy=command.policy
    )
    return (opened,)


def _reopen(session: Open, command: OpenSession, now_ms: int, limits: Limits) -> _Events:
    if session.session_id != command.session_id:
        raise StoreSessionMismatch(loaded=session.session_id, requested=command.session_id)
    return _configure(session, _reconciled(session.policy, command.policy), now_ms, limits)


def _reconciled(recorded: SessionPolicy, wanted: SessionPolicy) -> SessionPolicy:
    """
    The host's word wins, but the recorded provider stays: a different one fails the first turn.
    """
    return SessionPolicy(
        provider_id=recorded.provider_id or wanted.provider_id,
        model=wanted.model,
        max_turns=wanted.max_turns,
        instructions=wanted.instructions,
    )


def _configure(session: Open, policy: SessionPolicy, now_ms: int, limits: Limits) -> _Events:
    _require_policy(policy, limits)
    if policy == session.policy:
        return ()
    return (SessionConfigured(at_ms=now_ms, policy=policy),)


def _require_policy(policy: SessionPolicy, limits: Limits) -> None:
    _require_name("model_id", policy.model.model_id, limits.model_id_chars_max)
    _require_within("prompt_chars_max", len(policy.instructions), limits.prompt_chars_max)
    settings_chars = len(policy.model.settings_json)
    _require_within("prompt_chars_max", settings_chars, limits.prompt_chars_max)


def _require_name(field: str, value: str, chars_max: int) -> None:
    if not value.strip():
        raise BlankValue(field=field)
    _require_within(f"{field}_chars_max", len(value), chars_max)


def _require_within(limit: str, found: int, allowed: int) -> None:
    if found > allowed:
        raise LimitExceeded(limit=limit, found=found, allowed=allowed)


def _require_body(body: NewBody | None, limits: Limits) -> None:
    if body is not None:
        _require_within("body_bytes_max", len(body.content), limits.body_bytes_max)


# The session lease


def _fenced(session: Open, command: OwnerCommand, now_ms: int) -> int:
    """Return the time at which the owner acts, or refuse: its fence must be the live lease."""
    reason = leases.mismatch(session.lease, command.fence, now_ms)
    if reason is not None:
        raise SessionExecutionLeaseExpired(
            session_id=session.session_id,
            presented_generation=command.fence.generation,
            current_generation=session.lease.generation,
            reason=reason,
        )
    return now_ms


def _acquire(session: Open, command: AcquireLease, now_ms: int, limits: Limits) -> _Events:
    _require_name("owner_id", command.owner.owner_id, limits.owner_id_chars_max)
    _require_name("owner_id", command.owner.incarnation_id, limits.owner_id_chars_max)
    lease = session.lease
    holder = leases.live_holder(lease, now_ms)
    if holder is None:
        acquired = LeaseAcquired(
            at_ms=now_ms,
            generation=Generation(lease.generation + 1),
            owner=command.owner,
            token=command.token,
            ttl_ms=command.ttl_ms,
        )
        return (acquired,)
    if not holder.owner.is_incarnation_of(command.owner):
        return ()
    return (LeaseRenewed(at_ms=now_ms, generation=lease.generation, ttl_ms=command.ttl_ms),)


def _renew(session: Open, command: RenewLease, now_ms: int) -> _Events:
    generation = session.lease.generation
    return (LeaseRenewed(at_ms=now_ms, generation=generation, ttl_ms=command.ttl_ms),)


def _release(session: Open, command: ReleaseLease, now_ms: int) -> _Events:
    """
    A stale release is a silent no-op: it never clears another's lease.

    An expired own one is cleared.
    """
    reason = leases.mismatch(session.lease, command.fence, now_ms)
    if reason is not None and reason != "expired":
        return ()
    return (LeaseReleased(at_ms=now_ms, generation=session.lease.generation),)


# Pending turn input


def _enqueue(session: Open, command: EnqueueTurnInput, now_ms: int, known: Known) -> _Events:
    limits = known.limits
    _require_body(command.body, limits)
    if command.source_key is not None:
        _require_name("source_key", command.source_key, limits.source_key_chars_max)
        if _is_resubmission(session, command, command.source_key, known):
            return ()
    if command.input_id in session.inputs.pending:
        raise InputIdConflict(session_id=session.session_id, input_id=command.input_id)
    if len(session.inputs.pending) >= limits.inputs_pending_max:
        raise QueueFull(limit="inputs_pending_max", allowed=limits.inputs_pending_max)
    enqueued = TurnInputEnqueued(
        at_ms=now_ms,
        input_id=command.input_id,
        sequence=session.inputs.next_sequence,
        source_key=command.source_key,
        ingress=command.ingress,
        bodies=(command.body.commitment,),
    )
    return (enqueued,)


def _is_resubmission(
    session: Open, command: EnqueueTurnInput, source_key: str, known: Known
) -> bool:
    """
    Tell whether the key names this very input; another content or ingress under it is a conflict.
    """
    entry = known.source_key(source_key)
    if entry is None:
        return False
    if entry.ingress == command.ingress and entry.content.holds(command.body, known.salts):
        return True
    raise SourceKeyConflict(
        session_id=session.session_id, source_key=source_key, existing_input_id=entry.input_id
    )


def _claim(session: Open, command: ClaimTurnInputs, now_ms: int, limits: Limits) -> _Events:
    inputs_max = max(0, min(command.inputs_max, limits.inputs_per_claim_max))
    free = [
        entry
        for entry in session.inputs.pending.values()
        if isinstance(entry.ingress, NextTurn) and not is_held(session, entry, now_ms)
    ][:inputs_max]
    if not free:
        return ()
    claimed = TurnInputsClaimed(
        at_ms=now_ms,
        generation=session.lease.generation,
        claim_id=inputs.claim_name(free[0]),
        token=command.token,
        input_ids=tuple(entry.input_id for entry in free),
    )
    return (claimed,)


def is_held(session: Open, entry: PendingInput, now_ms: int) -> bool:
    """
    Tell whether a live claim, or the open turn, holds the input: no one else may take or cancel
    it.
    """
    turn = session.turn
    if isinstance(turn, OpenTurn) and entry.input_id in turn.input_ids:
        return True
    if entry.claim is None or entry.claim.generation != session.lease.generation:
        return False
    return leases.live_holder(session.lease, now_ms) is not None


def _claimed_by(session: Open, claim_id: ClaimId, token: str) -> tuple[InputId, ...]:
    return tuple(
        entry.input_id
        for entry in session.inputs.pending.values()
        if entry.claim is not None
        and (entry.claim.claim_id, entry.claim.token) == (claim_id, token)
    )


def _abandon(session: Open, command: AbandonTurnInputClaim, now_ms: int) -> _Events:
    taken = session.turn.input_ids if isinstance(session.turn, OpenTurn) else ()
    held = _claimed_by(session, command.claim_id, command.token)
    given_back = tuple(input_id for input_id in held if input_id not in taken)
    if not given_back:
        return ()
    abandoned = TurnInputClaimAbandoned(
        at_ms=now_ms, claim_id=command.claim_id, input_ids=given_back
    )
    return (abandoned,)


def _cancel(session: Open, command: CancelTurnInput, now_ms: int) -> _Events:
    entry = session.inputs.pending.get(command.input_id)
    if entry is None or is_held(session, entry, now_ms):
        return ()  # Settled, held or unknown: the receipt, which also sees `known`, says which.
    return (TurnInputCancelled(at_ms=now_ms, input_id=command.input_id),)


# The turn


def _start(session: Open, command: StartTurn, now_ms: int, known: Known) -> _Events:
    _require_name("turn_id", command.turn_id, known.limits.turn_id_chars_max)
    source = command.source
    if _is_known_turn(session, command, known):
        return ()
    if isinstance(session.turn, OpenTurn):
        raise TurnInProgress(
            session_id=session.session_id,
            requested_turn_id=command.turn_id,
            open_turn_id=session.turn.turn_id,
        )
    body = source.body if isinstance(source, WithInput) else None
    _require_body(body, known.limits)
    model_calls_max = known.limits.model_calls_per_turn_max
    if session.policy.max_turns is not None:
        model_calls_max = min(session.policy.max_turns, model_calls_max)
    started = TurnStarted(
        at_ms=now_ms,
        generation=session.lease.generation,
        turn_id=command.turn_id,
        origin=_origin(session, source),
        model_calls_max=model_calls_max,
        bodies=() if body is None else (body.commitment,),
    )
    return (started,)


def _is_known_turn(session: Open, command: StartTurn, known: Known) -> bool:
    """
    Tell whether the turn was started before, with this very input; with another one it is a
    conflict.
    """
    entry = known.turn(command.turn_id)
    if entry is None:
        return False
    if isinstance(command.source, WithClaim) or entry.content is None:
        is_same = isinstance(command.source, WithClaim) and entry.content is None
    else:
        is_same = entry.content.holds(command.source.body, known.salts)
    if is_same:
        return True
    raise TurnIdConflict(session_id=session.session_id, turn_id=command.turn_id)


def _origin(session: Open, source: WithInput | WithClaim) -> TurnOrigin:
    if isinstance(source, WithInput):
        return DirectInput()
    held = _claimed_by(session, source.claim_id, source.token)
    claims = [session.inputs.pending[input_id].claim for input_id in held]
    generation = session.lease.generation
    if not held or any(claim is None or claim.generation != generation for claim in claims):
        raise TurnInputClaimSuperseded(session_id=session.session_id, claim_id=source.claim_id)
    return DrainedInputs(input_ids=held)


def _require_turn(session: Open, turn_id: TurnId) -> OpenTurn:
    turn = session.turn
    if isinstance(turn, OpenTurn) and turn.turn_id == turn_id:
        return turn
    open_turn_id = turn.turn_id if isinstance(turn, OpenTurn) else None
    raise TurnNotOpen(
        session_id=session.session_id, requested_turn_id=turn_id, open_turn_id=open_turn_id
    )


def _continue(session: Open, command: ContinueTurn, now_ms: int) -> _Events:
    turn = _require_turn(session, command.turn_id)
    if turn.generation == session.lease.generation and not turn.effects:
        return ()
    continued = TurnContinued(
        at_ms=now_ms, generation=session.lease.generation, turn_id=turn.turn_id
    )
    return (continued,)


def _request(session: Open, command: RequestEffect, now_ms: int) -> _Events:
    turn = _require_turn(session, command.turn_id)
    reason = _why_not(turn, command.request)
    if command.effect_id != turns.effect_name(turn):
        reason = f"the turn's next effect is {turns.effect_name(turn)!r}"
    if reason is not None:
        raise EffectRequestRefused(effect_id=command.effect_id, reason=reason)
    requested = EffectRequested(
        at_ms=now_ms,
        generation=session.lease.generation,
        turn_id=turn.turn_id,
        effect_id=command.effect_id,
        request=command.request,
    )
    return (requested,)


def _why_not(turn: OpenTurn, request: EffectRequest) -> str | None:
    """
    Say why the request does not follow from where the turn stands: one reply, or its calls, each
    once.
    """
    step = turn.step
    if isinstance(request, ModelCall):
        if isinstance(step, Replied) and step.outcome.tool_calls:
            return "the last reply has calls without an outcome"
        return "an effect is open" if turn.effects else None
    if not isinstance(step, Replied) or step.reply != request.reply:
        return "no reply asked for it"
    calls = step.outcome.tool_calls
    if request.ordinal >= len(calls) or calls[request.ordinal].call_id != request.call_id:
        return "the reply holds no such call"
    asked = {e.request.ordinal for e in turn.effects.values() if isinstance(e.request, ToolCall)}
    if request.ordinal in asked or request.ordinal in turn.results:
        return "the call was requested before"
    return None


def _settle(session: Open, command: SettleEffect, now_ms: int, limits: Limits) -> _Events:
    turn = _require_turn(session, command.turn_id)
    effect = turn.effects.get(command.effect_id)
    if effect is None:
        raise EffectNotOpen(effect_id=command.effect_id)
    if not _fits(effect.request, command.outcome):
        raise EffectOutcomeMismatch(
            effect_id=command.effect_id,
            requested=type(effect.request).__name__,
            outcome=type(command.outcome).__name__,
        )
    _require_body(command.body, limits)
    if isinstance(command.outcome, ModelReplied):
        calls_count = len(command.outcome.tool_calls)
        _require_within("tool_calls_per_reply_max", calls_count, limits.tool_calls_per_reply_max)
    settled = EffectSettled(
        at_ms=now_ms,
        generation=session.lease.generation,
        turn_id=turn.turn_id,
        effect_id=command.effect_id,
        outcome=command.outcome,
        bodies=() if command.body is None else (command.body.commitment,),
    )
    return (settled,)


def _fits(request: EffectRequest, outcome: EffectOutcome) -> bool:
    match outcome:
        case ModelReplied():
            return isinstance(request, ModelCall)
        case ToolReturned():
            return isinstance(request, ToolCall)
        case EffectFailed() | EffectCancelled():
            return True
        case _:
            assert_never(outcome)


def _require_settled(turn: OpenTurn) -> None:
    if turn.effects:
        raise EffectsUnsettled(turn_id=turn.turn_id, effect_ids=tuple(turn.effects))


def _commit(session: Open, command: CommitTurn, now_ms: int) -> _Events:
    turn = _require_turn(session, command.turn_id)
    _require_settled(turn)
    leaf: Leaf | None = session.head.leaf
    parent: Position | None = None if leaf is None else leaf.commit
    committed = TurnCommitted(
        at_ms=now_ms,
        generation=session.lease.generation,
        turn_id=turn.turn_id,
        turn_index=session.head.turn_index + 1,
        revision=Revision(session.head.revision + 1),
        outcome=command.outcome,
        parent=parent,
        nodes=(*turn.nodes, *_notices(turn, command.outcome)),
        usage=turn.usage,
        completed_input_ids=turn.input_ids,
        deferred_input_ids=inputs.wanting_into(session.inputs, turn.turn_id),
    )
    return (committed,)


def _notices(turn: OpenTurn, outcome: object) -> tuple[Node, ...]:
    """The transcript says so when a turn ran into its limit."""
    if not isinstance(outcome, Stopped) or outcome.reason is not StopReason.MAX_TURNS:
        return ()
    notice = Node(
        node_id=turns.node_name(turn.turn_id, len(turn.nodes) + 1),
        role=Role.SYSTEM,
        source=TurnLimitNotice(model_calls_max=turn.model_calls_max),
    )
    return (notice,)


def _end(session: Open, command: EndTurn, now_ms: int, limits: Limits) -> _Events:
    turn = _require_turn(session, command.turn_id)
    _require_settled(turn)
    pending = session.inputs.pending
    last_try = limits.drain_attempts_max - 1
    failed = tuple(i for i in turn.input_ids if pending[i].attempts >= last_try)
    ended = TurnEnded(
        at_ms=now_ms,
        generation=session.lease.generation,
        turn_id=turn.turn_id,
        outcome=command.outcome,
        usage=turn.usage,
        returned_input_ids=tuple(i for i in turn.input_ids if i not in failed),
        failed_input_ids=failed,
        deferred_input_ids=inputs.wanting_into(session.inputs, turn.turn_id),
    )
    return (ended,)
