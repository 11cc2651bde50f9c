"""
Hints that a stream has grown, from one process to the others; polling is the truth.

A hint is sent after the commit, in a statement of its own, for many streams at once: inside the
commit it would make all commits of the server take turns. It may be lost, doubled or late. It
names a stream by a digest, since a payload is short and a key may be long.
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import Final, TypeAlias

import psycopg
from psycopg import Connection, Cursor
from psycopg.sql import SQL, Identifier

from lash_es.codec.streams import StreamId
from lash_es.log.errors import StoreDisconnected
from lash_es.log.stores.postgres_reads import Row, ask
from lash_es.log.stores.postgres_servers import Server

Hint: TypeAlias = str

ANY_STREAM: Final[Hint] = "*"
"""More streams have grown than one payload names: look at all."""

HINTS_PER_PAYLOAD_MAX: Final = 256
"""Together less than the 8 000 bytes that the server takes."""


def hint(stream: StreamId) -> Hint:
    """Name a stream in a payload."""
    return sha256(stream.key.encode()).hexdigest()[:16]


def channel(schema: str) -> str:
    """Name the channel of a schema's log; a schema's own name may be too long for one."""
    return f"lash_es_{sha256(schema.encode()).hexdigest()[:16]}"


def notify(cursor: Cursor[Row], schema: str, streams: Iterable[StreamId]) -> None:
    """Send one hint for all these streams, if there are any."""
    hints = sorted({hint(stream) for stream in streams})
    if hints:
        payload = " ".join(hints) if len(hints) <= HINTS_PER_PAYLOAD_MAX else ANY_STREAM
        ask(cursor, "SELECT pg_notify(%b, %b)", [channel(schema), payload])


class Listener:
    """
    A connection that hears hints.

    Use it from one thread. When it is lost, open another one, and look at every stream: nobody
    knows what was missed.
    """

    def __init__(self, server: Server, connection: Connection) -> None:
        self._server = server
        self._connection = connection
        connection.execute(SQL("LISTEN {}").format(Identifier(channel(server.schema))))

    def fileno(self) -> int:
        """Return what an event loop waits for until there is something to read."""
        return self._connection.fileno()

    def heard(self, *, wait_s: float = 0.0) -> frozenset[Hint]:
        """
        Return the hints that came, waiting for the first one up to ``wait_s``.

        Raises:
            StoreDisconnected: the connection was lost, or closed.
        """
        try:
            notices = list(self._connection.notifies(timeout=wait_s, stop_after=1))
        except psycopg.Error as cause:
            reason = self._server.redacted(cause)
            raise StoreDisconnected(where=self._server.where, reason=reason) from cause
        return frozenset(hint for notice in notices for hint in notice.payload.split())

    def close(self) -> None:
        """Hear no more; twice is once."""
        self._connection.close()
