"""
What a database holds as a whole, for whoever runs it: counts, sizes, and rows that belong to
nothing.

No call here is on the path of a session. Whatever grows with the log is counted by the database,
or listed in pages.
"""

from collections.abc import Mapping
from typing import Protocol

from attrs import frozen

from lash_es.codec.streams import StreamId
from lash_es.core.bodies import BodyRef
from lash_es.log.port import Store


@frozen(kw_only=True)
class Inventory:
    """
    What is in a database.

    ``size_bytes`` is all that it takes up. ``reads_from`` is the oldest record format in it,
    ``writes`` the one that is written, ``tables`` the last step that its tables were brought to.
    ``sessions`` counts by status; ``trimmed_count`` sessions lack their first facts. Opening a
    session folds ``snapshot_lag_max`` facts at most. ``activity_since_ms`` is when the oldest
    activity was written, 0 if there is none.
    """

    backend: str
    durability: str
    size_bytes: int
    reads_from: int
    writes: int
    tables: int
    namespaces_count: int
    sessions: Mapping[str, int]
    trimmed_count: int
    facts_count: int
    facts_trimmed_count: int
    snapshot_lag_max: int
    snapshots_count: int
    bodies_count: int
    index_rows_count: int
    activities_count: int
    activity_since_ms: int
    blobs_count: int
    blobs_bytes: int

    @property
    def sessions_count(self) -> int:
        """How many sessions there are, in all namespaces."""
        return sum(self.sessions.values())


@frozen(kw_only=True)
class SessionRows:
    """
    How many rows lie beside a stream's facts. ``snapshot_version`` is the newest snapshot's, 0 if
    there is none.
    """

    bodies_count: int
    index_rows_count: int
    activities_count: int
    snapshots_count: int
    snapshot_version: int


class Inspection(Protocol):
    """A store, as whoever runs it looks at it; each call is a few statements that only read."""

    def inventory(self) -> Inventory:
        """Count what is there. Cost: the database looks at every row of its smaller tables."""
        ...

    def streams(self, after: str, streams_max: int) -> tuple[str, ...]:
        """
        List keys of streams after a key, in order, of all namespaces: those that have a head row,
        and those of which there are facts without one.
        """
        ...

    def session_rows(self, stream: StreamId) -> SessionRows:
        """Count what lies beside a stream's facts."""
        ...

    def body_refs(
        self, stream: StreamId, after: BodyRef | None, refs_max: int
    ) -> tuple[BodyRef, ...]:
        """List which bodies a stream has after one of them, ordered by position and ordinal."""
        ...

    def orphans(self) -> Mapping[str, int]:
        """Count, by table, the rows whose stream has no head row; only tables that have some."""
        ...


class InspectedStore(Store, Protocol):
    """A store that lies in a database."""

    def inspection(self) -> Inspection:
        """Look at the database as whoever runs it does; good until the store is closed."""
        ...
