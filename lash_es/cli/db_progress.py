"""A bar on standard error for what may take long; silent where nobody looks."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TypeAlias

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from lash_es.cli.escaping import shown

Advance: TypeAlias = Callable[[int], object]
"""Tells that so much more was done."""


@contextmanager
def progress(what: str, total: Callable[[], int | None], *, quiet: bool) -> Generator[Advance]:
    """
    Show a bar while the block runs, and remove it at the end.

    Args:
        what: what is done, for people.
        total: how much there is to do, if anybody knows; asked only where somebody looks.
        quiet: show nothing.
    """
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield _nothing
        return
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    with bar:
        task = bar.add_task(shown(what), total=total())
        yield lambda done: bar.advance(task, done)


def _nothing(_: int) -> None:
    """Tell nobody."""
