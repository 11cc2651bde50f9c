"""Owners of a session lease, and the fence with which one proves that it is the owner."""

from typing import TypeAlias, assert_never

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


@frozen
class ProcessGone:
    """No process of this pid is running."""


@frozen
class ProcessRunning:
    """A process of this pid is running; ``process_start`` says since when."""

    process_start: int


@frozen
class ProcessUnseen:
    """The system does not say: nothing follows from it."""


ProcessSight: TypeAlias = ProcessGone | ProcessRunning | ProcessUnseen
"""What a claimant finds when it looks for the process of a holder, on its own machine."""


def is_certainly_dead(claimant: Liveness, holder: Liveness, sight: ProcessSight) -> bool:
    """
    Tell whether the holder's process has ended: only another process of the same boot of the same
    host can say so.
    """
    if not isinstance(claimant, LocalProcess) or not isinstance(holder, LocalProcess):
        return False
    if (claimant.host_id, claimant.boot_id) != (holder.host_id, holder.boot_id):
        return False
    match sight:
        case ProcessGone():
            return True
        case ProcessRunning():
            return sight.process_start != holder.process_start
        case ProcessUnseen():
            return False
        case _:
            assert_never(sight)


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
