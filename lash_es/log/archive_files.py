"""
Archives as files: gzip around lines, the same bytes for the same lines.

A file is written beside its name and moved there when it is whole and on the disk: whoever finds
it finds all of it.
"""

import gzip
import hashlib
import os
import zlib
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ClassVar, Final

from attrs import define, frozen

from lash_es.codec.errors import UndecodableValue
from lash_es.core.errors import LashError
from lash_es.log.archive_lines import (
    ARCHIVE_VERSION,
    ArchiveLine,
    BlobLine,
    BodyLine,
    EndLine,
    FactLine,
    Line,
    StreamLine,
    decode_line,
    encode_line,
)

_LEVEL: Final = 6
_SMALL: Final = 1024 * 1024
"""Below so many bytes any ratio will do: a short run of one letter compresses very well."""


@define(kw_only=True)
class ArchiveRefused(LashError):
    """An archive is damaged, or larger than allowed, or of another store; nothing was written."""

    where: str
    line: int
    reason: str
    terminal_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        return f"the archive {self.where} is refused at line {self.line}: {self.reason}"


@frozen(kw_only=True)
class ArchiveLimits:
    """
    How much is read of an archive, whatever it says: bytes are after decompression.

    ``ratio_max`` bounds how much larger they are than the file.
    """

    line_bytes_max: int = 32 * 1024 * 1024
    bytes_max: int = 64 * 1024**3
    ratio_max: int = 250


class LineTally:
    """Counts and hashes lines."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._counts = Counter[type[Line]]()

    def take(self, line: Line, encoded: bytes) -> None:
        """Take one line."""
        self._sha256.update(encoded)
        self._counts[type(line)] += 1

    def end(self) -> EndLine:
        """Say what the last line has to be."""
        return EndLine(
            streams=self._counts[StreamLine],
            facts=self._counts[FactLine],
            bodies=self._counts[BodyLine],
            blobs=self._counts[BlobLine],
            sha256=self._sha256.hexdigest(),
        )


class LineWriter:
    """Writes lines, and at the end what they come to."""

    def __init__(self, out: gzip.GzipFile) -> None:
        self._out = out
        self._tally = LineTally()

    def write(self, line: Line) -> None:
        """Write a line."""
        encoded = encode_line(line)
        self._tally.take(line, encoded)
        self._out.write(encoded)

    def end(self) -> None:
        """Write the last line."""
        self._out.write(encode_line(self._tally.end()))


@contextmanager
def archive_file(path: Path) -> Generator[LineWriter]:
    """
    Write an archive to ``path``; an error leaves nothing there, and what was there as it was.

    When this returns without one, the archive is on the disk.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        with unfinished.open("wb") as file:
            with gzip.GzipFile("", "wb", _LEVEL, file, mtime=0) as out:
                writer = LineWriter(out)
                writer.write(ArchiveLine(version=ARCHIVE_VERSION))
                yield writer
                writer.end()
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
        _sync_folder(path.parent)
    finally:
        unfinished.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make a new name durable, where folders can be opened."""
    with suppress(PermissionError):  # which Windows says of every folder
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@frozen(kw_only=True)
class Numbered:
    """A line as it was read, its number counted from 1, and its bytes."""

    number: int
    line: Line
    encoded: bytes


def read_lines(path: Path, limits: ArchiveLimits) -> Iterator[Numbered]:
    """
    Read the lines of an archive; the last one is compared with all before it, and ends it.

    Raises:
        ArchiveRefused: it is cut off, damaged or too large, or goes on after its end.
    """
    tally = LineTally()
    number = 0
    is_over = False
    for number, encoded in enumerate(_lines(path, limits), start=1):
        if is_over:
            raise ArchiveRefused(where=str(path), line=number, reason="it goes on after its end")
        try:
            line = decode_line(encoded)
        except UndecodableValue as cause:
            raise ArchiveRefused(where=str(path), line=number, reason=cause.summary()) from cause
        reason = _out_of_place(number, line, tally)
        if reason:
            raise ArchiveRefused(where=str(path), line=number, reason=reason)
        is_over = isinstance(line, EndLine)
        tally.take(line, encoded)
        yield Numbered(number=number, line=line, encoded=encoded)
    if not is_over:
        raise ArchiveRefused(where=str(path), line=number + 1, reason="it is cut off")


def _out_of_place(number: int, line: Line, tally: LineTally) -> str:
    """Say why a line cannot be here."""
    if (number == 1) != isinstance(line, ArchiveLine):
        return "it does not begin as an archive, or begins twice"
    if isinstance(line, ArchiveLine) and line.version != ARCHIVE_VERSION:
        return f"expected version {ARCHIVE_VERSION}, found {line.version}"
    if isinstance(line, EndLine) and line != tally.end():
        return "its counts or its digest are not those of its lines"
    return ""


def _lines(path: Path, limits: ArchiveLimits) -> Iterator[bytes]:
    """Decompress line by line, within the limits."""
    bytes_count = 0
    number = 1
    with path.open("rb") as file, gzip.GzipFile("", "rb", fileobj=file) as lines:
        while True:
            try:
                encoded = lines.readline(limits.line_bytes_max + 1)
            except (EOFError, OSError, zlib.error) as cause:
                raise ArchiveRefused(
                    where=str(path), line=number, reason=f"it is no sound gzip: {cause}"[:200]
                ) from cause
            if not encoded:
                return
            bytes_count += len(encoded)
            reason = _too_much(limits, len(encoded), bytes_count, file.tell())
            if reason:
                raise ArchiveRefused(where=str(path), line=number, reason=reason)
            if not encoded.endswith(b"\n"):
                raise ArchiveRefused(where=str(path), line=number, reason="it is cut off")
            yield encoded
            number += 1


def _too_much(limits: ArchiveLimits, line: int, total: int, compressed: int) -> str:
    if line > limits.line_bytes_max:
        return f"a line is longer than {limits.line_bytes_max} bytes"
    if total > limits.bytes_max:
        return f"it is longer than {limits.bytes_max} bytes"
    if total > _SMALL and total > limits.ratio_max * compressed:
        return f"it decompresses to more than {limits.ratio_max} times its size"
    return ""
