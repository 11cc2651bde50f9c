"""
What can be wrong with the place where streams are kept.

Nothing that raises one of these was written.
"""

from typing import ClassVar

from attrs import define

from lash_es.core.errors import LashError
from lash_es.core.ids import Version


class StorageError(LashError):
    """The store could not do what was asked; nothing was written."""


@define(kw_only=True)
class StoreUnavailable(StorageError):
    """There is no store where one was expected, or it cannot be opened."""

    where: str
    reason: str
    terminal_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        return f"cannot open the log at {self.where}: {self.reason}"


@define(kw_only=True)
class StoreReadOnly(StorageError):
    """The store can be read and not written."""

    where: str

    def _summary(self) -> str:
        return f"the log at {self.where} is read-only"


@define(kw_only=True)
class StoreFull(StorageError):
    """There is no room left."""

    where: str
    reason: str

    def _summary(self) -> str:
        return f"no room left for the log at {self.where}: {self.reason}"


@define(kw_only=True)
class StoreBusy(StorageError):
    """Another process held the store for longer than we wait."""

    where: str
    waited_ms: int
    retryable_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        return f"the log at {self.where} was locked for more than {self.waited_ms} ms"


@define(kw_only=True)
class StoreDisconnected(StorageError):
    """The server could not be reached just now, and nothing was sent to it; it may come back."""

    where: str
    reason: str
    retryable_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        return f"no connection to the log at {self.where}: {self.reason}"


@define(kw_only=True)
class TooManyAppendsWaiting(StorageError):
    """More appends wait for a commit than the log keeps; this one was not written."""

    where: str
    appends_waiting_max: int
    retryable_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        return f"{self.appends_waiting_max} appends wait for the log at {self.where} already"


@define(kw_only=True)
class StoreFailed(StorageError):
    """The store failed in a way that has no name of its own."""

    where: str
    reason: str

    def _summary(self) -> str:
        return f"the log at {self.where} failed: {self.reason}"


@define(kw_only=True)
class StoreClosed(StorageError):
    """The store was closed before."""

    where: str

    def _summary(self) -> str:
        return f"the log at {self.where} is closed"


@define(kw_only=True)
class StoreTablesOlder(StorageError):
    """The tables lack steps, and whoever only reads takes none."""

    where: str
    found: int
    needed: int
    terminal_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        return (
            f"the tables of the log at {self.where} are of step {self.found}, and step "
            f"{self.needed} is read here: what only reads changes nothing, `lash-es db upgrade` "
            "or any process that opens it to write brings them forward"
        )


@define(kw_only=True)
class MalformedAppend(StorageError):
    """The records of an append do not follow each other from the expected version on."""

    session_id: str
    expected_version: int
    positions: tuple[int, ...]
    terminal_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        return (
            f"an append to session {self.session_id!r} must hold positions from "
            f"{self.expected_version} on without a gap, found {self.positions}"
        )


@define(kw_only=True)
class RepeatedStream(StorageError):
    """One call appends twice to one stream: whoever wants that makes one append of both."""

    session_id: str
    terminal_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        return f"one call appends more than once to session {self.session_id!r}, expected once"


@define(kw_only=True)
class StreamBusy(StorageError):
    """Others appended to a stream whenever something was to be written at its newest version."""

    session_id: str
    attempts: int
    retryable_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        return f"session {self.session_id!r} moved on in each of {self.attempts} attempts"


@define(kw_only=True)
class VersionOutOfRange(LashError):
    """The history does not reach that far."""

    session_id: str
    requested: int
    version: Version
    terminal_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        found = f"session {self.session_id!r} has {self.version} facts"
        return f"{found}, asked for version {self.requested}"


@define(kw_only=True)
class StoreFormatNewer(StorageError):
    """
    The store is in a format that a newer version writes.

    Pairs are the record format and the tables' step.
    """

    where: str
    found: tuple[int, int]
    known: tuple[int, int]
    terminal_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        return (
            f"the log at {self.where} is in record format {self.found[0]}, tables "
            f"{self.found[1]}; "
            f"this version of lash_es knows up to {self.known[0]} and {self.known[1]}"
        )
