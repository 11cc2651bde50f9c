"""
Processes on one SQLite file: an owner that is in a turn, and a rival that would like to be.

Each is told what to do in one JSON line of arguments, and tells in lines what it came to.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lash_es import LashSession, LeaseTimings, RuntimeFault, SQLiteStore
from lash_es.log.log import StoreLog
from tests.faketime import tidy
from tests.session.host import host
from tests.session.scripted import says, speaking

# An owner may be starved for five seconds, as on a busy machine, before it is really silent.
TIMINGS = LeaseTimings(ttl_ms=6_000, renew_interval_ms=1_000)
PAUSE_S: Final = TIMINGS.ttl_ms / 2_000
ATTEMPTS_MAX: Final = 12
BUSY: Final = "session_execution_busy"


@contextmanager
def process(
    role: str, path: Path, *, environment: Mapping[str, str], believes: bool = False
) -> Iterator["subprocess.Popen[str]"]:
    """Run one in an environment; it is killed at the end."""
    words = [sys.executable, "-m", __name__, json.dumps([role, str(path), believes])]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as started:
        try:
            yield started
        finally:
            started.kill()
            started.wait()
            tidy(started.pid)


def said_by(started: "subprocess.Popen[str]") -> str:
    """Wait for the next line of a process."""
    assert started.stdout is not None
    return started.stdout.readline().rstrip("\n")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def _own(path: str) -> None:
    gate = asyncio.Event()
    provider = speaking(says("by the owner", gate=gate))
    async with (
        host(SQLiteStore.open(path, create=True), provider, timings=TIMINGS) as core,
        core.session("s").open() as session,
    ):
        turn = asyncio.ensure_future(session.turn("hello").turn_id("t").run())
        await provider.is_asked.wait()
        _say(f"begun {time.time():.0f}")
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        gate.set()
        _say((await turn).result.assistant_message or "nothing")


async def _rival(path: str) -> None:
    """Try to run the same turn, enqueue, and try on until nobody else runs it."""
    provider = speaking(says("by the rival"))
    async with (
        host(SQLiteStore.open(path, create=False), provider, timings=TIMINGS) as core,
        core.session("s").open() as session,
    ):
        _say(f"begun {time.time():.0f}")
        for attempt in range(ATTEMPTS_MAX):
            said = await _tried(session)
            _say(said)
            if said != BUSY:
                return
            if attempt == 0:
                _say((await session.enqueue("acknowledged")).input_id)
            await asyncio.sleep(PAUSE_S)


async def _tried(session: LashSession) -> str:
    try:
        return (await session.turn("hello").turn_id("t")).result.assistant_message or "nothing"
    except RuntimeFault as fault:
        return fault.code


async def _believes_every_clock(log: StoreLog, duration_ms: int) -> bool:
    return log.now_ms() > duration_ms


if __name__ == "__main__":
    _role, _path, _believes = json.loads(sys.argv[1])
    if _believes:
        StoreLog.is_steady_for = _believes_every_clock  # type: ignore[assignment,method-assign]
    asyncio.run({"owner": _own, "rival": _rival}[_role](_path))
