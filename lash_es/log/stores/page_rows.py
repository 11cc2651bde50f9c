"""
A page of a stream as the rows of one statement: the head row, then facts, then activity.

They share columns: kind, five integers, a text and bytes.

| kind | integers | text | bytes |
|---|---|---|---|
| 0, the head row | version, activity seq, oldest, low version, low seq | | |
| 1, a fact | position | wire name | state |
| 2, activity | version, seq, time | | payload |
"""

from collections.abc import Iterable
from typing import Final, TypeAlias

from lash_es.core.ids import Position, Version
from lash_es.log.appends import Activity
from lash_es.log.pages import Page
from lash_es.log.stores.facts import row_record

PageRow: TypeAlias = tuple[int, int, int, int, int, int, str, bytes]

_HEAD: Final = 0
_FACT: Final = 1
_ACTIVITY: Final = 2


def page_of_rows(rows: Iterable[PageRow]) -> Page:
    """Make a page of rows; without a head row there is no stream, and nothing in it."""
    by_kind: dict[int, list[PageRow]] = {_HEAD: [], _FACT: [], _ACTIVITY: []}
    for row in rows:
        by_kind[row[0]].append(row)
    if not by_kind[_HEAD]:
        return Page()
    ((_, version, seq, oldest, low_version, low_seq, _, _),) = by_kind[_HEAD]
    return Page(
        end=(Version(version), seq),
        oldest=Position(oldest),
        low_water=(Version(low_version), low_seq),
        records=tuple(
            row_record(position, name, state)
            for _, position, _, _, _, _, name, state in by_kind[_FACT]
        ),
        activities=tuple(
            Activity(version=Version(version), seq=seq, at_ms=at_ms, payload=payload)
            for _, version, seq, at_ms, _, _, _, payload in by_kind[_ACTIVITY]
        ),
    )
