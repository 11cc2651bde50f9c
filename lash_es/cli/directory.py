"""
The demo's tools: look at one real directory, change nothing, never leave it.

1. A path is a chain of names below the root. Each is opened from the descriptor of its folder and
   no link is followed, so a link that appears between the check and the opening leads nowhere.
2. A file is read from the descriptor that was checked to be a regular file: a pipe cannot block.
3. Links, special files, undecodable names and names that may hold secrets are skipped and counted.
4. Every order is by name, breadth first. Every size has a named limit; a result says what was cut.
5. What a person or a model sees of a name or a line has its control characters escaped.

A hard link to a file elsewhere cannot be told from a file of the directory, and counts as one.
"""

import errno
import heapq
import os
import re
import stat
from collections import Counter, deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Final

from attrs import define, field, frozen
from attrs.validators import ge

from lash_es.core.errors import LashError

WITHHELD_NAMES: Final = (
    *(".git", ".hg", ".svn", ".secret*", "secret.*", "secrets", "secrets.*"),
    *(".env*", "*.env", ".netrc", "_netrc", ".npmrc", ".yarnrc*", ".pypirc", ".pgpass", ".my.cnf"),
    *(".git-credentials", "credentials*", ".credentials*", "*.credentials", ".htpasswd"),
    *(".aws", ".azure", ".docker", ".dockercfg", ".gnupg", ".kube", ".ssh", ".terraform*"),
    *("id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "*.pem", "*.key", "*.p8", "*.p12"),
    *("*.pfx", "*.ppk", "*.gpg", "*.jks", "*.keystore", "*.kdb", "*.kdbx", "*.ovpn"),
    *("*.tfstate*", "*.tfvars", ".vault-token", "service-account*.json"),
)
"""Patterns of names that are never listed, read or searched; matched without regard to case."""

_CONTROL: Final = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_HEAD_BYTES: Final = 8_192
_FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW | os.O_CLOEXEC


@define(kw_only=True)
class DirectoryUnusable(LashError):
    """The path that was given as the tools' directory is none that can be listed."""

    path: str
    reason: str

    def _summary(self) -> str:
        """Say which path it is and why it will not do."""
        return f"cannot use {self.path!r} as the directory: {self.reason}"

    __str__ = _summary


@define(kw_only=True)
class ToolRefused(LashError):
    """A tool was asked for what it cannot or must not show; nothing was read."""

    asked: str
    reason: str

    def _summary(self) -> str:
        """Say what was asked for and why it is refused."""
        return f'"{shown_name(self.asked)}": {self.reason}'

    __str__ = _summary


@frozen(kw_only=True)
class Entry:
    """One file or folder that a walk found; its names lead to it from the root."""

    names: tuple[str, ...]
    size_bytes: int
    is_folder: bool

    @property
    def path(self) -> str:
        """The path as it is shown: control characters escaped, a slash after a folder."""
        return _shown_path(self.names) + ("/" if self.is_folder else "")


@frozen(kw_only=True)
class Walk:
    """What lies below one folder, breadth first, each folder's entries sorted by name."""

    entries: tuple[Entry, ...]
    skipped: tuple[tuple[str, int], ...]
    is_cut: bool

    @property
    def files(self) -> tuple[Entry, ...]:
        """The files among the entries, in the walk's order."""
        return tuple(entry for entry in self.entries if not entry.is_folder)


@frozen(kw_only=True)
class Content:
    """The text of one file, split at line feeds like grep does."""

    lines: tuple[str, ...]
    is_whole: bool


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


def _limit(default: int) -> int:
    return field(default=default, validator=ge(1))


@frozen(kw_only=True)
class Directory:
    """Three read-only tools over one directory; make it with ``Directory.at``."""

    root: Path
    file_bytes_max: int = _limit(1_048_576)
    search_bytes_max: int = _limit(33_554_432)
    entries_walked_max: int = _limit(10_000)
    entries_shown_max: int = _limit(300)
    folder_depth_max: int = _limit(16)
    lines_read_max: int = _limit(200)
    line_characters_max: int = _limit(240)
    files_matched_max: int = _limit(40)
    lines_matched_per_file_max: int = _limit(5)
    text_characters_max: int = _limit(200)
    path_characters_max: int = _limit(4_096)

    @classmethod
    def at(cls, path: str | Path) -> "Directory":
        """
        Give the tools of the directory at ``path``, with the default limits.

        Raises:
            DirectoryUnusable: it does not exist, is no directory, or cannot be opened.
        """
        try:
            root = Path(path).resolve(strict=True)
            os.close(os.open(root, _FOLDER_FLAGS))
        except (OSError, RuntimeError, ValueError) as error:
            raise DirectoryUnusable(path=str(path), reason=_reason(error)) from None
        return cls(root=root)

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
        names = self._names(folder)
        walk = self._walked(names)
        lines = [*_listing_heading(walk, _shown_path(names))]
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
        names = self._names(path)
        content = self._content(names)
        count = len(content.lines)
        if not 1 <= first_line <= max(count, 1):
            raise ToolRefused(asked=path, reason=f"no line {first_line}: it has {count} lines")
        chosen = content.lines[first_line - 1 :][: self.lines_read_max]
        last_line = first_line - 1 + len(chosen)
        of = f"{'' if content.is_whole else 'at least '}{count}"
        span = f"lines {min(first_line, last_line)} to {last_line} of {of}"
        lines = [f"{_shown_path(names)}, {span}"]
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
        search = self._searched(text, self._walked(self._names(folder)))
        lines = _search_heading(search, text)
        for match in search.matches[: self.files_matched_max]:
            lines += self._match_lines(match, text)
        more = len(search.matches) - self.files_matched_max
        return "\n".join([*lines, *_more(more, "files")])

    # Paths: from what a model wrote to names that are safe to open one by one.

    def _names(self, path: str) -> tuple[str, ...]:
        names = tuple(name for name in path.split("/") if name not in {"", "."})
        if reason := self._path_refusal(path, names):
            raise ToolRefused(asked=path[: self.path_characters_max], reason=reason)
        return names

    def _path_refusal(self, path: str, names: tuple[str, ...]) -> str | None:
        if path.startswith("/"):
            return "expected a path relative to the directory"
        if ".." in names:
            return "a path cannot go up, the directory is all there is"
        if "\0" in path or not _is_decodable(path) or len(path) > self.path_characters_max:
            return "no such name can exist"
        if any(map(is_withheld, names)):
            return "it may hold secrets and is withheld"
        if len(names) > self.folder_depth_max + 1:
            return f"it is deeper than {self.folder_depth_max} folders"
        return None

    @contextmanager
    def _opened_folder(self, names: Sequence[str]) -> Generator[int]:
        descriptor = os.open(self.root, _FOLDER_FLAGS)
        try:
            for name in names:
                below = _opened(descriptor, name, _FOLDER_FLAGS)
                os.close(descriptor)
                descriptor = below
            yield descriptor
        finally:
            os.close(descriptor)

    # Walking.

    def _walked(self, start: tuple[str, ...]) -> Walk:
        entries: list[Entry] = []
        skipped: Counter[str] = Counter()
        waiting, is_cut = deque([start]), False
        while waiting and len(entries) < self.entries_walked_max:
            folder = waiting.popleft()
            room = self.entries_walked_max - len(entries)
            try:
                found, has_more = self._folder_entries(folder, room, skipped)
            except OSError as error:
                if folder == start:
                    raise ToolRefused(asked="/".join(start), reason=_reason(error)) from None
                skipped["unreadable name"] += 1
                continue
            entries += found
            below = [entry.names for entry in found if entry.is_folder]
            is_deep = len(folder) >= self.folder_depth_max
            is_cut = is_cut or has_more or (is_deep and bool(below))
            waiting += [] if is_deep else below
        is_cut = is_cut or bool(waiting)
        return Walk(entries=tuple(entries), skipped=_counted(skipped), is_cut=is_cut)

    def _folder_entries(
        self, folder: tuple[str, ...], room: int, skipped: Counter[str]
    ) -> tuple[list[Entry], bool]:
        with self._opened_folder(folder) as descriptor, os.scandir(descriptor) as scanned:
            # The smallest names, not the first that the system gives: the order stays the name's.
            nearest = heapq.nsmallest(room + 1, scanned, key=lambda item: item.name)
            judged = [_judged(folder, item) for item in nearest[:room]]
        skipped.update(verdict for verdict in judged if isinstance(verdict, str))
        found = [verdict for verdict in judged if isinstance(verdict, Entry)]
        return found, len(nearest) > room

    # Reading.

    def _file_bytes(self, names: tuple[str, ...]) -> bytes:
        if not names:
            raise OSError(errno.EISDIR, "it is a folder")
        with self._opened_folder(names[:-1]) as folder:
            descriptor = _opened(folder, names[-1], _FILE_FLAGS)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "it is no regular file")
            head = file.read(min(_HEAD_BYTES, self.file_bytes_max + 1))
            # One zero byte makes it binary: the rest would be read for nothing.
            return head if b"\0" in head else head + file.read(self.file_bytes_max + 1 - len(head))

    def _content(self, names: tuple[str, ...]) -> Content:
        try:
            data = self._file_bytes(names)
        except OSError as error:
            raise ToolRefused(asked="/".join(names), reason=_reason(error)) from None
        content = self._decoded(data)
        if content is None:
            raise ToolRefused(asked="/".join(names), reason="it is binary, not text")
        return content

    def _decoded(self, data: bytes) -> Content | None:
        if b"\0" in data:
            return None
        # Bytes that are no UTF-8 stay in their line, as escapes: one of them makes no file binary.
        text = data[: self.file_bytes_max].decode("utf-8", "surrogateescape")
        lines = text.split("\n")
        is_whole = len(data) <= self.file_bytes_max
        return Content(lines=tuple(lines if lines[-1] else lines[:-1]), is_whole=is_whole)

    def _is_text(self, entry: Entry) -> bool:
        try:
            return self._decoded(self._file_bytes(entry.names)) is not None
        except OSError:
            return False

    # Searching.

    def _is_searchable(self, text: str) -> bool:
        is_short = 1 <= len(text) <= self.text_characters_max
        return is_short and "\n" not in text and _is_decodable(text)

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
        return Search(matches=tuple(matches), skipped=_counted(skipped))

    def _searched_bytes(self, entry: Entry, room_bytes: int, skipped: Counter[str]) -> bytes:
        if room_bytes <= 0:
            skipped["unsearched file"] += 1
            return b""
        try:
            return self._file_bytes(entry.names)
        except OSError:
            skipped["unreadable name"] += 1
            return b""

    def _matching_lines(
        self, text: str, data: bytes, skipped: Counter[str]
    ) -> tuple[tuple[int, str], ...]:
        content = self._decoded(data)
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


def shown(text: str) -> str:
    """Escape what could steer a terminal or hide text: control and invisible characters."""
    return _CONTROL.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:  # A byte that was no UTF-8, as surrogateescape carries it.
        return f"\\x{code - 0xDC00:02x}"
    return found[0].encode("unicode_escape").decode("ascii")


def shown_name(name: str) -> str:
    """Escape like ``shown``, and the tab too, which no name needs."""
    return shown(name).replace("\t", "\\t")


def is_withheld(name: str) -> bool:
    """Tell whether a file or folder of this name may hold secrets, or history that does."""
    folded = name.casefold()
    return any(fnmatchcase(folded, pattern) for pattern in WITHHELD_NAMES)


def _shown_path(names: Sequence[str]) -> str:
    return "/".join(map(shown_name, names)) or "."


def _is_decodable(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _judged(folder: tuple[str, ...], item: "os.DirEntry[str]") -> Entry | str:
    """Give the entry, or the word for why it is skipped."""
    if not _is_decodable(item.name):
        return "undecodable name"
    if is_withheld(item.name):
        return "withheld name"
    try:
        status = item.stat(follow_symlinks=False)
    except OSError:
        return "unreadable name"
    if stat.S_ISLNK(status.st_mode):
        return "link"
    is_folder = stat.S_ISDIR(status.st_mode)
    if not (is_folder or stat.S_ISREG(status.st_mode)):
        return "special file"
    return Entry(names=(*folder, item.name), size_bytes=status.st_size, is_folder=is_folder)


def _opened(folder: int, name: str, flags: int) -> int:
    """Open one name of an open folder; the look before is for the message, the flags decide."""
    try:
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except FileNotFoundError:
        name = _original_name(folder, name)
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    if stat.S_ISLNK(mode):
        raise OSError(errno.ELOOP, "it is a link, and links are not followed")
    if flags == _FILE_FLAGS and not stat.S_ISREG(mode):
        # Opening alone can act on a device, so it is not even tried.
        reason = "it is a folder" if stat.S_ISDIR(mode) else "it is no regular file"
        raise OSError(errno.EINVAL, reason)
    return os.open(name, flags, dir_fd=folder)


def _original_name(folder: int, name: str) -> str:
    """Find the entry that is shown by this name, since a listing shows names escaped."""
    if "\\" in name:
        with os.scandir(folder) as scanned:
            return next((item.name for item in scanned if shown_name(item.name) == name), name)
    return name


def _reason(error: Exception) -> str:
    match error:
        case FileNotFoundError():
            return "there is no such file or folder"
        case NotADirectoryError():
            return "it is not a directory"
        case OSError(strerror=str(reason)):
            return reason
        case _:
            return str(error)


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


def _counted(skipped: Counter[str]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted((reason, count) for reason, count in skipped.items() if count))


def _listed(skipped: Sequence[tuple[str, int]]) -> str:
    return ", ".join(_plural(count, reason) for reason, count in skipped)


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _more(count: int, what: str, *, indent: str = "") -> list[str]:
    return [f"{indent}... {count} more {what}"] if count > 0 else []
