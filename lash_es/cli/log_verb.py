"""``lash-es log``: every fact of a session, a line each."""

from collections.abc import Iterable, Sequence

from lash_es.cli.addressing import Log, Opening, opened
from lash_es.cli.documents import line_document
from lash_es.cli.screen import Column, Piece, Screen, clock, day, plural, print_json
from lash_es.codec.streams import StreamId
from lash_es.timetravel.history import History, read_history
from lash_es.timetravel.narrating import Line, Narrator

COLUMNS = (
    Column(title="pos", is_number=True, style="bold"),
    Column(title="time", style="dim", rank=1),
    Column(title="gen", is_number=True, style="dim", rank=2),
    Column(title="cause", is_number=True, style="dim", rank=3),
    Column(title="kind", rank=4),
    Column(title="what happened"),
)
_STYLES = {
    "session": "magenta",
    "lease": "dim",
    "input": "cyan",
    "turn": "bold cyan",
    "effect.requested": "yellow",
    "effect.settled": "green",
}


def print_log(opening: Opening, namespace: str, session: str, *, as_json: bool) -> None:
    """
    Print the log of a session.

    Raises:
        LashError: there is no such log or session, or it is damaged.
    """
    with opened(opening, namespace) as log:
        stream = log.stream(session)
        history = read_history(log.store, stream)
        lines = told(log, history)
        if as_json:
            print_json(_document(log, stream, history, lines))
            return
        screen = Screen()
        first, last = day(lines[0].at_ms), day(lines[-1].at_ms)
        days = first if first == last else f"{first} to {last}"
        where = (f" of {session} in {log.store.where}, {days}", "dim")
        screen.line((plural(history.version, "fact"), "bold"), where)
        screen.table(COLUMNS, table_rows(lines))


def told(log: Log, history: History) -> list[Line]:
    """Tell every recorded fact of a history."""
    narrator = Narrator(log.store, history.stream)
    return [
        narrator.line(entry.header, entry.event)
        for entry in history.entries
        if entry.header is not None
    ]


def table_rows(lines: Iterable[Line]) -> list[Sequence[Piece]]:
    """Lay lines out in the columns of the table."""
    return [
        (
            str(line.position),
            clock(line.at_ms),
            "" if line.generation is None else str(line.generation),
            "" if line.cause is None else str(line.cause),
            (line.name, _style(line.name)),
            (line.what, "dim" if line.name.startswith("lease.") else ""),
        )
        for line in lines
    ]


def _style(name: str) -> str:
    return _STYLES.get(name) or _STYLES.get(name.partition(".")[0], "")


def _document(
    log: Log, stream: StreamId, history: History, lines: Sequence[Line]
) -> dict[str, object]:
    headers = [entry.header for entry in history.entries if entry.header is not None]
    facts = [
        line_document(line) | {"append_id": header.append_id, "data": header.data}
        for line, header in zip(lines, headers, strict=True)
    ]
    return {
        "db": log.store.where,
        "namespace": stream.namespace,
        "session": stream.session_id,
        "version": history.version,
        "facts": facts,
    }
