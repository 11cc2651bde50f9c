"""The spaces that are searched to their end, and what each of them is for."""

from collections.abc import Sequence
from typing import Final

from attrs import frozen

from lash_es.core.limits import Limits
from lash_es.verify.alphabet import ALPHABET, GRAPH, Bounds, Letter
from lash_es.verify.session_letters import maintains
from lash_es.verify.turn_letters import commits_with_work

ONCE: Final = Limits(drain_attempts_max=0)
"""An input fails at its first end without a commit."""

TWICE: Final = Limits(drain_attempts_max=1)
"""An input comes back once."""


@frozen(kw_only=True)
class Space:
    """Bounds, what may be asked within them, and ``because``: why it is one of the spaces."""

    because: str
    bounds: Bounds
    alphabet: Sequence[Letter] = ALPHABET
    limits: Limits = ONCE


SPACES: Final = {
    "wide": Space(
        because="two owners, three inputs, two batches, a crash and a jump of the clock",
        bounds=Bounds(
            inputs=3, batches=2, turns=1, model_calls_per_turn=0, source_keys=0, shapes=1
        ),
        # These look at the turn, the inputs and the work at once; `work` and `clock` have them.
        alphabet=tuple(
            letter for letter in ALPHABET if letter not in (commits_with_work, maintains)
        ),
    ),
    "queue": Space(
        because="the same without turns: every command of leases, inputs and work",
        bounds=Bounds(inputs=3, batches=2, turns=0, source_keys=0),
    ),
    "steer": Space(
        because="inputs for a running turn, at both boundaries, delivered by model calls",
        bounds=Bounds(
            inputs=2,
            batches=0,
            turns=1,
            tool_calls_per_reply=0,
            source_keys=0,
            boundaries=2,
            crashes=0,
        ),
    ),
    "turn": Space(
        because="a turn with its effects, and the next one; an input by its key",
        bounds=Bounds(inputs=1, batches=0, turns=2, source_keys=1),
        limits=TWICE,
    ),
    "work": Space(
        because="every shape of batch beside every other, by keys",
        bounds=Bounds(inputs=0, batches=2, turns=1, model_calls_per_turn=0, shapes=8),
    ),
    "clock": Space(
        because="two jumps and a clock that is set back behind the facts",
        bounds=Bounds(
            inputs=1,
            batches=1,
            turns=1,
            model_calls_per_turn=0,
            source_keys=0,
            shapes=3,
            jumps=2,
            setbacks=1,
        ),
    ),
    "graph": Space(
        because="policies, parking, branches, frames, messages beside turns and hidden ones",
        bounds=Bounds(
            owners=1,
            inputs=0,
            batches=0,
            turns=1,
            model_calls_per_turn=0,
            source_keys=0,
            crashes=0,
            jumps=0,
        ),
        alphabet=(*ALPHABET, *GRAPH),
    ),
}
