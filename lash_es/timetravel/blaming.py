"""
Which fact made a value so, and every value that there ever was at a path.

``blame`` goes back from mark to mark (``Past.mark_at``) and folds a stretch only if a fact in it
may have changed the value (``sieves.py``): a value that changed late is found in one stretch,
however long the session is. Source: ``git blame``, and its ``log -L`` for ``watch``.
"""

from collections import deque
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Final

from attrs import frozen

from lash_es.core.events import Event
from lash_es.core.ids import Position, Version
from lash_es.timetravel.past import Past
from lash_es.timetravel.paths import MISSING, StatePath, plain
from lash_es.timetravel.sieves import Sieve

CAUSES_MAX: Final = 32
"""How far a chain of causes is followed."""


@frozen(kw_only=True)
class Change:
    """A fact that made a value another one. Both are plain values; ``MISSING`` is none."""

    position: Position
    event: Event
    before: object
    after: object


@frozen(kw_only=True)
class Blame:
    """
    Who made a value so: ``change`` is none if no fact that is kept did, and ``causes`` are the
    facts that led to it, the nearest first.
    """

    path: str
    version: Version
    value: object
    change: Change | None
    causes: tuple[Position, ...] = ()


def _nothing(_: int) -> None:
    """Tell nobody."""


def blame(
    past: Past,
    path: StatePath,
    version: int | None = None,
    on_facts: Callable[[int], object] = _nothing,
) -> Blame:
    """
    Name the last fact in front of a version that changed what is at a path.

    Args:
        past: whose.
        path: where in its state.
        version: as of when; none for now.
        on_facts: called with how many facts were looked at, after each stretch.

    Raises:
        VersionOutOfRange, HistoryTrimmedBelow: as ``Past.state_at``.

    Cost: folds the stretch where the value changed, and those newer ones in which it might have;
    of the others it looks at the records.
    """
    asked = Version(past.version if version is None else version)
    value = plain(path.of(past.state_at(asked)))
    change = _last_change(past, path, asked, on_facts)
    causes = () if change is None else tuple(_causes(past, change.position))
    return Blame(path=str(path), version=asked, value=value, change=change, causes=causes)


def _last_change(
    past: Past, path: StatePath, version: Version, on_facts: Callable[[int], object]
) -> Change | None:
    sieve, end = Sieve(path), version
    while end > past.oldest:
        # A mark at the end itself would make an empty stretch.
        start = past.mark_at(end - 1)
        if past.is_touched(start, end, sieve):
            newest = deque(_changes(past, path, start, end), maxlen=1)
            if newest:
                return newest.pop()
        on_facts(end - start)
        end = start
    return None


def _changes(past: Past, path: StatePath, first: int, end: int) -> Iterator[Change]:
    """Fold a stretch, and tell each change in it."""
    before = path.of(past.state_at(first))
    for step in past.steps(first, end):
        after = path.of(step.state)
        # Most of a state is shared with the one in front of it, and needs no comparison.
        if after is not before and (was := plain(before)) != (now := plain(after)):
            yield Change(position=step.position, event=step.event, before=was, after=now)
        before = after


def _causes(past: Past, position: Position) -> Iterator[Position]:
    """Follow the causes that headers tell, as far as facts are kept."""
    for _ in range(CAUSES_MAX):
        header = past.header_at(position)
        if header is None or header.cause is None or header.cause < past.oldest:
            return
        position = header.cause
        yield position


def watch(
    past: Past, path: StatePath, on_facts: Callable[[int], object] = _nothing
) -> Iterator[Change]:
    """
    Tell every value that there ever was at a path, oldest first.

    Cost: as ``blame``, of the whole session.
    """
    sieve, marks = Sieve(path), [past.version]
    while marks[-1] > past.oldest:
        marks.append(past.mark_at(marks[-1] - 1))
    marks.reverse()
    for start, end in pairwise(marks):
        if past.is_touched(start, end, sieve):
            yield from _changes(past, path, start, end)
        on_facts(end - start)


def first_value(past: Past, path: StatePath) -> object:
    """Return what was at a path before the first fact that is kept; of all facts, nothing."""
    return plain(path.of(past.state_at(past.oldest))) if past.oldest else MISSING
