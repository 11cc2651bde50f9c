"""
What may be seen of one real directory: nothing outside it, nothing secret, and never too much.

1. A path is a chain of names below the root. Each is opened from the descriptor of its folder and
   no link is followed, so a link that appears between the check and the opening leads nowhere.
2. A file is read from the descriptor that was checked to be a regular file: a pipe cannot block.
3. Links, special files, undecodable names and names that may hold secrets are skipped and counted.
4. Every order is by name, breadth first. Every size has a named limit.

A hard link to a file elsewhere cannot be told from a file of the directory, and counts as one.
"""

import errno
import heapq
import os
import stat
from collections import Counter, deque
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, Self

from attrs import define, field, frozen
from attrs.validators import ge

from lash_es.cli.escaping import shown_name
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
        return shown_path(self.names) + ("/" if self.is_folder else "")


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


def limit(default: int) -> int:
    """Make a field for a named limit, which is at least 1."""
    return field(default=default, validator=ge(1))


@frozen(kw_only=True)
class Confinement:
    """One directory, looked at within named limits."""

    root: Path
    file_bytes_max: int = limit(1_048_576)
    entries_walked_max: int = limit(10_000)
    folder_depth_max: int = limit(16)
    path_characters_max: int = limit(4_096)

    @classmethod
    def at(cls, path: str | Path) -> Self:
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

    # Paths: from what a model wrote to names that are safe to open one by one.

    def names_of(self, path: str) -> tuple[str, ...]:
        """
        Take a path apart into names that are safe to open one by one.

        Raises:
            ToolRefused: it leads out of the directory, or to what is withheld.
        """
        names = tuple(name for name in path.split("/") if name not in {"", "."})
        if reason := self._path_refusal(path, names):
            raise ToolRefused(asked=path[: self.path_characters_max], reason=reason)
        return names

    def _path_refusal(self, path: str, names: tuple[str, ...]) -> str | None:
        if path.startswith("/"):
            return "expected a path relative to the directory"
        if ".." in names:
            return "a path cannot go up, the directory is all there is"
        if "\0" in path or not is_decodable(path) or len(path) > self.path_characters_max:
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

    def walked(self, start: tuple[str, ...]) -> Walk:
        """Go through everything below a folder, breadth first."""
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
        return Walk(entries=tuple(entries), skipped=counted(skipped), is_cut=is_cut)

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

    def file_bytes(self, names: tuple[str, ...]) -> bytes:
        """Read a regular file, one byte over the limit at most; of a binary one, its head."""
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

    def content(self, names: tuple[str, ...]) -> Content:
        """
        Read a text file.

        Raises:
            ToolRefused: it cannot be read, or is binary.
        """
        try:
            data = self.file_bytes(names)
        except OSError as error:
            raise ToolRefused(asked="/".join(names), reason=_reason(error)) from None
        content = self.decoded(data)
        if content is None:
            raise ToolRefused(asked="/".join(names), reason="it is binary, not text")
        return content

    def decoded(self, data: bytes) -> Content | None:
        """Split text into lines; none if it is binary."""
        if b"\0" in data:
            return None
        # Bytes that are no UTF-8 stay in their line, as escapes: one of them makes no file binary.
        text = data[: self.file_bytes_max].decode("utf-8", "surrogateescape")
        lines = text.split("\n")
        is_whole = len(data) <= self.file_bytes_max
        return Content(lines=tuple(lines if lines[-1] else lines[:-1]), is_whole=is_whole)


def is_withheld(name: str) -> bool:
    """Tell whether a file or folder of this name may hold secrets, or history that does."""
    folded = name.casefold()
    return any(fnmatchcase(folded, pattern) for pattern in WITHHELD_NAMES)


def shown_path(names: Sequence[str]) -> str:
    """Put names together as a listing shows them."""
    return "/".join(map(shown_name, names)) or "."


def is_decodable(name: str) -> bool:
    """Tell whether a name is text."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _judged(folder: tuple[str, ...], item: "os.DirEntry[str]") -> Entry | str:
    """Give the entry, or the word for why it is skipped."""
    if not is_decodable(item.name):
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


def counted(skipped: Counter[str]) -> tuple[tuple[str, int], ...]:
    """Sort what was skipped by its reason."""
    return tuple(sorted((reason, count) for reason, count in skipped.items() if count))
