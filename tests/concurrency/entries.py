"""What a client writes down of each thing that it asked: what, when, and what it was told."""

from typing import Any, Final, TypeAlias

from attrs import frozen

from lash_es.core.limits import Limits

LIMITS: Final = Limits(
    inputs_pending_max=5,
    inputs_per_claim_max=3,
    drain_attempts_max=1,
    batches_open_max=4,
    batches_per_claim_max=2,
)
NAIVE_LIMITS: Final = {
    "waiting": 5,
    "claim": 3,
    "targets": 1_000,
    "returns": 1,
    "model_calls": 100,
    "calls": 64,
    "batches": 4,
    "work claim": 2,
}
"""The same limits, as the naive model calls them."""

Words: TypeAlias = dict[str, Any]
"""What is asked, by name, in values that JSON has."""


@frozen(kw_only=True)
class Entry:
    """
    One thing that a client asked of a session, and its answer.

    ``began_ns`` and ``ended_ns`` are of the machine's monotonic clock, which all processes share.
    ``version`` is the number of facts that the answer was decided on, ``facts`` name what was
    appended to them, ``refused`` the error, and ``told`` is the receipt, in values that JSON has.
    ``tries`` counts how often it was decided: more than once after a lost race.
    """

    session: str
    client: int
    asked: str
    now_ms: int
    words: Words
    began_ns: int
    ended_ns: int
    version: int
    facts: tuple[str, ...]
    refused: str
    told: Any
    tries: int

    @property
    def after(self) -> int:
        """The number of facts when it was done."""
        return self.version + len(self.facts)

    @property
    def said(self) -> str:
        """What it came to, in the naive model's words."""
        return f"!{self.refused}" if self.refused else ", ".join(self.facts) or "-"

    def __str__(self) -> str:
        what = f"client {self.client} asked {self.asked} {self.words} of {self.session!r}"
        return f"{what} and was told {self.said!r}, {self.told}, at version {self.version}"
