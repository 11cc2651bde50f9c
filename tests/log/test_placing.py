"""Where commits are made, decided by how long they took; durations are numbers here."""

from lash_es.log.placing import COMMITS_MEASURED, CommitPlace, WaitsFor

SLOW_MAX = COMMITS_MEASURED // 100


def after(*durations_us: int) -> CommitPlace:
    place = CommitPlace(WaitsFor.DISK)
    for duration_us in durations_us:
        place.measured(duration_us)
    return place


def test_memory_is_never_waited_for_and_a_network_always() -> None:
    memory, server = CommitPlace(WaitsFor.NOTHING), CommitPlace(WaitsFor.NETWORK)
    for place in (memory, server):
        for duration_us in (1, 10_000):
            place.measured(duration_us)
            assert place.is_inline is (place is memory)
            assert place.reads_inline is (place is memory)


def test_a_file_that_was_not_measured_counts_as_quick() -> None:
    assert after().is_inline
    assert after().reads_inline


def test_a_commit_under_the_bound_stays_inline() -> None:
    assert after(*[999] * 2 * COMMITS_MEASURED).is_inline


def test_a_commit_slower_than_twice_the_bound_moves_the_next_one() -> None:
    assert after(2_000).is_inline
    assert not after(2_001).is_inline


def test_a_lone_spike_costs_one_commit_on_the_thread() -> None:
    place = after(*[100] * 50, 9_000)
    assert not place.is_inline
    place.measured(100)
    assert place.is_inline


def test_more_than_one_in_a_hundred_at_the_bound_moves_them_all() -> None:
    assert after(*[1_000] * SLOW_MAX).is_inline
    assert not after(*[1_000] * (SLOW_MAX + 1)).is_inline
    assert not after(*[1_000] * (SLOW_MAX + 1), 10).is_inline


def test_it_comes_back_when_the_slow_ones_are_out_of_sight() -> None:
    place = after(*[1_500] * (SLOW_MAX + 1), *[10] * (COMMITS_MEASURED - SLOW_MAX - 1))
    assert not place.is_inline
    place.measured(10)
    assert place.is_inline


def test_a_disk_that_is_slow_is_left_to_the_thread() -> None:
    place = CommitPlace(WaitsFor.DISK)
    places: list[bool] = []
    for _ in range(3 * COMMITS_MEASURED):
        places.append(place.is_inline)
        place.measured(5_000)
    assert places.count(True) == 1


def test_the_bound_can_be_another() -> None:
    place = CommitPlace(WaitsFor.DISK, inline_commit_ms_max=10)
    place.measured(20_000)
    assert place.is_inline
    place.measured(20_001)
    assert not place.is_inline
