"""W6 takes the right times apart: a late fact shows, and idle waits are judged by the slowest."""

from benchmarks.contests import Spread
from benchmarks.goals import GOALS, Results
from benchmarks.subscribers import appends, delays_us, median, p99


def test_a_late_fact_shows_in_the_slow_end_and_cold_ones_do_not_count() -> None:
    since = [1_000_000 * number for number in range(100)]
    until = [at + 5_000 for at in since]
    until[0] += 10**9
    until[50] += 10**6
    found = delays_us(since, until)

    assert len(found) == 90
    assert (median(found), p99(found)) == (5.0, 1_005.0)


def test_what_is_followed_is_one_fact_an_append() -> None:
    made = list(appends(5))

    assert [len(append.records) for append in made] == [1] * 5
    assert [append.expected_version for append in made] == list(range(5))


def test_an_idle_subscriber_that_is_late_misses_its_goal() -> None:
    (goal,) = (goal for goal in GOALS if "idle subscriber, p99" in goal.says)
    late = Spread(median=61, low=59, high=70)
    results = Results(cases={}, figures={"w6 sqlite idle p99 ms": late})

    assert goal.take(results) == late
    assert not goal.is_met(late)
