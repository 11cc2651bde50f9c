"""What is wrong with stored bytes: refused with the position, never guessed at."""

from typing import ClassVar

from attrs import define

from lash_es.core.errors import LashError
from lash_es.core.ids import Position


class StoredDataError(LashError):
    """What is stored cannot be used."""

    terminal_by_kind: ClassVar[bool] = True


@define(kw_only=True)
class CorruptHistory(StoredDataError):
    """
    A fact is altered, missing, inserted, out of order, or one that no rule would have written.
    """

    session_id: str
    position: Position
    reason: str

    def _summary(self) -> str:
        where = f"session {self.session_id!r}, position {self.position}"
        return f"corrupt history: {where}: {self.reason}"


@define(kw_only=True)
class CorruptBody(StoredDataError):
    """A body is missing or is not what its fact committed to."""

    session_id: str
    position: Position
    ordinal: int
    reason: str

    def _summary(self) -> str:
        return (
            f"corrupt body: session {self.session_id!r}, position {self.position}, "
            f"body {self.ordinal}: {self.reason}"
        )


@define(kw_only=True)
class WrittenByNewerVersion(StoredDataError):
    """
    A record is of a name or schema version that this version of the library does not know.

    In this process the session is read-only, and read up to that record. Others are not concerned.
    """

    session_id: str
    position: Position
    name: str
    schema_version: int

    def _summary(self) -> str:
        return (
            f"session {self.session_id!r}, position {self.position} holds {self.name!r} version "
            f"{self.schema_version}, which a newer version of lash_es wrote: here the session "
            "can be read up to there and not be written to"
        )


@define(kw_only=True)
class UnencodableValue(LashError):
    """A value cannot be written into the log as it is."""

    what: str
    reason: str

    def _summary(self) -> str:
        return f"{self.what} cannot be stored: {self.reason}"


@define(kw_only=True)
class UndecodableValue(StoredDataError):
    """Stored bytes do not have the shape that their name promises."""

    what: str
    reason: str

    def _summary(self) -> str:
        return f"{self.what} cannot be read: {self.reason}"
