"""Whether time can be believed: a clock beside one that nobody sets, for all of one boot."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
from attrs import define

from lash_es.log.errors import StoreFailed
from lash_es.log.log import StoreLog
from lash_es.log.machines import boot_id, running_ms, running_ns
from lash_es.log.port import ClockReading, Store, StoreClock
from lash_es.log.steadiness import (
    SINCE_BOOT,
    TOLERANCE_MS,
    ClockAnchor,
    ClockLook,
    Steadiness,
    has_been_steady,
    settled,
)
from lash_es.log.stores.memory import MemoryStore
from lash_es.log.stores.sqlite import SQLiteStore
from tests.session.stores import Shared

SEEN = ClockAnchor(boot_id="b", offset_ms=1_000, since_ms=50)
HOUR_MS = 3_600_000


def test_the_first_anchor_counts() -> None:
    assert settled(None, SEEN, 70) == SEEN


@pytest.mark.parametrize("off_ms", [-TOLERANCE_MS, 0, TOLERANCE_MS])
def test_one_that_agrees_goes_on(off_ms: int) -> None:
    seen = attrs.evolve(SEEN, offset_ms=SEEN.offset_ms + off_ms, since_ms=70)
    assert settled(SEEN, seen, 70) == SEEN


@pytest.mark.parametrize("off_ms", [-TOLERANCE_MS - 1, TOLERANCE_MS + 1])
def test_another_one_holds_from_now_on(off_ms: int) -> None:
    seen = attrs.evolve(SEEN, offset_ms=SEEN.offset_ms + off_ms, since_ms=60)
    assert settled(SEEN, seen, 70) == attrs.evolve(seen, since_ms=70)


def test_time_is_steady_once_it_has_run_evenly_for_as_long() -> None:
    look = ClockLook(offset_ms=1_000, running_ms=149)
    assert not has_been_steady(SEEN, look, 100)
    assert has_been_steady(SEEN, attrs.evolve(look, running_ms=150), 100)
    assert has_been_steady(attrs.evolve(SEEN, since_ms=SINCE_BOOT), look, 10_000)


def test_of_a_time_that_is_asked_now_and_then_others_may_know_later() -> None:
    look = ClockLook(offset_ms=1_000, running_ms=50 + 2 * 100 + 30, lag_ms=30)
    assert has_been_steady(SEEN, look, 100)
    assert not has_been_steady(SEEN, attrs.evolve(look, running_ms=look.running_ms - 1), 100)


def test_a_time_that_makes_up_for_a_fall_is_not_steady() -> None:
    look = ClockLook(offset_ms=1_000, running_ms=1_000, ahead_ms=TOLERANCE_MS)
    assert has_been_steady(SEEN, look, 100)
    assert not has_been_steady(SEEN, attrs.evolve(look, ahead_ms=TOLERANCE_MS + 1), 100)


def test_a_process_notices_a_jump_when_it_looks() -> None:
    looks = iter([ClockLook(offset_ms=off, running_ms=at) for off, at in [(5, 10), (7, 20)]])
    steadiness = Steadiness(lambda: next(looks, ClockLook(offset_ms=HOUR_MS, running_ms=30)), "b")
    assert steadiness.look()[0] == ClockAnchor(boot_id="b", offset_ms=5, since_ms=10)
    assert steadiness.look()[0] == ClockAnchor(boot_id="b", offset_ms=HOUR_MS, since_ms=30)


def test_a_boot_has_a_name_where_the_system_gives_it_one(tmp_path: Path) -> None:
    (tmp_path / "id").write_text("a-b-c\n", "ascii")
    assert boot_id(tmp_path / "id") == "a-b-c"
    assert boot_id(tmp_path / "none") == ""
    assert boot_id() == boot_id()


def test_the_boot_time_clock_never_falls() -> None:
    before_ns = running_ns()
    assert before_ns // 1_000_000 <= running_ms() <= running_ns() // 1_000_000


def _memory(_: Path) -> Callable[[], Store]:
    kept = MemoryStore()
    return lambda: Shared(kept)


def _file(path: Path) -> Callable[[], Store]:
    return lambda: SQLiteStore.open(path / "log.db", create=True)


@pytest.mark.parametrize("factory", [_memory, _file])
def test_an_anchor_is_kept_for_those_who_come_later(
    tmp_path: Path, factory: Callable[[Path], Callable[[], Store]]
) -> None:
    opened = factory(tmp_path)
    store = opened()
    assert store.read_anchor("b") is None
    assert store.keep_anchor(SEEN, 60) == SEEN
    later = opened()
    assert later.read_anchor("b") == SEEN
    assert later.keep_anchor(attrs.evolve(SEEN, offset_ms=1_500, since_ms=60), 70) == SEEN
    jumped = attrs.evolve(SEEN, offset_ms=HOUR_MS, since_ms=70)
    assert later.keep_anchor(jumped, 80) == attrs.evolve(jumped, since_ms=80)
    assert store.read_anchor("b") == attrs.evolve(jumped, since_ms=80)
    for each in (store, later):
        each.close()


def test_in_a_file_the_first_anchor_of_another_boot_holds_since_that_boot(tmp_path: Path) -> None:
    store = _file(tmp_path)()
    store.keep_anchor(SEEN, 60)
    after = ClockAnchor(boot_id="c", offset_ms=77, since_ms=90)
    assert store.keep_anchor(after, 90) == attrs.evolve(after, since_ms=SINCE_BOOT)
    assert store.read_anchor("b") is None
    store.close()


@define
class Server:
    """A clock that is asked, and what it would say."""

    asked_ms: int
    told_ms_: int = 0

    def told_ms(self) -> int:
        return self.told_ms_

    @property
    def is_due(self) -> bool:
        return False

    def ask(self) -> ClockReading:
        return ClockReading(measured_us=0, offset_us=self.asked_ms * 1_000, uncertainty_us=0)

    def take(self, reading: ClockReading | None) -> None:
        assert reading is not None
        self.told_ms_ = reading.offset_us // 1_000

    def look(self) -> ClockLook:
        return ClockLook(offset_ms=self.told_ms_, running_ms=1_000, lag_ms=30_000)


class Served(Shared):
    """A store with a time of its own."""

    def __init__(self, kept: MemoryStore, server: Server) -> None:
        super().__init__(kept)
        self._server = server

    def clock(self) -> StoreClock:
        return self._server


@pytest.mark.parametrize(
    ("host_ms", "jump_ms", "is_steady"),
    [(500, 0, True), (HOUR_MS, 0, False), (500, HOUR_MS, False)],
)
def test_a_store_s_time_is_confirmed_by_the_host_s_and_asked_before_it_is_believed(
    host_ms: int, jump_ms: int, is_steady: bool
) -> None:
    async def scene() -> None:
        kept, server = MemoryStore(), Server(asked_ms=jump_ms)
        log = StoreLog(Served(kept, server), lambda: host_ms, boot_id="b")
        await log.keep_time()
        assert kept.read_anchor("b") is None  # It is the same for all: nobody needs to be told.
        assert await log.is_steady_for(10) is is_steady
        assert kept.read_anchor("b") is not None
        await log.aclose()

    asyncio.run(scene())


def test_a_clock_that_is_handed_in_is_compared_with_the_machine_s() -> None:
    async def scene() -> None:
        now, kept = [100, 0], MemoryStore()
        log = StoreLog(Shared(kept), lambda: now[0] + now[1], running_ms=lambda: now[0])
        assert not await log.is_steady_for(10)
        now[0] += 10
        assert await log.is_steady_for(10)
        now[1] = HOUR_MS
        assert not await log.is_steady_for(10)
        await log.keep_time()
        assert kept.read_anchor("") == ClockAnchor(boot_id="", offset_ms=HOUR_MS, since_ms=110)
        await log.aclose()

    asyncio.run(scene())


class Unanswered(Shared):
    """A store that cannot keep a thing."""

    def keep_anchor(
        self, seen: ClockAnchor, running_ms: int, *, may_wait: bool = True
    ) -> ClockAnchor:
        raise StoreFailed(where=f"{seen.boot_id} at {running_ms}", reason=f"{may_wait}")


def test_a_time_that_cannot_be_kept_fails_nobody_and_is_not_believed() -> None:
    async def scene() -> None:
        log = StoreLog(Unanswered(MemoryStore()), lambda: 1_234)
        await log.keep_time()
        assert not await log.is_steady_for(0)
        await log.aclose()

    asyncio.run(scene())
