"""
One task of a process that writes: facts against another process, activity, and losses of it.

Its ledger has a line for each answer: ``fact session append_id first count process task``, ``no``
and ``maybe`` with session and append_id, ``activity session version last_seq name count process``,
``doubt session name``, ``lose session process``.
"""

import asyncio
import time
from collections.abc import Sequence
from random import Random

from attrs import define, field

from lash_es.codec.contents import encode_content
from lash_es.codec.streams import StreamId
from lash_es.core.bodies import NewBody
from lash_es.core.commands import (
    CancelTurnInput,
    Command,
    EnqueueTurnInput,
    OpenSession,
    new_bodies,
)
from lash_es.core.decide import decide
from lash_es.core.events import Event
from lash_es.core.evolve import evolve
from lash_es.core.ids import AppendId, Generation, InputId
from lash_es.core.ingress import NextTurn
from lash_es.core.known import Known
from lash_es.core.messages import TurnInput
from lash_es.core.state import NotOpened
from lash_es.log.appends import ActivityAppended, ActivityRefused, Appended, Conflict
from lash_es.log.encoding import Folded, encode_append, nothing_folded
from lash_es.log.errors import StorageError
from lash_es.log.loading import load
from lash_es.log.log import StoreLog
from tests.log.tapes import POLICY
from tests.soak.plans import Plan, Tell


@define
class Writer:
    """Writes until it is time to stop."""

    plan: Plan
    process: int
    task: int
    log: StoreLog
    tell: Tell
    folded: dict[StreamId, Folded] = field(factory=dict)
    numbers: int = 0

    async def write_until(self, until_s: float) -> None:
        """Write what chance says, and say what was answered."""
        chance = Random(f"{self.plan.seed}/{self.process}/{self.task}")
        streams = self.plan.task_sessions(self.process, self.task)
        while time.monotonic() < until_s:
            stream = chance.choice(streams)
            done = chance.random()
            if done < 0.5:
                await self._facts(stream, chance)
            elif done < 0.94:
                await self._activity(stream, chance.choice((1, 1, 2, 5)))
            else:
                self.tell("lose", stream.session_id, self.process)
                self.log.lose_activity(stream)
            await asyncio.sleep(chance.uniform(0, self.plan.pause_ms_max) / 1_000)

    async def _facts(self, stream: StreamId, chance: Random) -> None:
        before = self.folded.get(stream) or await self._loaded(stream)
        name = self._name()
        events, bodies = _facts(before, name, chance)
        append, after = encode_append(before, events, bodies, AppendId(name))
        try:
            result = await self.log.append([append])
        except StorageError:
            self.tell("no", stream.session_id, name)
            return
        match result:
            case Appended():
                first, count = append.expected_version, len(append.records)
                self.tell("fact", stream.session_id, name, first, count, self.process, self.task)
                self.folded[stream] = after
            case Conflict():
                self.tell("no", stream.session_id, name)
                await self._loaded(stream)
            case _:
                self.tell("maybe", stream.session_id, name)
                await self._loaded(stream)

    async def _activity(self, stream: StreamId, count: int) -> None:
        before = self.folded.get(stream) or await self._loaded(stream)
        if before.version == 0:
            return
        name = self._name()
        payloads = [f"{name}#{number}".encode() for number in range(count)]
        version, session = before.version, stream.session_id
        try:
            result = await self.log.append_activity(
                stream,
                version=version,
                generation=Generation(0),
                payloads=payloads,
            )
        except StorageError:
            self.tell("doubt", session, name)
            self.tell("lose", session, self.process)
            return
        match result:
            case ActivityAppended():
                self.tell("activity", session, version, result.seq, name, count, self.process)
            case ActivityRefused():
                await self._loaded(stream)

    async def _loaded(self, stream: StreamId) -> Folded:
        known = self.folded.get(stream, nothing_folded(stream))
        self.folded[stream] = await self.log.read(lambda store: load(store, stream, known))
        return self.folded[stream]

    def _name(self) -> str:
        self.numbers += 1
        return f"{self.process}.{self.task}.{self.numbers}"


def _facts(folded: Folded, name: str, chance: Random) -> tuple[Sequence[Event], Sequence[NewBody]]:
    """Decide on a birth, or on inputs that come and are withdrawn: the state stays small."""
    state, events, bodies = folded.state, list[Event](), list[NewBody]()
    commands: list[Command] = []
    if isinstance(state, NotOpened):
        commands.append(OpenSession(now_ms=1, session_id=folded.stream.session_id, policy=POLICY))
    for number in range(chance.choice((1, 1, 2))):
        content = TurnInput.of_text(chance.randbytes(chance.randrange(100)).hex())
        enqueue = EnqueueTurnInput(
            now_ms=1,
            input_id=InputId(f"{name}/{number}"),
            source_key=None,
            ingress=NextTurn(),
            body=encode_content(content, chance.randbytes(16)),
        )
        commands += (enqueue, CancelTurnInput(now_ms=1, input_id=enqueue.input_id))
    for command in commands:
        for event in decide(state, command, Known()):
            state = evolve(state, event)
            events.append(event)
        bodies += new_bodies(command)
    return events, bodies
