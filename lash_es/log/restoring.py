"""
Reading archives back: all of it is checked before anything of it is written.

An archive is decompressed once, within limits, into a scratch file, line by line and checked; what
is written is read from there. What is in the store already is left alone, so that a call that was
cut off can be made again. A whole stream is appended from its first fact on; what a trim let go of
is put back from its last fact on, since a stream never has a hole.
"""

import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from attrs import define, frozen

from lash_es.codec.errors import StoredDataError, UnencodableValue
from lash_es.log.archive_checks import StreamCheck, Unsound, take
from lash_es.log.archive_files import ArchiveLimits, ArchiveRefused, read_lines
from lash_es.log.archive_lines import BlobLine, BodyLine, FactLine, Line, PinLine, StreamLine
from lash_es.log.archive_meetings import Meeting, meet
from lash_es.log.blobs import Blob
from lash_es.log.port import Store
from lash_es.log.restore_writes import Section, write_part, write_whole
from lash_es.log.retaining import StreamDiffers

FACTS_PER_WRITE_MAX: Final = 256
BYTES_PER_WRITE: Final = 8 * 1024 * 1024
"""After how many bytes of lines what was read is written, however few facts they are."""


@frozen(kw_only=True)
class Restored:
    """What a call came to; what was there before is not counted."""

    streams_count: int
    facts_count: int
    pins_count: int


def restore(
    store: Store,
    path: Path,
    limits: ArchiveLimits | None = None,
    on_fact: Callable[[], object] = lambda: None,
) -> Restored:
    """
    Bring an archive into a store: whole streams, or facts that a trim has let go of.

    Args:
        store: where to; nobody else writes to these streams meanwhile.
        path: the archive.
        limits: how much is read of it; none for the defaults.
        on_fact: called after each fact that was read, and after each that was looked at to be
            written: twice each.

    Raises:
        ArchiveRefused: it is damaged, or too large, or what is there differs; with the line.
            Nothing was written.
        StreamDiffers: somebody wrote meanwhile.
        StorageError: part of it may be written; call again.

    Cost: reads the archive once and a scratch file of its decompressed size once.
    """
    with tempfile.TemporaryFile() as scratch:
        sections = _checked(store, path, limits or ArchiveLimits(), scratch, on_fact)
        written = [
            (write_whole if section.line.is_whole else write_part)(
                store, scratch, section, on_fact
            )
            for section in sections
        ]
        return Restored(
            streams_count=len(sections),
            facts_count=sum(each.facts_count for each in written),
            pins_count=sum(each.pins_count for each in written),
        )


# Checking


def _checked(
    store: Store,
    path: Path,
    limits: ArchiveLimits,
    scratch: IO[bytes],
    on_fact: Callable[[], object],
) -> tuple[Section, ...]:
    sections: list[Section] = []
    reading: _Reading | None = None
    for numbered in read_lines(path, limits):
        line = numbered.line
        with _refused(path, numbered.number):
            if isinstance(line, FactLine | BodyLine | BlobLine | PinLine):
                if reading is None:
                    raise Unsound("it is of no stream")
                reading.take(line, scratch.tell())
            elif reading is not None:
                sections.append(reading.end(scratch.tell()))
                reading = None
            if isinstance(line, StreamLine):
                reading = _Reading.of(store, line, scratch.tell() + len(numbered.encoded))
        scratch.write(numbered.encoded)
        if isinstance(line, FactLine):
            on_fact()
    return tuple(sections)


@contextmanager
def _refused(path: Path, number: int) -> Generator[None]:
    """Name the line where something is wrong."""
    try:
        yield
    except Unsound as cause:
        raise ArchiveRefused(where=str(path), line=number, reason=str(cause)) from cause
    except (StoredDataError, UnencodableValue, StreamDiffers) as cause:
        raise ArchiveRefused(where=str(path), line=number, reason=cause.summary()) from cause
    except ValueError as cause:
        reason = "bytes are not written as they should be"
        raise ArchiveRefused(where=str(path), line=number, reason=reason) from cause


@define
class _Reading:
    """A stream that is being checked, against itself and against what the store holds."""

    check: StreamCheck
    meeting: Meeting
    offsets: list[int]
    facts_count: int = 0
    blob: Blob | None = None

    @classmethod
    def of(cls, store: Store, line: StreamLine, offset: int) -> "_Reading":
        """Begin; ``offset`` is where the stream's first line will lie in the scratch file."""
        check = StreamCheck.of(line)
        return cls(check, meet(store, check.stream, line), [offset])

    def take(self, line: Line, offset: int) -> None:
        """Check a line, which will lie at ``offset``."""
        is_full = self.facts_count >= FACTS_PER_WRITE_MAX
        if self.blob is None and (is_full or offset - self.offsets[-1] >= BYTES_PER_WRITE):
            self.offsets.append(offset)
            self.facts_count = 0
        taken = take(self.check, line, self.blob)
        self.blob = line.blob if isinstance(line, BlobLine) else None
        if taken is not None:
            self.facts_count += 1
            self.meeting.require_same(self.check.stream, taken.record)

    def end(self, offset: int) -> Section:
        """Check that the stream ended as it should."""
        if self.blob is not None:
            raise Unsound("a blob is named by no body")
        self.check.end()
        return Section(line=self.check.line, offsets=(*self.offsets, offset))
