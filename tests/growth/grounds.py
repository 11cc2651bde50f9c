"""Where a database grows: a SQLite file, or a schema of its own on a PostgreSQL server."""

from pathlib import Path
from typing import Protocol

from attrs import frozen

from lash_es import Durability, SQLiteStore
from lash_es.log.port import Store
from tests.postgres.postgres_server import Database


class Ground(Protocol):
    """One database; it goes to another process as it is."""

    def store(self, *, create: bool) -> Store:
        """Open it."""
        ...

    def size_bytes(self) -> int:
        """Say how large it is."""
        ...


@frozen
class File:
    """A file whose commits do not wait for the disk, so that nothing hides what they cost."""

    path: Path

    def store(self, *, create: bool) -> Store:
        """Open it."""
        return SQLiteStore.open(self.path, create=create, durability=Durability.NORMAL)

    def size_bytes(self) -> int:
        """Say how large the file is."""
        return self.path.stat().st_size


@frozen
class Schema:
    """A schema on a server, which commits as it is set up to."""

    database: Database

    def store(self, *, create: bool) -> Store:
        """Open it."""
        return self.database.store(create=create)

    def size_bytes(self) -> int:
        """Add up its tables and their indexes."""
        ((found,),) = self.database.sql(
            "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c"
            " JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = %s AND c.relkind = 'r'",
            self.database.schema,
        )
        return int(found)
