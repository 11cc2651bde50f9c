"""``lash-es db export`` and ``import``: a log, or one session of it, as one file."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from attrs import define

from lash_es.cli.addressing import Opening
from lash_es.cli.db_opening import Chosen, Database, opened_database
from lash_es.cli.db_progress import progress
from lash_es.cli.db_sizes import size
from lash_es.cli.screen import Screen, plural, print_json
from lash_es.core.errors import LashError
from lash_es.log.archive_files import ArchiveLimits
from lash_es.log.archiving import export_streams
from lash_es.log.restoring import restore


@define(kw_only=True)
class FileUnusable(LashError):
    """A file cannot be read or written, or is there where none may be."""

    asked: str
    path: str
    reason: str
    terminal_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        return f"cannot {self.asked} {self.path}: {self.reason}"


@contextmanager
def using_file(asked: str, path: Path) -> Generator[None]:
    """Give what the operating system says of a file a type of ours."""
    try:
        yield
    except OSError as cause:
        reason = cause.strerror or str(cause)
        raise FileUnusable(asked=asked, path=str(path), reason=reason) from cause


def print_exported(
    opening: Opening, chosen: Chosen, path: Path, *, as_json: bool, quiet: bool
) -> None:
    """
    Write sessions to a file, which appears when all of it is written.

    Raises:
        FileUnusable: it is there already, or cannot be written.
        UnknownSession: there is no such session.
        CorruptHistory, CorruptBody, WrittenByNewerVersion: what is damaged is not exported.
        StorageError: the log cannot be read.
    """
    if path.exists():
        reason = "there is such a file already"
        raise FileUnusable(asked="export to", path=str(path), reason=reason)
    facts_count = 0

    def one_more() -> None:
        nonlocal facts_count
        facts_count += 1
        advance(1)

    with opened_database(opening, for_reading=True) as database:
        with (
            progress("facts", lambda: _facts_count(database, chosen), quiet=quiet) as advance,
            using_file("export to", path),
        ):
            streams = chosen.streams(database)
            export_streams(database.store, streams, path, one_more)
        file_bytes = path.stat().st_size
        if as_json:
            document = {
                "db": database.inner.where,
                "file": str(path),
                "file_bytes": file_bytes,
                "facts_count": facts_count,
            }
            print_json(document)
            return
        where = f" of {database.inner.where} to {path}, {size(file_bytes)}"
        Screen().line(f"{plural(facts_count, 'fact')} exported", (where, "dim"))


def _facts_count(database: Database, chosen: Chosen) -> int:
    if chosen.session is None:
        return database.inner.inspection().inventory().facts_count
    heads = (database.inner.head(stream) for stream in chosen.streams(database))
    return sum(head.version - head.oldest for head in heads if head is not None)


def print_imported(
    opening: Opening, path: Path, limits: ArchiveLimits, *, as_json: bool, quiet: bool
) -> None:
    """
    Bring what a file holds into a log; all of it is checked before anything is written.

    Raises:
        FileUnusable: it cannot be read.
        ArchiveRefused: it is damaged, too large, or does not fit what is there; with the line.
        StorageError: the log cannot be written; the same command goes on.
    """
    with opened_database(opening) as database:
        with (
            progress("facts", lambda: None, quiet=quiet) as advance,
            using_file("import", path),
        ):
            restored = restore(database.store, path, limits, lambda: advance(1))
        counts = {
            "sessions_count": restored.streams_count,
            "facts_count": restored.facts_count,
            "pins_count": restored.pins_count,
        }
        if as_json:
            print_json({"db": database.inner.where, "file": str(path)} | counts)
            return
        said = f"{plural(restored.facts_count, 'fact')} imported"
        of = f" of {plural(restored.streams_count, 'session')} in {path}"
        there = "; what was there already stays as it is" if restored.facts_count == 0 else ""
        Screen().line(said, (f"{of} to {database.inner.where}{there}", "dim"))
