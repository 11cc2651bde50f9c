"""
Debian's faketime: processes whose wall clock a test sets, and no other clock.

The library is the one that ``LASH_ES_TEST_FAKETIME`` names, or Debian's where it is installed, or
the one that comes by pip.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from attrs import frozen

VARIABLE = "LASH_ES_TEST_FAKETIME"

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
    scratch.chmod(0o755)  # A server is another user's.
    return next(scratch.rglob("libfaketime.so.1"))


@frozen
class FakedClock:
    """A clock for processes, and the file that says by how much it is off."""

    difference: Path

    def set_ahead(self, ahead_s: int) -> None:
        """Let it be so far ahead from now on; behind, if that is negative."""
        written = self.difference.with_suffix(".new")
        written.write_text(f"{ahead_s:+d}s\n", "ascii")
        written.chmod(0o644)
        written.replace(self.difference)

    @property
    def environment(self) -> Mapping[str, str]:
        """What puts a process under it."""
        return {
            "LD_PRELOAD": str(library()),
            "FAKETIME_TIMESTAMP_FILE": str(self.difference),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }


def tidy(pid: int) -> None:
    """Remove what the library leaves of a process that was killed."""
    for name in (f"faketime_shm_{pid}", f"sem.faketime_sem_{pid}"):
        Path("/dev/shm", name).unlink(missing_ok=True)
