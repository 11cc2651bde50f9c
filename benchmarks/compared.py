"""
What the goals compare: a run for the goals measures these cases and contenders, and no more.

Nothing lists them a second time: each goal is asked for its figure, and what it looks up is noted.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Final, TypeVar

from attrs import evolve as with_changes

from benchmarks.contests import Case, Measured
from benchmarks.goals import GOALS, Results
from benchmarks.places import Setting, StoreKind
from lash_es import Durability

_V = TypeVar("_V")

_NOWHERE: Final = Case(
    name="",
    setting=Setting(
        kind=StoreKind.SQLITE,
        durability=Durability.FULL,
        tasks=1,
        sessions=1,
        history=0,
        operations=0,
    ),
    contenders=(),
)


class _Noted(Mapping[str, _V]):
    """Holds whatever is asked for, and notes what that was."""

    def __init__(self, make: Callable[[], _V]) -> None:
        self._make = make
        self._asked: dict[str, _V] = {}

    def __getitem__(self, name: str) -> _V:
        if name not in self._asked:
            self._asked[name] = self._make()
        return self._asked[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._asked)

    def __len__(self) -> int:
        return len(self._asked)


def _unmeasured() -> Measured:
    return Measured(_NOWHERE, _Noted(tuple))


def compared() -> Mapping[str, Collection[str]]:
    """Name the contenders that goals compare, for each case that any goal is about."""
    cases = _Noted(_unmeasured)
    for goal in GOALS:
        goal.take(Results(cases=cases, figures={}))
    return {name: frozenset(measured.timings) for name, measured in cases.items()}


def only_compared(cases: Iterable[Case]) -> Iterator[Case]:
    """Leave out the cases and contenders that no goal is about."""
    wanted = compared()
    for case in cases:
        if case.name in wanted:
            able = tuple(each for each in case.contenders if each.name in wanted[case.name])
            yield with_changes(case, contenders=able)
