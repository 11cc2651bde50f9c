"""
State: what is open. ``NotOpened | Open | Deleted``, folded from facts and from nothing else.

Everything in it is bounded by a named limit; what is keyed by the past is in the index
(``known.py``).
"""

from typing import Final, TypeAlias

from attrs import frozen

from lash_es.core.descriptions import PLAIN_BIRTH, Birth
from lash_es.core.frames import PLAIN_GRAPH, Graph
from lash_es.core.heads import Head, Ledger
from lash_es.core.ids import Generation, SessionId, Version
from lash_es.core.inputs import Inputs
from lash_es.core.leases import Lease
from lash_es.core.policy import SessionPolicy
from lash_es.core.retention import Trim
from lash_es.core.turns import Turn
from lash_es.core.work import NO_WORK, Work


@frozen(kw_only=True)
class NotOpened:
    """No fact has been recorded."""


@frozen(kw_only=True)
class Open:
    """
    A session that can be driven.

    ``version`` counts the facts folded; ``at_ms`` is the last one's time.
    """

    version: Version
    at_ms: int
    session_id: SessionId
    opened_at_ms: int
    policy: SessionPolicy
    is_parked: bool
    lease: Lease
    inputs: Inputs
    turn: Turn
    head: Head
    ledger: Ledger
    trim: Trim | None = None
    work: Work = NO_WORK
    graph: Graph = PLAIN_GRAPH
    birth: Birth = PLAIN_BIRTH


@frozen(kw_only=True)
class Deleted:
    """What is left of a session: its id, used up. ``generation`` is that of its last owner."""

    version: Version
    at_ms: int
    session_id: SessionId
    generation: Generation
    trim: Trim | None = None


State: TypeAlias = NotOpened | Open | Deleted

EVOLVE_VERSION: Final = 1
"""Raised with every change after which the same facts fold into another state than before."""

NOT_OPENED: Final = NotOpened()
