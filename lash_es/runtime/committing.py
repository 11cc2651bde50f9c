"""
From a command to recorded facts: read what is known, decide, append; again on a conflict, bounded.

1. A refusal, or a decision to record nothing, counts only on the newest state: otherwise catch up
   and decide again.
2. After an append whose answer was lost, look for its id before deciding again: nothing is lost or
   doubled.
3. What several commands record is one append: settling an effect and requesting the next belong
   together.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from lash_es.codec.records import decode_header
from lash_es.codec.streams import StreamId
from lash_es.core.bodies import BodyRef, NewBody
from lash_es.core.commands import Command, new_bodies
from lash_es.core.decide import decide
from lash_es.core.errors import SessionDeleted, SessionNotOpen
from lash_es.core.events import Event
from lash_es.core.evolve import fold
from lash_es.core.ids import AppendId, Position
from lash_es.core.known import IndexEntry, IndexKey, Known, compared_body, follows, names
from lash_es.core.limits import Limits
from lash_es.core.state import Deleted, NotOpened, Open, State
from lash_es.log.appends import Appended, Conflict, StreamAppend, Unknown
from lash_es.log.encoding import Folded, decode_index_entry, encode_append, nothing_folded
from lash_es.log.loading import load
from lash_es.log.port import Log
from lash_es.runtime.faults import AppendUnresolved, TooManyConflicts
from lash_es.runtime.world import World

APPEND_ATTEMPTS_MAX: Final = 64
"""How often a command is decided again before its caller hears of it."""
UNKNOWN_APPENDS_MAX: Final = 3
"""How many appends in a row may lose their answer before the caller hears of it."""

_R = TypeVar("_R")


class Draft:
    """
    What one append will hold: commands decided one after the other, each on what the last one
    made.
    """

    def __init__(self, state: State, known: Known) -> None:
        self.state = state
        self.known = known
        self.events: list[Event] = []
        self.bodies: list[NewBody] = []

    @property
    def session(self) -> Open:
        """
        The session as it would be.

        Raises:
            SessionNotOpen, SessionDeleted: there is none.
        """
        match self.state:
            case Open():
                return self.state
            case Deleted():
                raise SessionDeleted(session_id=self.state.session_id)
            case NotOpened():
                raise SessionNotOpen(command="use a session")

    def do(self, command: Command) -> tuple[Event, ...]:
        """
        Decide one command, and go on from there.

        Raises:
            CommandRejected: as ``decide``; nothing of the draft will be written unless the caller
                catches it.
        """
        events = decide(self.state, command, self.known)
        self.state = fold(events, self.state)
        self.events.extend(events)
        self.bodies.extend(new_bodies(command))
        return events

    def discard(self) -> None:
        """Write nothing after all."""
        self.events.clear()


class Lane:
    """
    One stream as this process knows it, and the only way in which this process writes to it.

    ``folded`` is never ahead of the log; it may be behind, and is caught up when that matters.
    """

    def __init__(self, log: Log, stream: StreamId, world: World, limits: Limits) -> None:
        self.log = log
        self.stream = stream
        self.world = world
        self.limits = limits
        self._unknowns_count = 0
        self.folded: Folded = nothing_folded(stream)
        self._turnstile = asyncio.Lock()

    @property
    def state(self) -> State:
        """The state that this process has folded."""
        return self.folded.state

    def catch_up(self) -> State:
        """
        Fold what others have appended.

        Raises:
            CorruptHistory, WrittenByNewerVersion: the stream cannot be read.
        """
        self.folded = load(self.log.store, self.stream, self.folded)
        return self.folded.state

    async def execute(self, command: Command) -> tuple[Event, ...]:
        """
        Decide one command and record what it makes happen; returns the facts, none if there were
        none.
        """
        return await self.transact(lambda draft: draft.do(command), *names(command))

    async def transact(self, step: Callable[[Draft], _R], *keys: IndexKey) -> _R:
        """
        Record what ``step`` decides, in one append.

        Args:
            step: decides commands on a draft; it is called again from the start after a lost race,
                so it must not have effects of its own.
            keys: the index keys that its commands name.

        Raises:
            CommandRejected: refused on the newest state; nothing was written.
            TooManyConflicts, AppendUnresolved, StorageError: see there.
        """
        async with self._turnstile:
            for _ in range(APPEND_ATTEMPTS_MAX):
                draft = Draft(self.folded.state, self._known(keys))
                try:
                    result = step(draft)
                except Exception:
                    # Whatever it is: the index that was read may be ahead of the state.
                    if self._is_newest():
                        raise
                    continue
                if await self._record(draft):
                    return result
            raise TooManyConflicts(session_id=self.stream.session_id, attempts=APPEND_ATTEMPTS_MAX)

    async def _record(self, draft: Draft) -> bool:
        if not draft.events:
            return self._is_newest()
        append_id = AppendId(self.world.token())
        append, after = encode_append(self.folded, draft.events, draft.bodies, append_id)
        result = await self.log.append((append,))
        match result:
            case Appended():
                self._unknowns_count = 0
                self.folded = after
                return True
            case Conflict():
                self.catch_up()
                return False
            case Unknown():
                self._unknowns_count += 1
                happened = self._did_happen(append, after, result)
                if not happened and self._unknowns_count >= UNKNOWN_APPENDS_MAX:
                    raise self._unresolved(append, result)
                return happened

    def _did_happen(self, append: StreamAppend, after: Folded, unknown: Unknown) -> bool:
        """Look for the append's id where its first record would be."""
        try:
            records = self.log.store.read(self.stream, Position(append.expected_version), 1)
        except Exception as cause:
            raise self._unresolved(append, unknown) from cause
        happened = any(
            decode_header(self.stream, record).append_id == append.append_id for record in records
        )
        if happened:
            self.folded = after
        self.catch_up()
        return happened

    def _unresolved(self, append: StreamAppend, unknown: Unknown) -> AppendUnresolved:
        return AppendUnresolved(
            session_id=self.stream.session_id, append_id=append.append_id, reason=unknown.reason
        )

    def _is_newest(self) -> bool:
        """Tell whether nothing was appended since the last fold; otherwise catch up."""
        version = self.folded.version
        self.catch_up()
        return self.folded.version == version

    def _known(self, keys: Iterable[IndexKey]) -> Known:
        entries = self._entries(keys)
        further = [key for entry in entries.values() for key in follows(entry)]
        entries |= self._entries(further)
        return Known(entries=entries, salts=self._salts(entries.values()), limits=self.limits)

    def _entries(self, keys: Iterable[IndexKey]) -> dict[IndexKey, IndexEntry]:
        wanted = tuple(keys)
        if not wanted:
            return {}
        stored = self.log.store.read_index(self.stream, wanted)
        return {key: decode_index_entry(key, value) for key, value in stored.items()}

    def _salts(self, entries: Iterable[IndexEntry]) -> dict[BodyRef, bytes]:
        refs = [ref for entry in entries if (ref := compared_body(entry)) is not None]
        if not refs:
            return {}
        return {
            ref: body.salt for ref, body in self.log.store.read_bodies(self.stream, refs).items()
        }
