"""Doing one thing to every session that is meant, and saying how much was done."""

from collections.abc import Callable
from typing import Final

from attrs import define, field, frozen

from lash_es.cli.db_opening import Chosen, Database
from lash_es.cli.db_progress import progress
from lash_es.cli.screen import Screen, plural
from lash_es.codec.errors import StoredDataError
from lash_es.codec.streams import StreamId
from lash_es.log.errors import StreamBusy

NAMED_MAX: Final = 100
"""How many sessions are named, of those that cannot be read as of those that were changed."""
SHOWN_MAX: Final = 10
"""How many of those that were changed are named to people, who have nothing to do about them."""


@frozen(kw_only=True)
class Done:
    """What was done to a session: how many things, and which version it has by now."""

    stream: StreamId
    count: int


@define
class Tally:
    """What was done to sessions. ``troubles`` are those that could not be read, and why."""

    sessions_count: int = 0
    changed_count: int = 0
    things_count: int = 0
    troubles_count: int = 0
    changed: list[Done] = field(factory=list[Done])
    troubles: list[tuple[StreamId, str]] = field(factory=list[tuple[StreamId, str]])

    def add(self, stream: StreamId, count: int) -> None:
        """Note what was done to a session."""
        self.sessions_count += 1
        self.things_count += count
        self.changed_count += count > 0
        if count and len(self.changed) < NAMED_MAX:
            self.changed.append(Done(stream=stream, count=count))

    def fail(self, stream: StreamId, reason: str) -> None:
        """Note that a session could not be read, or not be written."""
        self.sessions_count += 1
        self.troubles_count += 1
        if len(self.troubles) < NAMED_MAX:
            self.troubles.append((stream, reason))


def go_through(
    database: Database, chosen: Chosen, what: str, work: Callable[[StreamId], int], *, quiet: bool
) -> Tally:
    """
    Do ``work`` to every session that is meant; it returns how many things it did.

    A session that is damaged does not keep the others from it.

    Raises:
        UnknownSession: one is named that does not exist.
        StorageError: the log cannot be read or written.
    """
    tally = Tally()
    with progress(what, lambda: chosen.count(database), quiet=quiet) as advance:
        for stream in chosen.streams(database):
            try:
                tally.add(stream, work(stream))
            except (StoredDataError, StreamBusy) as trouble:
                tally.fail(stream, trouble.summary())
            advance(1)
    return tally


def print_tally(screen: Screen, tally: Tally, noun: str) -> None:
    """Say which sessions were changed, and which could not be."""
    for done in tally.changed[:SHOWN_MAX]:
        screen.line(f"  {shown_stream(done.stream)}", (f"  {plural(done.count, noun)}", "dim"))
    if tally.changed_count > SHOWN_MAX:
        more = tally.changed_count - SHOWN_MAX
        screen.line((f"  and {more:,} more", "dim"))
    for stream, reason in tally.troubles:
        screen.line(("  ✗ ", "bold red"), f"{shown_stream(stream)}: {reason}")
    if tally.troubles_count:
        left = plural(tally.troubles_count, "session")
        screen.line((f"{left} left as found; see `lash-es db check`", "bold red"))


def print_dry_run(screen: Screen, *, dry_run: bool) -> None:
    """Say that nothing was done, if nothing was."""
    if dry_run:
        screen.line(("dry run: nothing was written", "bold"))


def tally_document(tally: Tally) -> dict[str, object]:
    """Describe it for programs; lists are cut, counts are not."""
    return {
        "sessions_count": tally.sessions_count,
        "changed_count": tally.changed_count,
        "changed": [_named(done.stream) | {"count": done.count} for done in tally.changed],
        "troubles_count": tally.troubles_count,
        "troubles": [_named(stream) | {"reason": reason} for stream, reason in tally.troubles],
    }


def _named(stream: StreamId) -> dict[str, object]:
    return {"namespace": stream.namespace, "session": stream.session_id}


def shown_stream(stream: StreamId) -> str:
    """Name a session, with its namespace if that is not the usual one."""
    usual = stream.namespace == "default"
    return stream.session_id if usual else f"{stream.namespace}/{stream.session_id}"
