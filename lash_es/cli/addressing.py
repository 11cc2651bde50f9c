"""Which session of which log is meant, and as of which position: ``SESSION[@POSITION]``."""

import os
import re
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import typer
from attrs import frozen

from lash_es.cli.options import URL_SCHEMES
from lash_es.cli.places import VARIABLE, default_db
from lash_es.cli.refusing import UnknownPosition, UnknownSession
from lash_es.codec.streams import StreamId
from lash_es.core.ids import Position, SessionId
from lash_es.log.errors import StoreUnavailable
from lash_es.log.inspecting import InspectedStore
from lash_es.log.port import Store
from lash_es.log.sealed import SealedStore
from lash_es.log.sealing import AtRest
from lash_es.log.stores.ciphers import keys_from_environment
from lash_es.log.stores.folders import blob_folder
from lash_es.log.stores.sqlite import SQLiteStore
from lash_es.timetravel.history import History, read_history

SESSIONS_NAMED_MAX: Final = 8
KEY_HINT: Final = " (name the variable that holds it: --key-env NAME)"
# Far more than a log can have, and fewer than Python refuses to read.
_POSITION: Final = re.compile(r"[0-9]{1,1000}")


@frozen(kw_only=True)
class Log:
    """A log and the namespace in it that is meant."""

    store: Store
    namespace: str

    def stream(self, session: str) -> StreamId:
        """
        Name the stream of a session that exists.

        Raises:
            UnknownSession: it does not; the error names some that do.
        """
        stream = StreamId(self.namespace, SessionId(session))
        if not self.holds(stream):
            raise UnknownSession(
                session_id=session, where=self.store.where, found=self.sessions_named()
            )
        return stream

    def holds(self, stream: StreamId) -> bool:
        """Tell whether there is a head row, or a fact: one without the other is damaged."""
        return bool(self.store.head(stream) or self.store.read(stream, Position(0), 1))

    def sessions_named(self) -> tuple[str, ...]:
        """Name the first sessions of the namespace."""
        heads = self.store.heads(self.namespace, after="", heads_max=SESSIONS_NAMED_MAX + 1)
        names = [head.stream.session_id for head in heads[:SESSIONS_NAMED_MAX]]
        return (*names, "and more") if len(heads) > SESSIONS_NAMED_MAX else tuple(names)


@frozen(kw_only=True)
class Opening:
    """
    Which log, and how its bodies are opened: a path or a URL, and the schema there; the name of
    the environment variable that holds the keys, and the folder of its blobs, if it has one.
    """

    db: Path | str | None = None
    schema: str = "public"
    key_variable: str | None = None
    blobs: Path | None = None


def open_inner(
    opening: Opening, *, create: bool = False, for_reading: bool = False
) -> InspectedStore:
    """
    Open the log as it lies, without what seals its bodies.

    Raises:
        StorageError: there is none, or it cannot be read; with ``create``, it cannot be made;
            ``for_reading``, it would have to be written to be read.
    """
    place = str(opening.db or os.environ.get(VARIABLE) or default_db())
    if not place.startswith(URL_SCHEMES):
        return SQLiteStore.open(place, create=create, for_reading=for_reading)
    try:
        # Its driver is an extra: who needs none imports none.
        from lash_es.log.stores.postgres import PostgresStore
    except ModuleNotFoundError as cause:
        reason = f"{cause.name} is missing: install lash-es[postgres]"
        raise StoreUnavailable(where="PostgreSQL", reason=reason) from cause
    return PostgresStore.open(place, create=create, schema=opening.schema, for_reading=for_reading)


@contextmanager
def sealed(opening: Opening, inner: InspectedStore) -> Generator[SealedStore]:
    """
    Put what opens bodies in front of a store; both are closed at the end.

    Raises:
        KeyUnusable, CryptoExtraMissing: the keys cannot be used.
        StoreUnavailable: there is no such folder.
    """
    with closing(inner):
        keys = None
        if opening.key_variable is not None:
            keys = keys_from_environment(os.environ, opening.key_variable)
        folder = None if opening.blobs is None else blob_folder(opening.blobs)
        # What is written from here lies in the clear, unless there are keys to write with.
        at_rest = AtRest(keys=keys, compressor=None)
        with closing(SealedStore(inner, at_rest, folder)) as store:
            yield store


@contextmanager
def opened(opening: Opening, namespace: str) -> Generator[Log]:
    """
    Open the log for reading.

    Raises:
        StorageError: there is none, or it cannot be read.
        KeyUnusable, CryptoExtraMissing: the keys cannot be used.
    """
    with sealed(opening, open_inner(opening, for_reading=True)) as store:
        yield Log(store=store, namespace=namespace)


@frozen(kw_only=True)
class Moment:
    """A session as of a position; none means the newest."""

    stream: StreamId
    position: Position | None


def moment(log: Log, address: str) -> Moment:
    """
    Read ``SESSION[@POSITION]``. A session whose own name is the whole of it is meant first.

    Raises:
        UnknownSession: there is no such session.
        BadParameter: what is behind the last ``@`` is no position.
    """
    session, at, position = address.rpartition("@")
    if not at or log.holds(StreamId(log.namespace, SessionId(address))):
        return Moment(stream=log.stream(address), position=None)
    if _POSITION.fullmatch(position) is None:
        raise typer.BadParameter(
            f"{position!r} in {address!r} is no position: expected a whole number from 0 on"
        )
    return Moment(stream=log.stream(session), position=Position(int(position)))


def read_moment(log: Log, meant: Moment) -> History:
    """
    Read the history up to and including the position.

    Raises:
        UnknownPosition: the session has no fact there.
        CorruptHistory: the log is damaged; the whole of it is checked, also after the position.
    """
    history = read_history(log.store, meant.stream)
    if meant.position is None:
        return history
    if meant.position >= history.version:
        raise UnknownPosition(
            session_id=meant.stream.session_id, position=meant.position, version=history.version
        )
    return history.as_of(meant.position + 1)
