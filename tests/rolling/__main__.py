"""
Goal: processes of the last release and of this one share a database while they are replaced, and
nothing is lost, doubled, or stopped without need.

Method: a wheel of the old code runs real processes on one SQLite file, beside new ones. Every
input and turn has a key of its own; a member that answers nothing (one is killed) or is busy is
asked again, or another one is. Until the upgrade both work on every session. After it the new
code trims one; the old process is told so at that session and goes on with all others.

``python -m tests.rolling`` prints what was done, and fails with what is wrong. With a commit it
takes that for the old code: one that knows nothing of rolling deployment must fail.
"""

import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Final, cast

from attrs import Factory, define, field, frozen

from tests.rolling.building import ROOT, old_python
from tests.rolling.judging import Found, lost_or_doubled

SESSIONS: Final = tuple(f"s{number}" for number in range(6))
OPS_PER_ROUND: Final = 24
TRIES_MAX: Final = 600
PAUSE_S: Final = 0.1
"""Together longer than a lease: that of a killed owner has to run out."""

TRIMMED: Final = SESSIONS[0]
NEWER: Final = "WrittenByNewerVersion"

_LEFT_BY_OLD_CODE: Final = re.compile(
    r"sequence '\d+' is missing|turn '(old-|drain:).*' is not what the facts say"
)
"""It knew neither the sequence of a settled input nor the stamp of a commit."""


@frozen
class Answer:
    """What a member answered."""

    found: object = None
    error: str = ""
    code: str = ""
    says: str = ""

    @property
    def is_worth_another_try(self) -> bool:
        """Tell whether somebody else was at it."""
        return self.code == "session_execution_busy" or self.error in {"StoreBusy", "Gone"}


@define(eq=False)
class Member:
    """A process, asked one thing at a time."""

    name: str
    process: subprocess.Popen[str]
    lock: threading.Lock = field(factory=threading.Lock)

    @classmethod
    def start(cls, name: str, python: Path | str, database: Path) -> "Member":
        """Start it; new code is this tree's, old code what is installed beside its interpreter."""
        words = [str(python), str(Path(__file__).with_name("member.py")), str(database)]
        process = subprocess.Popen(
            words,
            # Old code must not meet this tree, and new code must not meet an installed one.
            cwd=ROOT if python == sys.executable else database.parent,
            env={"PYTHONPATH": str(ROOT)} if python == sys.executable else {},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return cls(name, process)

    def ask(self, op: str, **asked: str) -> Answer:
        """Ask one thing."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with self.lock:
            try:
                self.process.stdin.write(json.dumps({"op": op, **asked}) + "\n")
                self.process.stdin.flush()
                line = self.process.stdout.readline()
            except BrokenPipeError:
                line = ""
        return Answer(**json.loads(line)) if line else Answer(error="Gone")

    def stop(self) -> None:
        """Let it end."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=30)


@define
class Restart:
    """The whole story: who is there, what was acknowledged, what went wrong."""

    database: Path
    old: Path
    problems: list[str] = Factory(list[str])
    done: Counter[str] = Factory(Counter[str])
    acknowledged: dict[str, list[str]] = Factory(lambda: {session: [] for session in SESSIONS})
    _numbers: "count[int]" = Factory(count)

    def member(self, name: str, *, is_new: bool) -> Member:
        """Start a process of new code, or of old."""
        return Member.start(name, sys.executable if is_new else self.old, self.database)

    def expect(self, is_so: bool, otherwise: str) -> None:
        """Note what is not as it should be."""
        if not is_so:
            self.problems.append(otherwise)

    def round(self, *members: Member, without: tuple[str, ...] = ()) -> None:
        """Let members work on all sessions, all at once and each of them many times."""
        sessions = [session for session in SESSIONS if session not in without]
        with ThreadPoolExecutor(len(members)) as pool:
            for worked in [pool.submit(self._work, each, members, sessions) for each in members]:
                worked.result()

    def _work(self, member: Member, others: tuple[Member, ...], sessions: list[str]) -> None:
        for number in range(OPS_PER_ROUND):
            session = sessions[number % len(sessions)]
            op = ("turn", "enqueue", "drain", "turn")[number % 4]
            self.send(member, op, session, others)

    def send(self, member: Member, op: str, session: str, others: tuple[Member, ...] = ()) -> None:
        """Ask until it is done; by another member where this one is gone."""
        key = f"{member.name}.{op}.{next(self._numbers)}"
        answer = Answer()
        for attempt in range(TRIES_MAX):
            who = others[attempt % len(others)] if answer.error == "Gone" and others else member
            answer = who.ask(op, session=session, key=key)
            if not answer.is_worth_another_try:
                break
            time.sleep(PAUSE_S)
        if answer.error:
            self.problems.append(f"{member.name}: {op} in {session}: {answer.says or answer}")
            return
        self.done[f"{member.name} {op}"] += 1
        if op != "drain":
            self.acknowledged[session].append(key)

    def found(self, member: Member) -> dict[str, Found]:
        """Read every session."""
        answers = {session: member.ask("read", session=session) for session in SESSIONS}
        self.problems += [each.says for each in answers.values() if each.error]
        return {
            name: Found(**cast("dict[str, list[str]]", each.found))
            for name, each in answers.items()
            if not each.error
        }


def restart(database: Path, old: Path) -> Restart:
    """Live through it."""
    story = Restart(database, old)
    first, second = (story.member(f"old-{name}", is_new=False) for name in "ab")
    story.round(first, second)
    newcomer = story.member("new-a", is_new=True)
    story.round(first, second, newcomer)
    refused = newcomer.ask("trim", session=TRIMMED)
    story.expect(refused.error == "FormatTooOld", f"a trim before the upgrade: {refused}")

    _killed_in_mid_round(story, second, first, newcomer)
    story.expect(newcomer.ask("upgrade").found == 1, "the database wrote another format before")
    removed = _until_free(lambda: newcomer.ask("trim", session=TRIMMED))
    story.expect(bool(removed.found), f"nothing was trimmed: {removed}")

    for op in ("turn", "enqueue", "drain", "read"):
        answer = first.ask(op, session=TRIMMED, key="refused")
        story.expect(answer.error == NEWER, f"old code, {op} in a trimmed session: {answer}")
    story.expect(first.ask("list").found == sorted(SESSIONS), "old code cannot list sessions")
    story.round(first, newcomer, without=(TRIMMED,))
    for op in ("turn", "enqueue", "turn"):
        story.send(newcomer, op, TRIMMED)
    late = story.member("old-late", is_new=False)
    story.expect(late.ask("read", session=SESSIONS[1]).error == "", "old code cannot be started")
    story.expect(late.ask("read", session=TRIMMED).error == NEWER, "a trimmed session is read")

    late.stop()
    first.stop()
    second_new = story.member("new-b", is_new=True)
    story.round(newcomer, second_new)
    _complete_the_index(story, second_new)
    _judge(story, second_new)
    newcomer.stop()
    second_new.stop()
    return story


def _killed_in_mid_round(story: Restart, victim: Member, *others: Member) -> None:
    """Kill a member while all of them work; what it had been asked is asked of another."""
    killing = threading.Timer(0.3, victim.process.kill)
    killing.start()
    story.round(victim, *others)
    killing.join()
    story.expect(victim.process.wait(timeout=30) != 0, "nobody was killed")


def _until_free(ask: Callable[[], Answer]) -> Answer:
    """Ask again while somebody holds the session: a killed owner's lease has to run out."""
    answer = ask()
    for _ in range(TRIES_MAX):
        if not answer.is_worth_another_try:
            break
        time.sleep(PAUSE_S)
        answer = ask()
    return answer


def _complete_the_index(story: Restart, member: Member) -> None:
    """Nothing but rows that old code wrote, or did not write, may be missing or incomplete."""
    for session in SESSIONS:
        reasons = cast("list[str]", member.ask("verify", session=session).found)
        story.problems += [each for each in reasons if not _LEFT_BY_OLD_CODE.fullmatch(each)]
        rebuilt = member.ask("reindex", session=session)
        story.expect(rebuilt.found == len(reasons), f"{session}, reindexed: {rebuilt}")


def _judge(story: Restart, member: Member) -> None:
    story.problems += lost_or_doubled(story.acknowledged, story.found(member))
    for session in SESSIONS:
        wrong = member.ask("verify", session=session)
        story.expect(wrong.found == [], f"{session} is damaged: {wrong}")


def main() -> int:
    """Build the old code, live through a restart, and say what came of it."""
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        story = restart(scratch / "log.db", old_python(scratch, *sys.argv[1:2]))
    lines = [f"{times:5} {what}" for what, times in sorted(story.done.items())]
    lines.append(f"{sum(map(len, story.acknowledged.values())):5} inputs acknowledged")
    lines += story.problems or ["nothing lost, nothing doubled, nobody stopped without need"]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if story.problems else 0


if __name__ == "__main__":
    sys.exit(main())
