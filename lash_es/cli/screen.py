"""
What the verbs print: text for people, fitted to the terminal, or one JSON document for programs.

1. Every text is somebody else's until proved otherwise: it is escaped here, and never read as
   markup.
2. A line is as wide as the terminal; into a pipe it is as long as it is, without colours.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, TypeAlias

from attrs import frozen
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from lash_es.cli.escaping import shown

WIDTH_MAX: Final = 132
"""Longer lines are hard to read, however wide the terminal is."""
PIPE_WIDTH: Final = 100_000
LAST_COLUMN_MIN: Final = 28
"""The last column of a table keeps this much, and other columns are left out for it."""

Piece: TypeAlias = str | tuple[str, str]
"""A text, or a text and its style."""


@frozen(kw_only=True)
class Column:
    """A column of a table; one with a ``rank`` is left out where it is narrow, lowest first."""

    title: str
    is_number: bool = False
    style: str = ""
    rank: int = 0


class Screen:
    """Standard output as people see it."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(markup=False, highlight=False, emoji=False)
        self._width = (
            min(self._console.width, WIDTH_MAX) if self._console.is_terminal else PIPE_WIDTH
        )

    def line(self, *pieces: Piece, indent: int = 0) -> None:
        """Print one line; where it is too long it goes on below, a little further in."""
        margin = " " * indent
        for part in self._wrapped(_assembled(pieces), self._width - indent - 2):
            self._print(Text(margin) + part if part else part)
            margin = " " * (indent + 2)

    def paragraph(self, text: str, *, indent: int = 0, style: str = "") -> None:
        """Print a text of several lines, each as far in as it was written."""
        for line in text.split("\n"):
            words = line.lstrip(" ")
            self.line((words, style), indent=indent + len(line) - len(words))

    def blank(self) -> None:
        """Print an empty line."""
        self._print(Text())

    def heading(self, title: str) -> None:
        """Print the title of a section, with a rule behind it."""
        self.blank()
        rule = "─" * max(0, min(self._width, 80) - cell_len(title) - 4)
        self._print(Text.assemble(("── ", "dim"), (shown(title), "bold"), (f" {rule}", "dim")))

    def rows(self, rows: Iterable[tuple[str, Sequence[Piece]]], *, indent: int = 2) -> None:
        """Print labels with their values behind them; a label may be empty."""
        listed = list(rows)
        width = max((cell_len(shown(label)) for label, _ in listed), default=0) + 2
        for label, pieces in listed:
            parts = self._wrapped(_assembled(pieces), self._width - indent - width)
            for number, part in enumerate(parts):
                told = shown(label) if number == 0 else ""
                margin = " " * indent + told + " " * (width - cell_len(told))
                self._print(Text.assemble((margin, "cyan"), part))

    def table(
        self,
        columns: Sequence[Column],
        rows: Sequence[Sequence[Piece]],
        *,
        with_titles: bool = True,
    ) -> None:
        """Print a table, a line a row; the last column is cut where the terminal ends."""
        texts = [[_assembled([cell]) for cell in row] for row in rows]
        titles = [Text(shown(column.title), style="bold") for column in columns]
        widths = [
            max(cell.cell_len for cell in cells) for cells in zip(titles, *texts, strict=True)
        ]
        kept = self._kept(columns, widths)
        for row in (titles, *texts) if with_titles else texts:
            self._print(self._row([(row[i], widths[i], columns[i]) for i in kept]))

    def _wrapped(self, text: Text, width: int) -> list[Text]:
        parts = list(text.wrap(self._console, max(width, LAST_COLUMN_MIN))) or [Text()]
        for part in parts:
            part.rstrip()
        return parts

    def _kept(self, columns: Sequence[Column], widths: Sequence[int]) -> list[int]:
        kept = list(range(len(columns)))
        for _, index in sorted((column.rank, i) for i, column in enumerate(columns)):
            used = sum(widths[i] + 2 for i in kept[:-1])
            if columns[index].rank and used + LAST_COLUMN_MIN > self._width:
                kept.remove(index)
        return kept

    def _row(self, cells: Sequence[tuple[Text, int, Column]]) -> Text:
        *first, (last, _, column) = cells
        line = Text()
        for text, width, column_of in first:
            padding = " " * (width - text.cell_len)
            pieces = (padding, text) if column_of.is_number else (text, padding)
            line.append_text(Text.assemble(*pieces, style=column_of.style)).append("  ")
        rest = Text.assemble(last, style=column.style)
        rest.truncate(max(self._width - line.cell_len, 1), overflow="ellipsis")
        line.append_text(rest).rstrip()
        return line

    def _print(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True)


def _assembled(pieces: Iterable[Piece]) -> Text:
    text = Text()
    for piece in pieces:
        words, style = piece if isinstance(piece, tuple) else (piece, "")
        text.append(shown(words), style=style or None)
    return text


def print_json(document: object) -> None:
    """Print one JSON document, in ASCII, so that no terminal is steered by it either."""
    text = json.dumps(document, indent=2)
    sys.stdout.write(text.replace("\x7f", "\\u007f") + "\n")


def clock(at_ms: int) -> str:
    """Write a time of day, here, to the millisecond."""
    return datetime.fromtimestamp(at_ms / 1000).astimezone().strftime("%H:%M:%S.%f")[:-3]


def day(at_ms: int) -> str:
    """Write a date and the zone in which times of day are told."""
    return datetime.fromtimestamp(at_ms / 1000).astimezone().strftime("%Y-%m-%d %Z")


def plural(count: int, noun: str) -> str:
    """Count things."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
