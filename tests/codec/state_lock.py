"""
The lock on what snapshots hold: the shapes of the state, and what evolve makes of a known life.

Written by ``python -m tests.codec.state_lock``, after a change that was meant. Where the digest of
the states moves and the shapes do not, ``EVOLVE_VERSION`` has to be raised first: otherwise
snapshots of the old evolve would be read as the new one's.
"""

import hashlib
from pathlib import Path

from lash_es.codec.state_shapes import state_shapes
from lash_es.core.evolve import evolve
from lash_es.core.state import EVOLVE_VERSION, NOT_OPENED, State
from lash_es.log.stores.memory import MemoryStore
from tests.codec import golden_work
from tests.log.tapes import play

FILE = Path(__file__).parents[1] / "golden" / "state-shapes.txt"


def states_digest() -> str:
    """Fold the tapes, in which every kind of fact happens, and hash every state on the way."""
    states: list[str] = []
    for life in (play(MemoryStore()), golden_work.life()):
        state: State = NOT_OPENED
        for event in life.events:
            state = evolve(state, event)
            states.append(repr(state))
    return hashlib.sha256("\n".join(states).encode()).hexdigest()


def lines() -> list[str]:
    """Say what is locked."""
    return [f"evolve {EVOLVE_VERSION}", f"states {states_digest()}", *state_shapes()]


if __name__ == "__main__":
    FILE.write_text("".join(f"{line}\n" for line in lines()), "utf-8")
