"""A command that cannot be done: one message on standard error, exit status 1, no traceback."""

import errno
import os
import sys
import traceback
from collections.abc import Generator
from contextlib import contextmanager
from typing import ClassVar, Final

import typer
from attrs import define
from rich.console import Console
from rich.text import Text

from lash_es.cli.escaping import shown
from lash_es.core.errors import LashError
from lash_es.log.errors import StoreUnavailable
from lash_es.log.sealing_errors import BodySealed

UNWRITTEN: Final = frozenset({errno.EPIPE, errno.ENOSPC, errno.EIO, errno.EFBIG, errno.EDQUOT})
"""What an operating system says of output that it cannot take."""


@define(kw_only=True)
class UnknownSession(LashError):
    """The log holds no session of this name."""

    session_id: str
    where: str
    found: tuple[str, ...]
    terminal_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        found = ", ".join(map(repr, self.found)) or "none at all"
        return f"no session {self.session_id!r} in {self.where}; it holds {found}"


@define(kw_only=True)
class UnknownPosition(LashError):
    """The session has no fact there."""

    session_id: str
    position: int
    version: int
    terminal_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        return (
            f"session {self.session_id!r} has no position {self.position}; it has "
            f"{self.version} facts, at positions 0 to {self.version - 1}"
        )


@define(kw_only=True)
class DemoFailed(LashError):
    """The demo could not be brought to its end."""

    reason: str

    def _summary(self) -> str:
        return f"the demo stopped: {self.reason}"


@contextmanager
def refusals() -> Generator[None]:
    """Let a typed error end the command with its message."""
    try:
        yield
    except LashError as error:
        complain(error.summary(), *_advice(error))
        raise typer.Exit(1) from None


def complain(message: str, *advice: str) -> None:
    """Print a message on standard error."""
    console = Console(stderr=True, markup=False, highlight=False, emoji=False)
    text = Text.assemble(("lash-es: ", "bold red"), shown(message))
    for line in advice:
        text.append(f"\n  {shown(line)}")
    console.print(text, soft_wrap=True)


def unwritten(error: OSError) -> int:
    """Say that the output cannot be written; a reader that has gone away need not be told."""
    if error.errno != errno.EPIPE:
        complain(f"cannot write the output: {error.strerror}")
    # What is still buffered goes nowhere, or Python would complain of it again at its end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def internal_error(error: Exception) -> int:
    """Say of a bug of ours what it is and where; a traceback would bury both."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    complain(
        f"internal error: {type(error).__name__}: {error}",
        f"raised at {frame.filename}:{frame.lineno}; this is a bug in lash_es, please report it",
    )
    return 1


def _advice(error: LashError) -> tuple[str, ...]:
    if isinstance(error, BodySealed):
        return ("name the environment variable that holds its key: --key-env NAME",)
    if isinstance(error, StoreUnavailable):
        return ("name a log with --db PATH or LASH_ES_DB, or make one: lash-es db init",)
    return ()
