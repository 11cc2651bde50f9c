"""
Trimming: a fact that says what may go, then an archive of it, and only then its deletion.

1. ``HistoryTrimmed`` is appended, with all that is still needed in its bodies. From then on
   nothing in front of it is read but to be archived, deleted, or looked at.
2. What will go is handed to the archive, which has it safe when it returns. If it fails, nothing
   is deleted.
3. Facts go from the oldest on, a few in each transaction, with their bodies; what the active path
   names stays. The head row moves with each transaction.

A crash between any two of these loses nothing: the call made again goes on where it was.
"""

from collections.abc import Callable, Iterable
from typing import Final

import attrs
from attrs import frozen

from lash_es.codec.records import decode_header
from lash_es.codec.streams import StreamId
from lash_es.codec.trims import encode_trim_content
from lash_es.core.commands import TrimHistory, new_bodies
from lash_es.core.decide import decide
from lash_es.core.errors import SessionNotOpen
from lash_es.core.ids import AppendId, Position, Version
from lash_es.core.known import Known
from lash_es.core.limits import DEFAULT_LIMITS, Limits
from lash_es.core.retention import Pin, oldest
from lash_es.core.rules.retention import below_max
from lash_es.core.state import Deleted, NotOpened, Open
from lash_es.log.appends import Appended, Unknown
from lash_es.log.encoding import Folded, encode_append
from lash_es.log.errors import StoreFailed
from lash_es.log.formats import require_trims
from lash_es.log.gathering import PAGE_BYTES_MAX, gather
from lash_es.log.loading import load
from lash_es.log.port import Store
from lash_es.log.removing import NOTHING_REMOVED, Archive, Removed, removing

APPEND_ATTEMPTS_MAX: Final = 64


@frozen(kw_only=True)
class Minted:
    """What a trim may not compute: the time, ids and salts."""

    now_ms: Callable[[], int]
    token: Callable[[], str]
    salt: Callable[[], bytes]


@frozen(kw_only=True)
class Trimmed:
    """What a call came to. Without ``is_new`` the trim was recorded before, or none ever was."""

    is_new: bool
    removed: Removed


@frozen(kw_only=True)
class Trimming:
    """
    How sessions of a store are trimmed.

    Args:
        store: where they are, used by this thread alone meanwhile.
        archive: what is handed all that goes, before it goes.
        minted: where time, ids and salts come from.
        limits: what bounds bodies.
        page_bytes_max: about how large the pages are on which lists are kept, in bytes.
    """

    store: Store
    archive: Archive
    minted: Minted
    limits: Limits = DEFAULT_LIMITS
    page_bytes_max: int = PAGE_BYTES_MAX

    def trim(self, stream: StreamId, below: Version | None = None) -> Trimmed:
        """
        Let go of the facts in front of version ``below``, or finish what a call before has begun.

        Args:
            stream: the session's.
            below: a version; none for the newest that open work and pins allow.

        Raises:
            FormatTooOld: the database has to be upgraded first.
            TrimOutOfRange, TrimHeldBack, SessionNotOpen: nothing was written.
            CorruptHistory, CorruptBody: what is there cannot be trusted; nothing was written.
            StorageError, or what the archive raises: call again to go on.

        Cost: reads what goes three times, writes it to the archive, deletes it.
        """
        require_trims(self.store)
        is_new = self._record(stream, below)
        what_goes = removing(self.store, stream)
        if what_goes is None:
            return Trimmed(is_new=False, removed=NOTHING_REMOVED)
        if not what_goes.is_done:
            self.archive.keep(what_goes.going())
        return Trimmed(is_new=is_new, removed=what_goes.remove())

    def _record(self, stream: StreamId, below: Version | None) -> bool:
        """Record the trim, unless it is recorded already; tell which."""
        for _ in range(APPEND_ATTEMPTS_MAX):
            now = load(self.store, stream)
            asked = self._asked(now, below)
            # Asked without bodies first: a refusal is not to cost the reading of everything.
            if not decide(now.state, asked, self._known):
                return False
            if self._append(now, self._with_bodies(now, asked)):
                return True
        raise StoreFailed(where=self.store.where, reason="others were faster, again and again")

    def _asked(self, now: Folded, below: Version | None) -> TrimHistory:
        """Ask for what is wanted, or for all that may go."""
        state = now.state
        if isinstance(state, NotOpened):
            raise SessionNotOpen(command="TrimHistory")
        pins = self.store.pins(now.stream)
        if below is None:
            below = _newest(state, pins)
        now_ms = self.minted.now_ms()
        return TrimHistory(now_ms=now_ms, below=below, digest="", bodies=(), pins=pins)

    def _with_bodies(self, now: Folded, asked: TrimHistory) -> TrimHistory:
        gathered = gather(self.store, now, asked.below)
        page_bytes_max = min(self.page_bytes_max, self.limits.body_bytes_max)
        bodies = tuple(
            encode_trim_content(content, self.minted.salt())
            for content in gathered.contents(page_bytes_max)
        )
        return attrs.evolve(asked, digest=gathered.folded.digest.hex(), bodies=bodies)

    def _append(self, now: Folded, command: TrimHistory) -> bool:
        """Append the trim; tell whether it is there."""
        append_id = AppendId(self.minted.token())
        events = decide(now.state, command, self._known)
        append, _ = encode_append(now, events, new_bodies(command), append_id)
        result = self.store.append((append,))
        if isinstance(result, Unknown):
            records = self.store.read(now.stream, Position(now.version), 1)
            return any(decode_header(now.stream, each).append_id == append_id for each in records)
        return isinstance(result, Appended)

    @property
    def _known(self) -> Known:
        return Known(limits=self.limits)


def _newest(state: Open | Deleted, pins: Iterable[Pin]) -> Version:
    """Return the newest version that may be trimmed to; nothing is new in the last trim's fact."""
    newest = min([below_max(state), *(pin.version for pin in pins)])
    trim = state.trim
    if trim is not None and int(trim.below) == trim.position == newest - 1:
        return trim.below
    return max(oldest(trim), newest)
