"""Opening a log to look at it: a SQLite file, or a URL of PostgreSQL."""

from contextlib import closing
from os import PathLike, fspath
from typing import Final

from lash_es.log.errors import StoreUnavailable
from lash_es.log.inspecting import InspectedStore
from lash_es.log.stores.sqlite import SQLiteStore

URL_SCHEMES: Final = ("postgresql://", "postgres://")


def open_place(
    place: str | PathLike[str],
    *,
    schema: str = "public",
    create: bool = False,
    for_reading: bool = False,
) -> InspectedStore:
    """
    Open the log at a path or a URL.

    Raises:
        StorageError: there is none, or it cannot be read; with ``create``, it cannot be made;
            ``for_reading``, it would have to be written to be read.
    """
    named = fspath(place)
    if not named.startswith(URL_SCHEMES):
        return SQLiteStore.open(named, create=create, for_reading=for_reading)
    try:
        # Its driver is an extra: who needs none imports none.
        from lash_es.log.stores.postgres import PostgresStore  # noqa: PLC0415
    except ModuleNotFoundError as cause:
        reason = f"{cause.name} is missing: install lash-es[postgres]"
        raise StoreUnavailable(where="PostgreSQL", reason=reason) from cause
    return PostgresStore.open(named, create=create, schema=schema, for_reading=for_reading)


def open_store(place: str | PathLike[str], *, schema: str = "public") -> "closing[InspectedStore]":
    """Open a log for reading, for as long as a ``with`` lasts; raises as ``open_place``."""
    return closing(open_place(place, schema=schema, for_reading=True))
