"""
Activity on its way into a store, how much of it is kept, and what is said when some was lost.

Activity is pruned by its writer, in the transaction of what it writes, now and then; by whoever
calls ``trim_activity``; and never by a reader. The head row's ``low_water`` is the last place that
was pruned or lost: a cursor is good exactly when it is not below it.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

import attrs
from attrs import field, frozen

from lash_es.codec.streams import StreamId
from lash_es.core.ids import Generation, Version
from lash_es.log.appends import Appended, AppendResult, StreamAppend

ACTIVITY_RECORDS_MAX: Final = 2_048
ACTIVITY_AGE_MS_MAX: Final = 120_000
STREAMS_REMEMBERED_MAX: Final = 4_096
"""A stream that is forgotten is pruned once more than it had to be."""

_PRUNES_PER_WINDOW: Final = 32


@frozen(kw_only=True)
class ActivityWindow:
    """
    How much activity of a stream is kept: the newest records, if they are not older than that.

    Both are at least 0. What was written in the call that prunes is always kept.
    """

    records_max: int = field(default=ACTIVITY_RECORDS_MAX, validator=attrs.validators.ge(0))
    age_ms_max: int = field(default=ACTIVITY_AGE_MS_MAX, validator=attrs.validators.ge(0))


DEFAULT_WINDOW: Final = ActivityWindow()


@frozen(kw_only=True)
class NewActivity:
    """
    Activity to add after the fact at ``version - 1``, in order, by the owner of ``generation``.

    ``is_after_loss``: what came before it could not be written; one number is left out for that,
    and cursors in front of it are no longer good. ``window``: prune by it in the same transaction.
    """

    stream: StreamId
    version: Version
    generation: Generation
    payloads: Sequence[bytes]
    at_ms: int
    is_after_loss: bool = False
    window: ActivityWindow | None = None


class Pruning:
    """
    Says when a writer prunes: at its first write to a stream, and then by every 32nd part of the
    window, so that what is kept beyond the window is small and most writes cost no more than
    themselves.
    """

    def __init__(self, window: ActivityWindow) -> None:
        self._window = window
        self._records_due = max(1, window.records_max // _PRUNES_PER_WINDOW)
        self._age_ms_due = window.age_ms_max // _PRUNES_PER_WINDOW
        self._since: OrderedDict[StreamId, tuple[int, int]] = OrderedDict()

    def window_for(self, stream: StreamId, count: int, at_ms: int) -> ActivityWindow | None:
        """Return the window to prune by in a write of so many records; none if not now."""
        records, pruned_at_ms = self._since.pop(stream, (self._records_due, at_ms))
        records += count
        is_due = records >= self._records_due or at_ms - pruned_at_ms > self._age_ms_due
        self._since[stream] = (0, at_ms) if is_due else (records, pruned_at_ms)
        if len(self._since) > STREAMS_REMEMBERED_MAX:
            self._since.popitem(last=False)
        return self._window if is_due else None


class Losses:
    """
    Streams whose last activity could not be written, until something that was written says so.

    It lives in the process that lost it: where that dies too, nobody knows what it would have
    written, and the next owner's attempt replaces it.
    """

    def __init__(self) -> None:
        self._streams: set[StreamId] = set()

    def __contains__(self, stream: StreamId) -> bool:
        return stream in self._streams

    def add(self, stream: StreamId) -> None:
        """Remember that activity of a stream was lost."""
        self._streams.add(stream)

    def told(self, stream: StreamId) -> None:
        """Forget it: the log says so now."""
        self._streams.discard(stream)

    def marked(self, appends: Sequence[StreamAppend]) -> Sequence[StreamAppend]:
        """Let the next facts of these streams tell of it."""
        if self._streams.isdisjoint(append.stream for append in appends):
            return appends
        return [
            attrs.evolve(append, is_after_loss=append.stream in self._streams)
            for append in appends
        ]

    def settle(self, appends: Sequence[StreamAppend], result: AppendResult) -> None:
        """Take what was appended as told; after another answer it is told again."""
        if self._streams and isinstance(result, Appended):
            self._streams.difference_update(append.stream for append in appends)
