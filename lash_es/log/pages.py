"""
What a subscription reads: a stretch of a stream's facts and activity, in one state of the store.

The order of both is that of offsets ``(version, seq)``: the fact at position *n* is at
``(n + 1, 0)``, the activity that followed it at ``(n + 1, 1)`` and on. The offset of the last
thing that was seen is a cursor.
"""

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from attrs import frozen

from lash_es.codec.records import Record
from lash_es.core.ids import Position, Version
from lash_es.log.appends import Activity

Offset: TypeAlias = tuple[Version, int]

START: Final[Offset] = (Version(0), 0)
FIRST: Final = Position(0)

_LAST_SEQ: Final = 2**63 - 1


@frozen(kw_only=True)
class Page:
    """
    Records and activity after an offset, of each at most as many as were asked for.

    All of it, and what is said of the stream, is of one state of the store: ``end`` is the offset
    of the last thing in the stream, ``oldest`` the first fact that is kept, ``low_water`` the last
    activity that was pruned or lost.
    """

    end: Offset = START
    oldest: Position = FIRST
    low_water: Offset = START
    records: tuple[Record, ...] = ()
    activities: tuple[Activity, ...] = ()

    def in_order(self, items_max: int) -> Sequence[Record | Activity]:
        """
        Return both in the order of offsets, as far as nothing in between can be missing: where one
        of the two was cut at ``items_max``, up to its last one.
        """
        bound = self.end
        if len(self.records) == items_max:
            bound = min(bound, (Version(self.records[-1].position + 1), _LAST_SEQ))
        if len(self.activities) == items_max:
            bound = min(bound, offset_of(self.activities[-1]))
        both: Iterable[Record | Activity] = (*self.records, *self.activities)
        return sorted((item for item in both if offset_of(item) <= bound), key=offset_of)


def offset_of(item: Record | Activity) -> Offset:
    """Say where something is in its stream."""
    if isinstance(item, Record):
        return (Version(item.position + 1), 0)
    return (item.version, item.seq)
