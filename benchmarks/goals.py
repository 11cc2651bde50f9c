"""
The goals of the log, G1 to G14: each a ratio or a figure, and the bound that it has to keep.

A goal that compares with a peer is not measured where the peer is not installed.
"""

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from attrs import frozen

from benchmarks.contests import Measured, Spread
from benchmarks.places import StoreKind
from benchmarks.units import HISTORIES, REPLAYED_TURNS, history_variant, name, tasks_variant
from lash_es import Durability


@frozen(kw_only=True)
class Results:
    """Everything that a run has measured."""

    cases: Mapping[str, Measured]
    figures: Mapping[str, Spread]


Take: TypeAlias = Callable[[Results], Spread | None]


@frozen(kw_only=True)
class Goal:
    """What is wanted. ``at_most`` says on which side of the bound it is met."""

    number: str
    says: str
    bound: float
    at_most: bool
    take: Take

    def is_met(self, found: Spread) -> bool:
        """Judge the median: a single round is at the mercy of the machine."""
        return found.median <= self.bound if self.at_most else found.median >= self.bound


_FULL: Final = Durability.FULL
_OURS: Final = "lash_es"
_LONGEST: Final = HISTORIES[-1]
_FACTS_PER_TURN: Final = 8


def _case(unit: str, variant: str, durability: Durability = _FULL) -> str:
    return name(unit, StoreKind.SQLITE, durability, variant)


def _on_postgres(unit: str, variant: str) -> str:
    return name(unit, StoreKind.POSTGRES, _FULL, variant)


def _ratio(case: str, figure: str, over: str, under: str, *, times: float = 1) -> Take:
    def take(results: Results) -> Spread | None:
        measured = results.cases.get(case)
        found = None if measured is None else measured.ratio(figure, over, under)
        return None if found is None else _scaled(found, times)

    return take


def _figure(case: str, figure: str, contender: str, *, times: float = 1) -> Take:
    def take(results: Results) -> Spread | None:
        measured = results.cases.get(case)
        found = None if measured is None else measured.figure(figure, contender)
        return None if found is None else _scaled(found, times)

    return take


def _growth(long: str, short: str, contender: str) -> Take:
    """Compare the p50 of two cases; they are not of one round, so it is medians that are."""

    def take(results: Results) -> Spread | None:
        above = _figure(long, "p50_us", contender)(results)
        below = _figure(short, "p50_us", contender)(results)
        if above is None or below is None:
            return None
        return Spread(
            median=above.median / below.median,
            low=above.low / below.high,
            high=above.high / below.low,
        )

    return take


def _given(figure: str) -> Take:
    return lambda results: results.figures.get(figure)


def _scaled(found: Spread, times: float) -> Spread:
    return Spread(median=found.median * times, low=found.low * times, high=found.high * times)


def _at_most(number: str, says: str, bound: float, take: Take) -> Goal:
    return Goal(number=number, says=says, bound=bound, at_most=True, take=take)


def _at_least(number: str, says: str, bound: float, take: Take) -> Goal:
    return Goal(number=number, says=says, bound=bound, at_most=False, take=take)


def _w1() -> tuple[Goal, ...]:
    alone, eight = tasks_variant(1), tasks_variant(8)
    together = _case("w1", eight)
    peers = {
        "eventsourcing": 8,
        "openai-agents": 10,
        "LangGraph": 15,
        "DBOS": 20,
        "google-adk sqlite": 30,
    }
    return (
        _at_most(
            "G1",
            "W1 full, one task, over raw event and projection",
            1.3,
            _ratio(_case("w1", alone), "p50_us", _OURS, "raw"),
        ),
        _at_most(
            "G2",
            "W1 normal, one task, over raw event and projection",
            2.0,
            _ratio(_case("w1", alone, Durability.NORMAL), "p50_us", _OURS, "raw"),
        ),
        _at_least(
            "G3",
            "W1 full, 8 tasks, rate over raw one commit each",
            3.5,
            _ratio(together, "per_s", _OURS, "raw"),
        ),
        *(
            _at_least(
                "G3",
                f"W1 full, 8 tasks, rate over {peer}",
                bound,
                _ratio(together, "per_s", _OURS, peer),
            )
            for peer, bound in peers.items()
        ),
    )


def _w2() -> tuple[Goal, ...]:
    alone = tasks_variant(1)
    here, there = _case("w2", alone), _on_postgres("w2", alone)
    over = {"raw": 0.75, "eventsourcing": 1.3, "DBOS": 12}
    return (
        *(
            _at_least(
                "G4", f"W2 full, rate over {other}", bound, _ratio(here, "per_s", _OURS, other)
            )
            for other, bound in over.items()
        ),
        *(
            _at_least(
                "G5", f"W2 PostgreSQL, rate over {other}", 3, _ratio(there, "per_s", _OURS, other)
            )
            for other in ("eventsourcing", "procrastinate")
        ),
    )


def _w3() -> tuple[Goal, ...]:
    short, long = (_case("w3", history_variant(h)) for h in (HISTORIES[0], _LONGEST))
    langgraph = dict(zip(HISTORIES, (25, 500, 5_000), strict=True))
    others = {
        "LangGraph DeltaChannel": 2_500,
        "openai-agents": 1.4,
        "eventsourcing, get and save": 1_000,
    }
    return (
        *(
            _at_most(
                "G6",
                f"W3 full at H={h}, over the raw row",
                1.5,
                _ratio(_case("w3", history_variant(h)), "p50_us", _OURS, "raw row"),
            )
            for h in HISTORIES
        ),
        _at_most("G6", "W3 full, H=10000 over H=10", 1.2, _growth(long, short, _OURS)),
        *(
            _at_least(
                "G7",
                f"W3 at H={h}, LangGraph over ours",
                bound,
                _ratio(_case("w3", history_variant(h)), "p50_us", "LangGraph", _OURS),
            )
            for h, bound in langgraph.items()
        ),
        *(
            _at_least(
                "G7",
                f"W3 at H={_LONGEST}, {other} over ours",
                bound,
                _ratio(long, "p50_us", other, _OURS),
            )
            for other, bound in others.items()
        ),
    )


def _w4_and_w5() -> tuple[Goal, ...]:
    short, long = (_case("w4", history_variant(h)) for h in (HISTORIES[0], _LONGEST))
    whole = "lash_es, whole history"
    replay = _case("w5", history_variant(REPLAYED_TURNS))
    facts = REPLAYED_TURNS * _FACTS_PER_TURN
    return (
        *(
            _at_most(
                "G8",
                f"W4 open at H={h}{how}, ms",
                1.0,
                _figure(_case("w4", history_variant(h)), "p50_us", contender, times=1e-3),
            )
            for h in HISTORIES
            for how, contender in (("", _OURS), (" with its store", "lash_es, cold"))
        ),
        _at_most("G8", "W4 open, H=10000 over H=10", 1.3, _growth(long, short, _OURS)),
        _at_most(
            "G9",
            f"W4 whole history at H={_LONGEST}, over raw",
            1.6,
            _ratio(long, "p50_us", whole, "raw, all rows decoded"),
        ),
        _at_least(
            "G9",
            f"W4 whole history at H={_LONGEST}, LangGraph over ours",
            4,
            _ratio(long, "p50_us", "LangGraph", whole),
        ),
        _at_least(
            "G10",
            "W5 replay with chain and fold, facts/s",
            150_000,
            _figure(replay, "per_s", _OURS, times=facts),
        ),
        _at_least(
            "G10",
            "W5 replay, facts/s over eventsourcing",
            4,
            _ratio(replay, "per_s", _OURS, "eventsourcing", times=_FACTS_PER_TURN),
        ),
    )


def _w6() -> tuple[Goal, ...]:
    return (
        _at_most("G11", "W6 in process, us after acknowledgement", 10, _given("w6 in process us")),
        _at_most(
            "G11", "W6 SQLite across processes, ms", 1, _given("w6 sqlite across processes ms")
        ),
        _at_most("G11", "W6 SQLite, idle subscriber, % CPU", 1, _given("w6 sqlite idle % CPU")),
        _at_most("G11", "W6 SQLite, idle subscriber, p99 ms", 60, _given("w6 sqlite idle p99 ms")),
        _at_most("G11", "W6 PostgreSQL, over raw NOTIFY", 1.3, _given("w6 postgres over NOTIFY")),
    )


def _w7_and_import() -> tuple[Goal, ...]:
    return (
        *(
            _at_most(
                "G12",
                f"W7 {kind.value}, {how}, bytes over message bytes",
                1.25,
                _given(f"w7 {kind.value}, {contender}"),
            )
            for kind in StoreKind
            for how, contender in (
                ("one append", _OURS),
                ("as it is run", "lash_es, as it is run"),
            )
        ),
        _at_most("G14", "import lash_es, ms", 100, _given("import ms")),
        _at_most("G14", "import lash_es, MiB", 25, _given("import MiB")),
    )


def _postgres() -> tuple[Goal, ...]:
    alone, together = (_on_postgres("w1", tasks_variant(tasks)) for tasks in (1, 8))
    return (
        _at_most(
            "G13",
            "W1 PostgreSQL, one task, over one raw statement",
            1.4,
            _ratio(alone, "p50_us", _OURS, "raw"),
        ),
        _at_least(
            "G13",
            "W1 PostgreSQL, 8 tasks, rate over eventsourcing",
            10,
            _ratio(together, "per_s", _OURS, "eventsourcing"),
        ),
        _at_least(
            "G13",
            "W1 PostgreSQL, 8 processes, rate over its stock recorder",
            4,
            _given("w1 postgres 8 processes over recorder"),
        ),
    )


GOALS: Final = (
    *_w1(),
    *_w2(),
    *_w3(),
    *_w4_and_w5(),
    *_w6(),
    *_w7_and_import()[:-2],
    *_postgres(),
    *_w7_and_import()[-2:],
)
