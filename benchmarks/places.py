"""Where a contender works: a folder of its own, or a PostgreSQL database of its own."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from itertools import count
from pathlib import Path
from typing import Final

from attrs import evolve as with_changes
from attrs import frozen

from benchmarks.servers import copy_database, drop_database, new_database
from lash_es import Durability

WAL_PAGES_MIN: Final = 1_000
_PAGE_BYTES: Final = 4_096
_numbers: Final = count(1)


class StoreKind(Enum):
    """What a unit of work is measured on."""

    SQLITE = "sqlite"
    POSTGRES = "postgres"


@frozen(kw_only=True)
class Setting:
    """
    What a contender is asked to work on.

    ``where`` is a folder on SQLite and a connection string on PostgreSQL. ``tasks`` work at once,
    on ``sessions``; each session begins with ``history`` turns.
    """

    kind: StoreKind
    durability: Durability
    tasks: int
    sessions: int
    history: int
    operations: int
    where: str = ""

    @property
    def file(self) -> Path:
        """The database file."""
        return Path(self.where) / "log.db"


@contextmanager
def place(setting: Setting, scratch: Path, template: str | None = None) -> Iterator[Setting]:
    """Make a new place, or a copy of a template, and remove it afterwards."""
    name = f"bench{next(_numbers)}"
    if setting.kind is StoreKind.POSTGRES:
        where = new_database(name) if template is None else copy_database(template, name)
        try:
            yield with_changes(setting, where=where)
        finally:
            drop_database(name)
        return
    folder = scratch / name
    if template is None:
        folder.mkdir()
    else:
        shutil.copytree(template, folder)
    try:
        yield with_changes(setting, where=str(folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def warm(setting: Setting) -> None:
    """
    Bring every write-ahead log in the folder to its steady size.

    While SQLite extends the file, a commit takes 1.7 times as long: a run that begins on an empty
    log measures a mixture. Another connection fills it, so that no history grows by the warming.
    """
    if setting.kind is StoreKind.POSTGRES:
        return
    for log in Path(setting.where).glob("*-wal"):
        _fill_log(log.with_name(log.name.removesuffix("-wal")))


def _fill_log(path: Path) -> None:
    connection = sqlite3.connect(path, isolation_level=None, timeout=10)
    with suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("CREATE TABLE bench_warm (content BLOB)")
        connection.execute(
            "INSERT INTO bench_warm VALUES (zeroblob(?))", (WAL_PAGES_MIN * _PAGE_BYTES,)
        )
        connection.execute("DROP TABLE bench_warm")
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    connection.close()


def log_bytes(setting: Setting) -> int:
    """Add up the sizes of the write-ahead logs in the folder."""
    return sum(path.stat().st_size for path in Path(setting.where).glob("*-wal"))
