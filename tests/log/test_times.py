"""A store's time is told without waiting; asking it is left to a thread that waits anyway."""

import asyncio
from concurrent.futures import Executor, Future

from attrs import define, field

from lash_es.log.errors import StoreDisconnected
from lash_es.log.port import ClockReading
from lash_es.log.steadiness import ClockLook
from lash_es.log.times import StoreTime


@define
class Clock:
    """Tells a number, and keeps what it was given."""

    now_ms: int = 5
    is_due: bool = False
    taken: list[ClockReading | None] = field(factory=list)

    def told_ms(self) -> int:
        return self.now_ms

    def ask(self) -> ClockReading:
        return ClockReading(measured_us=1, offset_us=self.now_ms, uncertainty_us=0)

    def take(self, reading: ClockReading | None) -> None:
        self.taken.append(reading)
        self.is_due = False

    def look(self) -> ClockLook:
        return ClockLook(offset_ms=self.now_ms, running_ms=0)


class Later(Executor):
    """Runs nothing until it is told to."""

    def __init__(self) -> None:
        self.asked: list[Future[ClockReading]] = []

    def submit(self, *_: object, **__: object) -> Future[ClockReading]:  # type: ignore[override]
        self.asked.append(Future())
        return self.asked[-1]


def test_it_asks_once_when_it_is_due_and_nobody_waits_for_the_answer() -> None:
    clock, reader = Clock(), Later()
    now = StoreTime(clock, reader)

    assert now() == 5
    assert reader.asked == []
    clock.is_due = True
    assert [now(), now(), now()] == [5, 5, 5]
    assert len(reader.asked) == 1
    assert clock.taken == []
    reading = clock.ask()
    reader.asked[0].set_result(reading)
    assert now() == 5
    assert clock.taken == [reading]
    now()
    assert len(reader.asked) == 1


def test_a_store_that_cannot_be_asked_is_asked_again_when_it_is_due() -> None:
    clock, reader = Clock(is_due=True), Later()
    now = StoreTime(clock, reader)
    now()
    reader.asked[0].set_exception(StoreDisconnected(where="there", reason="away"))

    assert now() == 5
    assert clock.taken == [None]
    clock.is_due = True
    now()
    assert len(reader.asked) == 2


def test_who_asks_now_goes_by_that_answer_and_not_by_one_that_is_on_its_way() -> None:
    async def scene() -> None:
        clock, reader = Clock(is_due=True), Later()
        now = StoreTime(clock, reader)
        now()
        asking = asyncio.ensure_future(now.ask())
        await asyncio.sleep(0)
        older, newer = reader.asked
        older.set_result(ClockReading(measured_us=1, offset_us=1, uncertainty_us=0))
        newer.set_result(clock.ask())
        await asking
        assert clock.taken == [clock.ask()]
        now()
        assert clock.taken == [clock.ask()]
        assert now.look() == clock.look()

    asyncio.run(scene())
