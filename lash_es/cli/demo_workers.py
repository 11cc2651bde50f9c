"""The demo's side of its workers: starting them, killing one, reading what they had to say."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import IO, Final

from attrs import field, frozen

from lash_es.cli.demo_worker import Task

LAST_WORDS_CHARS_MAX: Final = 300


@frozen(kw_only=True)
class Worker:
    """A child process at its task."""

    name: str
    _process: "subprocess.Popen[bytes]" = field(alias="process", repr=False)
    _said: IO[bytes] = field(alias="said", repr=False)
    _complaints: IO[bytes] = field(alias="complaints", repr=False)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Its exit status; none while it runs."""
        return self._process.poll()

    def kill(self) -> None:
        """Send SIGKILL, which no process can catch, and wait until it is dead."""
        self._process.kill()
        self._process.wait()

    def reports(self) -> list[Mapping[str, object]]:
        """Read its lines."""
        self._said.seek(0)
        return [json.loads(line) for line in self._said.read().splitlines()]

    def reason(self) -> str:
        """Say why it stopped: in its own words, or the last ones it had."""
        for report in self.reports():
            if "stopped" in report:
                return str(report["stopped"])
        self._complaints.seek(0)
        lines = self._complaints.read().decode(errors="replace").strip().splitlines()
        last = lines[-1] if lines else "it said nothing"
        status = self.status
        return f"{self.name} ended with status {status}: {last[-LAST_WORDS_CHARS_MAX:]}"

    def close(self) -> None:
        """End it if it still runs, and let its files go."""
        if self.status is None:
            self.kill()
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._said.close()
        self._complaints.close()


def start(task: Task) -> Worker:
    """Start a worker: the same interpreter, the same libraries, and no terminal of its own."""
    # Files instead of pipes: nobody has to read along for it to go on, and they outlive it.
    said, complaints = (tempfile.TemporaryFile() for _ in range(2))  # noqa: SIM115 - see close
    process = subprocess.Popen(  # noqa: S603 - our own module, without a shell
        # -P: the directory that it is started in holds the user's files, not our modules.
        [sys.executable, "-P", "-m", "lash_es.cli.demo_worker", task.written()],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=subprocess.PIPE,
        stdout=said,
        stderr=complaints,
        start_new_session=True,
    )
    return Worker(name=task.name, process=process, said=said, complaints=complaints)
