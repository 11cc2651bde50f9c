"""
What the offline model looks at: the transcript, and what the tools' results in it say.

A result is taken at its word only where it can be read; anything else counts as a failed call.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from attrs import field, frozen

_QUOTED_CHARACTERS_MAX: Final = 88
_NAMED_MAX: Final = 6

_LISTED: Final = re.compile(r"(at least )?(\d+) files? and (\d+) folders? in \.")
_LISTED_FILE: Final = re.compile(r"(.+)  (\d+) bytes(  binary)?")
_READ: Final = re.compile(r"(.+), lines (\d+) to (\d+) of (at least )?(\d+)")
_READ_LINE: Final = re.compile(r"(\d+): (.*)")
_FOUND: Final = re.compile(r'(\d+) lines? in (\d+) files? with "(.+)"')
_FOUND_FILE: Final = re.compile(r"(\S.*), (\d+) lines?")
_FOUND_LINE: Final = re.compile(r"  (\d+): (.*)")
_MORE_ENTRIES: Final = re.compile(r"\.\.\. \d+ more entries")
_MORE_LARGEST: Final = "the largest text files among these:"
_UNSEARCHED: Final = re.compile(
    r"\d+ (?:cut-off folder|unsearched file|unreadable name|partly read file)s?"
)
# The word that the tool cut in two goes, too: a part of it is no word of the file's.
_CUT_OFF: Final = re.compile(r"\w* \.\.\. \d+ more characters$")


@frozen(kw_only=True)
class Result:
    """What one tool call came back with."""

    tool: str
    text: str


@frozen(kw_only=True)
class Transcript:
    """What the script looks at: everything so far, and which part of it is this turn's."""

    question: str = ""
    asked: tuple[str, ...] = ()
    results: tuple[Result, ...] = ()
    earlier_results: tuple[Result, ...] = ()
    answers: tuple[str, ...] = ()
    calls_count: int = 0

    def texts(self, tool: str) -> Iterator[str]:
        """Give what this tool returned in this turn, in order."""
        return (result.text for result in self.results if result.tool == tool)


@frozen(kw_only=True)
class Listing:
    """
    A result of ``list_files`` for the whole directory.

    ``is_counted`` says that the counts are of all, ``is_shown`` that every entry has its line, and
    ``is_compared`` that no text file is larger than those with a line.
    """

    counts: str
    notes: tuple[str, ...]
    files: tuple[tuple[str, int, bool], ...]
    folders: tuple[str, ...]
    is_empty: bool
    is_counted: bool
    is_shown: bool
    is_compared: bool

    @property
    def text_files(self) -> list[str]:
        """The paths of the text files, the largest first."""
        ordered = sorted(self.files, key=lambda file: (-file[1], file[0]))
        return [path for path, _, is_binary in ordered if not is_binary]

    def size_bytes(self, path: str) -> int:
        """How large the file was when it was listed; 0 if it was not."""
        return next((size for name, size, _ in self.files if name == path), 0)


@frozen(kw_only=True)
class Reading:
    """A result of ``read_file``."""

    path: str
    span: str
    lines: tuple[tuple[int, str], ...]
    is_whole: bool

    @property
    def own_lines(self) -> list[str]:
        """The lines that were read, without their numbers and the tool's own words."""
        return [_without_mark(line) for _, line in self.lines]

    @property
    def text(self) -> str:
        """The lines as a text."""
        return "\n".join(self.own_lines)


@frozen(kw_only=True)
class Finding:
    """
    A result of ``search_text``: the counts are of all, the lines are the first of each file.

    Where not everything could be searched, the counts are of what was (``is_whole``).
    """

    text: str
    line_count: int
    file_count: int
    files: tuple[tuple[str, int], ...] = field(default=())
    first: str = ""
    skipped: str = ""

    @property
    def summary(self) -> str:
        """The counts as half a sentence."""
        if not self.line_count:
            searched = " that was searched" if self.skipped else ""
            return f'Nothing{searched} says "{self.text}"'
        lines, files = (
            self.at_least(self.line_count, "line"),
            self.at_least(self.file_count, "file"),
        )
        return f'"{self.text}" is on {lines} of {files}'

    @property
    def is_whole(self) -> bool:
        """Whether everything was searched that may be, so that the counts are final."""
        return not _UNSEARCHED.search(self.skipped)

    def at_least(self, count: int, noun: str) -> str:
        """Count things of which there may be more where nobody looked."""
        return f"{'' if self.is_whole else 'at least '}{plural(count, noun)}"


def listing_in(results: Sequence[Result]) -> Listing | None:
    """Read the last listing among the results that can be read."""
    texts = [result.text for result in results if result.tool == "list_files"]
    readable = [text for text in texts if _LISTED.fullmatch(text.partition("\n")[0])]
    return _listing_of(readable[-1].split("\n")) if readable else None


def _listing_of(lines: Sequence[str]) -> Listing:
    files = [found for line in lines[1:] if (found := _LISTED_FILE.fullmatch(line))]
    is_counted = not lines[0].startswith("at least ")
    is_shown = is_counted and not any(map(_MORE_ENTRIES.fullmatch, lines))
    return Listing(
        counts=lines[0].removesuffix(" in ."),
        notes=tuple(line for line in lines[1:3] if line.startswith(("by suffix: ", "skipped: "))),
        files=tuple((found[1], int(found[2]), bool(found[3])) for found in files),
        folders=tuple(line for line in lines[1:] if line.endswith("/")),
        is_empty=lines[0] == "0 files and 0 folders in .",
        is_counted=is_counted,
        is_shown=is_shown,
        is_compared=is_shown or (is_counted and _MORE_LARGEST in lines),
    )


def reading_in(text: str) -> Reading | None:
    """Read a result of ``read_file``; none if it is no such thing."""
    first, *rest = text.split("\n")
    found = _READ.fullmatch(first)
    if not found:
        return None
    lines = [numbered for line in rest if (numbered := _READ_LINE.fullmatch(line))]
    is_cut = any(line.startswith("... ") or _CUT_OFF.search(line) for line in rest)
    return Reading(
        path=found[1],
        span=f"lines {found[2]} to {found[3]} of {found[4] or ''}{found[5]}",
        lines=tuple((int(numbered[1]), numbered[2]) for numbered in lines),
        is_whole=found[2] in {"0", "1"} and not found[4] and not is_cut,
    )


def _without_mark(line: str) -> str:
    return _CUT_OFF.sub("", line)


def finding_in(transcript: Transcript, text: str) -> Finding | None:
    """Read what was found of this text in this turn; none if nothing can be read."""
    for result in transcript.texts("search_text"):
        first, *rest = result.split("\n")
        found = _FOUND.fullmatch(first)
        if found and found[3] == text:
            return _finding_of(int(found[1]), int(found[2]), text, rest)
    return None


def _finding_of(line_count: int, file_count: int, text: str, rest: Sequence[str]) -> Finding:
    files = [found for line in rest if (found := _FOUND_FILE.fullmatch(line))]
    lines = [found for line in rest if (found := _FOUND_LINE.fullmatch(line))]
    return Finding(
        text=text,
        line_count=line_count,
        file_count=file_count,
        files=tuple((found[1], int(found[2])) for found in files),
        skipped=rest[0] if rest and rest[0].startswith("skipped: ") else "",
        first=f"{files[0][1]}:{lines[0][1]}: {lines[0][2].strip()}" if files and lines else "",
    )


def failure_of(transcript: Transcript, tool: str) -> str:
    """Say in the tool's own words why it gave nothing that can be read."""
    patterns = {"list_files": _LISTED, "read_file": _READ, "search_text": _FOUND}
    firsts = [text.partition("\n")[0] for text in transcript.texts(tool)]
    failed = [first for first in firsts if not patterns[tool].fullmatch(first)]
    return shortened(failed[0]) if failed and failed[0] else f"{tool} gave no result"


def named(names: Sequence[str], *, is_all: bool = True) -> str:
    """List names in half a sentence, the first few of them; there may be more than are known."""
    more = len(names) - _NAMED_MAX
    count = f"{'' if is_all else 'at least '}{more}"
    return ", ".join(names[:_NAMED_MAX]) + (f" and {count} more" if more > 0 else "")


def shortened(line: str) -> str:
    """Cut a line that is too long to quote."""
    cut = line[: _QUOTED_CHARACTERS_MAX - 3]
    return line if len(line) <= _QUOTED_CHARACTERS_MAX else f"{cut}..."


def plural(count: int, noun: str) -> str:
    """Count things."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
