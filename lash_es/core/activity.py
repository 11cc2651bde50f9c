"""
Activity: what is shown while it happens and superseded by a fact. It is pruned freely, and never
folded.

``attempt`` tells a subscriber that an effect was begun anew: its text replaces that of the attempt
before.
"""

from typing import TypeAlias

from attrs import frozen

from lash_es.core.ids import EffectId


@frozen(kw_only=True)
class ProseStreamed:
    """A stretch of what the model is writing for the reader."""

    effect_id: EffectId
    attempt: int
    text: str


@frozen(kw_only=True)
class ReasoningStreamed:
    """A stretch of what the model is writing for itself."""

    effect_id: EffectId
    attempt: int
    text: str


StreamedActivity: TypeAlias = ProseStreamed | ReasoningStreamed
