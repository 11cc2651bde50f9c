"""
Which server, database and schema; and what can go wrong there, without ever showing a password.

A state of the server's (``SQLSTATE``) becomes a type of ours. Whether a statement was carried out
is not asked here: see ``postgres_connections.py``.
"""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Final, TypeAlias
from urllib.parse import quote

import psycopg
from attrs import field, frozen
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from lash_es.log.errors import (
    StorageError,
    StoreBusy,
    StoreFailed,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
)

_IDENTIFIER_BYTES_MAX: Final = 63
_SECRETS: Final = ("password", "sslpassword", "passfile", "sslkey")
_Word: TypeAlias = str | int

_ASKED: Final[Mapping[str, _Word]] = {
    "connect_timeout": 10,
    # A server that vanished is noticed within half a minute, not after the kernel's two hours.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
    "application_name": "lash_es",
}
"""What we ask of a connection unless the URL says otherwise."""

_READS_ONLY: Final = "-c default_transaction_read_only=on"


@frozen(kw_only=True)
class Server:
    """Where a log is, and how long we wait for a lock there."""

    conninfo: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    schema: str
    where: str
    lock_wait_ms: int

    def redacted(self, cause: object) -> str:
        """Say what psycopg said, in one line and without what nobody may read."""
        said = " ".join(str(cause).split())
        for secret in self.secrets:
            said = said.replace(secret, "***")
        return said


def server_at(url: str, *, schema: str, lock_wait_ms: int, for_reading: bool = False) -> Server:
    """
    Read a URL, or ``key=value`` words, as libpq does; what it leaves out comes from libpq's own
    environment variables and files.

    Raises:
        StoreUnavailable: it cannot be read, or no schema can have that name.
    """
    words = _words(url)
    where = _where(words, schema)
    if not 0 < len(schema.encode(errors="replace")) <= _IDENTIFIER_BYTES_MAX or "\0" in schema:
        raise StoreUnavailable(where=where, reason="no schema can have that name")
    options = f"{words.get('options', '')} {_READS_ONLY}"
    reads = {"options": options} if for_reading else {}
    secrets = {str(words[name]) for name in _SECRETS if words.get(name)}
    return Server(
        conninfo=make_conninfo("", **{**_ASKED, **words, "client_encoding": "UTF8", **reads}),
        secrets=tuple(sorted(secrets | {quote(each, safe="") for each in secrets}, key=len))[::-1],
        schema=schema,
        where=where,
        lock_wait_ms=lock_wait_ms,
    )


def _words(url: str) -> dict[str, _Word]:
    """Read the URL's parts; one that cannot be read may be a password in the wrong place."""
    try:
        asked = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        asked = {"port": "unreadable"}
    if not set(str(asked.get("port") or "")) <= set("0123456789,"):
        raise StoreUnavailable(where="PostgreSQL", reason="its URL cannot be read")
    return {name: value for name, value in asked.items() if value is not None}


def _where(words: Mapping[str, _Word], schema: str) -> str:
    """Name the place by what may be seen; nothing else of the URL is repeated."""
    seen = [
        f"{name}={words[name]}" for name in ("host", "port", "dbname", "user") if name in words
    ]
    return " ".join(["PostgreSQL", *seen, f"schema={schema}"])


_Make: TypeAlias = Callable[[Server, BaseException], StorageError]


def _busy(server: Server, _: BaseException) -> StorageError:
    return StoreBusy(where=server.where, waited_ms=server.lock_wait_ms)


def _read_only(server: Server, _: BaseException) -> StorageError:
    return StoreReadOnly(where=server.where)


def _full(server: Server, cause: BaseException) -> StorageError:
    return StoreFull(where=server.where, reason=server.redacted(cause))


def _failed(server: Server, cause: BaseException) -> StorageError:
    return StoreFailed(where=server.where, reason=server.redacted(cause))


_STATES: Final[Mapping[str | None, _Make]] = {
    "25006": _read_only,  # read_only_sql_transaction: a standby, or a server set so
    "40001": _busy,  # serialization_failure
    "40P01": _busy,  # deadlock_detected
    "53100": _full,  # disk_full
    "55P03": _busy,  # lock_not_available: lock_timeout
    "57014": _busy,  # query_canceled: statement_timeout
}


@contextmanager
def typed_errors(server: Server) -> Generator[None]:
    """Give what psycopg raises a type of ours."""
    try:
        yield
    except psycopg.Error as cause:
        raise _STATES.get(cause.sqlstate, _failed)(server, cause) from cause
