"""
Processes that are forked from a warm one, tell over a pipe what they do, and die by SIGKILL.

Also one that reaches the end of its life kills itself: nothing is flushed, closed or measured on
the way out. What it told before is in the pipe, and survives it.
"""

import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn, TypeAlias

Line: TypeAlias = tuple[str, ...]
Tell: TypeAlias = Callable[[Line], None]

LIFE_S_MAX = 60
DONE: Line = ("done",)


class LifeFailedError(Exception):
    """A process did not live as it should have; its message is what it told of that."""


def lived(life: Callable[[Tell], None]) -> list[Line]:
    """
    Live ``life`` in a fork of this process, until it ends or dies; returns what it told.

    The last line is ``DONE`` if it came to its end, ``("raised", traceback)`` if it failed.

    Raises:
        LifeFailedError: it ended otherwise, or took longer than a minute.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _live(life, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = [tuple(json.loads(line)) for line in pipe]
    _, status = os.waitpid(pid, 0)
    if os.WTERMSIG(status) not in {signal.SIGKILL, signal.SIGXFSZ}:
        raise LifeFailedError(f"it ended by signal {os.WTERMSIG(status)} after {told}")
    return told


def _live(life: Callable[[Tell], None], writing: int) -> NoReturn:
    def tell(line: Line) -> None:
        # One system call: what was told is out of the process before it goes on.
        os.write(writing, (json.dumps(line) + "\n").encode())

    # A tracer would only be in the way: it writes down what it saw when a process ends.
    sys.settrace(None)
    threading.settrace(None)
    signal.alarm(LIFE_S_MAX)
    try:
        life(tell)
        tell(DONE)
    except BaseException:  # noqa: BLE001 - whatever it is, the parent has to hear of it
        with suppress(OSError):
            tell(("raised", traceback.format_exc()))
    die()


def die() -> NoReturn:
    """End this process at once, with nothing said and nothing closed."""
    while True:
        os.kill(os.getpid(), signal.SIGKILL)
