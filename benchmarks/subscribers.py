"""
W6: how long after an append whoever follows the stream has the fact.

In process and across processes on SQLite the time runs from the acknowledgement; on PostgreSQL
from before the statement, beside an INSERT and a NOTIFY in one transaction. Who writes in another
process says afterwards when it did: the monotonic clock is one for all processes of a machine.
"""

import asyncio
import multiprocessing
import select
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, closing, contextmanager
from pathlib import Path
from typing import Final, TypeAlias

import psycopg

from benchmarks.contests import Spread, spread
from benchmarks.load import input_text
from benchmarks.ours import open_store
from benchmarks.places import Setting, StoreKind, place
from lash_es import Durability, MemoryStore, TurnInput
from lash_es.codec.contents import encode_content
from lash_es.codec.streams import StreamId
from lash_es.core.commands import (
    CancelTurnInput,
    Command,
    EnqueueTurnInput,
    OpenSession,
    new_bodies,
)
from lash_es.core.decide import decide
from lash_es.core.ids import AppendId, InputId, SessionId
from lash_es.core.ingress import NextTurn
from lash_es.core.known import Known
from lash_es.core.policy import ModelSpec, SessionPolicy
from lash_es.log.appends import StreamAppend
from lash_es.log.encoding import encode_append, nothing_folded
from lash_es.log.loading import Fact
from lash_es.log.log import StoreLog
from lash_es.log.port import Store
from lash_es.log.subscribing import subscribe
from lash_es.runtime.world import system_now_ms

STREAM: Final = StreamId("default", SessionId("followed"))
FACTS: Final = 200
IDLE_LOGS: Final = 10
IDLE_FACTS: Final = 4
IDLE_S: Final = 3.0
"""Longer than a poller goes on looking often."""
IDLE_MEASURED_S: Final = 5.0

_PAUSE_S: Final = 0.005
_ANSWER_WAIT_S: Final = 120
_POLICY: Final = SessionPolicy(provider_id="instant", model=ModelSpec(model_id="m"))
_CHANNEL: Final = "bench_followed"

Times: TypeAlias = Sequence[int]
"""Of the monotonic clock in nanoseconds, one a fact."""
Write: TypeAlias = Callable[[Setting, int, float], tuple[Times, Times]]
"""Writes facts in another process; returns when each began and when it was acknowledged."""
Follow: TypeAlias = Callable[[Setting, int], Times]


def subscribers(kinds: Sequence[StoreKind], rounds: int) -> Mapping[str, Spread]:
    """Measure all of W6; a round's figure is its median, of the idle wait its 99th percentile."""
    found: dict[str, Spread | None] = {}
    if StoreKind.SQLITE in kinds:
        found["w6 in process us"] = spread([_in_process(_file_store) for _ in range(rounds)])
        found["w6 in process, memory us"] = spread(
            [_in_process(lambda _: MemoryStore()) for _ in range(rounds)]
        )
        found["w6 sqlite across processes ms"] = spread([_across() for _ in range(rounds)])
        found["w6 sqlite idle % CPU"] = spread([_idle_percent() for _ in range(min(2, rounds))])
        found["w6 sqlite idle p99 ms"] = spread([_idle_p99_ms() for _ in range(min(2, rounds))])
    if StoreKind.POSTGRES in kinds:
        pairs = [_postgres(number) for number in range(rounds)]
        found["w6 postgres over NOTIFY"] = spread([ours / raw for ours, raw in pairs])
        found["w6 postgres us"] = spread([ours for ours, _ in pairs])
        found["w6 raw NOTIFY us"] = spread([raw for _, raw in pairs])
    return {name: each for name, each in found.items() if each is not None}


def _setting(kind: StoreKind) -> Setting:
    return Setting(
        kind=kind, durability=Durability.NORMAL, tasks=1, sessions=1, history=0, operations=FACTS
    )


@contextmanager
def _place(kind: StoreKind) -> Iterator[Setting]:
    with tempfile.TemporaryDirectory() as scratch, place(_setting(kind), Path(scratch)) as here:
        yield here


def _file_store(setting: Setting) -> Store:
    return open_store(setting)


def appends(count: int) -> Iterator[StreamAppend]:
    """Encode appends of one fact each: a birth, and inputs that come and go."""
    folded = nothing_folded(STREAM)
    for number in range(count):
        command = _command(number)
        events = decide(folded.state, command, Known())
        append, folded = encode_append(
            folded, events, new_bodies(command), AppendId(f"append/{number}")
        )
        yield append


def _command(number: int) -> Command:
    if number == 0:
        return OpenSession(now_ms=1, session_id=STREAM.session_id, policy=_POLICY)
    input_id = InputId(f"i{(number - 1) // 2}")
    if number % 2 == 0:
        return CancelTurnInput(now_ms=1, input_id=input_id)
    content = TurnInput.of_text(input_text(number))
    body = encode_content(content, number.to_bytes(16, "big"))
    return EnqueueTurnInput(
        now_ms=1, input_id=input_id, source_key=None, ingress=NextTurn(), body=body
    )


def delays_us(since: Times, until: Times) -> list[float]:
    """Take times apart, sorted, without those of the first facts: they find everything cold."""
    pairs = zip(since, until, strict=True)
    return sorted((after - before) / 1_000 for before, after in list(pairs)[len(since) // 10 :])


def median(ordered: Sequence[float]) -> float:
    """Return the middle one."""
    return ordered[len(ordered) // 2]


def p99(ordered: Sequence[float]) -> float:
    """Return the one that a hundredth is not below; the last one of fewer."""
    return ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]


async def _written(log: StoreLog, count: int, pause_s: float) -> tuple[Times, Times]:
    began, acknowledged = list[int](), list[int]()
    for append in list(appends(count)):
        await asyncio.sleep(pause_s)
        began.append(time.monotonic_ns())
        await log.append([append])
        acknowledged.append(time.monotonic_ns())
    return began, acknowledged


async def _followed(log: StoreLog, count: int) -> Times:
    seen = list[int]()
    async with subscribe(log, STREAM) as subscription:
        async for item in subscription:
            assert isinstance(item, Fact)
            seen.append(time.monotonic_ns())
            if len(seen) == count:
                break
    return seen


def _in_process(make: Callable[[Setting], Store]) -> float:
    async def measured(setting: Setting) -> float:
        log = StoreLog(make(setting), system_now_ms)
        (_, acknowledged), seen = await asyncio.gather(
            _written(log, FACTS, 0.001), _followed(log, FACTS)
        )
        await log.aclose()
        return median(delays_us(acknowledged, seen))

    with _place(StoreKind.SQLITE) as here:
        return asyncio.run(measured(here))


def _write(setting: Setting, count: int, pause_s: float) -> tuple[Times, Times]:
    async def written() -> tuple[Times, Times]:
        log = StoreLog(open_store(setting), system_now_ms)
        found = await _written(log, count, pause_s)
        await log.aclose()
        return found

    return asyncio.run(written())


def _follow(setting: Setting, count: int) -> Times:
    async def followed() -> Times:
        log = StoreLog(open_store(setting), system_now_ms)
        seen = await _followed(log, count)
        await log.aclose()
        return seen

    return asyncio.run(followed())


def _beside(
    setting: Setting, write: Write, follow: Follow, count: int = FACTS
) -> tuple[Times, Times, Times]:
    """Let another process write what is followed here."""
    open_store(setting).close()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        writing = pool.apply_async(write, (setting, count, _PAUSE_S))
        seen = follow(setting, count)
        return (*writing.get(_ANSWER_WAIT_S), seen)


def _across() -> float:
    with _place(StoreKind.SQLITE) as here:
        _, acknowledged, seen = _beside(here, _write, _follow)
        return median(delays_us(acknowledged, seen)) / 1_000


def _idle_percent() -> float:
    async def measured(setting: Setting) -> float:
        log = StoreLog(open_store(setting), system_now_ms)
        waiting = asyncio.create_task(_followed(log, 1))
        await asyncio.sleep(IDLE_S)
        spent_s, began_s = time.process_time(), time.monotonic()
        await asyncio.sleep(IDLE_MEASURED_S)
        found = (time.process_time() - spent_s) / (time.monotonic() - began_s)
        waiting.cancel()
        await asyncio.wait({waiting})
        await log.aclose()
        return 100 * found

    with _place(StoreKind.SQLITE) as here:
        return asyncio.run(measured(here))


def _idle_p99_ms() -> float:
    """Follow many files at once, each of which is written to after it was idle."""

    async def measured(places: Sequence[Setting]) -> Sequence[Times]:
        logs = [StoreLog(open_store(place), system_now_ms) for place in places]
        async with AsyncExitStack() as opened:
            for log in logs:
                opened.push_async_callback(log.aclose)
            return await asyncio.gather(*(_followed(log, IDLE_FACTS) for log in logs))

    with tempfile.TemporaryDirectory() as scratch:
        places = [Path(scratch) / str(number) for number in range(IDLE_LOGS)]
        for each in places:
            each.mkdir()
        settings = [_at(each) for each in places]
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            writing = pool.apply_async(_write_now_and_then, (settings,))
            seen = asyncio.run(measured(settings))
            acknowledged = writing.get(_ANSWER_WAIT_S)
    # The first fact of each finds its follower still looking often.
    late = [
        (after - before) / 1e6
        for written, came in zip(acknowledged, seen, strict=True)
        for before, after in zip(written[1:], came[1:], strict=True)
    ]
    return p99(sorted(late))


def _at(folder: Path) -> Setting:
    return Setting(
        kind=StoreKind.SQLITE,
        durability=Durability.NORMAL,
        tasks=1,
        sessions=1,
        history=0,
        operations=0,
        where=str(folder),
    )


def _write_now_and_then(settings: Sequence[Setting]) -> list[Times]:
    async def written() -> list[Times]:
        logs = [StoreLog(open_store(setting), system_now_ms) for setting in settings]
        found = await asyncio.gather(
            # Each at its own pace, so that they meet different places of the pollers' pauses.
            *(_written(log, IDLE_FACTS, IDLE_S + number / 7) for number, log in enumerate(logs))
        )
        for log in logs:
            await log.aclose()
        return [acknowledged for _, acknowledged in found]

    return asyncio.run(written())


def _postgres(number: int) -> tuple[float, float]:
    """Return the medians of both, in microseconds from before the statement."""
    found: dict[Write, float] = {}
    pairs: Sequence[tuple[Write, Follow]] = ((_write, _follow), (_notify, _listen))
    for write, follow in pairs[:: 1 if number % 2 == 0 else -1]:
        with _place(StoreKind.POSTGRES) as here:
            began, _, seen = _beside(here, write, follow)
            found[write] = median(delays_us(began, seen))
    return found[_write], found[_notify]


def _notify(setting: Setting, count: int, pause_s: float) -> tuple[Times, Times]:
    began, acknowledged = list[int](), list[int]()
    with closing(psycopg.connect(setting.where, autocommit=True)) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS bench_followed (no int, state bytea)")
        time.sleep(1)  # Until the other one listens: nobody reads what was said before.
        for number in range(count):
            time.sleep(pause_s)
            began.append(time.monotonic_ns())
            with connection.transaction():
                connection.execute(
                    "INSERT INTO bench_followed VALUES (%s, %s)", [number, b"x" * 300]
                )
                connection.execute(f"NOTIFY {_CHANNEL}")
            acknowledged.append(time.monotonic_ns())
    return began, acknowledged


def _listen(setting: Setting, count: int) -> Times:
    seen = list[int]()
    with closing(psycopg.connect(setting.where, autocommit=True)) as connection:
        connection.execute(f"LISTEN {_CHANNEL}")
        while len(seen) < count:
            select.select([connection], [], [], _ANSWER_WAIT_S)
            for _ in connection.notifies(timeout=0):
                seen.append(time.monotonic_ns())
    return seen
