"""
What a turn takes in while it runs, and what it begins with, as it is shown: pure functions of the
queues and of what was said.
"""

from collections.abc import Iterable
from typing import Final

from lash_es.core.batches import ProcessWake, WorkBoundary
from lash_es.core.bodies import BodyRef
from lash_es.core.ids import BatchId
from lash_es.core.ingress import Boundary
from lash_es.core.inputs import PendingInput
from lash_es.core.messages import Message, Role, TurnInput
from lash_es.turns.activities import (
    AcceptedInput,
    QueuedInputAccepted,
    QueuedWorkStarted,
    WorkCause,
)
from lash_es.turns.transcript import Contents, input_parts, wake_text

_SUBMITTED: Final = ("host:", "injection:")
"""What the runtime puts in front of the name that a caller gave a submission."""


def submitted_name(entry: PendingInput) -> str:
    """Name an input as its caller did, if it did."""
    name = entry.source_key or entry.input_id
    for prefix in _SUBMITTED:
        name = name.removeprefix(prefix)
    return name


def inputs_accepted(
    checkpoint: Boundary, named: Iterable[tuple[str, BodyRef]], contents: Contents
) -> QueuedInputAccepted:
    """Show inputs that were taken at a checkpoint."""
    inputs = tuple(_accepted(name, ref, contents) for name, ref in named)
    return QueuedInputAccepted(checkpoint=checkpoint, inputs=inputs)


def work_started(
    boundary: WorkBoundary,
    batch_ids: tuple[BatchId, ...],
    bodies: Iterable[BodyRef],
    contents: Contents,
) -> QueuedWorkStarted:
    """Show batches of turn work that were taken."""
    said = (contents[ref] for ref in bodies)
    return QueuedWorkStarted(
        boundary=boundary,
        batch_ids=batch_ids,
        causes=tuple(_cause(wake) for wake in said if isinstance(wake, ProcessWake)),
    )


def _accepted(name: str, ref: BodyRef, contents: Contents) -> AcceptedInput:
    said = contents[ref]
    parts = input_parts([said] if isinstance(said, TurnInput) else [])
    return AcceptedInput(id=name, message=Message(message_id=name, role=Role.USER, parts=parts))


def _cause(wake: ProcessWake) -> WorkCause:
    return WorkCause(
        cause_id=wake.wake_id,
        event_type=wake.event_type,
        process_id=wake.process_id,
        sequence=wake.sequence,
        text=wake_text(wake),
    )
