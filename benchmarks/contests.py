"""
Contenders in one interleaved run: every round everyone works once, in turned order.

A ratio is taken round by round, since what disturbs a round disturbs everyone in it; reported are
its median and its extremes over the rounds.
"""

import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack
from pathlib import Path
from typing import Final, TypeAlias

from attrs import field, frozen

from benchmarks.measuring import Result
from benchmarks.places import Setting, place, warm
from benchmarks.timing import Timing, Work, timed

WARM_UPS: Final = 5
SLOW_ROUND_S: Final = 10.0
"""Whoever takes longer for a round, its history not counted, takes part in no more of them."""

Prepare: TypeAlias = Callable[[Setting], AbstractAsyncContextManager[Work]]
Fill: TypeAlias = Callable[[Setting], Awaitable[None]]


@frozen(kw_only=True)
class Contender:
    """
    Whoever can do a unit of work.

    ``fill`` makes the history, once; each round works on a copy of it. ``note`` says what its
    commits survive, or what it does otherwise than the rest.
    """

    name: str
    prepare: Prepare
    fill: Fill | None = None
    note: str = ""


@frozen(kw_only=True)
class Case:
    """One row of the benchmark: a unit of work, where, and who does it."""

    name: str
    setting: Setting
    contenders: Sequence[Contender]
    not_installed: tuple[str, ...] = ()


@frozen(kw_only=True)
class Spread:
    """A figure over the rounds."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{_short(self.median)} [{_short(self.low)}..{_short(self.high)}]"


@frozen
class Measured:
    """What everyone took, round by round; a failed contender has no timings but a reason."""

    case: Case
    timings: Mapping[str, Sequence[Timing]]
    failures: Mapping[str, str] = field(factory=dict)

    def ratio(self, figure: str, over: str, under: str) -> Spread | None:
        """Compare a figure of two contenders round by round; none if one did not take part."""
        pairs = zip(self.timings.get(over, ()), self.timings.get(under, ()), strict=False)
        return spread([getattr(a, figure) / getattr(b, figure) for a, b in pairs])

    def figure(self, name: str, contender: str) -> Spread | None:
        """Return an absolute figure of one contender."""
        return spread([getattr(timing, name) for timing in self.timings.get(contender, ())])

    def result(self) -> Result:
        """Return the medians, to be kept."""
        return {
            "case": self.case.name,
            "contenders": {
                name: _medians(timings) | {"rounds": len(timings), "note": note}
                for contender in self.case.contenders
                for name, note in [(contender.name, contender.note)]
                if (timings := self.timings.get(name))
            },
            "failed": dict(self.failures),
            "not installed": list(self.case.not_installed),
        }


def spread(values: Sequence[float]) -> Spread | None:
    """Put figures together; none if there are none."""
    if not values:
        return None
    return Spread(median=statistics.median(values), low=min(values), high=max(values))


def _medians(timings: Sequence[Timing]) -> Result:
    return {
        "operations": sum(timing.operations for timing in timings),
        "per_s": round(statistics.median(timing.per_s for timing in timings), 1),
        "p50_us": round(statistics.median(timing.p50_us for timing in timings), 1),
        "p50_us_range": [
            round(min(timing.p50_us for timing in timings), 1),
            round(max(timing.p50_us for timing in timings), 1),
        ],
        "p99_us": round(statistics.median(timing.p99_us for timing in timings), 1),
    }


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


async def contest(
    case: Case, *, rounds: int, seconds_max: float, slow_round_s: float = SLOW_ROUND_S
) -> Measured:
    """
    Run every contender once a round; whoever fails is named and takes no further part, and
    whoever is very slow takes part in the first round only: a goal against it is far from its
    bound, or will never be near it.
    """
    timings: dict[str, list[Timing]] = defaultdict(list)
    failures: dict[str, str] = {}
    slow: set[str] = set()
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch, ExitStack() as templates:
        filled: dict[str, str] = {}
        for number in range(rounds):
            for contender in case.contenders[:: 1 if number % 2 == 0 else -1]:
                if contender.name in failures or contender.name in slow:
                    continue
                try:
                    template = await _template(contender, case, Path(scratch), templates, filled)
                    began_s = time.monotonic()
                    with place(case.setting, Path(scratch), template) as setting:
                        timing = await _slice(contender, setting, seconds_max)
                except Exception as failure:  # noqa: BLE001 - a peer may fail in any way
                    failures[contender.name] = f"{type(failure).__name__}: {failure}"[:300]
                else:
                    timings[contender.name].append(timing)
                    if time.monotonic() - began_s > slow_round_s:
                        slow.add(contender.name)
    kept = {name: each for name, each in timings.items() if name not in failures}
    return Measured(case, kept, failures)


async def _template(
    contender: Contender,
    case: Case,
    scratch: Path,
    templates: ExitStack,
    filled: dict[str, str],
) -> str | None:
    if contender.fill is None:
        return None
    if contender.name not in filled:
        setting = templates.enter_context(place(case.setting, scratch))
        await contender.fill(setting)
        filled[contender.name] = setting.where
    return filled[contender.name]


async def _slice(contender: Contender, setting: Setting, seconds_max: float) -> Timing:
    async with contender.prepare(setting) as work:
        await work(0)
        warm(setting)
        warm_ups = 0 if setting.history >= 1_000 else WARM_UPS
        for number in range(1, 1 + warm_ups):
            await work(number)
        return await timed(
            work,
            operations=setting.operations,
            tasks=setting.tasks,
            seconds_max=seconds_max,
            first=1 + warm_ups,
        )
