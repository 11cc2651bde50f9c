"""Group commit: what is appended in one turn of the loop is one commit, and fails one by one."""

import asyncio
import sqlite3
import threading
from collections.abc import Awaitable, Coroutine, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from lash_es.codec.streams import StreamId
from lash_es.core.ids import Generation, SessionId, Version
from lash_es.log.appends import (
    ActivityAppended,
    Appended,
    AppendResult,
    Conflict,
    StreamAppend,
)
from lash_es.log.errors import (
    MalformedAppend,
    StoreBusy,
    StoreClosed,
    StoreFull,
    StoreReadOnly,
    TooManyAppendsWaiting,
)
from lash_es.log.grouping import Bounds
from lash_es.log.log import StoreLog
from lash_es.log.placing import WaitsFor
from lash_es.log.port import Store
from lash_es.log.stores.sqlite import SQLiteStore
from tests.log.conformance import A, B, activity_of, an_append, record
from tests.log.grouped import Grouped


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(coroutine, timeout=30))


def stream(number: int) -> StreamId:
    return StreamId("default", SessionId(f"s{number}"))


def log_on(store: Grouped | SQLiteStore, bounds: Bounds | None = None) -> StoreLog:
    return StoreLog(store, lambda: 1_234, monotonic_ns=lambda: 0, bounds=bounds or Bounds())


def appending(log: StoreLog, number: int) -> "asyncio.Task[object]":
    return asyncio.create_task(log.append([an_append(stream(number), 0)]))


async def began(store: Grouped) -> None:
    """Wait until a commit is under way on its thread, as the loop goes on."""
    await asyncio.to_thread(store.began.acquire)


async def stood_still(store: Grouped, log: StoreLog) -> "asyncio.Task[object]":
    """Have a commit under way that does not end before the gate is opened."""
    store.gate.clear()
    first = appending(log, 0)
    await began(store)
    return first


def written(store: Grouped) -> list[str]:
    return [head.stream.session_id for head in store.heads("default", after="", heads_max=99)]


class Turns:
    """Counts the turns of the loop."""

    def __init__(self) -> None:
        self.count = 0
        self._loop = asyncio.get_running_loop()
        self._turn()

    def _turn(self) -> None:
        self.count += 1
        self._loop.call_soon(self._turn)


# What is one commit


def test_what_is_appended_in_one_turn_of_the_loop_is_one_commit() -> None:
    async def scene() -> None:
        store = Grouped()
        log = log_on(store)
        results = await asyncio.gather(*[appending(log, number) for number in range(5)])
        assert results == [Appended(versions=(Version(1),))] * 5
        assert store.groups == [5]
        await asyncio.gather(*[appending(log, number) for number in range(5, 7)])
        assert store.groups == [5, 2]
        found = log.statistics()
        assert (found.groups, found.groups_on_thread, found.appends) == (2, 0, 7)
        assert (found.batch_sizes.max, found.store.commits, found.store.appends) == (5, 2, 7)

    run(scene())


def test_a_lone_append_costs_one_turn_of_the_loop() -> None:
    async def scene() -> None:
        store = Grouped()
        log = log_on(store)
        turns = Turns()
        for number in range(3):
            before = turns.count
            await log.append([an_append(stream(number), 0)])
            assert turns.count - before == 1
        assert store.groups == [1, 1, 1]

    run(scene())


def test_a_loser_and_its_mates_are_told_apart() -> None:
    async def scene() -> None:
        log = log_on(Grouped())
        results = await asyncio.gather(
            log.append([an_append(A, 0)]),
            log.append([an_append(A, 0)]),
            log.append([an_append(A, 1), an_append(B, 0)]),
        )
        assert tuple(results) == (
            Appended(versions=(Version(1),)),
            Conflict(stream=A, expected=Version(0), found=Version(1)),
            Appended(versions=(Version(2), Version(1))),
        )
        assert log.statistics().conflicts == 1

    run(scene())


def test_a_group_holds_no_more_than_its_bound() -> None:
    async def scene() -> None:
        store = Grouped()
        log = log_on(store, Bounds(appends_per_group_max=2))
        await asyncio.gather(*[appending(log, number) for number in range(5)])
        assert store.groups == [2, 2, 1]

    run(scene())


def test_one_more_than_may_wait_is_refused_and_the_others_are_written() -> None:
    async def scene() -> None:
        store = Grouped(WaitsFor.NETWORK)
        log = log_on(store, Bounds(appends_waiting_max=2))
        first = await stood_still(store, log)
        waiting = [appending(log, number) for number in (1, 2)]
        await asyncio.sleep(0)
        assert log.statistics().appends_waiting == 2
        with pytest.raises(TooManyAppendsWaiting) as refusal:
            await log.append([an_append(stream(3), 0)])
        assert refusal.value.is_retryable
        assert "2 appends wait" in str(refusal.value)
        store.gate.set()
        await asyncio.gather(first, *waiting)
        assert written(store) == ["s0", "s1", "s2"]
        assert log.statistics().refusals == 1
        await log.aclose()

    run(scene())


# On the thread


def test_nothing_is_answered_before_its_commit_and_the_loop_goes_on() -> None:
    async def scene() -> None:
        store = Grouped(WaitsFor.NETWORK)
        log = log_on(store)
        first = await stood_still(store, log)
        later = [appending(log, number) for number in (1, 2, 3)]
        turns = Turns()
        while turns.count < 50:  # noqa: ASYNC110 - that the loop turns is what is tested
            await asyncio.sleep(0)
        assert not any(task.done() for task in (first, *later))
        store.gate.set()
        await asyncio.gather(first, *later)
        assert store.groups == [1, 3]
        assert {name.rstrip("0123456789") for name in store.threads} == {"lash-es-writer_"}
        assert log.statistics().groups_on_thread == 2
        await log.aclose()

    run(scene())


def test_a_commit_that_was_slow_sends_the_next_one_to_the_thread() -> None:
    now_ns = [0]

    class Slow(Grouped):
        def append_each(
            self, batches: Sequence[Sequence[StreamAppend]], *, may_wait: bool = True
        ) -> tuple[AppendResult, ...]:
            now_ns[0] += durations_ns.pop(0)
            return super().append_each(batches, may_wait=may_wait)

    durations_ns = [2_000_001_000, 1, 1]

    async def scene() -> None:
        store = Slow(WaitsFor.DISK)
        log = StoreLog(store, lambda: 1, monotonic_ns=lambda: now_ns[0])
        for number in range(3):
            assert log.statistics().is_inline is (number != 1)
            await log.append([an_append(stream(number), 0)])
        main = threading.current_thread().name
        assert [name == main for name in store.threads] == [True, False, True]
        assert log.statistics().latency_us.max == 2_000_001
        await log.aclose()

    run(scene())


@contextmanager
def locked(path: Path) -> Iterator[sqlite3.Connection]:
    """Hold the write lock, as another process does."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other
        if other.in_transaction:
            other.execute("ROLLBACK")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


def test_a_lock_that_another_process_holds_is_waited_for_on_the_thread(path: Path) -> None:
    async def scene() -> None:
        store = SQLiteStore.open(path, create=True)
        log = log_on(store)
        await log.append([an_append(A, 0)])
        with locked(path) as other:
            append = asyncio.create_task(log.append([an_append(A, 1)]))
            streamed = asyncio.create_task(
                log.append_activity(
                    A, version=Version(1), generation=Generation(1), payloads=[b"x"]
                )
            )
            turns = Turns()
            while turns.count < 50:  # noqa: ASYNC110 - that the loop turns is what is tested
                await asyncio.sleep(0)
            assert not append.done()
            assert not streamed.done()
            # Who only reads is not held up at all.
            assert await log.read(lambda reading: reading.head(A)) is not None
            other.execute("ROLLBACK")
        assert await append == Appended(versions=(Version(2),))
        assert await streamed == ActivityAppended(version=Version(1), seq=1)
        assert log.statistics().groups_on_thread == 1
        await log.append([an_append(A, 2)])
        assert log.statistics().groups_on_thread == 1
        await log.aclose()

    run(scene())


def test_a_lock_that_is_held_too_long_is_busy_for_all_who_waited(path: Path) -> None:
    async def scene() -> None:
        store = SQLiteStore.open(path, create=True, busy_wait_ms=20)
        log = log_on(store)
        with locked(path):
            results = await asyncio.gather(
                *[appending(log, number) for number in range(3)], return_exceptions=True
            )
        busy = [each.waited_ms for each in results if isinstance(each, StoreBusy)]
        # One wait for all of them, not one each.
        assert busy == [20, 20, 20]
        assert log.statistics().failures == 3
        await log.append([an_append(A, 0)])
        await log.aclose()

    run(scene())


def test_a_store_that_may_not_wait_says_so_at_once(path: Path) -> None:
    with closing(SQLiteStore.open(path, create=True, busy_wait_ms=60_000)) as store, locked(path):
        with pytest.raises(StoreBusy) as busy:
            store.append_each([[an_append(A, 0)]], may_wait=False)
        assert busy.value.waited_ms == 0


def test_a_group_is_a_few_statements(path: Path) -> None:
    with closing(SQLiteStore.open(path, create=True)) as store:
        counts: list[int] = []
        for size in (1, 8):
            before = store.statistics().statements
            store.append_each([[an_append(stream(100 * size + n), 0)] for n in range(size)])
            counts.append(store.statistics().statements - before)
        # Begin, read the heads, insert the facts, commit; and each head.
        assert counts == [4 + 1, 4 + 8]
        many = [[an_append(stream(number), 0)] for number in range(1_000, 1_600)]
        assert set(store.append_each(many)) == {Appended(versions=(Version(1),))}
        again = store.append_each(many)
        assert all(isinstance(result, Conflict) for result in again)


# Cancelled callers


def test_who_is_cancelled_before_the_commit_began_has_written_nothing() -> None:
    async def scene() -> None:
        store = Grouped(WaitsFor.NETWORK)
        log = log_on(store)
        first = await stood_still(store, log)
        waiting = [appending(log, number) for number in (1, 2, 3)]
        await asyncio.sleep(0)
        waiting[1].cancel()
        await asyncio.wait([waiting[1]])
        store.gate.set()
        await asyncio.gather(first, waiting[0], waiting[2])
        assert waiting[1].cancelled()
        assert written(store) == ["s0", "s1", "s3"]
        await log.aclose()

    run(scene())


def test_who_is_cancelled_while_it_is_committed_has_written_everything() -> None:
    async def scene() -> None:
        store = Grouped(WaitsFor.NETWORK)
        log = log_on(store)
        first = await stood_still(store, log)
        first.cancel()
        await asyncio.wait([first])
        assert first.cancelled()
        store.gate.set()
        assert await appending(log, 1) == Appended(versions=(Version(1),))
        assert written(store) == ["s0", "s1"]
        await log.aclose()

    run(scene())


@pytest.mark.parametrize("turns", [0, 1, 2])
def test_a_cancelled_caller_is_alone_in_it(turns: int) -> None:
    async def scene() -> None:
        store = Grouped()
        log = log_on(store)
        tasks = [appending(log, number) for number in range(3)]
        for _ in range(turns):
            await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.wait(tasks)
        assert tasks[0].result() == tasks[2].result() == Appended(versions=(Version(1),))
        assert written(store) in (["s0", "s2"], ["s0", "s1", "s2"])
        # What was answered was written; what was cancelled may have been.
        assert tasks[1].cancelled() or "s1" in written(store)

    run(scene())


# What fails


@pytest.mark.parametrize("waits_for", [WaitsFor.NOTHING, WaitsFor.NETWORK])
def test_a_bad_batch_fails_by_itself(waits_for: WaitsFor) -> None:
    async def scene() -> None:
        store = Grouped(waits_for)
        store.fails, store.bad = StoreFull(where="here", reason="on purpose"), "s1"
        log = log_on(store)
        results = await asyncio.gather(
            *[appending(log, number) for number in range(3)], return_exceptions=True
        )
        assert [type(each) for each in results] == [Appended, StoreFull, Appended]
        assert store.groups == [3, 1, 1, 1]
        assert log.statistics().failures == 1
        await log.aclose()

    run(scene())


def test_an_append_that_cannot_be_is_refused_and_its_mates_are_written(path: Path) -> None:
    async def scene() -> None:
        log = log_on(SQLiteStore.open(path, create=True))
        gap = an_append(A, 0)
        object.__setattr__(gap, "records", (record(7),))
        results = await asyncio.gather(
            log.append([gap]), log.append([an_append(B, 0)]), return_exceptions=True
        )
        assert isinstance(results[0], MalformedAppend)
        assert results[1] == Appended(versions=(Version(1),))
        await log.aclose()

    run(scene())


def test_a_store_that_fails_is_not_asked_for_each_again() -> None:
    async def scene() -> None:
        store = Grouped()
        store.fails = StoreClosed(where="here")
        log = log_on(store)
        tasks = [appending(log, number) for number in range(3)]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(each) for each in results] == [StoreClosed] * 3
        assert store.groups == [3]

    run(scene())


def test_whoever_asked_is_told_what_no_rule_foresaw() -> None:
    class Strange(BaseException):
        pass

    async def scene() -> None:
        store = Grouped()
        store.fails = Strange()
        log = log_on(store)
        with pytest.raises(Strange):
            await log.append([an_append(A, 0)])

    run(scene())


def test_activity_that_fails_leaves_the_appends_alone() -> None:
    async def scene() -> None:
        store = Grouped()
        log = log_on(store)
        await log.append([an_append(A, 0)])
        streaming: list[Awaitable[object]] = [
            log.append_activity(A, version=Version(1), generation=Generation(1), payloads=[b"x"]),
            log.append([an_append(A, 1)]),
            log.append_activity(A, version=Version(1), generation=Generation(1), payloads=[b"y"]),
        ]
        first, second, third = await asyncio.gather(*streaming)
        # It follows the facts that its writer has seen, so it goes first.
        assert first == ActivityAppended(version=Version(1), seq=1)
        assert third == ActivityAppended(version=Version(1), seq=2)
        assert second == Appended(versions=(Version(2),))
        assert [each.at_ms for each in activity_of(store)] == [1_234, 1_234]

        def fail(*_: object) -> None:
            raise StoreFull(where="here", reason="on purpose")

        failing = asyncio.create_task(log.write(fail))
        assert await log.append([an_append(A, 2)]) == Appended(versions=(Version(3),))
        with pytest.raises(StoreFull):
            await failing

    run(scene())


def test_where_a_lock_comes_in_between_the_rest_of_a_group_waits_for_it() -> None:
    async def scene() -> None:
        store = Grouped(WaitsFor.DISK)
        log = log_on(store)
        await log.append([an_append(A, 0)])
        store.is_locked = True
        streamed = log.append_activity(
            A, version=Version(1), generation=Generation(1), payloads=[b"x"]
        )
        shown, appended = await asyncio.gather(streamed, log.append([an_append(A, 1)]))
        assert shown == ActivityAppended(version=Version(1), seq=1)
        assert appended == Appended(versions=(Version(2),))
        assert len(activity_of(store)) == 1
        assert log.statistics().groups_on_thread == 1
        await log.aclose()

    run(scene())


# The end


@pytest.mark.parametrize("waits_for", list(WaitsFor))
def test_closing_commits_what_waits_and_refuses_what_comes(waits_for: WaitsFor) -> None:
    async def scene() -> None:
        store = Grouped(waits_for)
        log = log_on(store)
        first = appending(log, 0)
        if waits_for is WaitsFor.NETWORK:
            store.gate.clear()
            await began(store)
        await asyncio.sleep(0)
        second = appending(log, 1)
        await asyncio.sleep(0)
        closing_log = asyncio.create_task(log.aclose())
        await asyncio.sleep(0)
        with pytest.raises(StoreClosed):
            await log.append([an_append(stream(2), 0)])
        store.gate.set()
        answered = Appended(versions=(Version(1),))
        assert (await first, await second) == (answered, answered)
        await closing_log
        await log.aclose()
        with pytest.raises(StoreClosed):
            await log.read(lambda reading: reading.head(A))
        assert log.statistics().store.appends == 2
        with pytest.raises(StoreClosed):
            store.head(A)

    run(scene())


def test_closing_commits_also_what_is_too_much_for_one_group() -> None:
    async def scene() -> None:
        store = Grouped()
        log = log_on(store, Bounds(appends_per_group_max=1))
        tasks = [appending(log, number) for number in range(5)]
        await asyncio.sleep(0)
        await log.aclose()
        assert {type(result) for result in await asyncio.gather(*tasks)} == {Appended}
        assert store.groups == [1] * 5

    run(scene())


def test_what_is_not_a_lock_is_not_waited_for(path: Path) -> None:
    with closing(SQLiteStore.open(path, create=True)) as store:
        store._connections._sqlite_writer.execute("PRAGMA query_only = ON")
        with pytest.raises(StoreReadOnly):
            store.append([an_append(A, 0)])


@pytest.mark.parametrize("waits_for", list(WaitsFor))
def test_what_is_no_append_is_written_in_turn_and_not_on_the_loop(waits_for: WaitsFor) -> None:
    async def scene() -> None:
        log = log_on(Grouped(waits_for))
        name = await log.write(lambda _: threading.current_thread().name)
        is_here = name == threading.current_thread().name
        assert is_here is (waits_for is WaitsFor.NOTHING)
        await log.aclose()

    run(scene())


def test_closing_that_is_cancelled_stops_no_commit() -> None:
    async def scene() -> None:
        store = Grouped(WaitsFor.NETWORK)
        log = log_on(store)
        first = await stood_still(store, log)
        closing_log = asyncio.create_task(log.aclose())
        await asyncio.sleep(0)
        closing_log.cancel()
        store.gate.set()
        assert await first == Appended(versions=(Version(1),))
        await asyncio.wait([closing_log])

    run(scene())


def test_a_later_loop_goes_on_where_another_one_ended() -> None:
    store = Grouped(WaitsFor.NETWORK)
    log = log_on(store)

    async def leave() -> None:
        await stood_still(store, log)

    async def go_on() -> None:
        assert await appending(log, 1) == Appended(versions=(Version(1),))
        assert "s0" in written(store)
        await log.aclose()

    run(leave())
    threading.Timer(0.01, store.gate.set).start()
    run(go_on())


# Reads


@pytest.mark.parametrize("waits_for", list(WaitsFor))
def test_only_a_network_is_read_on_a_thread_of_its_own(waits_for: WaitsFor) -> None:
    async def scene() -> None:
        log = log_on(Grouped(waits_for))
        names = [await log.read(lambda _: threading.current_thread().name) for _ in range(2)]
        is_here = names[0] == threading.current_thread().name
        assert is_here is (waits_for is not WaitsFor.NETWORK)
        assert is_here or names == ["lash-es-reader_0"] * 2

        def fail(_: object) -> None:
            raise LookupError("nothing there")

        with pytest.raises(LookupError):
            await log.read(fail)
        await log.aclose()

    run(scene())


def test_a_read_under_way_ends_before_the_store_is_closed() -> None:
    async def scene() -> None:
        store = Grouped(WaitsFor.NETWORK)
        log = log_on(store)
        await log.append([an_append(A, 0)])
        entered, gate = threading.Event(), threading.Event()

        def slowly(reading: Store) -> object:
            entered.set()
            gate.wait(10)
            return reading.head(A)

        reading = asyncio.create_task(log.read(slowly))
        await asyncio.to_thread(entered.wait)
        closing_log = asyncio.create_task(log.aclose())
        await asyncio.sleep(0)
        gate.set()
        assert await reading is not None
        await closing_log

    run(scene())
