"""Forking with this machine's time, ids and salts: the one thing here that writes."""

import secrets
import time
from contextlib import closing
from os import PathLike

from lash_es.codec.streams import StreamId
from lash_es.core.bodies import SALT_BYTES
from lash_es.core.ids import SessionId
from lash_es.log.forking import Forked, Forking
from lash_es.log.port import Store
from lash_es.timetravel.opening import open_place
from lash_es.timetravel.past import StoredHistory


def fork(store: Store, parent: StreamId, child: StreamId, version: int | None = None) -> Forked:
    """
    Begin a session where another one stood, in the same store; none for the newest version.

    Raises:
        As ``Forking.fork``; nothing was written.
    """
    forking = Forking(
        store=store,
        now_ms=lambda: time.time_ns() // 1_000_000,
        token=lambda: secrets.token_hex(16),
        salt=lambda: secrets.token_bytes(SALT_BYTES),
    )
    newest = StoredHistory.of(store, parent).version
    return forking.fork(parent, newest if version is None else version, child)


def fork_session(
    place: str | PathLike[str],
    session_id: str,
    to: str,
    version: int | None = None,
    *,
    namespace: str = "default",
    schema: str = "public",
) -> Forked:
    """
    Open a log, fork a session, and close the log again.

    Args:
        place: a SQLite file, or a URL ``postgresql://...``, whose contents may lie sealed.
        session_id: whose history the new session begins with.
        to: the new session's id, which was never used.
        version: how many facts it had there; none for the newest.
        namespace: which sessions of the log.
        schema: which schema of a PostgreSQL database.

    Raises:
        StorageError: there is no log, or it cannot be written.
        As ``Forking.fork``; nothing was written.
    """
    with closing(open_place(place, schema=schema)) as store:
        parent, child = (StreamId(namespace, SessionId(each)) for each in (session_id, to))
        return fork(store, parent, child, version)
