"""
One process of the demo: it opens the session and asks the questions, one turn each.

1. Every worker runs this same program. A turn that has been run is not run again under its id, and
   one that another process left open is continued, so taking over needs no code of its own.
2. One that *holds* stops in front of the second tool call of a later turn and waits to be killed.
3. What happens to the session is in the log. Here is only what the log cannot know: a line for
   each run of a tool, and for what kept the worker from its end.
"""

import asyncio
import json
import os
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from attrs import asdict, define, field, frozen

from lash_es.cli.agent import INSTRUCTIONS, MODEL_CALLS_MAX, model_of, tools_of
from lash_es.cli.directory import Directory
from lash_es.cli.offline import QUESTIONS
from lash_es.core.errors import LashError
from lash_es.core.owners import LeaseOwner
from lash_es.runtime.faults import RuntimeFault
from lash_es.runtime.leasing import LeaseTimings
from lash_es.session.core import LashCore
from lash_es.session.results import TurnResult
from lash_es.session.session import LashSession

LEASE: Final = LeaseTimings(ttl_ms=2_000, renew_interval_ms=500)
"""Short, since whoever watches waits for it to run out."""
HELD_TURN_MIN: Final = 2
CALLS_BEFORE_HOLD: Final = 1
RETRY_S: Final = 0.05


@frozen(kw_only=True)
class Task:
    """What one worker is to do, as its parent tells it."""

    name: str
    db: str
    session: str
    directory: str
    model: str
    holds: bool

    def written(self) -> str:
        """Write it as an argument of the worker's command line."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> "Task":
        """Read it there."""
        return cls(**json.loads(text))


def turn_name(number: int) -> str:
    """Name a turn: every worker asks the same question under the same id."""
    return f"turn-{number}"


def report(**said: object) -> None:
    """Tell the parent something, in one write, so that a kill leaves whole lines."""
    os.write(sys.stdout.fileno(), f"{json.dumps(said)}\n".encode())


@define
class Runs:
    """Counts the runs of tools, and holds where it was told to."""

    holds: bool
    turn: int = 0
    _calls_in_turn: int = field(default=0, init=False)

    def turn_begins(self, number: int) -> None:
        """Count anew."""
        self.turn, self._calls_in_turn = number, 0

    async def around(self, tool: str, run: Callable[[], Awaitable[str]]) -> str:
        """Run a tool between two reports, or wait in front of it."""
        self._calls_in_turn += 1
        report(tool=tool, did="began", turn=self.turn)
        is_late = self._calls_in_turn > CALLS_BEFORE_HOLD
        if self.holds and self.turn >= HELD_TURN_MIN and is_late:
            await asyncio.Event().wait()
        output = await run()
        report(tool=tool, did="returned", turn=self.turn)
        return output


async def work(task: Task) -> str | None:
    """Ask every question in its turn; returns why it stopped early, or nothing."""
    provider, model_id = model_of(task.model)
    runs = Runs(holds=task.holds)
    core = LashCore(
        model=model_id,
        provider=provider,
        store=Path(task.db),
        tools=tools_of(Directory.at(task.directory), runs.around),
        instructions=INSTRUCTIONS,
        max_turns=MODEL_CALLS_MAX,
        lease_timings=LEASE,
    )
    owner = LeaseOwner(owner_id=task.name, incarnation_id=f"{task.name}-{os.getpid()}")
    async with core, core.session(task.session).session_execution_owner(owner).open() as session:
        for number, question in enumerate(QUESTIONS, 1):
            runs.turn_begins(number)
            result = await _turn(session, number, question)
            if not result.is_success:
                return _why(number, result)
    return None


async def _turn(session: LashSession, number: int, question: str) -> TurnResult:
    while True:
        try:
            output = await session.turn(question).turn_id(turn_name(number))
        except RuntimeFault as fault:
            if not fault.is_retryable:
                raise
            # Another worker holds the lease, if only because it has not run out since it died.
            await asyncio.sleep(RETRY_S)
        else:
            return output.result


def _why(number: int, result: TurnResult) -> str:
    said = "; ".join(f"{issue.code}: {issue.message}" for issue in result.errors)
    return f"turn {number} came to no answer: {said or result.outcome}"


def main() -> None:
    """Work, and say what went wrong in a line."""
    follow_parent()
    try:
        stopped = asyncio.run(work(Task.read(sys.argv[1])))
    except LashError as error:
        stopped = error.summary()
    if stopped:
        report(stopped=stopped)
        sys.exit(1)


def follow_parent() -> None:
    """Let this process end when its parent does, however that ends."""
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Wait for the end of standard input, which the parent holds open for as long as it lives."""
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


if __name__ == "__main__":
    main()
