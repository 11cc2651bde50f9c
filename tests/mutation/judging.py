"""
Judging mutants in a process that is warm: pytest has collected the tests, and a few mutants of a
function get a child, forked from there, in which one after the other is put in place, and the
tests that reach it run until one fails.

A plugin of pytest. The tests run once on the original, and what each of them enters is noted: of
the tables, which nearly every test enters, line by line. A mutant is shown first the test that
told it apart the last time, then those that run the changed lines, the quickest first, then all
others that enter the function.
"""

import gc
import os
import resource
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import _lru_cache_wrapper
from itertools import groupby
from pathlib import Path
from types import FrameType
from typing import Final, TypeAlias

import pytest
from attrs import Factory, define, frozen

from tests.mutation.mutants import Mutant, Places, places, put

SECONDS_MIN: Final = 2.0
"""How long a test may compute on a mutant, and ten times what it takes on the original."""

BYTES_MAX: Final = 4 * 1024**3

LINES_MIN: Final = 40
"""Functions that are shorter are noted as a whole: it takes longer to note each line of them."""

GROUP_MAX: Final = 25
"""How many mutants a child judges: what it says of them fits into a pipe."""

SURVIVED: Final = "survived"
KILLED: Final = "killed"
ENDLESS: Final = "ran for ever"
UNREACHED: Final = "no test reaches it"


@frozen(kw_only=True)
class Verdict:
    """What became of a mutant, and which test told it apart."""

    status: str
    killer: str | None = None


@define(kw_only=True)
class Reach:
    """What a test enters, how far, and how long it takes."""

    seconds: float = 0.0
    functions: set[tuple[str, str]] = Factory(set)
    lines: set[tuple[str, int]] = Factory(set)


Tracer = Callable[[FrameType, str, object], object]


def tracer(modules: Mapping[str, str], reach: Reach, *, lines_min: int) -> Tracer:
    """Note what is run of the modules, which are given by the names of their files."""

    def inside(frame: FrameType, _: str, __: object) -> object:
        reach.lines.add((modules[frame.f_code.co_filename], frame.f_lineno))
        return inside

    long: dict[tuple[str, int], bool] = {}

    def enter(frame: FrameType, _: str, __: object) -> object:
        code = frame.f_code
        module = modules.get(code.co_filename)
        if module is None:
            return None
        reach.functions.add((module, code.co_qualname.partition(".<locals>")[0]))
        place = (module, code.co_firstlineno)
        if place not in long:
            last = max(line or 0 for _, _, line in code.co_lines())
            long[place] = last - code.co_firstlineno >= lines_min
        return inside if long[place] else None

    return enter


class Judge:
    """A plugin that runs the tests on each mutant in place of once."""

    def __init__(
        self,
        mutants: Sequence[Mutant],
        files: Mapping[str, Path],
        *,
        is_random: Callable[[pytest.Item], bool],
        is_for_random: Callable[[Mutant], bool],
        random_one_of: int = 1,
        last: Mapping[str, str],
        keeps: bool = False,
        tell: Callable[[Mutant, Verdict], None],
        children_max: int,
    ) -> None:
        self.mutants = mutants
        self.modules = {str(path): module for module, path in files.items()}
        self.is_random = is_random
        self.is_for_random = is_for_random
        self.random_one_of = random_one_of
        self.last = last
        self.keeps = keeps
        self.tell = tell
        self.children_max = children_max
        self.where: Places = {}
        self.caches: list[_lru_cache_wrapper[object]] = []
        self.reaches: dict[str, Reach] = {}
        self.items: dict[str, pytest.Item] = {}
        self.failed: list[str] = []
        self.by_examples: dict[str, Verdict] = {}
        self.by_random: dict[str, Verdict] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a test that fails, in whichever phase."""
        if report.failed:
            self.failed.append(report.nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run what was collected on the original, then on every mutant."""
        if session.testsfailed:
            raise session.Interrupted("the tests cannot be collected")
        self.items = {item.nodeid: item for item in session.items}
        for item in session.items:
            self._look(item)
        if self.failed:
            raise session.Interrupted(f"they fail on the original: {self.failed}")
        self.where = places(self.modules.values())
        self.caches = caches()
        gc.freeze()  # Otherwise every child copies all that a collection looks at.
        examples = [n for n, item in self.items.items() if not self.is_random(item)]
        random = [n for n, item in self.items.items() if self.is_random(item)]
        self._judge(self.mutants, examples, self.by_examples)
        chosen = [mutant for mutant in self.mutants if self.is_for_random(mutant)]
        chosen = chosen[:: self.random_one_of]
        self._judge(chosen, random, self.by_random)
        return True

    def _look(self, item: pytest.Item) -> None:
        """Run a test on the original, watched."""
        reach = self.reaches[item.nodeid] = Reach()
        started = time.process_time()
        lines_min = sys.maxsize if self.is_random(item) else LINES_MIN
        sys.settrace(tracer(self.modules, reach, lines_min=lines_min))  # type: ignore[arg-type]
        try:
            _run(item)
        finally:
            sys.settrace(None)
        reach.seconds = time.process_time() - started

    def _order(self, mutant: Mutant, tests: Sequence[str]) -> list[str]:
        """List the tests that enter the function, those first that may tell it apart soonest."""
        entering = [
            test
            for test in tests
            if (mutant.module, mutant.function) in self.reaches[test].functions
        ]
        touched = {(mutant.module, line) for line in mutant.lines}
        last = self.last.get(mutant.name)

        def rank(test: str) -> tuple[bool, bool, float]:
            reach = self.reaches[test]
            return (test != last, not touched & reach.lines, reach.seconds)

        return sorted(entering, key=rank)

    def _judge(
        self,
        mutants: Sequence[Mutant],
        tests: Sequence[str],
        verdicts: dict[str, Verdict],
    ) -> None:
        """Fork a child for a few mutants of a function, so many at a time; none without tests."""
        waiting = deque(self._groups(mutants, tests, verdicts))
        running: dict[int, tuple[Group, int]] = {}
        while waiting or running:
            while waiting and len(running) < self.children_max:
                group = waiting.popleft()
                pid, pipe = self._begin(group)
                running[pid] = (group, pipe)
            pid, _ = os.wait()
            group, pipe = running.pop(pid)
            judged = _read(pipe)
            for (mutant, _), killer in zip(group, judged, strict=False):
                status = KILLED if killer else SURVIVED
                self._say(mutant, Verdict(status=status, killer=killer or None), verdicts)
            rest = group[len(judged) :]
            if rest:  # It ended its child: by its time, or by something worse.
                self._say(rest[0][0], Verdict(status=ENDLESS), verdicts)
                rest = rest[1:]
                waiting.extendleft([rest] if rest else [])

    def _groups(
        self, mutants: Sequence[Mutant], tests: Sequence[str], verdicts: dict[str, Verdict]
    ) -> Iterator["Group"]:
        for _, of_function in groupby(mutants, lambda mutant: (mutant.module, mutant.function)):
            group: list[tuple[Mutant, list[str]]] = []
            for mutant in of_function if tests else ():
                order = self._order(mutant, tests)
                if self.keeps and self.last.get(mutant.name) in order:
                    kept = Verdict(status=KILLED, killer=self.last[mutant.name])
                    self._say(mutant, kept, verdicts)
                elif order:
                    group.append((mutant, order))
                else:
                    self._say(mutant, Verdict(status=UNREACHED), verdicts)
            yield from (group[i : i + GROUP_MAX] for i in range(0, len(group), GROUP_MAX))

    def _say(self, mutant: Mutant, verdict: Verdict, verdicts: dict[str, Verdict]) -> None:
        verdicts[mutant.name] = verdict
        self.tell(mutant, verdict)

    def _begin(self, group: "Group") -> tuple[int, int]:
        """Return the child, and where it writes which test told each mutant apart."""
        reading, writing = os.pipe()
        pid = os.fork()
        if pid:
            os.close(writing)
            return pid, reading
        try:
            silence = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silence, 1)
            os.dup2(silence, 2)
            resource.setrlimit(resource.RLIMIT_AS, (BYTES_MAX, BYTES_MAX))
            for mutant, order in group:
                os.write(writing, f"{self._killer(mutant, order)}\n".encode())
        finally:
            os._exit(0)

    def _killer(self, mutant: Mutant, order: Sequence[str]) -> str:
        """Name the first test that fails on the mutant; blank if none does."""
        for cache in self.caches:
            cache.cache_clear()
        self.failed.clear()
        with put(mutant, self.where):
            for test in order:
                # Its end is that of the child: the default for a signal that nobody handles.
                seconds = SECONDS_MIN + 10 * self.reaches[test].seconds
                signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
                _run(self.items[test])
                if self.failed:
                    break
        return self.failed[0] if self.failed else ""


Group: TypeAlias = Sequence[tuple[Mutant, list[str]]]
"""Mutants of one function, each with its tests; one after the other, in one child."""


def _run(item: pytest.Item) -> None:
    item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)


def _read(pipe: int) -> list[str]:
    """Read what a child wrote: a line for each mutant that it came to the end of."""
    with os.fdopen(pipe, "rb") as written:
        return written.read().decode().splitlines()


def caches() -> list["_lru_cache_wrapper[object]"]:
    """List what may remember answers of the original, which say nothing of a mutant."""
    return [
        each
        for each in gc.get_objects()
        if type(each) is _lru_cache_wrapper and each.__module__.startswith(("test", "lash_es"))
    ]
