"""
How tables change: by numbered steps, forward only. A database is brought on by those it lacks.

A step is never changed once a release has run it; the next change is another step. Each says the
oldest step whose code can still work on the tables that it leaves: a step that only adds lets the
processes of the last release go on while they are replaced.
"""

from attrs import frozen

from lash_es.codec.records import RECORD_FORMAT
from lash_es.log.errors import StoreFormatNewer, StoreTablesOlder


@frozen(kw_only=True)
class Step:
    """What one step does. ``works_for`` is the oldest step whose code may use the result."""

    number: int
    works_for: int
    statements: tuple[str, ...]


@frozen(kw_only=True)
class Stated:
    """
    What a database says of itself, in ``lash_es_format``.

    ``reads_from`` is the oldest record format in it, ``writes`` the one that is written,
    ``tables`` the last step taken, ``tables_work_for`` the oldest step whose code may use it.
    """

    reads_from: int
    writes: int
    tables: int
    tables_work_for: int

    @classmethod
    def of_row(cls, row: tuple[int, ...]) -> "Stated":
        """Read a row; the first step had no column for whom its tables work: for itself."""
        reads_from, writes, tables, *rest = row
        work_for = rest[0] if rest else tables
        return cls(reads_from=reads_from, writes=writes, tables=tables, tables_work_for=work_for)

    def require_known(self, where: str, step: int) -> None:
        """
        Refuse tables that this version cannot use.

        A newer record format is no reason: while processes are replaced, old ones go on with the
        sessions that they understand, and the fact that they do not know stops them at its own
        session (``WrittenByNewerVersion``).

        Raises:
            StoreFormatNewer: with formats and steps, found and known.
        """
        if self.tables_work_for > step:
            raise StoreFormatNewer(
                where=where, found=(self.writes, self.tables), known=(RECORD_FORMAT, step)
            )

    def require_step(self, where: str, step: int) -> None:
        """
        Refuse tables that lack steps.

        Raises:
            StoreTablesOlder: with the step found and the one needed.
        """
        if self.tables < step:
            raise StoreTablesOlder(where=where, found=self.tables, needed=step)
