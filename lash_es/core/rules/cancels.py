"""Rules of withdrawing: one input, many, all from one on."""

from lash_es.core.commands import CancelTurnInput, CancelTurnInputs, CancelTurnInputSuffix
from lash_es.core.events import Event, TurnInputCancelled, TurnInputsCancelled
from lash_es.core.ids import InputId
from lash_es.core.known import Known
from lash_es.core.rules.bounds import require_within
from lash_es.core.rules.inputs import is_held
from lash_es.core.rules.settled import settled_input
from lash_es.core.state import Open
from lash_es.core.targets import CancelTarget, SourceKey


def one(session: Open, command: CancelTurnInput, now_ms: int) -> tuple[Event, ...]:
    """Withdraw what nothing holds."""
    if not _is_free(session, command.input_id, now_ms):
        return ()  # Settled, held or unknown: the receipt, which also sees `known`, says which.
    return (TurnInputCancelled(at_ms=now_ms, input_id=command.input_id),)


def many(session: Open, command: CancelTurnInputs, now_ms: int, known: Known) -> tuple[Event, ...]:
    """Withdraw the targets that nothing holds; one that is named twice is withdrawn once."""
    limit = known.limits.cancel_targets_max
    require_within("cancel_targets_max", len(command.targets), limit)
    named = (input_named(session, target, known) for target in command.targets)
    free = dict.fromkeys(each for each in named if each and _is_free(session, each, now_ms))
    return _withdrawn(tuple(free), now_ms)


def suffix(
    session: Open, command: CancelTurnInputSuffix, now_ms: int, known: Known
) -> tuple[Event, ...]:
    """Withdraw what nothing holds, from the anchor on; the anchor may be settled itself."""
    first = sequence_of(session, command.anchor, known)
    if first is None:
        return ()
    return _withdrawn(
        tuple(
            entry.input_id
            for entry in session.inputs.pending.values()
            if entry.sequence >= first and not is_held(session, entry, now_ms)
        ),
        now_ms,
    )


def input_named(session: Open, target: CancelTarget, known: Known) -> InputId | None:
    """Find the input that a target names: one that waits or is remembered."""
    if isinstance(target, SourceKey):
        entry = known.source_key(target.value)
        input_id = None if entry is None else entry.input_id
    else:
        input_id = InputId(target.value)
    if input_id is None or input_id in session.inputs.pending:
        return input_id
    return None if settled_input(session.inputs, known, input_id) is None else input_id


def sequence_of(session: Open, target: CancelTarget, known: Known) -> int | None:
    """Find where in the order of sequences a target stands."""
    input_id = input_named(session, target, known)
    if input_id is None:
        return None
    waiting = session.inputs.pending.get(input_id)
    if waiting is not None:
        return waiting.sequence
    entry = settled_input(session.inputs, known, input_id)
    return None if entry is None else entry.sequence


def _is_free(session: Open, input_id: InputId, now_ms: int) -> bool:
    entry = session.inputs.pending.get(input_id)
    return entry is not None and not is_held(session, entry, now_ms)


def _withdrawn(input_ids: tuple[InputId, ...], now_ms: int) -> tuple[Event, ...]:
    return (TurnInputsCancelled(at_ms=now_ms, input_ids=input_ids),) if input_ids else ()
