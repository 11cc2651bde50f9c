"""
The processes of a frozen owner: one is in two turns when it is stopped, one takes both over.

Both run the same script on the same log. Before a model or a tool does anything it leaves a line
in a file of notes: what is counted there was really started. Each process is told what to do in
one JSON line of arguments, and says in lines what it came to.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Final

from attrs import Factory, frozen

from lash_es import (
    LashCore,
    LashSession,
    LeaseTimings,
    ModelReply,
    ModelRequest,
    OnTakeover,
    Role,
    RuntimeFault,
    Tool,
)
from lash_es.runtime.providers import DeltaSink
from tests.faketime import tidy
from tests.growth.grounds import File, Ground, Schema
from tests.postgres.postgres_server import Database
from tests.session.long_turn import Notes
from tests.session.scripted import call, calls, says

# Long enough for a process that starves beside others; the owner is stopped for longer than that.
TIMINGS: Final = LeaseTimings(ttl_ms=3_000, renew_interval_ms=1_000)
BUSY: Final = "session_execution_busy"
IN_A_MODEL_CALL: Final = "in a model call"
IN_A_TOOL: Final = "in a tool"
SCENES: Final = (IN_A_MODEL_CALL, IN_A_TOOL)
"""
The sessions, by where their turn is when the owner is stopped; each is also its turn's input.
"""

TURN_ID: Final = "t"
PAUSE_S: Final = TIMINGS.ttl_ms / 4_000


@contextmanager
def process(
    role: str, ground: Ground, notes: Path, *, environment: Mapping[str, str] | None = None
) -> Iterator["subprocess.Popen[str]"]:
    """Run an ``owner`` or a ``rival``; it is killed at the end, also if it is stopped."""
    words = [sys.executable, "-m", __name__, json.dumps([role, _named(ground), str(notes)])]
    faked = None if environment is None else {**os.environ, **environment}
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=faked
    ) as started:
        try:
            yield started
        finally:
            started.kill()
            started.wait()
            tidy(started.pid)


def _named(ground: Ground) -> list[str]:
    if isinstance(ground, File):
        return [str(ground.path)]
    assert isinstance(ground, Schema)
    return [ground.database.url, ground.database.schema]


def _found(name: list[str]) -> Ground:
    return File(Path(name[0])) if len(name) == 1 else Schema(Database(*name))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


@frozen
class Place:
    """Where a turn waits until somebody opens the gate; the rival passes by."""

    gate: asyncio.Event = Factory(asyncio.Event)
    is_reached: asyncio.Event = Factory(asyncio.Event)

    async def wait(self) -> None:
        """Say that it was reached, and wait."""
        self.is_reached.set()
        await self.gate.wait()


@frozen
class Model:
    """A provider that goes by the transcript: it wants a step done, and then says who it was."""

    role: str
    notes: Notes
    place: Place
    kind: str = "scripted"

    def check(self, model_id: str) -> None:
        """Every name will do."""

    async def request(self, request: ModelRequest, on_delta: DeltaSink) -> ModelReply:
        """Note that it was asked, and answer; nothing of it is shown on the way."""
        del on_delta
        scene = request.messages[0].text
        said = sum(message.role is Role.ASSISTANT for message in request.messages)
        self.notes.add(f"{self.role}: model {said}, {scene}")
        if scene == IN_A_MODEL_CALL and said == 0:
            await self.place.wait()
        step = calls(call("c1", "step", {"scene": scene})) if said == 0 else says(self.role)
        assert step.reply is not None
        return step.reply

    async def aclose(self) -> None:
        """Hold nothing."""


def _core(role: str, ground: Ground, notes: Notes, places: Mapping[str, Place]) -> LashCore:
    async def step(scene: str) -> str:
        """Do a step."""
        notes.add(f"{role}: tool, {scene}")
        if scene == IN_A_TOOL:
            await places[IN_A_TOOL].wait()
        return "done"

    return LashCore(
        model="m",
        provider=Model(role, notes, places[IN_A_MODEL_CALL]),
        store=ground.store(create=True),
        tools=[Tool.of(step, on_takeover=OnTakeover.RERUN)],
        lease_timings=TIMINGS,
    )


async def _own(ground: Ground, notes: Notes) -> None:
    """Begin all turns, and end them when a line comes."""
    places = {scene: Place() for scene in SCENES}
    async with AsyncExitStack() as stack:
        core = await stack.enter_async_context(_core("owner", ground, notes, places))
        turns = {}
        for scene in SCENES:
            session = await stack.enter_async_context(core.session(scene).open())
            turns[scene] = asyncio.ensure_future(_ran(session, scene))
        for place in places.values():
            await place.is_reached.wait()
        _say(f"begun {time.time():.0f}")
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        for place in places.values():
            place.gate.set()
        for scene, turn in turns.items():
            _say(json.dumps([scene, await turn]))


async def _rival(ground: Ground, notes: Notes) -> None:
    """Try to run the same turns until nobody else runs them."""
    places = {scene: Place() for scene in SCENES}
    for place in places.values():
        place.gate.set()
    async with AsyncExitStack() as stack:
        core = await stack.enter_async_context(_core("rival", ground, notes, places))
        turns = {}
        for scene in SCENES:
            session = await stack.enter_async_context(core.session(scene).open())
            turns[scene] = asyncio.ensure_future(_insisted(session, scene))
        for scene, turn in turns.items():
            _say(json.dumps([scene, await turn]))


async def _insisted(session: LashSession, scene: str) -> str:
    while (said := await _ran(session, scene)) == BUSY:  # noqa: ASYNC110 - another process's
        await asyncio.sleep(PAUSE_S)
    return said


async def _ran(session: LashSession, scene: str) -> str:
    try:
        return (await session.turn(scene).turn_id(TURN_ID)).result.assistant_message or "nothing"
    except RuntimeFault as fault:
        return fault.code


if __name__ == "__main__":
    _role, _name, _notes = json.loads(sys.argv[1])
    asyncio.run({"owner": _own, "rival": _rival}[_role](_found(_name), Notes(Path(_notes))))
