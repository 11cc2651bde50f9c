"""``lash-es log``: the facts of a session, a line each."""

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from attrs import define, field, frozen

from lash_es.cli.addressing import Log, Opening, opened
from lash_es.cli.documents import line_document
from lash_es.cli.screen import Column, Piece, Screen, clock, day, plural, print_json
from lash_es.codec.records import Header
from lash_es.codec.streams import StreamId
from lash_es.core.agenda import agenda
from lash_es.core.events import EffectRequested
from lash_es.core.ids import Version
from lash_es.core.state import Deleted, Open
from lash_es.log.encoding import Folded
from lash_es.log.loading import Fact, begin, load_facts
from lash_es.log.snapshotting import load_as_of
from lash_es.timetravel.filtering import EVERYTHING, FactFilter
from lash_es.timetravel.history import History
from lash_es.timetravel.narrating import Line, Narrator

COLUMNS = (
    Column(title="pos", is_number=True, style="bold"),
    Column(title="time", style="dim", rank=1),
    Column(title="gen", is_number=True, style="dim", rank=2),
    Column(title="cause", is_number=True, style="dim", rank=3),
    Column(title="kind", rank=4),
    Column(title="what happened"),
)
LINES_PER_TABLE: Final = 5_000
"""A longer log is laid out in pieces, so that it need not be held in memory."""
FOLLOW_EVERY_S: Final = 0.2
_STYLES = {
    "session": "magenta",
    "lease": "dim",
    "input": "cyan",
    "turn": "bold cyan",
    "effect.requested": "yellow",
    "effect.settled": "green",
}


def _wait() -> None:
    time.sleep(FOLLOW_EVERY_S)


@frozen(kw_only=True)
class Wanted:
    """
    What of a log is told: which facts, of how many at its end, and whether those to come, too.

    ``wait`` lets some time pass until the next look.
    """

    facts: FactFilter = EVERYTHING
    last: int | None = None
    is_followed: bool = False
    wait: Callable[[], object] = field(default=_wait, eq=False)


Told = tuple[Line, Header]


@define
class _Reading:
    """A log as far as it was read."""

    log: Log
    wanted: Wanted
    folded: Folded
    trim: Fact | None
    narrator: Narrator

    @classmethod
    def of(cls, log: Log, stream: StreamId, wanted: Wanted) -> "_Reading":
        begun, narrator = begin(log.store, stream), Narrator(log.store, stream)
        head = log.store.head(stream)
        start = begun.folded.version
        if wanted.last is not None and head is not None:
            start = max(start, Version(head.version - wanted.last))
        if start == begun.folded.version:
            return cls(log, wanted, begun.folded, begun.trim, narrator)
        folded = load_as_of(log.store, stream, start)
        if isinstance(folded.state, Open):
            narrator.expect({each.effect_id: each.request for each in agenda(folded.state)})
        return cls(log, wanted, folded, None, narrator)

    @property
    def is_over(self) -> bool:
        """Tell whether nothing more can come."""
        return isinstance(self.folded.state, Deleted)

    def news(self) -> Iterator[Told]:
        """Tell what was not told yet."""
        for fact, folded in load_facts(self.log.store, self.folded, self.trim):
            self.folded = folded
            if self.wanted.facts.takes(fact.event):
                yield self.narrator.line(fact.header, fact.event), fact.header
            elif isinstance(fact.event, EffectRequested):
                self.narrator.expect({fact.event.effect_id: fact.event.request})


def print_log(
    opening: Opening,
    namespace: str,
    session: str,
    *,
    as_json: bool,
    wanted: Wanted | None = None,
) -> None:
    """
    Print the log of a session.

    Raises:
        LashError: there is no such log or session, or it is damaged.

    Cost: reads and checks every fact; of the last ones, those behind the snapshot before them.
    """
    asked = wanted or Wanted()
    with opened(opening, namespace) as log:
        stream = log.stream(session)
        reading = _Reading.of(log, stream, asked)
        if asked.is_followed:
            _follow(reading, as_json=as_json)
        elif as_json:
            print_json(_document(log, reading, list(reading.news())))
        else:
            _print_all(log, session, reading)


def _print_all(log: Log, session: str, reading: _Reading) -> None:
    screen, news = Screen(), reading.news()
    first = [line for line, _ in islice(news, LINES_PER_TABLE)]
    head = log.store.head(reading.folded.stream)
    where = f" of {session} in {log.store.where}"
    if not first or head is None:
        screen.line(("no such fact", "bold"), (where, "dim"))
        return
    days = " to ".join(dict.fromkeys((day(first[0].at_ms), day(head.at_ms))))
    if reading.wanted.facts == EVERYTHING:
        count = head.version - first[0].position
        screen.line((plural(count, "fact"), "bold"), (f"{where}, {days}", "dim"))
    else:
        among = f"those asked for among {plural(head.version, 'fact')}"
        screen.line((among, "bold"), (f"{where}, {days}", "dim"))
    screen.table(COLUMNS, table_rows(first))
    while piece := [line for line, _ in islice(news, LINES_PER_TABLE)]:
        screen.table(COLUMNS, table_rows(piece), with_titles=False)


def _follow(reading: _Reading, *, as_json: bool) -> None:
    """Tell facts as they come, until the session is deleted or somebody stops it."""
    screen, is_first = Screen(), True
    while True:
        news = list(reading.news())
        if as_json:
            for told_fact in news:
                sys.stdout.write(json.dumps(_fact(*told_fact)).replace("\x7f", "\\u007f") + "\n")
            sys.stdout.flush()
        elif news:
            screen.table(COLUMNS, table_rows(line for line, _ in news), with_titles=is_first)
            is_first = False
        if reading.is_over:
            return
        reading.wanted.wait()


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


def _document(log: Log, reading: _Reading, facts: Sequence[Told]) -> dict[str, object]:
    stream = reading.folded.stream
    return {
        "db": log.store.where,
        "namespace": stream.namespace,
        "session": stream.session_id,
        "version": reading.folded.version,
        "facts": [_fact(line, header) for line, header in facts],
    }


def _fact(line: Line, header: Header) -> dict[str, object]:
    return line_document(line) | {"append_id": header.append_id, "data": header.data}
