"""
The scene: an owner is stopped in mid-turn, its lease runs out, another process takes over and
commits, and the first one wakes. What was seen is judged from outside.
"""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Final, TypeAlias

import orjson
from attrs import frozen

from lash_es.log.port import Store
from lash_es.timetravel.verifying import verify_session
from tests.faketime import FakedClock
from tests.frozen.processes import SCENES, process
from tests.growth.grounds import Ground
from tests.session.clocked import said_by
from tests.session.long_turn import Notes
from tests.session.stores import names, stream

LOST: Final = "session_execution_lease_lost"
HOUR_S: Final = 3_600

Look: TypeAlias = Callable[[Store, str], tuple[str, ...]]

RIGHT: Final = (
    "SessionOpened",
    "LeaseAcquired",
    "TurnStarted",
    "EffectRequested",
    "LeaseAcquired",
    "TurnContinued",
    "EffectSettled",
    "EffectRequested",
    "EffectSettled",
    "EffectRequested",
    "EffectSettled",
    "TurnCommitted",
    "LeaseReleased",
)
"""Of a session whose turn was taken over in its first model call; renewals are left out."""

RIGHT_IN_A_TOOL: Final = (*RIGHT[:4], "EffectSettled", "EffectRequested", *RIGHT[4:6], *RIGHT[8:])


@frozen(kw_only=True)
class Evidence:
    """
    What was seen of one session.

    ``told`` is what the owner's caller heard, ``answered`` what the rival's did. ``started``
    counts what the owner started after it woke; ``version`` is the log's before it did, and
    ``facts`` name what is there afterwards.
    """

    told: str
    answered: str
    started: Mapping[str, int]
    version: int
    facts: tuple[str, ...]
    damages: tuple[str, ...]


def problems(seen: Evidence, right: tuple[str, ...]) -> list[str]:
    """Say what is not as it has to be; nothing if all is."""
    found = [f"damaged: {each}" for each in seen.damages]
    if seen.told != LOST:
        found.append(f"the owner's caller heard {seen.told!r}, expected {LOST!r}")
    if seen.answered != "rival":
        found.append(f"the rival's caller heard {seen.answered!r}")
    if seen.started:
        found.append(f"the owner started {dict(seen.started)} after it woke")
    if len(seen.facts) != seen.version:
        found.append(f"after it woke these facts came: {seen.facts[seen.version :]}")
    if tuple(name for name in seen.facts if name != "LeaseRenewed") != right:
        found.append(f"the session is {seen.facts}, expected {right}")
    return found


def right_of(scene: str) -> tuple[str, ...]:
    """Say which facts a session holds in the end."""
    return RIGHT if scene == SCENES[0] else RIGHT_IN_A_TOOL


def play(
    ground: Ground,
    folder: Path,
    *,
    ahead_s: int = 0,
    meanwhile: Callable[[], object] = bool,
) -> dict[str, Evidence]:
    """
    Stop an owner, let a rival do its work, wake the owner.

    Args:
        ground: where the sessions are; empty.
        folder: for notes, and for the clock of the owner.
        ahead_s: how far the owner's clock is ahead; behind, if that is negative.
        meanwhile: what happens while the owner is stopped.
    """
    notes, clock = Notes(folder / "notes"), FakedClock(folder / "clock")
    clock.set_ahead(ahead_s)
    faked = clock.environment if ahead_s else {}
    with process("owner", ground, notes.path, environment=faked) as owner:
        assert _hours_ahead(said_by(owner)) == ahead_s // HOUR_S
        stop(owner.pid)
        meanwhile()
        with process("rival", ground, notes.path) as rival:
            answered = _answers(rival.stdout)
        versions = {scene: len(facts) for scene, facts in facts_of(ground).items()}
        before = notes.counted()
        wake(owner.pid, owner.stdin)
        told = _answers(owner.stdout)
        owner.wait(20)
    started = notes.counted() - before
    facts, damages = facts_of(ground), _damages(ground)
    return {
        scene: Evidence(
            told=told[scene],
            answered=answered[scene],
            started=Counter({line: n for line, n in started.items() if line.endswith(scene)}),
            version=versions[scene],
            facts=facts[scene],
            damages=damages[scene],
        )
        for scene in SCENES
    }


def _hours_ahead(begun: str) -> int:
    word, told_s = begun.split()
    assert word == "begun"
    return round((int(told_s) - time.time()) / HOUR_S)


def stop(pid: int) -> None:
    """Stop a child, and wait until it has stopped."""
    os.kill(pid, signal.SIGSTOP)
    _, status = os.waitpid(pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)


def wake(pid: int, stdin: IO[str] | None) -> None:
    """Let it go on, with everything that it waited for already there."""
    assert stdin is not None
    stdin.write("\n")
    stdin.flush()
    os.kill(pid, signal.SIGCONT)


def _answers(stdout: IO[str] | None) -> dict[str, str]:
    assert stdout is not None
    return dict(orjson.loads(stdout.readline()) for _ in SCENES)


def _looked_at(ground: Ground, look: Look) -> dict[str, tuple[str, ...]]:
    store = ground.store(create=False)
    try:
        return {scene: look(store, scene) for scene in SCENES}
    finally:
        store.close()


def facts_of(ground: Ground) -> dict[str, tuple[str, ...]]:
    """Name the facts of each session."""
    return _looked_at(ground, lambda store, scene: tuple(names(store, scene)))


def _damages(ground: Ground) -> dict[str, tuple[str, ...]]:
    return _looked_at(
        ground, lambda store, scene: tuple(map(str, verify_session(store, stream(scene)).problems))
    )
