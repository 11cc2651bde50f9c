"""
Work that a turn asks the world for.

A request is recorded before it starts, its outcome on arrival.
"""

from typing import TypeAlias

from attrs import frozen

from lash_es.core.bodies import BodyRef
from lash_es.core.ids import CallId, EffectId, Position


@frozen(kw_only=True)
class ModelCall:
    """Ask the model. ``iteration`` counts the turn's model calls from 0."""

    iteration: int


@frozen(kw_only=True)
class ToolCall:
    """
    Run a tool.

    The arguments are in the reply that asked: ``ordinal`` is the call's place among its calls.
    """

    call_id: CallId
    tool: str
    reply: BodyRef
    ordinal: int


EffectRequest: TypeAlias = ModelCall | ToolCall


@frozen(kw_only=True)
class Effect:
    """
    An effect that waits for its outcome.

    ``attempt`` counts from 1 and rises whenever a driver takes the turn up again.
    """

    effect_id: EffectId
    request: EffectRequest
    position: Position
    attempt: int
