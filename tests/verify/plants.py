"""
Reducers with one planted bug each, for tests that show that a rule can fail.

A bug is a small lie about what is asked, what is there or what is recorded; the shipped reducers
do the rest.
"""

from collections.abc import Callable
from types import MappingProxyType
from typing import Final, get_args

from attrs import evolve as with_changes

from lash_es.core.batches import DeliveryPolicy, PayloadDefault, SlotPolicy, WorkKind
from lash_es.core.commands import (
    AbandonTurnInputClaim,
    AcquireLease,
    CancelTurnInput,
    ClaimTurnInputs,
    Command,
    CommitTurn,
    EnqueueTurnInput,
    OwnerCommand,
    ReleaseLease,
    RequestEffect,
    SettleEffect,
    StartTurn,
)
from lash_es.core.decide import decide
from lash_es.core.errors import ImpossibleEvent
from lash_es.core.events import (
    Event,
    LeaseReleased,
    TurnCommitted,
    TurnEnded,
    TurnInputClaimAbandoned,
    TurnInputsClaimed,
    TurnStarted,
)
from lash_es.core.evolve import evolve
from lash_es.core.ids import Generation, Revision, Version
from lash_es.core.inputs import NO_INPUTS
from lash_es.core.known import Known
from lash_es.core.owners import Fence
from lash_es.core.state import Open, State
from lash_es.core.turns import NO_TURN, OpenTurn
from lash_es.core.work import NO_WORK
from lash_es.core.work_commands import (
    AbandonWorkClaim,
    CancelWork,
    ClaimWork,
    CompleteWork,
    EnqueueWork,
)
from lash_es.core.work_events import WorkClaimAbandoned, WorkClaimed, WorkCompleted
from lash_es.verify.worlds import Reducers

OWNERS: Final = get_args(OwnerCommand)
Events = tuple[Event, ...]


def seeing(kind: type[Command], changed: Callable[[Open], Open]) -> Reducers:
    """One command is decided on another state than there is."""

    def wrong(state: State, command: Command, known: Known) -> Events:
        is_it = isinstance(command, kind) and isinstance(state, Open)
        return decide(changed(state) if is_it else state, command, known)  # type: ignore[arg-type]

    return Reducers(decide=wrong, evolve=forgiving)


def saying(kind: type[Command], changed: Callable[[State, Events], Events]) -> Reducers:
    """What one command is answered with is not what is recorded."""

    def wrong(state: State, command: Command, known: Known) -> Events:
        found = decide(state, command, known)
        return changed(state, found) if isinstance(command, kind) else found

    return Reducers(decide=wrong, evolve=forgiving)


def applying(kind: type[Event], changed: Callable[[Open, Open], Open]) -> Reducers:
    """One fact is applied otherwise: ``changed`` makes of before and after another after."""

    def wrong(state: State, event: Event) -> State:
        after = evolve(state, event)
        if not isinstance(event, kind):
            return after
        assert isinstance(state, Open)
        assert isinstance(after, Open)
        return changed(state, after)

    return Reducers(evolve=wrong)


def forgiving(state: State, event: Event) -> State:
    """Apply a fact, also one that cannot follow: then nothing but the version changes."""
    try:
        return evolve(state, event)
    except ImpossibleEvent:
        assert isinstance(state, Open)
        return with_changes(state, version=Version(state.version + 1))


def lets_stale_owners_write(state: State, command: Command, known: Known) -> Events:
    if isinstance(command, OWNERS) and isinstance(state, Open) and state.lease.holder is not None:
        holder = state.lease.holder
        live = Fence(
            owner=holder.owner,
            token=holder.token,
            generation=state.lease.generation,
            is_certain=True,
        )
        return decide(state, with_changes(command, fence=live), known)
    return decide(state, command, known)


def without_holder(session: Open) -> Open:
    return with_changes(session, lease=with_changes(session.lease, holder=None))


def without_claims(session: Open) -> Open:
    free = {i: with_changes(e, claim=None) for i, e in session.inputs.pending.items()}
    inputs = with_changes(session.inputs, pending=MappingProxyType(free))
    return with_changes(session, inputs=inputs)


def without_turn(session: Open) -> Open:
    return with_changes(session, turn=NO_TURN)


def without_effects(session: Open) -> Open:
    if not isinstance(session.turn, OpenTurn):
        return session
    return with_changes(session, turn=with_changes(session.turn, effects=MappingProxyType({})))


def without_inputs(before: Open, after: Open) -> Open:
    del before
    return with_changes(after, inputs=NO_INPUTS)


def released_by_anyone(state: State, command: Command, known: Known) -> Events:
    if isinstance(command, ReleaseLease) and isinstance(state, Open) and state.lease.holder:
        return (LeaseReleased(at_ms=state.at_ms, generation=state.lease.generation),)
    return decide(state, command, known)


def of_generation_zero(state: State, found: Events) -> Events:
    del state
    return tuple(
        with_changes(event, generation=Generation(0)) if isinstance(event, TurnStarted) else event
        for event in found
    )


def deferring_nothing(state: State, found: Events) -> Events:
    del state
    return tuple(
        with_changes(event, deferred_input_ids=()) if isinstance(event, TurnCommitted) else event
        for event in found
    )


def revised(before: Open, after: Open) -> Open:
    revision = Revision(before.head.revision + 1)
    return with_changes(after, head=with_changes(before.head, revision=revision))


def claimed_today(session: Open) -> Open:
    """Claims of older generations look as if they were of this one."""
    generation = session.lease.generation
    today = {
        input_id: with_changes(entry, claim=with_changes(entry.claim, generation=generation))
        for input_id, entry in session.inputs.pending.items()
        if entry.claim is not None
    }
    pending = MappingProxyType({**session.inputs.pending, **today})
    return with_changes(session, inputs=with_changes(session.inputs, pending=pending))


def without_work_claims(session: Open) -> Open:
    free = {i: with_changes(b, claim=None) for i, b in session.work.batches.items()}
    work = with_changes(session.work, batches=MappingProxyType(free))
    return with_changes(session, work=work)


def all_of_one_kind(session: Open) -> Open:
    blurred = {
        batch_id: with_changes(
            batch,
            kinds=(WorkKind.PROCESS_WAKE,),
            slot=SlotPolicy.JOIN,
            delivery=DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
            merge_key=PayloadDefault(),
        )
        for batch_id, batch in session.work.batches.items()
    }
    work = with_changes(session.work, batches=MappingProxyType(blurred))
    return with_changes(session, work=work)


def forgetting_keys(state: State, command: Command, known: Known) -> Events:
    if isinstance(command, EnqueueTurnInput | EnqueueWork):
        known = Known(limits=known.limits)
    return decide(state, command, known)


def backwards(state: State, found: Events) -> Events:
    del state
    return tuple(
        with_changes(event, input_ids=event.input_ids[::-1])
        if isinstance(event, TurnInputsClaimed)
        else with_changes(event, batch_ids=event.batch_ids[::-1])
        if isinstance(event, WorkClaimed)
        else event
        for event in found
    )


def completing_nothing(state: State, found: Events) -> Events:
    del state
    return tuple(
        with_changes(event, batch_ids=()) if isinstance(event, WorkCompleted) else event
        for event in found
    )


def without_completions(state: State, found: Events) -> Events:
    del state
    return tuple(event for event in found if not isinstance(event, WorkCompleted))


PLANTS: Final[dict[str, Reducers]] = {
    "Who does not hold the lease writes nothing that an owner writes": Reducers(
        decide=lets_stale_owners_write
    ),
    "An owner's fact carries the generation of the lease, and a lease the next one": saying(
        StartTurn, of_generation_zero
    ),
    "A lease that somebody else holds is not taken, unless its process is dead": seeing(
        AcquireLease, without_holder
    ),
    "A lease is released by its holder only": Reducers(decide=released_by_anyone),
    "One turn is open at a time, and a turn's id is used once": seeing(StartTurn, without_turn),
    "An effect is settled once, and only if it was asked for": saying(
        SettleEffect, lambda _, found: (*found, *found)
    ),
    "One model call is open at a time, or the tool calls of one reply, each once": seeing(
        RequestEffect, without_effects
    ),
    "A turn does not end while an effect of it is open": seeing(CommitTurn, without_effects),
    "The ledger grows by what the turn used, when it ends, and by nothing else": applying(
        TurnEnded, lambda before, after: with_changes(after, ledger=before.ledger)
    ),
    "The revision counts commits": applying(TurnEnded, revised),
    "An input is held by one at a time": seeing(ClaimTurnInputs, without_claims),
    "A claim passes over nothing that waits for the same": saying(ClaimTurnInputs, backwards),
    "What is held is not withdrawn": seeing(CancelTurnInput, without_claims),
    "What a turn has taken is not given back before its end": seeing(
        AbandonTurnInputClaim, without_turn
    ),
    "An input that was acknowledged waits, or is settled, and never both": applying(
        TurnInputClaimAbandoned, without_inputs
    ),
    "What an open turn has taken waits for the turn's end": applying(TurnStarted, without_inputs),
    "A turn that drains takes what a claim of this generation holds, all of it": seeing(
        StartTurn, claimed_today
    ),
    "A commit completes what its turn took and what it names, and defers what missed it": saying(
        CommitTurn, deferring_nothing
    ),
    "No input waits for a turn that is over": saying(EnqueueTurnInput, lambda _, found: found[:1]),
    "A source key names one input for as long as that is remembered": Reducers(
        decide=forgetting_keys
    ),
    "A batch is held by one at a time, and only when its time has come": seeing(
        ClaimWork, without_work_claims
    ),
    "A claim of work takes what leads, and passes over nothing that is ready and free": saying(
        ClaimWork, backwards
    ),
    "A claim of several batches holds turn work only, of batches that may be joined": seeing(
        ClaimWork, all_of_one_kind
    ),
    "A batch that is held is not withdrawn": seeing(CancelWork, without_work_claims),
    "Work is completed as it was claimed, under this generation or by the turn that has it": (
        saying(CompleteWork, completing_nothing)
    ),
    "What a turn has taken, and what is said to be done, is completed with its commit": saying(
        CommitTurn, without_completions
    ),
    "Work that a turn has taken is not given back before its end": seeing(
        AbandonWorkClaim, without_turn
    ),
    "A batch that was acknowledged waits, or has finished, and never both": applying(
        WorkClaimAbandoned, lambda _, after: with_changes(after, work=NO_WORK)
    ),
    "A source key names one batch for as long as that is remembered": Reducers(
        decide=forgetting_keys
    ),
}
