"""
Does a command take under a millisecond where as many inputs and batches are open as the limits
allow?

``python -m benchmarks.limits [DATE]`` asks every command (``every_command.py``) of a session with
998 open inputs and 998 open batches, of at most 1 000, and of one with three, and writes
``results/limits-DATE.json``; without a date it is today's, in UTC.

1. *rules*: deciding and folding, which is what a command costs before anything is stored. The
   verdict is on this.
2. *encoding*: what is computed besides for its append. The snapshot that every 64th fact brings is
   left out, but for the one that parking brings: there it is nearly all.

Claims are made as large as the limits allow, so a commit here settles 64 inputs.
"""

import asyncio
import gc
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final, TypeAlias

from attrs import frozen

from benchmarks.counts import still_world
from benchmarks.every_command import steps
from benchmarks.long_sessions import NOW_MS, STREAM, Builder, Size
from benchmarks.measuring import Result, machine, write
from lash_es.core.commands import Command, new_bodies
from lash_es.core.decide import decide
from lash_es.core.events import Event
from lash_es.core.evolve import evolve
from lash_es.core.ids import AppendId
from lash_es.core.known import Known, names
from lash_es.core.limits import DEFAULT_LIMITS
from lash_es.core.state import State
from lash_es.log.encoding import Folded, encode_append
from lash_es.log.log import StoreLog
from lash_es.log.stores.memory import MemoryStore
from lash_es.runtime.committing import Lane, read_known
from lash_es.runtime.opening import require_open

RULES_US_MAX: Final = 1_000.0
REPEATS: Final = 200
ROOM: Final = 2
"""Two inputs and a batch are enqueued on the way."""

FULL: Final = Size(
    rounds=10,
    inputs=DEFAULT_LIMITS.inputs_pending_max - ROOM,
    batches=DEFAULT_LIMITS.batches_open_max - ROOM,
)
NEARLY_EMPTY: Final = Size(rounds=10, inputs=3, batches=3)
_NEVER: Final = 10**9
_APPEND_ID: Final = AppendId("append-0123456789abcdef")

Figures: TypeAlias = dict[str, dict[str, float]]


@frozen
class Question:
    """A command, with all that a decision on it goes by."""

    before: Folded
    command: Command
    known: Known

    def answered(self) -> tuple[Sequence[Event], Sequence[State]]:
        """Decide and fold."""
        state = self.before.state
        events = decide(state, self.command, self.known)
        states: list[State] = []
        for event in events:
            state = evolve(state, event)
            states.append(state)
        return events, states


def timed_us(work: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Take this thread's own time; returns the median and the 99th percentile."""
    taken: list[int] = []
    gc.disable()
    for _ in range(repeats):
        started_ns = time.thread_time_ns()
        work()
        taken.append(time.thread_time_ns() - started_ns)
    gc.enable()
    taken.sort()
    return statistics.median(taken) / 1_000, taken[len(taken) * 99 // 100] / 1_000


def figures(size: Size, repeats: int) -> Figures:
    """Ask everything once, in order, each thing so often before it is recorded."""
    gc.collect()
    return asyncio.run(_figures(size, repeats))


async def _figures(size: Size, repeats: int) -> Figures:
    store = MemoryStore()
    Builder(store).build(size)
    log = StoreLog(store, lambda: NOW_MS)
    lane = Lane(log, STREAM, still_world(), DEFAULT_LIMITS)
    await lane.catch_up()
    found: Figures = {}
    for name, ask in steps(store):
        command = ask(require_open(lane.state, STREAM.session_id))
        known = read_known(store, STREAM, names(command), DEFAULT_LIMITS)
        found[name] = _timed(Question(lane.folded, command, known), repeats)
        await lane.execute(command)
    await log.aclose()
    return found


def _timed(question: Question, repeats: int) -> dict[str, float]:
    median_us, p99_us = timed_us(question.answered, repeats)
    events, states = question.answered()
    encoding_us = 0.0
    if events:
        bodies = new_bodies(question.command)

        def encode() -> object:
            return encode_append(
                question.before,
                events,
                bodies,
                _APPEND_ID,
                states=states,
                facts_per_snapshot=_NEVER,
            )

        encoding_us, _ = timed_us(encode, repeats)
    return {
        "rules_us": round(median_us, 1),
        "rules_p99_us": round(p99_us, 1),
        "encoding_us": round(encoding_us, 1),
    }


def too_slow(found: Figures) -> list[str]:
    """Name the commands whose rules take too long."""
    return [name for name, each in found.items() if each["rules_us"] >= RULES_US_MAX]


def over_with_encoding(found: Figures) -> list[str]:
    """Name the commands that take longer with what is computed for their append."""
    return [
        name
        for name, each in found.items()
        if each["rules_us"] + each["encoding_us"] >= RULES_US_MAX
    ]


def main(arguments: Sequence[str]) -> int:
    """Measure, write, and say what is too slow."""
    date = arguments[0] if arguments else datetime.now(UTC).date().isoformat()
    full, nearly_empty = figures(FULL, REPEATS), figures(NEARLY_EMPTY, REPEATS)
    for name, each in full.items():
        other = nearly_empty[name]
        print(f"{name:32}{each['rules_us']:>9} us, p99 {each['rules_p99_us']:>9}", end="")
        print(f", encoding {each['encoding_us']:>9}; three open: {other['rules_us']:>7} us")
    result: Result = {
        "machine": machine(),
        "date": date,
        "n": REPEATS,
        "bound_us": RULES_US_MAX,
        "open inputs and batches": [FULL.inputs, FULL.batches],
        "full": full,
        "three open": nearly_empty,
        "too slow": too_slow(full),
        "over with encoding": over_with_encoding(full),
    }
    write("limits", date, result)
    print("over with encoding:", over_with_encoding(full))
    print("too slow:", too_slow(full) or "none")
    return 1 if too_slow(full) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
