"""Owners of a session lease, and the fence with which one proves that it is the owner."""

from typing import TypeAlias

from attrs import frozen

from lash_es.core.ids import Generation


@frozen(kw_only=True)
class Opaque:
    """Nothing is known of the process: it counts as alive until its lease runs out."""


@frozen(kw_only=True)
class LocalProcess:
    """
    A process of one boot of one host; ``process_start`` tells it from a later one with the same
    pid.
    """

    host_id: str
    boot_id: str
    pid: int
    process_start: int


Liveness: TypeAlias = Opaque | LocalProcess


@frozen(kw_only=True)
class LeaseOwner:
    """``owner_id`` is stable for a replica; ``incarnation_id`` changes with each of its boots."""

    owner_id: str
    incarnation_id: str
    liveness: Liveness = Opaque()

    def is_incarnation_of(self, other: "LeaseOwner") -> bool:
        """Tell whether both are the same boot of the same replica; liveness does not count."""
        return (self.owner_id, self.incarnation_id) == (other.owner_id, other.incarnation_id)


@frozen(kw_only=True)
class Fence:
    """
    What an owner shows with everything it writes.

    ``token`` is minted when the lease is acquired. ``is_certain`` says that by the owner's own
    clock, which nobody can set, its time has not run out: then no other clock can say that it has.
    """

    owner: LeaseOwner
    token: str
    generation: Generation
    is_certain: bool = False
