"""
A PostgreSQL server whose clock a test sets, by Debian's faketime, and an owner to be killed.

Only the wall clock is set: the server's monotonic clock is the machine's.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from lash_es import LeaseTimings
from tests.faketime import FakedClock
from tests.postgres.postgres_server import Database, new_database, start_server
from tests.session.host import host
from tests.session.scripted import says, speaking

TIMINGS = LeaseTimings(ttl_ms=3_000, renew_interval_ms=1_000)


@frozen
class FakedServer:
    """A server of one's own, and its clock."""

    url: str
    _clock: FakedClock

    def set_clock(self, ahead_s: int) -> None:
        """Let its clock be so far ahead from now on."""
        self._clock.set_ahead(ahead_s)

    def database(self) -> Database:
        """Name an empty database on it."""
        return new_database(self.url)


@contextmanager
def faked_server() -> Iterator[FakedServer]:
    """Start a server under the library; it is deleted at the end."""
    with tempfile.TemporaryDirectory(prefix="clock-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        clock = FakedClock(folder / "difference")
        clock.set_ahead(0)
        os.environ.update(clock.environment)
        try:
            server = start_server()
        finally:
            for variable in clock.environment:
                del os.environ[variable]
        try:
            yield FakedServer(server.get_uri(), clock)
        finally:
            server.cleanup()


@contextmanager
def owner(database: Database) -> Iterator["subprocess.Popen[str]"]:
    """Run an owner that has begun a turn, and ends it when it is told to."""
    words = [sys.executable, "-m", __name__, json.dumps([database.url, database.schema])]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
            yield process
        finally:
            process.kill()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def _own(database: Database) -> None:
    gate = asyncio.Event()
    provider = speaking(says("by the owner", gate=gate))
    async with (
        host(database.store(), provider, timings=TIMINGS) as core,
        core.session("s").open() as session,
    ):
        turn = asyncio.ensure_future(session.turn("hello").turn_id("t").run())
        await provider.is_asked.wait()
        _say("begun")
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        gate.set()
        _say((await turn).result.assistant_message or "nothing")


if __name__ == "__main__":
    asyncio.run(_own(Database(*json.loads(sys.argv[1]))))
