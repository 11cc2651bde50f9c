"""
Counting what a log does: a few integers a call, and durations of the last calls.

Who reads gets a frozen value, as of now; who counts keeps a tally. A tally belongs to one store or
one log and starts at nothing with it.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import assert_never

from attrs import define, field, frozen

from lash_es.log.appends import (
    ActivityAppended,
    ActivityResult,
    Appended,
    AppendResult,
    Conflict,
    StreamAppend,
    Unknown,
)

SAMPLES_MAX = 1_024
"""How many of the last durations and batch sizes are kept."""


@frozen(kw_only=True)
class StoreStatistics:
    """
    What a store has done since it was opened.

    ``commits`` are transactions that wrote; ``appends`` those that were acknowledged, each once,
    however many streams it wrote to; ``statements`` are those of reading, too, in PostgreSQL
    counted by the call; ``bytes_written`` counts headers, digests, bodies, index
    values and activity, not what the database adds.
    """

    commits: int = 0
    appends: int = 0
    conflicts: int = 0
    unknowns: int = 0
    statements: int = 0
    facts: int = 0
    bytes_written: int = 0
    activities: int = 0


@define
class StoreTally:
    """Counts for one store. Who writes counts, and only one thread at a time writes."""

    commits: int = 0
    appends: int = 0
    conflicts: int = 0
    unknowns: int = 0
    facts: int = 0
    bytes_written: int = 0
    activities: int = 0

    def appended(
        self, batches: Sequence[Sequence[StreamAppend]], results: Sequence[AppendResult]
    ) -> None:
        """Count what became of the batches of one call, written in one transaction."""
        before = self.appends
        for batch, result in zip(batches, results, strict=True):
            match result:
                case Appended():
                    self._written(batch)
                case Conflict():
                    self.conflicts += 1
                case Unknown():
                    self.unknowns += 1
                case _:
                    assert_never(result)
        self.commits += self.appends > before

    def _written(self, batch: Iterable[StreamAppend]) -> None:
        self.appends += 1
        for append in batch:
            self.facts += len(append.records)
            self.bytes_written += (
                sum(len(each.digest) + len(each.header) for each in append.records)
                + sum(len(body.content) for body in append.bodies)
                + sum(len(row.value) for row in append.index)
            )

    def streamed(self, payloads: Sequence[bytes], result: ActivityResult) -> None:
        """Count activity."""
        if isinstance(result, ActivityAppended):
            self.commits += 1
            self.activities += len(payloads)
            self.bytes_written += sum(map(len, payloads))

    def statistics(self, statements: int) -> StoreStatistics:
        """Say how it stands."""
        return StoreStatistics(
            commits=self.commits,
            appends=self.appends,
            conflicts=self.conflicts,
            unknowns=self.unknowns,
            statements=statements,
            facts=self.facts,
            bytes_written=self.bytes_written,
            activities=self.activities,
        )


@frozen(kw_only=True)
class Spread:
    """The middle, the 99th hundredth and the largest of the last samples; 0 if there is none."""

    p50: int = 0
    p99: int = 0
    max: int = 0


@define
class Samples:
    """The last ``SAMPLES_MAX`` of some numbers."""

    _kept: deque[int] = field(factory=lambda: deque[int](maxlen=SAMPLES_MAX))

    def add(self, sample: int) -> None:
        """Keep one more, and forget the oldest."""
        self._kept.append(sample)

    def spread(self) -> Spread:
        """Sort them. Cost: some hundred microseconds, paid by who asks."""
        ordered = sorted(self._kept)
        if not ordered:
            return Spread()
        return Spread(p50=_rank(ordered, 50), p99=_rank(ordered, 99), max=ordered[-1])


def _rank(ordered: Sequence[int], hundredths: int) -> int:
    """Return the nearest rank: the smallest sample that so many hundredths do not exceed."""
    return ordered[-(-len(ordered) * hundredths // 100) - 1]


@frozen(kw_only=True)
class LogStatistics:
    """
    How a log serves its callers.

    Latencies are from the call to its answer, in microseconds, over the last ``SAMPLES_MAX``
    appends; ``batch_sizes`` are appends per group, over the last groups. ``appends_waiting`` and
    ``is_inline`` are as of now. ``lease_losses`` are turns that stopped because another owner may
    hold the session; ``gaps`` are stretches of activity that could not be written.
    """

    latency_us: Spread
    batch_sizes: Spread
    appends: int
    groups: int
    groups_on_thread: int
    conflicts: int
    unknowns: int
    failures: int
    refusals: int
    appends_waiting: int
    is_inline: bool
    lease_losses: int
    gaps: int
    store: StoreStatistics


@define
class LogTally:
    """Counts for one log; the loop's thread counts. The runtime counts what only it can see."""

    latency_us: Samples = field(factory=Samples)
    batch_sizes: Samples = field(factory=Samples)
    appends: int = 0
    groups: int = 0
    groups_on_thread: int = 0
    conflicts: int = 0
    unknowns: int = 0
    failures: int = 0
    refusals: int = 0
    lease_losses: int = 0
    gaps: int = 0

    def answered(self, answer: AppendResult | None, latency_us: int) -> None:
        """Count what became of an append; none if it failed."""
        self.appends += 1
        self.latency_us.add(latency_us)
        if isinstance(answer, Conflict):
            self.conflicts += 1
        elif isinstance(answer, Unknown):
            self.unknowns += 1
        elif answer is None:
            self.failures += 1

    def grouped(self, appends_count: int, *, is_inline: bool) -> None:
        """Count a group."""
        self.groups += 1
        self.groups_on_thread += not is_inline
        self.batch_sizes.add(appends_count)

    def statistics(
        self, *, appends_waiting: int, is_inline: bool, store: StoreStatistics
    ) -> LogStatistics:
        """Say how it stands."""
        return LogStatistics(
            latency_us=self.latency_us.spread(),
            batch_sizes=self.batch_sizes.spread(),
            appends=self.appends,
            groups=self.groups,
            groups_on_thread=self.groups_on_thread,
            conflicts=self.conflicts,
            unknowns=self.unknowns,
            failures=self.failures,
            refusals=self.refusals,
            appends_waiting=appends_waiting,
            is_inline=is_inline,
            lease_losses=self.lease_losses,
            gaps=self.gaps,
            store=store,
        )
