"""A SQLite connection that counts the statements it is given."""

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Protocol, TypeAlias, TypeVar

_T_co = TypeVar("_T_co", covariant=True)


class _Row(Protocol[_T_co]):
    """A row of parameters, as ``sqlite3`` takes it."""

    def __len__(self) -> int: ...

    def __getitem__(self, place: int, /) -> _T_co: ...


_Parameters: TypeAlias = _Row[object] | Mapping[str, object]


class CountingConnection(sqlite3.Connection):
    """Counts statements; one with many rows is one statement."""

    statements_count = 0

    def execute(self, sql: str, parameters: _Parameters = (), /) -> sqlite3.Cursor:
        """Run a statement."""
        self.statements_count += 1
        return super().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[_Parameters], /) -> sqlite3.Cursor:
        """Run a statement with many rows."""
        self.statements_count += 1
        return super().executemany(sql, parameters)
