"""What the verbs that look at the past share: whose past, since when, and how facts are named."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from attrs import frozen

from lash_es.cli.addressing import Log, Moment, Opening, moment, opened, past_at
from lash_es.cli.documents import Document, line_document
from lash_es.cli.screen import Piece
from lash_es.cli.show_verb import told_at
from lash_es.core.ids import Position
from lash_es.timetravel.narrating import Line
from lash_es.timetravel.past import StoredHistory
from lash_es.timetravel.paths import value_text

NO: Final = 3
"""The exit status where all went well and the answer is no: nothing found, or not the same."""
VALUE_CHARS_MAX: Final = 400


@frozen(kw_only=True)
class Asked:
    """A session as of a moment, in its log."""

    log: Log
    meant: Moment
    past: StoredHistory

    def line(self, position: Position) -> Line:
        """Tell one of its facts."""
        return told_at(self.log, self.past, position)

    def document(self) -> Document:
        """Say whose past it is, and as of when."""
        return {
            "db": self.log.store.where,
            "namespace": self.meant.stream.namespace,
            "session": self.meant.stream.session_id,
            "version": self.past.version,
        }


@contextmanager
def asked(opening: Opening, namespace: str, address: str) -> Generator[Asked]:
    """
    Open the past that an address means.

    Raises:
        LashError: there is no such log, session or moment.
    """
    with opened(opening, namespace) as log:
        yield asked_in(log, address)


def asked_in(log: Log, address: str) -> Asked:
    """Look at what an address means in a log that is open."""
    meant = moment(log, address)
    return Asked(log=log, meant=meant, past=past_at(log, meant))


def fact_pieces(line: Line) -> list[Piece]:
    """Name a fact on a line."""
    return [(f"{line.position} ", "bold"), (f"{line.name} ", "dim"), line.what]


def fact_document(line: Line) -> Document:
    """Describe a fact."""
    return line_document(line)


def value_words(value: object) -> str:
    """Write a value on a line, as far as there is room."""
    text = value_text(value)
    return f"{text[: VALUE_CHARS_MAX - 3]}..." if len(text) > VALUE_CHARS_MAX else text
