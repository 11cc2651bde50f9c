"""
What may be asked of a session, letter by letter: each lists the moves that it can make of a world.

A letter tries what makes sense and what does not. To extend a search by a command, write one
letter and add it to ``ALPHABET``. Names are fresh or known, never both: what is interchangeable is
tried once. A letter looks first at what has few values (the lease) and last at what has many
(inputs, work), and at nothing that it does not need: searches remember it by what it looked at.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from lash_es.core.state import Deleted, NotOpened
from lash_es.verify.bounds import Bounds, Letter
from lash_es.verify.graph_letters import (
    appends,
    branches,
    commits_into_frame,
    opens_frame,
    tombstones,
)
from lash_es.verify.input_letters import (
    abandons,
    accepts,
    cancels,
    cancels_suffix,
    cancels_together,
    claims,
    enqueues,
)
from lash_es.verify.lease_letters import acquires, reclaims, releases, renews
from lash_es.verify.session_letters import (
    begins_anew,
    configures,
    crashes,
    deletes,
    describes,
    jumps,
    maintains,
    opens,
    parks,
    sets_back,
)
from lash_es.verify.turn_letters import (
    commits,
    commits_again,
    commits_with_work,
    continues,
    ends,
    requests,
    settles,
    starts,
    starts_on_work,
)
from lash_es.verify.work_letters import (
    abandons_work,
    cancels_work,
    claims_work,
    completes_work,
    enqueues_work,
)
from lash_es.verify.worlds import Move, World

__all__ = ["ALPHABET", "GRAPH", "Bounds", "Letter", "moves"]

ALPHABET: Final[tuple[Letter, ...]] = (
    opens,
    enqueues,
    enqueues_work,
    acquires,
    reclaims,
    claims,
    accepts,
    claims_work,
    starts,
    starts_on_work,
    requests,
    settles,
    commits,
    commits_with_work,
    commits_again,
    completes_work,
    ends,
    continues,
    cancels,
    cancels_together,
    cancels_suffix,
    abandons,
    cancels_work,
    abandons_work,
    maintains,
    renews,
    releases,
    jumps,
    sets_back,
    crashes,
    deletes,
)
"""Every command of leases, inputs, work, turns and commits."""

GRAPH: Final[tuple[Letter, ...]] = (
    configures,
    parks,
    describes,
    begins_anew,
    branches,
    opens_frame,
    commits_into_frame,
    appends,
    tombstones,
)
"""Commands of the session and its history: each adds a dimension of its own to a space."""


def moves(world: World, bounds: Bounds, alphabet: Iterable[Letter] = ALPHABET) -> Iterator[Move]:
    """List every move from a world, in the order of the alphabet."""
    if isinstance(world.state, NotOpened | Deleted):
        yield from opens(world, bounds)
        yield from deletes(world, bounds)
        return
    for letter in alphabet:
        yield from letter(world, bounds)
