"""Answers to those who cancel several inputs at once: an outcome for each."""

from collections.abc import Sequence
from typing import TypeAlias

from attrs import frozen

from lash_es.core.commands import CancelTurnInputs, CancelTurnInputSuffix
from lash_es.core.events import Event
from lash_es.core.ids import InputId
from lash_es.core.known import IndexKey, Known, sequence_key
from lash_es.core.receipts import (
    AlreadyCancelled,
    Cancelled,
    CancelOutcome,
    NotFound,
    cancelled,
)
from lash_es.core.rules.cancels import input_named, sequence_of
from lash_es.core.state import Open
from lash_es.core.targets import CancelTarget


@frozen(kw_only=True)
class CancelResult:
    """What became of one target."""

    target: CancelTarget
    outcome: CancelOutcome


@frozen
class AnchorNotFound:
    """No such input is known; nothing was cancelled."""

    anchor: CancelTarget


@frozen(kw_only=True)
class Outcomes:
    """What became of the anchor and of each input after it, in the order of their sequence."""

    anchor: CancelTarget
    outcomes: tuple[CancelOutcome, ...]


SuffixCancelOutcome: TypeAlias = AnchorNotFound | Outcomes


def cancelled_together(
    before: Open, command: CancelTurnInputs, known: Known, events: Sequence[Event]
) -> list[CancelResult]:
    """Answer for every target, in its order; what was named before was cancelled just then."""
    results: list[CancelResult] = []
    done: set[InputId] = set()
    for target in command.targets:
        input_id = input_named(before, target, known)
        if input_id is None:
            results.append(CancelResult(target=target, outcome=NotFound()))
            continue
        outcome = cancelled(before, input_id, known, events)
        if isinstance(outcome, Cancelled) and input_id in done:
            outcome = AlreadyCancelled(outcome.input)
        done.add(input_id)
        results.append(CancelResult(target=target, outcome=outcome))
    return results


def suffix_cancelled(
    before: Open, command: CancelTurnInputSuffix, known: Known, events: Sequence[Event]
) -> SuffixCancelOutcome:
    """
    Answer for the anchor and all after it; ``known`` holds besides what ``settled_after`` lists.
    """
    first = sequence_of(before, command.anchor, known)
    if first is None:
        return AnchorNotFound(command.anchor)
    waiting = {each.sequence: each.input_id for each in before.inputs.pending.values()}
    outcomes: list[CancelOutcome] = []
    for sequence in range(first, before.inputs.next_sequence):
        input_id = waiting.get(sequence) or known.input_at(sequence)
        if input_id is not None:
            outcome = cancelled(before, input_id, known, events)
            outcomes += [] if isinstance(outcome, NotFound) else [outcome]
    return Outcomes(anchor=command.anchor, outcomes=tuple(outcomes))


def settled_after(before: Open, anchor: CancelTarget, known: Known) -> tuple[IndexKey, ...]:
    """List the keys of what was enqueued since the anchor and is settled."""
    first = sequence_of(before, anchor, known)
    if first is None:
        return ()
    waiting = {each.sequence for each in before.inputs.pending.values()}
    everything = range(first, before.inputs.next_sequence)
    return tuple(sequence_key(each) for each in everything if each not in waiting)
