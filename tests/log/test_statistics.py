"""Counting: exact counts, and spreads over the last samples only."""

import pytest
from attrs.exceptions import FrozenInstanceError

from lash_es.core.ids import Version
from lash_es.log.appends import Appended, Unknown
from lash_es.log.statistics import SAMPLES_MAX, LogTally, Samples, Spread, StoreTally
from tests.log.conformance import A, an_append, row, stored_body


def test_no_sample_is_all_noughts() -> None:
    assert Samples().spread() == Spread(p50=0, p99=0, max=0)


@pytest.mark.parametrize(
    ("samples", "spread"),
    [
        (range(7, 8), Spread(p50=7, p99=7, max=7)),
        (range(1, 3), Spread(p50=1, p99=2, max=2)),
        (range(100, 0, -1), Spread(p50=50, p99=99, max=100)),
        (range(1, 1_001), Spread(p50=500, p99=990, max=1_000)),
    ],
)
def test_ranks_are_the_nearest(samples: range, spread: Spread) -> None:
    kept = Samples()
    for sample in samples:
        kept.add(sample)
    assert kept.spread() == spread


def test_only_the_last_samples_are_kept() -> None:
    kept = Samples()
    kept.add(1_000_000)
    for _ in range(SAMPLES_MAX):
        kept.add(3)
    assert kept.spread() == Spread(p50=3, p99=3, max=3)


def test_bytes_are_those_of_records_bodies_and_index() -> None:
    tally = StoreTally()
    append = an_append(A, 0, 2, bodies=(stored_body(0, "12345"),), index=(row("k", "123"),))
    tally.appended([[append]], [Appended(versions=(Version(2),))])

    records_length = sum(len(each.digest) + len(each.header) for each in append.records)
    assert tally.statistics(4).bytes_written == records_length + 5 + 3
    assert tally.statistics(4).statements == 4


def test_what_nobody_knows_is_no_commit() -> None:
    tally = StoreTally()
    tally.appended([[an_append(A, 0)]], [Unknown(reason="gone")])

    found = tally.statistics(0)
    assert (found.unknowns, found.commits, found.appends, found.facts) == (1, 0, 0, 0)


def test_what_is_read_is_a_value_as_of_now() -> None:
    tally, store = LogTally(), StoreTally().statistics(0)
    before = tally.statistics(appends_waiting=0, is_inline=True, store=store)
    tally.answered(Unknown(reason="gone"), 5)
    tally.gaps += 1

    assert (before.appends, before.unknowns, before.gaps) == (0, 0, 0)
    after = tally.statistics(appends_waiting=2, is_inline=False, store=store)
    assert (after.appends, after.unknowns, after.gaps) == (1, 1, 1)
    assert (after.appends_waiting, after.is_inline) == (2, False)
    with pytest.raises(FrozenInstanceError):
        after.gaps = 7  # type: ignore[misc]
