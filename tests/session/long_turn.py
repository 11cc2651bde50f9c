"""
A turn that is long enough to be killed in, and the process that gets killed.

Before a model or a tool does anything, it leaves a line in a file of notes: what is counted there
was really asked for.
"""

import asyncio
import os
import random
from collections import Counter
from pathlib import Path

from attrs import frozen

from lash_es import LashCore, LeaseTimings, ModelReply, ModelRequest, OnTakeover, Role, Tool
from lash_es.runtime.providers import DeltaSink, ProseDelta
from tests.session.scripted import call, calls, says

SHORT = LeaseTimings(ttl_ms=900, renew_interval_ms=300)
INPUT = "look around"
TURN_ID = "long"

STEPS = (
    calls(*(call(name, "look", {"name": name}) for name in "abcd"), text="First these four."),
    calls(*(call(name, "look", {"name": name}) for name in "efg")),
    calls(*(call(name, "look", {"name": name}) for name in "hi"), text="Two are left."),
    says("I have seen nine things."),
)

KILLABLE_VERSIONS = (4, 9, 10, 11, 12, 14, 18, 19, 20, 22, 25, 26, 28)
"""
The versions of the log from the turn's first append (lease, start, request) to its last
but one.

A reply brings its outcome and its calls, a tool its outcome, the last of a batch also the next
request. If two tools end at once, a version is passed over.
"""


@frozen
class Notes:
    """Lines in a file, each written in one system call: a kill cuts none in half."""

    path: Path

    def add(self, line: str) -> None:
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            os.write(handle, f"{line}\n".encode())
        finally:
            os.close(handle)

    def counted(self) -> Counter[str]:
        return Counter(self.path.read_text("utf-8").splitlines() if self.path.exists() else ())


@frozen
class Model:
    """A provider that goes by the transcript and takes its time."""

    notes: Notes
    delay_s: "Delay"
    kind: str = "scripted"

    def check(self, model_id: str) -> None:
        """Every name will do."""

    async def request(self, request: ModelRequest, on_delta: DeltaSink) -> ModelReply:
        """Say the next thing."""
        said = sum(message.role is Role.ASSISTANT for message in request.messages)
        self.notes.add(f"model {said}")
        on_delta(ProseDelta(text="..."))
        await asyncio.sleep(self.delay_s())
        reply = STEPS[said].reply
        if reply is None:
            raise AssertionError("every step has a reply")
        return reply

    async def aclose(self) -> None:
        """Hold nothing."""


@frozen
class Delay:
    """Tiny and random, by a seed."""

    chance: random.Random

    def __call__(self) -> float:
        return self.chance.uniform(0.02, 0.06)


def core(
    database: Path | None, notes: Notes, seed: int, timings: LeaseTimings = SHORT
) -> LashCore:
    """Make a core that can run the turn, or go on with it."""
    delay_s = Delay(random.Random(seed))

    async def look(name: str) -> str:
        """Look at something."""
        notes.add(f"look {name}")
        await asyncio.sleep(delay_s())
        return f"it is {name}"

    return LashCore(
        model="m",
        provider=Model(notes, delay_s),
        store=database,
        tools=[Tool.of(look, on_takeover=OnTakeover.RERUN)],
        lease_timings=timings,
    )


def alone(database: Path, session_id: str, notes: Notes, seed: int) -> None:
    """Run the turn in a process of its own, which somebody is going to kill."""

    async def drive() -> None:
        async with (
            core(database, notes, seed) as running,
            running.session(session_id).open() as session,
        ):
            await session.turn(INPUT).turn_id(TURN_ID)

    asyncio.run(drive())
