"""
How a simulated process writes: decide on what it has folded, append, again on a conflict.

A second, synchronous form of what the runtime does, on a real store: so that a run is nothing but
its seed. Ids and salts are counted. The next append of a process can be made to go wrong.
"""

import hashlib
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

from attrs import Factory, define, frozen

from lash_es.codec.streams import StreamId
from lash_es.core.bodies import BodyRef, NewBody
from lash_es.core.commands import Command, new_bodies
from lash_es.core.events import Event, commitments
from lash_es.core.evolve import fold
from lash_es.core.ids import AppendId, Position
from lash_es.core.known import IndexKey, Known
from lash_es.core.limits import Limits
from lash_es.core.state import Open, State
from lash_es.log.appends import Appended, StreamAppend
from lash_es.log.encoding import Folded, encode_append, nothing_folded
from lash_es.log.loading import load, read_facts
from lash_es.log.port import Store
from lash_es.runtime.committing import read_known
from lash_es.verify.virtual_clocks import Crashed
from lash_es.verify.workloads import Verb
from lash_es.verify.worlds import Decide

CONFLICTS_MAX: Final = 8
LIMITS: Final = Limits(drain_attempts_max=2)

_R = TypeVar("_R")


@frozen(kw_only=True)
class Write:
    """Who wrote facts, under which token of the lease, if it went by one."""

    stream: StreamId
    first: Position
    count: int
    by: str
    token: str | None


@define
class Ledgers:
    """What the world of a run saw, kept outside of the log: who wrote, what was acknowledged."""

    decide: Decide
    writes: list[Write] = Factory(list[Write])
    faults: dict[str, deque[Verb]] = Factory(dict[str, deque[Verb]])
    minted: Counter[str] = Factory(Counter[str])
    unknowns: int = 0
    conflicts: int = 0

    def mint(self, kind: str) -> str:
        """
        Mint an id. Each kind is counted for itself: what becomes of a turn goes by its id, and is
        the same in a run that was made smaller.
        """
        self.minted[kind] += 1
        return f"{kind}-{self.minted[kind]}"

    def body(self, text: str) -> NewBody:
        """Make content with a salt of its own."""
        salt = hashlib.blake2b(self.mint("salt").encode(), digest_size=16).digest()
        return NewBody(content=f'"{text}"'.encode(), salt=salt)

    def next_fault(self, who: str) -> Verb | None:
        """Say what becomes of the next append of a process."""
        waiting = self.faults.get(who)
        return waiting.popleft() if waiting else None


class Sketch:
    """Commands decided one after the other, to be recorded together."""

    def __init__(self, decide: Decide, state: State, known: Known) -> None:
        self._decide = decide
        self.known = known
        self.state = state
        self.events: list[Event] = []
        self.bodies: list[NewBody] = []

    @property
    def session(self) -> Open:
        """The session as it would be."""
        assert isinstance(self.state, Open)
        return self.state

    def do(self, command: Command) -> tuple[Event, ...]:
        """Decide a command, and go on from there."""
        events = self._decide(self.state, command, self.known)
        self.state = fold(events, self.state)
        self.events += events
        self.bodies += new_bodies(command)
        return events


class Desk:
    """One stream, as one simulated process knows it."""

    def __init__(self, store: Store, stream: StreamId, who: str, ledgers: Ledgers) -> None:
        self._store = store
        self._who = who
        self._ledgers = ledgers
        self.stream = stream
        self.folded: Folded = nothing_folded(stream)

    def catch_up(self) -> State:
        """Fold what others have appended."""
        self.folded = load(self._store, self.stream, self.folded)
        return self.folded.state

    def record(
        self, step: Callable[[Sketch], _R], *keys: IndexKey, token: str | None = None
    ) -> _R:
        """
        Record what ``step`` decides; ``token`` is that of the lease that it goes by.

        Raises:
            CommandRejected: it was refused, and nothing was written.
            Crashed: the process is no more; what it wrote may be there.
        """
        for _ in range(CONFLICTS_MAX):
            self.catch_up()
            known = read_known(self._store, self.stream, keys, LIMITS)
            sketch = Sketch(self._ledgers.decide, self.folded.state, known)
            result = step(sketch)
            if not sketch.events or self._append(sketch, token):
                return result
        raise AssertionError(f"{CONFLICTS_MAX} conflicts, where nobody else can have written")

    def _append(self, sketch: Sketch, token: str | None) -> bool:
        append_id = AppendId(self._ledgers.mint("append"))
        append, after = encode_append(self.folded, sketch.events, sketch.bodies, append_id)
        fault = self._ledgers.next_fault(self._who)
        if fault is Verb.CRASH_BEFORE_WRITE:
            raise Crashed
        happened = fault is not Verb.LOSE_APPEND and self._appended(append, token)
        if fault is Verb.CRASH_AFTER_WRITE:
            raise Crashed
        if fault in (Verb.LOSE_ANSWER, Verb.LOSE_APPEND):
            self._ledgers.unknowns += 1
            happened = self._is_there(append)
        if happened:
            self.folded = after
        return happened

    def _appended(self, append: StreamAppend, token: str | None) -> bool:
        if not isinstance(self._store.append((append,)), Appended):
            self._ledgers.conflicts += 1
            return False
        write = Write(
            stream=self.stream,
            first=Position(append.expected_version),
            count=len(append.records),
            by=self._who,
            token=token,
        )
        self._ledgers.writes.append(write)
        return True

    def _is_there(self, append: StreamAppend) -> bool:
        """Look for the append's id where its first record would be."""
        first, before = Position(append.expected_version), self.folded.digest
        fact = next(read_facts(self._store, self.stream, first, before), None)
        return fact is not None and fact.header.append_id == append.append_id


def texts_of(store: Store, stream: StreamId) -> Mapping[BodyRef, str]:
    """Read all that was said in a stream."""
    refs = [
        BodyRef(position=fact.position, ordinal=ordinal)
        for fact in read_facts(store, stream)
        for ordinal, _ in enumerate(commitments(fact.event))
    ]
    return {ref: body.content.decode() for ref, body in store.read_bodies(stream, refs).items()}


def facts_of(store: Store, stream: StreamId) -> Sequence[Event]:
    """Read all facts of a stream, checked."""
    return [fact.event for fact in read_facts(store, stream)]
