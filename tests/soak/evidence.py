"""What a soak leaves behind: the rows of the database, read by statements of our own; ledgers."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, TypeAlias

from attrs import frozen

from tests.postgres.postgres_server import Database
from tests.soak.ledgers import Line, lines

_FACTS: Final = (
    "SELECT originator_id, originator_version, state FROM stored_events"
    " ORDER BY originator_id, originator_version"
)
_HEADS: Final = "SELECT stream, version FROM lash_es_heads"
_DIGEST_BYTES: Final = 32
_NAMESPACE: Final = "default/"

Row: TypeAlias = tuple[str, int, bytes]


@frozen(kw_only=True)
class Kept:
    """A fact as it lies in the database."""

    session: str
    position: int
    append_id: str
    digest: bytes
    header: bytes


@frozen(kw_only=True)
class Evidence:
    """Everything that is judged; ledgers are in the order in which their process wrote them."""

    facts: Sequence[Kept]
    heads: dict[str, int]
    did: Sequence[Line]
    saw: Sequence[Line]
    feed: Sequence[Line] = ()


def kept(row: Row) -> Kept:
    """Take a row apart: digest, then a header in JSON."""
    stream, position, state = row
    header = state[_DIGEST_BYTES:]
    return Kept(
        session=stream.removeprefix(_NAMESPACE),
        position=position,
        append_id=str(json.loads(header)["append"]),
        digest=state[:_DIGEST_BYTES],
        header=header,
    )


def of_file(path: Path, folder: Path) -> Evidence:
    """Collect what a soak on SQLite left."""
    with closing(sqlite3.connect(path)) as connection:
        return _evidence(connection.execute(_FACTS).fetchall(), connection.execute(_HEADS), folder)


def of_database(database: Database, folder: Path) -> Evidence:
    """Collect what a soak on PostgreSQL left."""
    rows = [(key, place, bytes(state)) for key, place, state in database.sql(_FACTS)]
    return _evidence(rows, database.sql(_HEADS), folder)


def _evidence(rows: Iterable[Row], heads: Iterable[tuple[str, int]], folder: Path) -> Evidence:
    return Evidence(
        facts=[kept(row) for row in rows],
        heads={stream.removeprefix(_NAMESPACE): version for stream, version in heads},
        did=[line for path in sorted(folder.glob("*.did")) for line in lines(path)],
        saw=[line for path in sorted(folder.glob("*.saw")) for line in lines(path)],
        feed=list(lines(folder / "feed")) if (folder / "feed").exists() else (),
    )
