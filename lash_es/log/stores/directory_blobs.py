"""
Blobs as files of one directory, for bodies that no database should hold. One log, one directory.

A file is written under another name, brought to the disk, renamed to its address in hexadecimal,
and the directory is brought to the disk: only then are the facts committed that name it. A crash
in between leaves a file that nobody names, for a sweep. The file of a blob that is there already
gets a new time, its token.

A writer holds a lock shared from its first file until its facts are committed; listing and
deleting take it alone, for a moment: so whoever wrote before the listing has named what it wrote.
It needs POSIX: locks on files, and opening relative to a directory.
"""

import fcntl
import os
import re
import stat
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from os import PathLike
from pathlib import Path
from typing import Final

from lash_es.log.blobs import FIRST_ADDRESS, Address, Blob, KeptBlob
from lash_es.log.errors import StoreFailed, StoreUnavailable

FILE_BYTES_MAX: Final = 1 << 30
TEMPORARY_AGE_S: Final = 24 * 3_600
"""How old a file must be that a crash left half written, to go with the next listing."""
_ADDRESS: Final = re.compile(r"[0-9a-f]{64}")
_TEMPORARY: Final = re.compile(r"[0-9a-f]{64}\.[0-9a-f]{16}\.new")
_LOCK: Final = "lock"
_MODE: Final = 0o600
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
# Not to wait for a pipe's other end: what is no file is refused after it is opened.
_OLD: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class DirectoryBlobs:
    """Blobs in a directory; made by ``open``."""

    def __init__(self, where: str, folder: int) -> None:
        self._where = where
        self._folder = folder

    @classmethod
    def open(cls, path: str | PathLike[str], *, create: bool) -> "DirectoryBlobs":
        """
        Open a directory, or make it, for its owner alone.

        Raises:
            StoreUnavailable: there is none, or it cannot be made.
        """
        where = os.fspath(path)
        try:
            if create:
                Path(where).mkdir(mode=0o700, parents=True, exist_ok=True)
            return cls(where, os.open(where, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        except (OSError, ValueError) as cause:
            raise StoreUnavailable(where=where, reason=f"no folder of blobs: {cause}") from cause

    # Writing

    @contextmanager
    def holding(self, blobs: Sequence[Blob]) -> Generator[None]:
        """
        Write blobs durably; until the end no sweep begins. Without blobs nothing is locked.

        Raises:
            StoreFailed: one cannot be written, or what has its name is no file.
        """
        if not blobs:
            yield
            return
        with self._locked(fcntl.LOCK_SH):
            with self._errors():
                for blob in blobs:
                    self._write(blob)
                os.fsync(self._folder)
            yield

    def _write(self, blob: Blob) -> None:
        name = blob.address.hex()
        if self._touched(name):
            return
        temporary = f"{name}.{os.urandom(8).hex()}.new"
        file = os.open(temporary, _NEW, _MODE, dir_fd=self._folder)
        try:
            with os.fdopen(file, "wb") as writing:
                writing.write(blob.content)
                writing.flush()
                os.fsync(file)
            os.rename(temporary, name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary, dir_fd=self._folder)
            raise

    def _touched(self, name: str) -> bool:
        """Give a file a new time, whatever the clock says; tell whether there is one."""
        try:
            file = os.open(name, _OLD, dir_fd=self._folder)
        except FileNotFoundError:
            return False
        try:
            before = _regular(file).st_mtime_ns
            token = max(time.time_ns(), before + 1_000_000)
            os.utime(file, ns=(token, token))
            os.fsync(file)
        finally:
            os.close(file)
        return True

    # Reading

    def read(self, addresses: Sequence[Address]) -> Mapping[Address, bytes]:
        """
        Read blobs, unchecked; one that is missing is left out.

        Raises:
            StoreFailed: what has its name is no file, or cannot be read.
        """
        with self._errors():
            found = {address: self._content(address.hex()) for address in addresses}
        return {address: content for address, content in found.items() if content is not None}

    def _content(self, name: str) -> bytes | None:
        try:
            file = os.open(name, _OLD, dir_fd=self._folder)
        except FileNotFoundError:
            return None
        with os.fdopen(file, "rb") as reading:
            size = _regular(file).st_size
            if size > FILE_BYTES_MAX:
                raise OSError(f"{name} has {size} bytes, expected at most {FILE_BYTES_MAX}")
            return reading.read(size)

    # Sweeping

    def page(self, after: Address, blobs_max: int) -> tuple[KeptBlob, ...]:
        """
        List blobs after an address, ordered by address; whatever has no address is left alone.

        Waits for the writers that hold blobs. Cost: a look at every file's name.
        """
        with self._locked(fcntl.LOCK_EX), self._errors():
            with os.scandir(self._folder) as entries:
                names = sorted(entry.name for entry in entries)
            if after == FIRST_ADDRESS:
                self._remove_leftovers(names)
            later = [name for name in names if name > after.hex() and _ADDRESS.fullmatch(name)]
            listed = ((name, self._status(name)) for name in later[:blobs_max])
            return tuple(_kept(name, found) for name, found in listed)

    def delete(self, kept: Sequence[KeptBlob]) -> int:
        """Delete those whose token is unchanged; nothing but files with an address."""
        deleted = 0
        with self._locked(fcntl.LOCK_EX), self._errors():
            for each in kept:
                name = each.address.hex()
                with suppress(FileNotFoundError):
                    found = self._status(name)
                    if stat.S_ISREG(found.st_mode) and found.st_mtime_ns == each.token:
                        os.unlink(name, dir_fd=self._folder)
                        deleted += 1
            os.fsync(self._folder)
        return deleted

    def _remove_leftovers(self, names: Sequence[str]) -> None:
        for name in filter(_TEMPORARY.fullmatch, names):
            if time.time() - self._status(name).st_mtime > TEMPORARY_AGE_S:
                os.unlink(name, dir_fd=self._folder)

    def _status(self, name: str) -> os.stat_result:
        return os.stat(name, dir_fd=self._folder, follow_symlinks=False)

    def close(self) -> None:
        """Let the directory go; twice is once."""
        if self._folder >= 0:
            os.close(self._folder)
            self._folder = -1

    # The lock, and what can go wrong

    @contextmanager
    def _locked(self, how: int) -> Generator[None]:
        with self._errors():
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            lock = os.open(_LOCK, flags, _MODE, dir_fd=self._folder)
            fcntl.flock(lock, how)
        try:
            yield
        finally:
            os.close(lock)

    @contextmanager
    def _errors(self) -> Generator[None]:
        try:
            yield
        except OSError as cause:
            raise StoreFailed(where=self._where, reason=f"a blob's file: {cause}") from cause


def _regular(file: int) -> os.stat_result:
    found = os.fstat(file)
    if not stat.S_ISREG(found.st_mode):
        raise OSError("it is no regular file")
    return found


def _kept(name: str, found: os.stat_result) -> KeptBlob:
    token = found.st_mtime_ns
    return KeptBlob(address=Address(bytes.fromhex(name)), token=token, at_ms=token // 1_000_000)
