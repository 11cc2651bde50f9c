"""What people see fits their terminal, and says what was written, as it was written."""

import io
from collections.abc import Sequence

import pytest
from rich.console import Console

from lash_es.cli.log_verb import COLUMNS
from lash_es.cli.screen import Screen

ROW = (
    "12",
    "19:37:38.792",
    "3",
    "11",
    "effect.settled",
    "#2 read_file returned: a long line of it",
)


def drawn(width: int | None, *, rows: Sequence[Sequence[str]] = (ROW,)) -> list[str]:
    """Draw a bit of everything on a terminal of this width, or into a pipe."""
    file = io.StringIO()
    is_terminal = width is not None
    console = Console(
        file=file, width=width, force_terminal=is_terminal, color_system=None, markup=False
    )
    screen = Screen(console)
    screen.heading("A heading")
    screen.table(COLUMNS, rows)
    screen.rows([("label", ["a value that is so long that it goes on in the next line"])])
    screen.paragraph(
        "one [bold]line[/bold]\n\n  and one further in, which is long enough to go on"
    )
    return file.getvalue().splitlines()


@pytest.mark.parametrize("width", [40, 60, 80, 120, 300])
def test_no_line_is_longer_than_the_terminal_is_wide(width: int) -> None:
    assert max(map(len, drawn(width))) <= width


def test_a_wide_terminal_gets_every_column_and_a_narrow_one_the_last() -> None:
    wide, narrow = "\n".join(drawn(120)), "\n".join(drawn(40))

    assert all(cell in wide for cell in ROW)
    assert "19:37:38.792" not in narrow
    assert "#2 read_file returned: a long line…" in narrow


def test_a_pipe_gets_everything_on_one_line() -> None:
    lines = drawn(None)

    assert any(line.endswith("#2 read_file returned: a long line of it") for line in lines)
    assert "  label  a value that is so long that it goes on in the next line" in lines


def test_a_paragraph_keeps_its_indentation_when_it_goes_on() -> None:
    lines = drawn(40)
    first = lines.index("  and one further in, which is long")

    assert lines[first + 1] == "    enough to go on"


def test_brackets_are_no_markup() -> None:
    assert "one [bold]line[/bold]" in drawn(80)


def test_a_table_without_rows_is_its_heading() -> None:
    assert [line for line in drawn(80, rows=()) if line.startswith("pos")] == [
        "pos  time  gen  cause  kind  what happened"
    ]
