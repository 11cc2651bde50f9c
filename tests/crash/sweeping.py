"""
Kill a script at every place where it can die, go on with it in another process, and judge.

A sweep knows three lives of a script: one that nobody disturbs, one that dies, and one that does
the same again on what was left. The clock and the ids of the first two are the same, so the facts
of the second are, byte for byte, the first ones of the first.
"""

import asyncio
import gc
import json
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from itertools import chain
from pathlib import Path
from shutil import copyfile, rmtree
from tempfile import mkdtemp
from typing import Final, Protocol

from attrs import evolve, frozen

from lash_es import Durability, LashCore, ParkedSession, SQLiteStore
from lash_es.core.ids import SessionId
from lash_es.log.port import Store
from lash_es.runtime import activities
from lash_es.timetravel.verifying import verify_session
from tests.crash.judging import Lives, wrong
from tests.crash.ledgers import Ledger, read_sqlite
from tests.crash.processes import LifeFailedError, Line, Tell, lived
from tests.crash.scripts import Script, Stage, transcripts
from tests.crash.sites import Fate, Lost, watch
from tests.session.stores import InMemory
from tests.session.virtual_time import VirtualTime

FIRST_MS: Final = 1_000_000
AGAIN_MS: Final = 2_000_000
"""When the second process starts: every lease of the first one has run out."""

PATIENCE_MS: Final = 1_000_000_000
"""How long text waits to be written: for ever, as that is the time of the machine."""

CHUNK: Final = 24
"""How many deaths in a row one process tries."""


class Ground(Protocol):
    """A kind of database, and the places in it where a process can die."""

    @property
    def is_in_order(self) -> bool:
        """Whether all of a process happens on one thread, and so in the same order every time."""
        ...

    def fresh(self) -> "Ground":
        """Find an empty one."""
        ...

    def store(self) -> Store:
        """Open it, and make it if need be."""
        ...

    def ledger(self) -> Ledger:
        """Read it without the product."""
        ...

    def watch(self, fate: Fate, tell: Tell) -> Callable[[], tuple[int, int]]:
        """Decide this process's fate; what is returned counts places and commits so far."""
        ...

    def clear(self) -> None:
        """Remove it."""
        ...


@frozen(kw_only=True)
class Case:
    """One death, or one answer lost, and what came of it."""

    script: str
    fate: Fate
    place: str
    """Where it died; empty if it came to its end."""
    facts: int
    """How many were left."""
    wrong: tuple[str, ...]

    def show(self) -> str:
        """Say what is wrong, for whoever has to repair it."""
        return f"{self.script}, {self.fate}, {self.place}: {'; '.join(self.wrong)}"


@frozen(kw_only=True)
class Sweep:
    """All that can happen to a script. ``passed`` is how many places an undisturbed life has."""

    script: str
    passed: int
    facts: int
    cases: tuple[Case, ...]

    @property
    def wrong(self) -> list[str]:
        """Say what is wrong after which death."""
        return [case.show() for case in self.cases if case.wrong]

    @property
    def lengths(self) -> set[int]:
        """Say how many facts were left, over all deaths."""
        return {case.facts for case in self.cases}


def first_life(ground: Ground, script: Script, fate: Fate) -> list[Line]:
    """Play a script until it ends or dies."""

    def life(tell: Tell) -> None:
        _be_patient()
        counted = ground.watch(fate, tell)
        asyncio.run(
            _played(
                script, Stage(ground.store, tell, False, VirtualTime(FIRST_MS), ground.is_in_order)
            )
        )
        places, commits = counted()
        tell(("passed", str(places)))
        tell(("commits", str(commits)))

    return lived(life)


def second_life(ground: Ground, script: Script) -> list[Line]:
    """Open what was left, look at it, play the script again, and read what was said."""

    def life(tell: Tell) -> None:
        _be_patient()
        stage = Stage(ground.store, tell, True, VirtualTime(AGAIN_MS), ground.is_in_order)
        asyncio.run(_played_again(script, stage))

    return lived(life)


def _be_patient() -> None:
    """
    Let text be written in this process before a fact, or when there is much of it, and never since
    it has waited: on a busy machine it would be written at other places every time.
    """
    activities.ACTIVITY_AGE_MS_MAX = PATIENCE_MS  # type: ignore[misc]


async def _played(script: Script, stage: Stage) -> None:
    await script(stage)


async def _played_again(script: Script, stage: Stage) -> None:
    sessions = _verified(stage)
    async with stage.core() as core:
        for session_id in sessions:
            await _tell_state(core, session_id, stage.tell)
    await script(stage)
    async with stage.core() as core:
        sessions = _verified(stage)
        for session_id, said in zip(sessions, await transcripts(core, *sessions), strict=True):
            stage.tell(("said", session_id, repr(said)))


def _verified(stage: Stage) -> list[str]:
    """Have every session checked; returns those that are not deleted."""
    store = stage.open_store()
    heads = store.heads("default", after="", heads_max=1_000)
    for head in heads:
        for problem in verify_session(store, head.stream).problems:
            stage.tell(("unsound", str(problem)))
    store.close()
    return [head.stream.session_id for head in heads if head.status != "deleted"]


async def _tell_state(core: LashCore, session_id: str, tell: Tell) -> None:
    async with core.resume(ParkedSession(session_id=SessionId(session_id))) as session:
        usage = session.usage_report().usage
        tell(
            (
                "state",
                f"default/{session_id}",
                str(session.version),
                str(session.revision),
                json.dumps(sorted(each.input_id for each in session.pending.inputs)),
                f"{usage.input_tokens} {usage.output_tokens}",
            )
        )


def warm(*scripts: Script) -> None:
    """Play scripts in memory, so that a fork of this process has all that they need."""
    for script in scripts:
        place = InMemory()
        for is_again, start_ms in ((False, FIRST_MS), (True, AGAIN_MS)):
            stage = Stage(place.store, lambda _: None, is_again, VirtualTime(start_ms))
            play = _played_again if is_again else _played
            asyncio.run(play(script, stage))
    gc.collect()
    gc.freeze()


def calm(ground: Ground, script: Script, fate: Fate) -> Lives:
    """
    Live without a death and without a fault: what every other life is compared with.

    Raises:
        LifeFailedError: even that went wrong.
    """
    lives = lives_of(ground.fresh(), script, evolve(fate, fault=None))
    problems = wrong(lives, lives)
    if problems:
        raise LifeFailedError("\n".join(problems))
    return lives


def passed(lives: Lives, what: str = "passed") -> int:
    """Read how many places, or commits, the first life has come by; it must not have died."""
    return next(int(line[1]) for line in lives.first if line[0] == what)


def cases(ground: Ground, script: Script, expected: Lives, fates: Sequence[Fate]) -> list[Case]:
    """
    Try fates one after the other, each on an empty ground.

    What a second process does is a function of what it finds. So where two deaths in a row leave
    the same rows and had told the same, one second life stands for both, unless the fate is
    thorough, or the file is torn.
    """
    found: list[Case] = []
    before: Lives | None = None
    for fate in fates:
        fresh = ground.fresh()
        lives = lives_of(fresh, script, fate, None if fate.is_thorough else before)
        fresh.clear()
        place = " ".join(line[1] for line in lives.first if line[0] == "died")
        before = None if "in COMMIT" in place else lives
        found.append(
            Case(
                script=script.__name__,
                fate=fate,
                place=place,
                facts=lives.left.facts_count,
                wrong=tuple(
                    wrong(
                        lives,
                        expected,
                        has_other_ids=fate.lose_at is not None or not ground.is_in_order,
                    )
                ),
            )
        )
    return found


def lives_of(ground: Ground, script: Script, fate: Fate, same: Lives | None = None) -> Lives:
    """Live twice on a ground; ``same`` lends its second life if the first one ended alike."""
    first = first_life(ground, script, fate)
    left = ground.ledger()
    if same is not None and _is_same(left, same.left) and _told(first) == _told(same.first):
        return Lives(first=first, left=left, again=same.again, final=same.final)
    again = second_life(ground, script)
    return Lives(first=first, left=left, again=again, final=ground.ledger())


def _is_same(left: Ledger, other: Ledger) -> bool:
    return left.fingerprint != "" and left == other


def _told(lines: Sequence[Line]) -> list[Line]:
    return [line for line in lines if line[0] != "died"]


def sweep(
    ground: Ground, script: Script, base: Fate, *, pool: Executor | None = None, stride: int = 1
) -> Sweep:
    """
    Die at every place in turn, until the script comes to its end without dying.

    ``stride`` leaves places out. The processes of a pool share the work.
    """
    expected = calm(ground, script, base)
    places = passed(expected)
    fates = [evolve(base, die_at=number) for number in range(1, places + 2, stride)]
    return _tried(ground, script, expected, fates, pool)


def sweep_answers(
    ground: Ground, script: Script, base: Fate, *, pool: Executor | None = None
) -> Sweep:
    """Lose the answer to every COMMIT in turn, whether it happened or not; nobody dies."""
    expected = calm(ground, script, base)
    fates = [
        evolve(base, lose_at=number, lost=lost)
        for number in range(1, passed(expected, "commits") + 1)
        for lost in Lost
    ]
    return _tried(ground, script, expected, fates, pool)


def _tried(
    ground: Ground, script: Script, expected: Lives, fates: list[Fate], pool: Executor | None
) -> Sweep:
    chunks = [fates[start : start + CHUNK] for start in range(0, len(fates), CHUNK)]
    try_all = partial(cases, ground, script, expected)
    done = map(try_all, chunks) if pool is None else pool.map(try_all, chunks)
    return Sweep(
        script=script.__name__,
        passed=passed(expected),
        facts=expected.left.facts_count,
        cases=tuple(chain.from_iterable(done)),
    )


@frozen
class InFile:
    """A SQLite file, copied from one. Durability is what a dead process needs, not lost power."""

    folder: Path
    copied: Path | None = None

    is_in_order: bool = True
    """Whether commits are made where they are asked for, or on a thread."""

    def fresh(self) -> "InFile":
        made = InFile(Path(mkdtemp(dir=self.folder)), is_in_order=self.is_in_order)
        if self.copied is not None:
            copyfile(self.copied, made.path)
        return made

    @property
    def path(self) -> Path:
        return self.folder / "log.db"

    def store(self) -> Store:
        return SQLiteStore.open(self.path, create=True, durability=Durability.NORMAL)

    def ledger(self) -> Ledger:
        return read_sqlite(self.path)

    def watch(self, fate: Fate, tell: Tell) -> Callable[[], tuple[int, int]]:
        places = watch(fate, tell, self.path)
        return lambda: (places.passed, places.commits)

    def clear(self) -> None:
        rmtree(self.folder)


def emptied(folder: Path, *, is_in_order: bool = True) -> InFile:
    """Make a log without sessions, to be copied."""
    InFile(folder).store().close()
    return InFile(folder, InFile(folder).path, is_in_order)
