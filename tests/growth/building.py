"""
Builds a database of many facts, fast: real events in large appends, none waiting for the disk.

Each session is opened, and then takes inputs that are withdrawn, so that its state stays as small
as at the beginning while facts, bodies and index grow.
"""

from collections.abc import Iterator
from typing import Final

from attrs import frozen

from lash_es.codec.contents import encode_content
from lash_es.codec.streams import StreamId
from lash_es.core.bodies import NewBody
from lash_es.core.commands import (
    CancelTurnInput,
    Command,
    ConfigureSession,
    EnqueueTurnInput,
    OpenSession,
    new_bodies,
)
from lash_es.core.decide import decide
from lash_es.core.events import Event
from lash_es.core.evolve import evolve
from lash_es.core.ids import AppendId, InputId, SessionId
from lash_es.core.ingress import NextTurn
from lash_es.core.known import Known
from lash_es.core.messages import TurnInput
from lash_es.log.appends import Appended, StreamAppend
from lash_es.log.encoding import Folded, encode_append, nothing_folded
from lash_es.log.snapshots import FACTS_PER_SNAPSHOT
from tests.growth.grounds import Ground
from tests.log.tapes import OTHER, POLICY

FACTS_PER_APPEND: Final = 4 * FACTS_PER_SNAPSHOT
"""What is behind the last snapshot is then as long in a short session as in a long one."""

_TEXT: Final = "what a person says in a sentence or two, " * 3


@frozen(kw_only=True)
class Shape:
    """``sessions`` of ``appends`` each."""

    sessions: int
    appends: int

    @property
    def facts(self) -> int:
        """How many facts there are in all."""
        return self.sessions * self.appends * FACTS_PER_APPEND

    def stream(self, number: int) -> StreamId:
        """Name a session; keys are sorted as numbers are."""
        return StreamId("default", SessionId(f"s{number % self.sessions:06}"))


def build(ground: Ground, shape: Shape) -> None:
    """Make the database: in each transaction the next append of some sessions."""
    store = ground.store(create=True)
    folded = [nothing_folded(shape.stream(number)) for number in range(shape.sessions)]
    for _ in range(shape.appends):
        for start in range(0, shape.sessions, 16):
            grown = [_grown(each) for each in folded[start : start + 16]]
            results = store.append_each([[append] for append, _ in grown])
            assert all(isinstance(result, Appended) for result in results)
            folded[start : start + 16] = [after for _, after in grown]
    store.close()


def _grown(before: Folded) -> tuple[StreamAppend, Folded]:
    state, events, bodies = before.state, list[Event](), list[NewBody]()
    for command in _commands(before):
        for event in decide(state, command, Known()):
            state = evolve(state, event)
            events.append(event)
        bodies += new_bodies(command)
    return encode_append(before, events, bodies, AppendId(f"built/{before.version}"))


def _commands(before: Folded) -> Iterator[Command]:
    """Make a fact each: inputs that come and go, at first a birth and a new policy."""
    names = range(before.version, before.version + FACTS_PER_APPEND, 2)
    if before.version == 0:
        yield OpenSession(now_ms=1, session_id=before.stream.session_id, policy=POLICY)
        yield ConfigureSession(now_ms=1, policy=OTHER)
        names = names[1:]
    for number in names:
        yield enqueue(InputId(f"i{number}"), 1)
        yield CancelTurnInput(now_ms=1, input_id=InputId(f"i{number}"))


def enqueue(input_id: InputId, now_ms: int) -> EnqueueTurnInput:
    """Make an input."""
    return EnqueueTurnInput(
        now_ms=now_ms,
        input_id=input_id,
        source_key=None,
        ingress=NextTurn(),
        body=encode_content(TurnInput.of_text(_TEXT), b"salt" * 4),
    )
