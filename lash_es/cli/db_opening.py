"""The database that ``lash-es db`` works on, and which of its sessions."""

from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from itertools import takewhile
from typing import Final

import typer
from attrs import frozen

from lash_es.cli.addressing import Log, Opening, open_inner, sealed
from lash_es.cli.refusing import complain, refusals
from lash_es.codec.errors import UnencodableValue
from lash_es.codec.streams import StreamId
from lash_es.log.blobs import Blobs
from lash_es.log.inspecting import InspectedStore
from lash_es.log.sealed import SealedStore
from lash_es.log.sweeping import TableBlobs

KEYS_PER_PAGE: Final = 256
INTERRUPTED: Final = 130
"""The exit status of a command that Ctrl-C ended, as a shell gives it."""
DEFAULT_NAMESPACE: Final = "default"


@frozen(kw_only=True)
class Database:
    """
    A log as whoever runs it sees it: ``store`` opens what lies sealed in ``inner``.
    """

    store: SealedStore
    inner: InspectedStore
    opening: Opening


@frozen(kw_only=True)
class Chosen:
    """
    Which sessions are meant: one; those of a namespace; or, with neither, all.
    """

    session: str | None = None
    namespace: str | None = None

    def keys(self, database: Database) -> Iterator[str]:
        """
        List keys of streams, in order, in pages.

        Raises:
            UnknownSession: there is no such session.
            UnencodableValue: no namespace can have that name.
        """
        if self.session is None:
            return self._all(database)
        log = Log(store=database.store, namespace=self.namespace or DEFAULT_NAMESPACE)
        return iter((log.stream(self.session).key,))

    def _all(self, database: Database) -> Iterator[str]:
        if self.namespace is None:
            return _keys(database, "")
        first = StreamId(self.namespace, _NO_SESSION).key
        return takewhile(lambda key: key.startswith(first), _keys(database, first))

    def streams(self, database: Database) -> Iterator[StreamId]:
        """List streams; a key that names none is left out, since ``check`` tells of it."""
        for key in self.keys(database):
            if (stream := stream_named(key)) is not None:
                yield stream

    def count(self, database: Database) -> int:
        """Count sessions, for a progress bar. Cost: lists their keys."""
        return sum(1 for _ in self.keys(database))


_NO_SESSION: Final = StreamId.of_key("x/").session_id


def _keys(database: Database, after: str) -> Iterator[str]:
    inspection = database.inner.inspection()
    while page := inspection.streams(after, KEYS_PER_PAGE):
        yield from page
        after = page[-1]


def stream_named(key: str) -> StreamId | None:
    """Read a key; none if it names no session."""
    try:
        stream = StreamId.of_key(key)
    except UnencodableValue:
        return None
    return stream if stream.key == key else None


@contextmanager
def opened_database(
    opening: Opening, *, create: bool = False, for_reading: bool = False
) -> Generator[Database]:
    """
    Open a log, whatever it is kept in; ``for_reading``, nothing of it can be written.

    Raises:
        StorageError: there is none, or it cannot be opened.
        KeyUnusable, CryptoExtraMissing: the keys cannot be used.
    """
    inner = open_inner(opening, create=create, for_reading=for_reading)
    with sealed(opening, inner) as store:
        yield Database(store=store, inner=inner, opening=opening)


@contextmanager
def verb() -> Generator[None]:
    """
    Let a typed error end the command with its message, and Ctrl-C with a word of what is left.
    """
    try:
        with refusals():
            yield
    except KeyboardInterrupt:
        complain(
            "interrupted",
            "what was done is done, and nothing is half done; the same command goes on",
        )
        raise typer.Exit(INTERRUPTED) from None


@contextmanager
def blob_places(database: Database) -> Generator[Mapping[str, Blobs]]:
    """
    Name the places of blobs, as a sweep sees them: the table, and the folder if one was named.

    Raises:
        StoreUnavailable: there is no such folder.
    """
    table = {"the table of blobs": TableBlobs(database.inner)}
    if database.opening.blobs is None:
        yield table
        return
    # A store was opened with it before, so this platform has folders of blobs.
    from lash_es.log.stores.directory_blobs import DirectoryBlobs

    folder = DirectoryBlobs.open(database.opening.blobs, create=False)
    with closing(folder):
        yield {**table, "the folder of blobs": folder}
