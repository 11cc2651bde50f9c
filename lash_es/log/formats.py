"""
Which record format a database is written in, while old code and new code share it (ADR 0023).

A database says which format it ``writes``. Code that knows a newer one reads both and goes on
writing the older one, until somebody says that no old process is left: ``upgrade``. From then on
an old process still works on every session that it understands, and only on those.
"""

from typing import ClassVar, Final

from attrs import define

from lash_es.codec.records import FORMAT_OF_TRIMS, RECORD_FORMAT
from lash_es.log.errors import StorageError
from lash_es.log.port import Store
from lash_es.log.retaining import RecordFormats

UPGRADE_VERB: Final = "lash-es db upgrade"


@define(kw_only=True)
class FormatTooOld(StorageError):
    """The database is written in a format that has no room for what was asked."""

    where: str
    asked: str
    writes: int
    needed: int
    terminal_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        return (
            f"cannot {self.asked}: the log at {self.where} is written in record format "
            f"{self.writes}, which old processes may still read, and format {self.needed} is "
            f"needed; once none of them is left, run `{UPGRADE_VERB}`"
        )


def require_trims(store: Store) -> None:
    """
    Refuse to trim in a database that old processes may still write to.

    Raises:
        FormatTooOld: it has to be upgraded first.
    """
    writes = store.record_formats().writes
    if writes < FORMAT_OF_TRIMS:
        raise FormatTooOld(
            where=store.where, asked="trim a session", writes=writes, needed=FORMAT_OF_TRIMS
        )


def upgrade(store: Store) -> RecordFormats:
    """
    Write the newest format that is known here from now on; returns what was written before.

    Forward only: a database that others write in a newer format stays as it is. Twice is once.
    """
    return store.raise_format(RECORD_FORMAT)
