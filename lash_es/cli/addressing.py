"""Which session of which log is meant, and as of when: ``SESSION[@POSITION|@TIME|@TURN]``."""

import os
import re
from collections.abc import Generator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

import attrs
import typer
from attrs import frozen

from lash_es.cli.places import VARIABLE, default_db
from lash_es.cli.refusing import UnknownPosition, UnknownSession
from lash_es.codec.streams import StreamId
from lash_es.core.ids import Position, SessionId, Version
from lash_es.log.inspecting import InspectedStore
from lash_es.log.port import Store
from lash_es.log.sealed import SealedStore
from lash_es.log.sealing import AtRest
from lash_es.log.stores.ciphers import keys_from_environment
from lash_es.log.stores.folders import blob_folder
from lash_es.timetravel.moments import UnknownTurn, version_at_ms, versions_of_turn
from lash_es.timetravel.opening import open_place
from lash_es.timetravel.past import StoredHistory

SESSIONS_NAMED_MAX: Final = 8
KEY_HINT: Final = " (name the variable that holds it: --key-env NAME)"
# Far more than a log can have, and fewer than Python refuses to read.
_POSITION: Final = re.compile(r"[0-9]{1,1000}")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


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
    return open_place(place, create=create, schema=opening.schema, for_reading=for_reading)


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

    @property
    def name(self) -> str:
        """Write it as an address."""
        session = self.stream.session_id
        return session if self.position is None else f"{session}@{self.position}"


def moment(log: Log, address: str) -> Moment:
    """
    Read ``SESSION[@POSITION|@TIME|@TURN|@TURN^]``. A session whose own name is the whole of it is
    meant first. A turn means its last fact, or the newest while it is open; with ``^``, the fact
    in front of its first.

    Raises:
        UnknownSession: there is no such session.
        NothingYet: it had no fact at that time.
        BadParameter: what is behind the last ``@`` is no position, no time and no turn.
    """
    session, at, when = address.rpartition("@")
    if not at or log.holds(StreamId(log.namespace, SessionId(address))):
        return Moment(stream=log.stream(address), position=None)
    stream = log.stream(session)
    if _POSITION.fullmatch(when):
        return Moment(stream=stream, position=Position(int(when)))
    past = StoredHistory.of(log.store, stream)
    at_ms = _time_ms(when)
    if at_ms is not None:
        return Moment(stream=stream, position=Position(version_at_ms(past, at_ms) - 1))
    try:
        before, after = versions_of_turn(past, when.removesuffix("^"))
    except UnknownTurn:
        raise typer.BadParameter(
            f"{when!r} in {address!r} is no position: expected a whole number from 0 on, a time "
            "like 2026-11-28T09:30:00, or a turn of the session"
        ) from None
    version = before if when.endswith("^") else after
    return Moment(stream=stream, position=Position(version - 1))


def _time_ms(text: str) -> int | None:
    """Read a time, of this machine's zone unless it says another; none if it is no time."""
    if _DATE.match(text) is None:
        return None
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        return None


def past_at(log: Log, meant: Moment) -> StoredHistory:
    """
    Look at a session up to and including the position.

    Raises:
        UnknownPosition: the session has no fact there.
        HistoryTrimmedBelow: it had, and it was trimmed.
    """
    past = StoredHistory.of(log.store, meant.stream)
    if meant.position is None:
        return past
    if meant.position >= past.version:
        raise UnknownPosition(
            session_id=meant.stream.session_id, position=meant.position, version=past.version
        )
    past.require(meant.position + 1)
    return attrs.evolve(past, version=Version(meant.position + 1))
