"""
The demo's tools: look at one real directory, change nothing, never leave it (``confinement.py``).

A result says what was left out or cut off. What a person or a model sees of a name or a line has
its control characters escaped.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from attrs import frozen

from lash_es.cli.confinement import (
    Confinement,
    Content,
    DirectoryUnusable,
    Entry,
    ToolRefused,
    Walk,
    counted,
    is_decodable,
    limit,
    shown_path,
)
from lash_es.cli.escaping import shown, shown_name

__all__ = ["Directory", "DirectoryUnusable", "ToolRefused"]


@frozen(kw_only=True)
class Match:
    """One file that holds the text, with the numbered lines that do."""

    entry: Entry
    lines: tuple[tuple[int, str], ...]


@frozen(kw_only=True)
class Search:
    """What a search found, and what it did not look into."""

    matches: tuple[Match, ...]
    skipped: tuple[tuple[str, int], ...]


@frozen(kw_only=True)
class Directory(Confinement):
    """Three read-only tools over one directory; make it with ``Directory.at``."""

    search_bytes_max: int = limit(33_554_432)
    entries_shown_max: int = limit(300)
    lines_read_max: int = limit(200)
    line_characters_max: int = limit(240)
    files_matched_max: int = limit(40)
    lines_matched_per_file_max: int = limit(5)
    text_characters_max: int = limit(200)

    def list_files(self, folder: str = ".") -> str:
        """
        List every file and folder below a folder, at any depth, with sizes in bytes.

        Like `find`, sorted by name, nearest first. Skipped and only counted: links (never
        followed), special files, and names that may hold secrets (.git, .env, keys, credentials).
        A file with a zero byte is marked "binary". A long list is cut off and says how many more
        there are.

        Args:
            folder: The folder to list, relative to the directory; "." is the directory itself.

        Returns:
            The counts, then one entry a line, "docs/" for a folder, "docs/a.md  120 bytes" for a
            file.
        """
        names = self.names_of(folder)
        walk = self.walked(names)
        lines = [*_listing_heading(walk, shown_path(names))]
        lines += [self._entry_line(entry) for entry in walk.entries[: self.entries_shown_max]]
        return "\n".join([*lines, *self._rest_lines(walk.entries[self.entries_shown_max :])])

    def read_file(self, path: str, first_line: int = 1) -> str:
        """
        Read a text file, with line numbers; a long file is cut off and says where to go on.

        Refused: binary files, links, special files, and names that may hold secrets (.git, .env,
        keys, credentials).

        Args:
            path: The file to read, relative to the directory, as list_files shows it.
            first_line: The number of the first line to show; lines are counted from 1.

        Returns:
            The path and the range of lines, then each line after its number.
        """
        names = self.names_of(path)
        content = self.content(names)
        count = len(content.lines)
        if not 1 <= first_line <= max(count, 1):
            raise ToolRefused(asked=path, reason=f"no line {first_line}: it has {count} lines")
        chosen = content.lines[first_line - 1 :][: self.lines_read_max]
        last_line = first_line - 1 + len(chosen)
        of = f"{'' if content.is_whole else 'at least '}{count}"
        span = f"lines {min(first_line, last_line)} to {last_line} of {of}"
        lines = [f"{shown_path(names)}, {span}"]
        lines += [f"{n}: {self._shown_line(line)}" for n, line in enumerate(chosen, first_line)]
        return "\n".join([*lines, *self._reading_rest(content, last_line)])

    def search_text(self, text: str, folder: str = ".") -> str:
        """
        Find the lines that hold a text, in every text file below a folder, at any depth.

        The text is literal and case matters, like `LC_ALL=C grep -rFnI`. Skipped and only counted:
        binary files, links, special files, and names that may hold secrets (.git, .env, keys,
        credentials). Of many lines or files only the first are shown; the counts are of all.

        Args:
            text: The text to find, within one line.
            folder: The folder to search, relative to the directory; "." is the directory itself.

        Returns:
            The counts, then each file's path and count with its numbered lines below.
        """
        if not self._is_searchable(text):
            limit = self.text_characters_max
            expected = f"expected 1 to {limit} characters of one line"
            raise ToolRefused(asked=text[:limit], reason=expected)
        search = self._searched(text, self.walked(self.names_of(folder)))
        lines = _search_heading(search, text)
        for match in search.matches[: self.files_matched_max]:
            lines += self._match_lines(match, text)
        more = len(search.matches) - self.files_matched_max
        return "\n".join([*lines, *_more(more, "files")])

    def _is_text(self, entry: Entry) -> bool:
        try:
            return self.decoded(self.file_bytes(entry.names)) is not None
        except OSError:
            return False

    # Searching.

    def _is_searchable(self, text: str) -> bool:
        is_short = 1 <= len(text) <= self.text_characters_max
        return is_short and "\n" not in text and is_decodable(text)

    def _searched(self, text: str, walk: Walk) -> Search:
        skipped = Counter(dict(walk.skipped))
        skipped["cut-off folder"] += int(walk.is_cut)
        matches: list[Match] = []
        room_bytes = self.search_bytes_max
        for entry in walk.files:
            data = self._searched_bytes(entry, room_bytes, skipped)
            room_bytes -= len(data)
            lines = self._matching_lines(text, data, skipped)
            matches += [Match(entry=entry, lines=lines)] if lines else []
        return Search(matches=tuple(matches), skipped=counted(skipped))

    def _searched_bytes(self, entry: Entry, room_bytes: int, skipped: Counter[str]) -> bytes:
        if room_bytes <= 0:
            skipped["unsearched file"] += 1
            return b""
        try:
            return self.file_bytes(entry.names)
        except OSError:
            skipped["unreadable name"] += 1
            return b""

    def _matching_lines(
        self, text: str, data: bytes, skipped: Counter[str]
    ) -> tuple[tuple[int, str], ...]:
        content = self.decoded(data)
        if content is None:
            skipped["binary file"] += 1
            return ()
        skipped["partly read file"] += int(not content.is_whole)
        return tuple((n, line) for n, line in enumerate(content.lines, 1) if text in line)

    # Showing.

    def _entry_line(self, entry: Entry) -> str:
        if entry.is_folder:
            return entry.path
        mark = "" if self._is_text(entry) else "  binary"
        return f"{entry.path}  {entry.size_bytes} bytes{mark}"

    def _rest_lines(self, rest: Sequence[Entry]) -> Iterator[str]:
        yield from _more(len(rest), "entries")
        files = [entry for entry in rest if not entry.is_folder]
        by_size = sorted(files, key=lambda file: (-file.size_bytes, file.names))
        # A few are enough to compare with the files above; not each of them is worth opening.
        texts = [entry for entry in by_size[:30] if self._is_text(entry)][:3]
        if texts:
            yield "the largest text files among these:"
            yield from (self._entry_line(entry) for entry in texts)

    def _reading_rest(self, content: Content, last_line: int) -> Iterator[str]:
        more = len(content.lines) - last_line
        if more:
            yield f"... {more} more lines; go on with first_line={last_line + 1}"
        if not content.is_whole:
            yield f"... the file goes on; only its first {self.file_bytes_max} bytes can be read"

    def _match_lines(self, match: Match, text: str) -> Iterator[str]:
        count = len(match.lines)
        yield f"{match.entry.path}, {_plural(count, 'line')}"
        for number, line in match.lines[: self.lines_matched_per_file_max]:
            yield f"  {number}: {self._shown_line(line, line.index(text))}"
        yield from _more(count - self.lines_matched_per_file_max, "lines", indent="  ")

    def _shown_line(self, line: str, focus: int = 0) -> str:
        width = self.line_characters_max
        line = line.removesuffix("\r")
        start = max(0, focus - width // 2) if len(line) > width else 0
        left_out = len(line) - start - width
        before = "... " if start else ""
        after = f" ... {left_out} more characters" if left_out > 0 else ""
        return before + shown(line[start : start + width]) + after


def _listing_heading(walk: Walk, folder: str) -> Iterator[str]:
    files = walk.files
    folders = _plural(len(walk.entries) - len(files), "folder")
    at_least = "at least " if walk.is_cut else ""
    yield f"{at_least}{_plural(len(files), 'file')} and {folders} in {folder}"
    if files:
        yield f"by suffix: {_by_suffix(files)}"
    if walk.skipped:
        yield f"skipped: {_listed(walk.skipped)}"


def _by_suffix(files: Sequence[Entry], suffixes_shown_max: int = 8) -> str:
    suffixes = (PurePosixPath(file.names[-1]).suffix[:12] for file in files)
    counts = Counter(shown_name(suffix) or "none" for suffix in suffixes)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown_first = [f"{suffix} {count}" for suffix, count in ordered[:suffixes_shown_max]]
    other = sum(count for _, count in ordered[suffixes_shown_max:])
    return ", ".join([*shown_first, *([f"other {other}"] if other else [])])


def _search_heading(search: Search, text: str) -> list[str]:
    line_count = sum(len(match.lines) for match in search.matches)
    counts = f"{_plural(line_count, 'line')} in {_plural(len(search.matches), 'file')}"
    skipped = [f"skipped: {_listed(search.skipped)}"] if search.skipped else []
    return [f'{counts} with "{shown(text)}"', *skipped]


def _listed(skipped: Sequence[tuple[str, int]]) -> str:
    return ", ".join(_plural(count, reason) for reason, count in skipped)


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _more(count: int, what: str, *, indent: str = "") -> list[str]:
    return [f"{indent}... {count} more {what}"] if count > 0 else []
