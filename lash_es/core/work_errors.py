"""Refusals that concern queued work; they are part of the hierarchy drawn in ``errors.py``."""

from attrs import define

from lash_es.core.errors import CommandRejected
from lash_es.core.ids import BatchId, ClaimId


@define(kw_only=True)
class BatchIdConflict(CommandRejected):
    """A batch of this id waits already: ids are minted once."""

    session_id: str
    batch_id: BatchId

    def _summary(self) -> str:
        return f"batch {self.batch_id!r} waits already, expected an id that was never used"


@define(kw_only=True)
class BatchNotOfOneClass(CommandRejected):
    """A batch is empty, holds items of several classes, or not a body for each item."""

    batch_id: BatchId
    classes: tuple[str, ...]
    kinds_count: int
    bodies_count: int

    def _summary(self) -> str:
        return (
            f"batch {self.batch_id!r}: found {self.kinds_count} kinds of classes {self.classes} "
            f"and {self.bodies_count} bodies, expected items of one class with a body each"
        )


@define(kw_only=True)
class QueuedWorkClaimSuperseded(CommandRejected):
    """What is said to be done is not exactly what the claim holds (any more)."""

    session_id: str
    claim_id: ClaimId

    def _summary(self) -> str:
        return f"claim {self.claim_id!r} does not hold exactly these batches (any more)"
