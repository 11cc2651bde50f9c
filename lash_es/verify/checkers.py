"""
Oracles: what has to be true of every simulated run. Each answers with a witness, or with nothing.

They read facts and what was seen from outside, and fold nothing: what a state would say is not
evidence for the rules that made it. The numbers are those of the scenarios that ask for them.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from attrs import frozen

from lash_es.core.events import (
    EffectRequested,
    EffectSettled,
    Event,
    LeaseAcquired,
    LeaseReleased,
    LeaseRenewed,
    SessionOpened,
    TurnCommitted,
    TurnContinued,
    TurnEnded,
    TurnInputCancelled,
    TurnInputClaimAbandoned,
    TurnInputEnqueued,
    TurnInputsAccepted,
    TurnInputsClaimed,
    TurnInputsDeferred,
    TurnInputTombstonesPruned,
    TurnStarted,
)
from lash_es.core.graph_events import FrameOpened, NodesAppended, SessionBegunAnew
from lash_es.core.ids import InputId, TurnId
from lash_es.core.ingress import ActiveTurn
from lash_es.core.outcomes import ModelReplied
from lash_es.core.state import Open
from lash_es.core.transcripts import FromInputs
from lash_es.core.turns import OpenTurn
from lash_es.core.work_events import WorkClaimed, WorkCompleted, WorkFailed
from lash_es.verify.evidence import Evidence, Witnesses
from lash_es.verify.graph_checkers import (
    frames_followed,
    graph_is_sound,
    hidden_once,
    maintenance_counts,
    shown_as_made,
    wishes_granted_once,
)
from lash_es.verify.work_checkers import (
    commands_done_once,
    told_once,
    work_claimed_in_order,
    work_finished_once,
    work_keys_kept,
)

_OWNED: Final = (
    LeaseRenewed,
    LeaseReleased,
    TurnInputsClaimed,
    TurnInputsAccepted,
    TurnStarted,
    TurnContinued,
    EffectRequested,
    EffectSettled,
    TurnCommitted,
    TurnEnded,
    WorkClaimed,
    WorkCompleted,
    WorkFailed,
    FrameOpened,
    NodesAppended,
)


@frozen(kw_only=True)
class Violation:
    """An oracle that does not hold, in which session, and the evidence for it."""

    oracle: str
    session: int
    witness: str


def opened_once(evidence: Evidence) -> Witnesses:
    """SIM-01: a session is opened once, by its first fact."""
    for session, facts in evidence.facts.items():
        opened = [n for n, event in enumerate(facts) if isinstance(event, SessionOpened)]
        if opened != [0]:
            yield session, f"opened at {opened}"


def isolated(evidence: Evidence) -> Witnesses:
    """SIM-02: nothing that is said in one session is found in another."""
    for session, texts in evidence.texts.items():
        for ref, text in texts.items():
            if not text.startswith(f'"s{session} '):
                yield session, f"{text} at position {ref.position}"


def observed_to_the_end(evidence: Evidence) -> Witnesses:
    """SIM-03, SIM-04: who follows a session goes forward, and comes to its end."""
    for session, seen in evidence.observed.items():
        if list(seen) != sorted(seen) or not seen or seen[-1] != len(evidence.facts[session]):
            yield session, f"saw {seen[-3:]} of {len(evidence.facts[session])} facts"


def source_keys_kept(evidence: Evidence) -> Witnesses:
    """SIM-05: what was acknowledged is there once, and its key names nothing else meanwhile."""
    for (session, input_id), key in evidence.promises.inputs.items():
        found = [
            event.source_key
            for event in evidence.facts[session]
            if isinstance(event, TurnInputEnqueued) and event.input_id == input_id
        ]
        if found != [key]:
            yield session, f"{input_id!r} was acknowledged as {key!r} and is there as {found}"
    for session, facts in evidence.facts.items():
        named: dict[str | None, InputId] = {}
        gone: set[InputId] = set()
        for position, event in enumerate(facts):
            gone.update(_settled(event))
            if isinstance(event, TurnInputTombstonesPruned):
                named = {key: each for key, each in named.items() if each not in gone}
            if isinstance(event, TurnInputEnqueued):
                if event.source_key in named:
                    yield session, f"{event.source_key!r} is taken again, at {position}"
                named[event.source_key] = event.input_id


def inputs_settled(evidence: Evidence) -> Witnesses:
    """SIM-06: an input is settled once; missed by its turn, it is deferred once at most."""
    for session, facts in evidence.facts.items():
        settled = Counter(input_id for event in facts for input_id in _settled(event))
        deferred = Counter(input_id for event in facts for input_id in _deferred(event))
        for event in facts:
            if isinstance(event, TurnInputEnqueued):
                times = settled[event.input_id], deferred[event.input_id]
                if times[0] != 1 or times[1] > 1:
                    yield session, f"{event.input_id!r}: settled, deferred {times} times"
        yield from ((session, missed) for missed in _missed(facts))


def _missed(facts: Sequence[Event]) -> Iterator[str]:
    """Say which inputs wanted into a turn, and were left behind by its end."""
    wanting: dict[InputId, TurnId] = {}
    for event in facts:
        if isinstance(event, TurnInputEnqueued) and isinstance(event.ingress, ActiveTurn):
            wanting[event.input_id] = event.ingress.turn_id
        for input_id in (*_settled(event), *_deferred(event)):
            wanting.pop(input_id, None)
        if isinstance(event, TurnCommitted | TurnEnded) and event.turn_id in wanting.values():
            yield f"{event.turn_id!r} ended, and left behind one of {list(wanting)}"


def _settled(event: Event) -> tuple[InputId, ...]:
    match event:
        case TurnCommitted():
            return event.completed_input_ids
        case TurnEnded():
            return event.failed_input_ids
        case TurnInputCancelled():
            return (event.input_id,)
        case _:
            return ()


def _deferred(event: Event) -> tuple[InputId, ...]:
    if isinstance(event, TurnInputsDeferred):
        return event.input_ids
    return event.deferred_input_ids if isinstance(event, TurnCommitted | TurnEnded) else ()


def cancelled_is_gone(evidence: Evidence) -> Witnesses:
    """SIM-07: a withdrawal was reported after its input, and no turn has its words."""
    for session, input_id in evidence.promises.cancelled:
        facts = evidence.facts[session]
        places = [n for n, e in enumerate(facts) if getattr(e, "input_id", None) == input_id]
        said = {
            ref.position
            for event in facts
            if isinstance(event, TurnCommitted)
            for node in event.nodes
            if isinstance(node.source, FromInputs)
            for ref in node.source.bodies
        }
        if len(places) != 2 or not isinstance(facts[places[1]], TurnInputCancelled):
            yield session, f"{input_id!r} was reported as cancelled, its facts are at {places}"
        elif places[0] in said:
            yield session, f"{input_id!r} was cancelled and is in the transcript"


def commits_counted(evidence: Evidence) -> Witnesses:
    """
    SIM-10: commit n is revision n, and its turn is counted from where the session was begun; it
    has at least an input and an answer to it.
    """
    for session, facts in evidence.facts.items():
        revision = turn_index = 0
        for event in facts:
            if isinstance(event, SessionBegunAnew):
                turn_index = 0
            if not isinstance(event, TurnCommitted):
                continue
            revision, turn_index = revision + 1, turn_index + 1
            found = event.revision, event.turn_index
            if found != (revision, turn_index) or len(event.nodes) < 2:
                wanted = revision, turn_index
                yield session, f"of {found}, not {wanted}, with {len(event.nodes)} nodes"


def usage_conserved(evidence: Evidence) -> Witnesses:
    """SIM-13: what models used is what turns are charged with, and nothing is negative."""
    for session, facts in evidence.facts.items():
        used = charged = 0
        for event in facts:
            if isinstance(event, EffectSettled) and isinstance(event.outcome, ModelReplied):
                used += event.outcome.usage.input_tokens
            if isinstance(event, TurnCommitted | TurnEnded):
                charged += event.usage.input_tokens
                if event.usage.input_tokens < 0:
                    yield session, f"{event.turn_id!r} is charged with {event.usage}"
        if used != charged:
            yield session, f"used {used}, charged {charged}"


def fenced(evidence: Evidence) -> Witnesses:
    """SIM-18: who is no longer the owner writes nothing."""
    writers = {
        (str(write.stream.session_id), write.first + n): write
        for write in evidence.around.ledgers.writes
        for n in range(write.count)
    }
    for session, facts in evidence.facts.items():
        token: str | None = None
        for position, event in enumerate(facts):
            write = writers[f"s{session}", position]
            if isinstance(event, LeaseAcquired):
                token = event.token
            elif isinstance(event, _OWNED) and write.token != token:
                yield session, f"{write.by} wrote {type(event).__name__} at {position}"
            if isinstance(event, LeaseReleased):
                token = None


def generations_rise(evidence: Evidence) -> Witnesses:
    """SIM-20: each lease has the next generation, and all that an owner writes has its own."""
    for session, facts in evidence.facts.items():
        generation = 0
        for position, event in enumerate(facts):
            if isinstance(event, LeaseAcquired):
                generation += 1
            if isinstance(event, (LeaseAcquired, *_OWNED)) and event.generation != generation:
                yield session, f"generation {event.generation} at {position}, not {generation}"


def times_never_fall(evidence: Evidence) -> Witnesses:
    """No fact is earlier than the one before it, whatever the clocks did."""
    for session, facts in evidence.facts.items():
        for position in range(1, len(facts)):
            if facts[position].at_ms < facts[position - 1].at_ms:
                yield session, f"at position {position} time falls"


def claimed_by_one(evidence: Evidence) -> Witnesses:
    """An input is claimed again only when its claim was given back, or its lease is another's."""
    for session, facts in evidence.facts.items():
        held: dict[InputId, int] = {}
        for position, event in enumerate(facts):
            if isinstance(event, TurnInputsClaimed | TurnInputsAccepted):
                for input_id in event.input_ids:
                    if held.get(input_id, -1) == event.generation:
                        yield session, f"{input_id!r} is claimed twice, at {position}"
                    held[input_id] = event.generation
            if isinstance(event, TurnInputClaimAbandoned | TurnEnded):
                for input_id in getattr(event, "input_ids", None) or _returned(event):
                    held.pop(input_id, None)


def _returned(event: Event) -> tuple[InputId, ...]:
    if isinstance(event, TurnEnded):
        return (*event.returned_input_ids, *event.deferred_input_ids)
    return ()


def settled_once(evidence: Evidence) -> Witnesses:
    """An effect is settled once, after it was asked for."""
    for session, facts in evidence.facts.items():
        owed: set[str] = set()
        for position, event in enumerate(facts):
            if isinstance(event, EffectRequested):
                owed.add(event.effect_id)
            if isinstance(event, EffectSettled):
                if event.effect_id not in owed:
                    yield session, f"{event.effect_id!r} is settled again, at {position}"
                owed.discard(event.effect_id)


def never_performed_again(evidence: Evidence) -> Witnesses:
    """What has a recorded outcome is not begun again by whoever has read it."""
    settled = {
        (session, event.effect_id): position
        for session, facts in evidence.facts.items()
        for position, event in enumerate(facts)
        if isinstance(event, EffectSettled)
    }
    for begun in evidence.around.performed:
        position = settled.get((begun.session, begun.effect_id))
        if position is not None and position < begun.version:
            yield begun.session, f"{begun.by} began {begun.effect_id!r} at {begun.version}"


def nothing_is_owed(evidence: Evidence) -> Witnesses:
    """At the end of a run that is left in peace, no turn is open and nothing waits."""
    for session, state in evidence.states.items():
        if isinstance(state, Open) and (
            isinstance(state.turn, OpenTurn) or state.inputs.pending or state.work.batches
        ):
            waits = [*state.inputs.pending, *state.work.batches]
            yield session, f"{type(state.turn).__name__}, pending {waits}"


def delivered_in_order(evidence: Evidence) -> Witnesses:
    """SIM-30: the schedule has no gap, wakes nobody early, and picks one of its candidates."""
    for expected, each in enumerate(evidence.around.clock.deliveries):
        is_sound = each.sequence == expected and each.at_ms >= each.due_ms
        if not is_sound or not 0 <= each.index < each.candidates:
            yield 0, f"delivery {expected}: {each}"


def completions_registered(evidence: Evidence) -> Witnesses:
    """SIM-31: each outcome was announced when its effect began: family, units, after what."""
    known = {each.effect_id: each for each in evidence.around.registered}
    for session, facts in evidence.facts.items():
        for event in facts:
            if isinstance(event, EffectSettled):
                each = known.get(event.effect_id)
                if each is None or each.units < 1 or each.predecessor < 0 or not each.family:
                    yield session, f"{event.effect_id!r} was not announced: {each}"


ORACLES: Final[Mapping[str, Callable[[Evidence], Witnesses]]] = {
    oracle.__name__: oracle
    for oracle in (
        opened_once,
        isolated,
        observed_to_the_end,
        source_keys_kept,
        inputs_settled,
        cancelled_is_gone,
        commits_counted,
        graph_is_sound,
        usage_conserved,
        fenced,
        generations_rise,
        times_never_fall,
        claimed_by_one,
        settled_once,
        never_performed_again,
        nothing_is_owed,
        delivered_in_order,
        completions_registered,
        work_keys_kept,
        work_finished_once,
        work_claimed_in_order,
        told_once,
        commands_done_once,
        frames_followed,
        shown_as_made,
        wishes_granted_once,
        hidden_once,
        maintenance_counts,
    )
}


def violations(evidence: Evidence) -> tuple[Violation, ...]:
    """Ask every oracle; the first witness of each is enough."""
    found: list[Violation] = []
    for name, oracle in ORACLES.items():
        for session, witness in oracle(evidence):
            found.append(Violation(oracle=name, session=session, witness=witness))
            break
    return tuple(found)
