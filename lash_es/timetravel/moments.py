"""
Which version is meant by a time, or by a turn: a search through headers, and a row of the index
that is compared with its fact.
"""

from typing import ClassVar

from attrs import define

from lash_es.codec.records import decode_header
from lash_es.core.errors import HistoryTrimmedBelow, LashError
from lash_es.core.events import TurnCommitted, TurnEnded, TurnStarted
from lash_es.core.ids import Position, Version
from lash_es.core.known import IndexKey, IndexKind, TurnEntry
from lash_es.log.encoding import decode_index_entry
from lash_es.timetravel.past import StoredHistory


@define(kw_only=True)
class NothingYet(LashError):
    """The session had no fact at that time."""

    session_id: str
    asked_ms: int
    first_ms: int | None
    terminal_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        first = "it has none" if self.first_ms is None else f"the first is of {self.first_ms} ms"
        return f"session {self.session_id!r} had no fact at {self.asked_ms} ms: {first}"


@define(kw_only=True)
class UnknownTurn(LashError):
    """The session had no turn of that name."""

    session_id: str
    turn_id: str
    terminal_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        return f"session {self.session_id!r} has no turn {self.turn_id!r}"


def version_at_ms(past: StoredHistory, at_ms: int) -> Version:
    """
    Return how many facts there were at a time: all that were recorded up to it.

    Raises:
        NothingYet: none, or none that is kept.

    Cost: a record for each time that the session can be halved. Recorded times never fall.
    """
    low, high = int(past.oldest), int(past.version)
    while low < high:
        middle = (low + high) // 2
        if _recorded_ms(past, middle) <= at_ms:
            low = middle + 1
        else:
            high = middle
    if low == past.oldest:
        first_ms = _recorded_ms(past, low) if low < past.version else None
        raise NothingYet(session_id=past.stream.session_id, asked_ms=at_ms, first_ms=first_ms)
    return Version(low)


def _recorded_ms(past: StoredHistory, position: int) -> int:
    fact = past.fact_at(position)
    return decode_header(past.stream, fact.record).recorded_at_ms


def versions_of_turn(past: StoredHistory, turn_id: str) -> tuple[Version, Version]:
    """
    Return the version in front of a turn, and the one after its end: the newest, while it is open.

    Raises:
        UnknownTurn: there is none of this name, as far as the index knows and the facts say.
        HistoryTrimmedBelow: there was, and its facts were trimmed.

    Cost: a row of the index, and two facts.
    """
    key = IndexKey(IndexKind.TURN, turn_id)
    stored = past.store.read_index(past.stream, (key,)).get(key)
    entry = None if stored is None else decode_index_entry(key, stored)
    if not isinstance(entry, TurnEntry):
        raise UnknownTurn(session_id=past.stream.session_id, turn_id=turn_id)
    _require(past, turn_id, entry.started)
    if entry.ended is None:
        return Version(entry.started), past.version
    _require(past, turn_id, entry.ended)
    return Version(entry.started), Version(entry.ended + 1)


def _require(past: StoredHistory, turn_id: str, position: Position) -> None:
    """Believe a row of the index as far as the fact that it names says the same."""
    if position < past.oldest:
        raise HistoryTrimmedBelow(
            session_id=past.stream.session_id, asked=position, oldest=past.oldest
        )
    event = past.fact_at(position).event
    if not isinstance(event, TurnStarted | TurnCommitted | TurnEnded) or event.turn_id != turn_id:
        raise UnknownTurn(session_id=past.stream.session_id, turn_id=turn_id)
