"""Which facts of a log are told: by kind, by generation, by the turn, input or claim they name."""

from collections.abc import Iterator
from typing import cast

import attrs
from attrs import frozen

from lash_es.codec.wire_names import EVENT_NAMES
from lash_es.core.events import DrainedInputs, Event, TurnInputEnqueued, TurnStarted
from lash_es.core.ingress import ActiveTurn

_INPUT_LISTS = (
    "input_ids",
    "completed_input_ids",
    "deferred_input_ids",
    "returned_input_ids",
    "failed_input_ids",
)


@frozen(kw_only=True)
class FactFilter:
    """
    What a fact has to be, all of it; what is none is not asked.

    ``kind`` is a wire name or the part in front of its dot; ``named`` an input or a batch.
    """

    kind: str | None = None
    turn: str | None = None
    named: str | None = None
    claim: str | None = None
    generation: int | None = None

    def takes(self, event: Event) -> bool:
        """Tell whether a fact is one of them."""
        name = EVENT_NAMES[type(event)][0]
        return (
            (self.kind is None or self.kind in (name, name.partition(".")[0]))
            and (self.turn is None or self.turn in _turns(event))
            and (self.named is None or self.named in _named(event))
            and (self.claim is None or self.claim == _field(event, "claim_id"))
            and (self.generation is None or self.generation == _field(event, "generation"))
        )


EVERYTHING = FactFilter()


def _turns(event: Event) -> Iterator[object]:
    yield _field(event, "turn_id")
    if isinstance(event, TurnInputEnqueued) and isinstance(event.ingress, ActiveTurn):
        yield event.ingress.turn_id


def _named(event: Event) -> Iterator[object]:
    yield from (_field(event, "input_id"), _field(event, "batch_id"))
    for name in (*_INPUT_LISTS, "batch_ids"):
        yield from _listed(_field(event, name))
    if isinstance(event, TurnStarted) and isinstance(event.origin, DrainedInputs):
        yield from event.origin.input_ids


def _listed(value: object) -> tuple[object, ...]:
    return cast("tuple[object, ...]", value) if isinstance(value, tuple) else ()


def _field(event: Event, name: str) -> object:
    return getattr(event, name) if name in attrs.fields_dict(type(event)) else None
