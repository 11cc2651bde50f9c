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
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

from lash_es.codec.records import decode_header
from lash_es.codec.streams import StreamId
from lash_es.core.bodies import BodyRef, NewBody
from lash_es.core.commands import Command, new_bodies
from lash_es.core.decide import decide
from lash_es.core.errors import SessionDeleted, SessionNotOpen
from lash_es.core.events import Event
from lash_es.core.evolve import evolve
from lash_es.core.ids import AppendId, Position
from lash_es.core.known import IndexEntry, IndexKey, Known, compared_body, follows, names
from lash_es.core.limits import Limits
from lash_es.core.state import Deleted, NotOpened, Open, State
from lash_es.log.appends import Appended, Conflict, StreamAppend, Unknown
from lash_es.log.commitments import require_unsealed
from lash_es.log.encoding import Folded, decode_index_entry, encode_append, nothing_folded
from lash_es.log.loading import load
from lash_es.log.port import Store
from lash_es.log.subscribing import FollowedLog
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
        self.states: list[State] = []
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
        for event in events:
            self.state = evolve(self.state, event)
            self.states.append(self.state)
        self.events.extend(events)
        self.bodies.extend(new_bodies(command))
        return events

    def discard(self) -> None:
        """Write nothing after all."""
        self.events.clear()
        self.states.clear()


class Lane:
    """
    One stream as this process knows it, and the only way in which this process writes to it.

    ``folded`` is never ahead of the log; it may be behind, and is caught up when that matters.
    """

    def __init__(self, log: FollowedLog, stream: StreamId, world: World, limits: Limits) -> None:
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

    async def catch_up(self) -> State:
        """
        Fold what others have appended; a loop that serves other lanes meanwhile is not held up.

        Raises:
            CorruptHistory, WrittenByNewerVersion: the stream cannot be read.
        """
        stream, after = self.stream, self.folded
        self._move_to(await self.log.read(lambda store: load(store, stream, after)))
        return self.folded.state

    def _move_to(self, folded: Folded) -> None:
        """Go on to a fold, unless somebody has come further while it was made."""
        if folded.version > self.folded.version:
            self.folded = folded

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
                # First the state and then the index: what is known is never behind the state.
                before = self.folded
                draft = Draft(before.state, await self._known(keys))
                try:
                    result = step(draft)
                except Exception:
                    # Whatever it is: the index that was read may be ahead of the state.
                    if await self._is_newest(before):
                        raise
                    continue
                if await self._record(before, draft):
                    return result
            raise TooManyConflicts(session_id=self.stream.session_id, attempts=APPEND_ATTEMPTS_MAX)

    async def _record(self, before: Folded, draft: Draft) -> bool:
        if not draft.events:
            return await self._is_newest(before)
        append_id = AppendId(self.world.token())
        append, after = encode_append(
            before, draft.events, draft.bodies, append_id, states=draft.states
        )
        result = await self.log.append((append,))
        match result:
            case Appended():
                self._unknowns_count = 0
                self._move_to(after)
                return True
            case Conflict():
                await self.catch_up()
                return False
            case Unknown():
                self._unknowns_count += 1
                happened = await self._did_happen(append, after, result)
                if not happened and self._unknowns_count >= UNKNOWN_APPENDS_MAX:
                    raise self._unresolved(append, result)
                return happened

    async def _did_happen(self, append: StreamAppend, after: Folded, unknown: Unknown) -> bool:
        """Look for the append's id where its first record would be."""
        stream, first = self.stream, Position(append.expected_version)
        try:
            records = await self.log.read(lambda store: store.read(stream, first, 1))
        except Exception as cause:
            raise self._unresolved(append, unknown) from cause
        happened = any(
            decode_header(self.stream, record).append_id == append.append_id for record in records
        )
        if happened:
            self._move_to(after)
        await self.catch_up()
        return happened

    def _unresolved(self, append: StreamAppend, unknown: Unknown) -> AppendUnresolved:
        return AppendUnresolved(
            session_id=self.stream.session_id, append_id=append.append_id, reason=unknown.reason
        )

    async def _is_newest(self, before: Folded) -> bool:
        """Tell whether nothing was appended since that fold; otherwise catch up."""
        await self.catch_up()
        return self.folded.version == before.version

    async def _known(self, keys: Sequence[IndexKey]) -> Known:
        if not keys:
            return Known(limits=self.limits)
        stream, limits = self.stream, self.limits
        return await self.log.read(lambda store: read_known(store, stream, keys, limits))


def read_known(store: Store, stream: StreamId, keys: Sequence[IndexKey], limits: Limits) -> Known:
    """Read the index entries of these keys, those they lead to, and the salts to compare with."""
    entries = _entries(store, stream, keys)
    further = [key for entry in entries.values() for key in follows(entry)]
    entries |= _entries(store, stream, further)
    return Known(entries=entries, salts=_salts(store, stream, entries.values()), limits=limits)


def _entries(
    store: Store, stream: StreamId, keys: Sequence[IndexKey]
) -> dict[IndexKey, IndexEntry]:
    if not keys:
        return {}
    stored = store.read_index(stream, keys)
    return {key: decode_index_entry(key, value) for key, value in stored.items()}


def _salts(store: Store, stream: StreamId, entries: Iterable[IndexEntry]) -> dict[BodyRef, bytes]:
    refs = [ref for entry in entries if (ref := compared_body(entry)) is not None]
    if not refs:
        return {}
    stored = store.read_bodies(stream, refs)
    # Without its key nobody can compare a body: that is no reason to call the new one another.
    return {ref: require_unsealed(stream, body).salt for ref, body in stored.items()}
