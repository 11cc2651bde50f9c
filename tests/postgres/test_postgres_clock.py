"""The server's clock as a process tells it; server and monotonic clock are numbers here."""

from itertools import pairwise

import attrs
from attrs import define

from lash_es.log.errors import StoreFailed
from lash_es.log.steadiness import TOLERANCE_MS, ClockAnchor
from lash_es.log.stores.postgres_clock import ServerClock
from tests.log.conformance import refused
from tests.postgres.postgres_server import Database

HOUR_MS = 3_600_000
EVERY_MS = 1_000


@define
class Weather:
    """A machine and a server far away; asking takes a while each way."""

    monotonic_us: int = 77_000
    server_ahead_us: int = 5_000_000_000
    there_us: int = 400
    back_us: int = 400
    is_away: bool = False
    asked_count: int = 0

    def monotonic_ns(self) -> int:
        return self.monotonic_us * 1_000

    def server_us(self) -> int:
        self.asked_count += 1
        if self.is_away:
            raise StoreFailed(where="here", reason="away")
        self.monotonic_us += self.there_us
        told = self.monotonic_us + self.server_ahead_us
        self.monotonic_us += self.back_us
        return told

    def pass_ms(self, duration_ms: int) -> None:
        self.monotonic_us += duration_ms * 1_000

    @property
    def server_ms(self) -> int:
        return (self.monotonic_us + self.server_ahead_us) // 1_000


def _clock(weather: Weather) -> ServerClock:
    return ServerClock(weather.server_us, weather.monotonic_ns, EVERY_MS)


def test_it_tells_the_servers_time_and_not_the_hosts() -> None:
    weather = Weather()
    clock = _clock(weather)

    for _ in range(10):
        assert clock.now_ms() == weather.server_ms
        weather.pass_ms(777)
    assert clock.uncertainty_us == 400


def test_it_is_wrong_by_half_a_round_trip_at_most() -> None:
    weather = Weather(there_us=100, back_us=90_000)
    clock = _clock(weather)

    assert clock.uncertainty_us == 45_050
    assert abs(clock.now_ms() - weather.server_ms) <= 46


def test_the_shortest_of_some_round_trips_counts() -> None:
    weather = Weather()
    trips = iter([90_000, 200, 50_000])

    def server_us() -> int:
        weather.there_us = next(trips)
        return weather.server_us()

    clock = ServerClock(server_us, weather.monotonic_ns)
    assert clock.uncertainty_us == 300


def test_it_asks_now_and_then_and_not_in_between() -> None:
    weather = Weather()
    clock = _clock(weather)
    first = weather.asked_count
    for _ in range(100):
        weather.pass_ms(5)
        clock.now_ms()
    assert weather.asked_count == first

    weather.pass_ms(EVERY_MS)
    clock.now_ms()
    assert weather.asked_count == 2 * first


def test_a_server_that_is_away_is_asked_again_when_it_is_due() -> None:
    weather = Weather()
    clock = _clock(weather)
    weather.is_away = True
    weather.pass_ms(EVERY_MS)
    for _ in range(5):
        assert clock.now_ms() == weather.server_ms
    assert weather.asked_count == 4

    weather.is_away = False
    weather.server_ahead_us += 50_000
    weather.pass_ms(EVERY_MS)
    assert clock.now_ms() == weather.server_ms


def test_a_server_that_is_away_at_first_gives_no_clock() -> None:
    weather = Weather(is_away=True)
    refused(StoreFailed, lambda: _clock(weather))


def test_a_server_that_jumps_ahead_is_followed() -> None:
    weather = Weather()
    clock = _clock(weather)
    weather.server_ahead_us += HOUR_MS * 1_000
    weather.pass_ms(EVERY_MS)

    assert clock.now_ms() == weather.server_ms


def test_a_server_that_falls_back_is_met_again_without_falling_or_standing_still() -> None:
    weather = Weather()
    clock = _clock(weather)
    weather.server_ahead_us -= 10_000_000
    told = [clock.now_ms()]
    while told[-1] != weather.server_ms:
        weather.pass_ms(100)
        told.append(clock.now_ms())

    steps = [later - earlier for earlier, later in pairwise(told)]
    assert min(steps) >= 45
    # Ten seconds too many are made up for in twenty; each question takes a little, too.
    assert 190 <= len(told) <= 220


def test_a_store_makes_a_clock_of_its_server(database: Database) -> None:
    store = database.store()
    clock = store.clock()
    ((before,),) = database.sql("SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)")
    now_ms = clock.now_ms()
    ((after,),) = database.sql("SELECT ceil(extract(epoch FROM clock_timestamp()) * 1000)")
    store.close()

    slack_ms = clock.uncertainty_us // 1_000 + 1
    assert before - slack_ms <= now_ms <= after + slack_ms
    assert clock.now_ms() >= now_ms


def test_a_fall_shows_as_what_was_measured_and_by_how_much_more_is_told() -> None:
    weather = Weather()
    clock = _clock(weather)
    before = clock.look()
    assert (before.ahead_ms, before.lag_ms) == (0, EVERY_MS)
    weather.server_ahead_us -= 10_000_000
    weather.pass_ms(EVERY_MS)
    clock.now_ms()
    after = clock.look()
    assert before.offset_ms - after.offset_ms == 10_000
    assert 9_900 <= after.ahead_ms <= 10_000


def test_the_anchor_of_a_boot_is_kept_until_another_time_is_seen(database: Database) -> None:
    store = database.store()
    seen = ClockAnchor(boot_id="b", offset_ms=-1_000, since_ms=0)
    agreeing = attrs.evolve(seen, offset_ms=seen.offset_ms + TOLERANCE_MS, since_ms=60)
    other = attrs.evolve(seen, offset_ms=agreeing.offset_ms + 1, since_ms=70)

    assert store.read_anchor("b") is None
    assert store.keep_anchor(seen, 50) == seen
    assert store.keep_anchor(agreeing, 60) == seen
    assert store.keep_anchor(other, 80) == attrs.evolve(other, since_ms=80)
    assert store.read_anchor("b") == attrs.evolve(other, since_ms=80)
    # A machine beside it, or this one after it was started again, has one of its own.
    beside = attrs.evolve(seen, boot_id="c", since_ms=5)
    assert store.keep_anchor(beside, 90) == beside
    assert store.read_anchor("b") is not None
    store.close()
