"""
A PostgreSQL server whose clock a test sets, by Debian's faketime, and an owner to be killed.

The library is the one that ``LASH_ES_TEST_FAKETIME`` names, or Debian's where it is installed, or
the one that comes by pip. Only the wall clock is set: the server's monotonic clock is the
machine's.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from attrs import frozen

from lash_es import LeaseTimings
from tests.postgres.postgres_server import Database, new_database, start_server
from tests.session.host import host
from tests.session.scripted import says, speaking

VARIABLE = "LASH_ES_TEST_FAKETIME"
TIMINGS = LeaseTimings(ttl_ms=3_000, renew_interval_ms=1_000)

_BY_PIP = "libfaketime==3.0.1"
_DEBIAN = "*/faketime/libfaketime.so.1"


@cache
def library() -> Path:
    """Find the library, or install it where nobody else sees it."""
    named = os.environ.get(VARIABLE)
    if named is not None:
        return Path(named)
    installed = next(Path("/usr/lib").glob(_DEBIAN), None)
    if installed is not None:
        return installed
    scratch = Path(tempfile.mkdtemp(prefix="faketime-"))
    install = ("-m", "pip", "install", "--quiet", "--no-deps", "--target", scratch, _BY_PIP)
    subprocess.run([sys.executable, *install], check=True)
    scratch.chmod(0o755)  # The server is another user's.
    return next(scratch.rglob("libfaketime.so.1"))


@frozen
class FakedServer:
    """A server of one's own, and the file that says by how much its clock is off."""

    url: str
    _difference: Path

    def set_clock(self, ahead_s: int) -> None:
        """Let its clock be so far ahead from now on."""
        written = self._difference.with_suffix(".new")
        written.write_text(f"{ahead_s:+d}s\n", "ascii")
        written.chmod(0o644)
        written.replace(self._difference)

    def database(self) -> Database:
        """Name an empty database on it."""
        return new_database(self.url)


@contextmanager
def faked_server() -> Iterator[FakedServer]:
    """Start a server under the library; it is deleted at the end."""
    with tempfile.TemporaryDirectory(prefix="clock-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        faked = {
            "LD_PRELOAD": str(library()),
            "FAKETIME_TIMESTAMP_FILE": str(folder / "difference"),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        FakedServer("", folder / "difference").set_clock(0)
        os.environ.update(faked)
        try:
            server = start_server()
        finally:
            for variable in faked:
                del os.environ[variable]
        try:
            yield FakedServer(server.get_uri(), folder / "difference")
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
