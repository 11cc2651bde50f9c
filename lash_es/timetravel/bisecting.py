"""
The first fact after which something is so.

By a condition every fact is tried, in order: a fold is cheap, and what comes and goes is found
where it came first. By a judge that costs something (a program) the range is halved, as ``git
bisect`` does: it finds *a* place where good turns into bad, the first one if nothing turns back
(ADR 0050).
"""

from collections.abc import Callable, Iterator
from enum import Enum
from typing import ClassVar, TypeAlias

from attrs import Factory, define, frozen

from lash_es.core.errors import LashError
from lash_es.core.events import Event
from lash_es.core.ids import Position, Version
from lash_es.core.state import State
from lash_es.timetravel.expressions import Condition
from lash_es.timetravel.past import FACTS_PER_REPORT, Past


class Judgement(Enum):
    """What a judge says of a version: as before, as at the end, or that it cannot tell."""

    GOOD = "good"
    BAD = "bad"
    SKIP = "skip"


Judge: TypeAlias = Callable[[Version, State], Judgement]


@frozen(kw_only=True)
class First:
    """The fact after which it is so for the first time; ``facts_count`` facts were folded."""

    position: Position
    event: Event
    facts_count: int


@frozen(kw_only=True)
class Turned:
    """
    Where good turns into bad: by the fact at ``position``, or by one of those from ``first`` on,
    where the judge could not tell. ``probes`` are the versions that were judged, in order.
    """

    first: Position
    position: Position
    probes: tuple[tuple[Version, Judgement], ...]

    @property
    def is_exact(self) -> bool:
        """Tell whether it is one fact."""
        return self.first == self.position


@define(kw_only=True)
class NothingToSearch(LashError):
    """The ends of a search are not what they are said to be."""

    version: Version
    found: str
    expected: str
    terminal_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        return (
            f"nothing to search: version {self.version} is judged {self.found}, "
            f"expected {self.expected}"
        )


def _nothing(_: int) -> None:
    """Tell nobody."""


def first_where(
    past: Past,
    condition: Condition,
    *,
    after: int | None = None,
    up_to: int | None = None,
    on_facts: Callable[[int], object] = _nothing,
) -> First | None:
    """
    Find the first fact after which a condition holds; none if it never does.

    Args:
        past: whose.
        condition: what is looked for.
        after: from which version on; none for the oldest.
        up_to: up to which version; none for the newest.
        on_facts: called with how many facts were looked at, now and then.

    Raises:
        VersionOutOfRange, HistoryTrimmedBelow: as ``Past.state_at``.

    Cost: folds every fact up to the one that is found.
    """
    start = past.oldest if after is None else after
    end = past.version if up_to is None else up_to
    for count, step in enumerate(past.steps(start, end), start=1):
        if condition.holds(step.state, step.event):
            return First(position=step.position, event=step.event, facts_count=count)
        if count % FACTS_PER_REPORT == 0:
            on_facts(FACTS_PER_REPORT)
    return None


def turned(past: Past, judge: Judge, *, good: int | None = None, bad: int | None = None) -> Turned:
    """
    Search for the fact that turned good into bad.

    Both ends are judged, too: a search between two that are alike would find anything.

    Args:
        past: whose.
        judge: judges a state, given its version.
        good: a version that is good; none for the oldest that has a state.
        bad: a later one that is bad; none for the newest.

    Raises:
        NothingToSearch: the ends are not good and bad, or not in this order.
        VersionOutOfRange, HistoryTrimmedBelow: as ``Past.state_at``.

    Cost: a short fold and a judgement for each time that the range can be halved, and one more
    for each version that is skipped.
    """
    search = _Search(past=past, judge=judge)
    low = max(1, past.oldest) if good is None else good
    high = int(past.version) if bad is None else bad
    if not low < high:
        expected_end = f"later than {low}"
        raise NothingToSearch(version=Version(high), found="the end", expected=expected_end)
    for version, expected in ((low, Judgement.GOOD), (high, Judgement.BAD)):
        found = search.judged(version)
        if found is not expected:
            raise NothingToSearch(
                version=Version(version), found=found.value, expected=expected.value
            )
    return search.between(low, high)


@define(kw_only=True)
class _Search:
    past: Past
    judge: Judge
    probes: dict[Version, Judgement] = Factory(dict[Version, Judgement])

    def judged(self, version: int) -> Judgement:
        """Judge a version, once."""
        named = Version(version)
        if named not in self.probes:
            self.probes[named] = self.judge(named, self.past.state_at(named))
        return self.probes[named]

    def between(self, low: int, high: int) -> Turned:
        """Halve, until nothing between the two can be told from them."""
        while (halved := self._halved(low, high)) is not None:
            low, high = halved
        # Version n is the state after the fact at position n - 1.
        return Turned(
            first=Position(low), position=Position(high - 1), probes=tuple(self.probes.items())
        )

    def _halved(self, low: int, high: int) -> tuple[int, int] | None:
        """Come closer, by the version nearest to the middle of which the judge can tell."""
        for version in _from_the_middle(low, high):
            judgement = self.judged(version)
            if judgement is not Judgement.SKIP:
                return (version, high) if judgement is Judgement.GOOD else (low, version)
        return None


def _from_the_middle(low: int, high: int) -> Iterator[int]:
    """List the versions between two, nearest to the middle first."""
    middle = (low + high) // 2
    for distance in range(high - low):
        for version in {middle - distance, middle + distance}:
            if low < version < high:
                yield version
