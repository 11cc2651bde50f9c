"""
Judging mutants in a process that is warm: pytest has collected the tests, and every mutant gets a
child of its own, forked from there, in which the tests that reach it run until one fails.

A plugin of pytest. The tests run once on the original, and what each of them reaches is noted:
line by line, but only by function for those that are random and run for seconds. A mutant is shown
first the test that told it apart the last time, then those that run the changed lines, the
quickest first, then all others that enter the function.
"""

import gc
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import _lru_cache_wrapper
from pathlib import Path
from types import CodeType, FrameType
from typing import Final

import pytest
from attrs import Factory, define, frozen

from tests.mutation.mutants import Mutant, Places, places, put

SECONDS_MIN: Final = 2.0
"""How long a test may compute on a mutant, and ten times what it takes on the original."""

BYTES_MAX: Final = 4 * 1024**3

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


def tracer(modules: Mapping[str, str], reach: Reach, *, by_line: bool) -> Tracer:
    """Note what is run of the modules, which are given by the names of their files."""

    def inside(frame: FrameType, _: str, __: object) -> object:
        reach.lines.add((modules[frame.f_code.co_filename], frame.f_lineno))
        return inside

    def enter(frame: FrameType, _: str, __: object) -> object:
        code: CodeType = frame.f_code
        module = modules.get(code.co_filename)
        if module is None:
            return None
        reach.functions.add((module, code.co_qualname.partition(".<locals>")[0]))
        return inside if by_line else None

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
        last: Mapping[str, str],
        children_max: int,
    ) -> None:
        self.mutants = mutants
        self.modules = {str(path): module for module, path in files.items()}
        self.is_random = is_random
        self.is_for_random = is_for_random
        self.last = last
        self.children_max = children_max
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
        where = places(self.modules.values())
        self.caches = caches()
        gc.freeze()  # Otherwise every child copies all that a collection looks at.
        examples = [n for n, item in self.items.items() if not self.is_random(item)]
        random = [n for n, item in self.items.items() if self.is_random(item)]
        self._judge(self.mutants, examples, where, self.by_examples, "examples")
        chosen = [mutant for mutant in self.mutants if self.is_for_random(mutant)]
        self._judge(chosen, random, where, self.by_random, "random")
        return True

    def _look(self, item: pytest.Item) -> None:
        """Run a test on the original, watched."""
        reach = self.reaches[item.nodeid] = Reach()
        started = time.process_time()
        sys.settrace(tracer(self.modules, reach, by_line=not self.is_random(item)))  # type: ignore[arg-type]
        try:
            _run(item, None)
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
        where: Places,
        verdicts: dict[str, Verdict],
        kind: str,
    ) -> None:
        """Fork a child for each mutant, a few at a time; without tests nothing is judged."""
        if not tests:
            return
        running: dict[int, tuple[Mutant, int]] = {}
        for mutant in mutants:
            order = self._order(mutant, tests)
            if not order:
                verdicts[mutant.name] = Verdict(status=UNREACHED)
                continue
            if len(running) == self.children_max:
                _reap(running, verdicts)
            pid, pipe = self._begin(mutant, order, where)
            running[pid] = (mutant, pipe)
            _report(kind, verdicts, len(mutants))
        while running:
            _reap(running, verdicts)

    def _begin(self, mutant: Mutant, order: Sequence[str], where: Places) -> tuple[int, int]:
        """Return the child, and where it writes the name of the test that failed."""
        reading, writing = os.pipe()
        pid = os.fork()
        if pid:
            os.close(writing)
            return pid, reading
        try:
            killer = self._first_failure(mutant, order, where)
            os.write(writing, killer.encode())
        except BaseException as error:  # noqa: BLE001 - nothing may leave a child but its end
            os.write(writing, repr(error).encode())
        finally:
            os._exit(0)

    def _first_failure(self, mutant: Mutant, order: Sequence[str], where: Places) -> str:
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        resource.setrlimit(resource.RLIMIT_AS, (BYTES_MAX, BYTES_MAX))
        for cache in self.caches:
            cache.cache_clear()
        put(mutant, where)
        items = [self.items[test] for test in order]
        for item, following in zip(items, [*items[1:], None], strict=True):
            seconds = SECONDS_MIN + 10 * self.reaches[item.nodeid].seconds
            # Its end is that of the child: the default for a signal that nobody handles.
            signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
            _run(item, following)
            if self.failed:
                return self.failed[0]
        return ""


def _run(item: pytest.Item, following: pytest.Item | None) -> None:
    item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)


def _reap(running: dict[int, tuple[Mutant, int]], verdicts: dict[str, Verdict]) -> None:
    """Wait for a child, and note what it found."""
    pid, ended = os.wait()
    mutant, pipe = running.pop(pid)
    with os.fdopen(pipe, "rb") as written:
        killer = written.read().decode()
    if os.WIFSIGNALED(ended):
        verdicts[mutant.name] = Verdict(status=ENDLESS)
    else:
        status = KILLED if killer else SURVIVED
        verdicts[mutant.name] = Verdict(status=status, killer=killer or None)
    if verdicts[mutant.name].status != KILLED:
        sys.stderr.write(f"{verdicts[mutant.name].status}: {mutant.name}\n")
        sys.stderr.flush()


def _report(kind: str, verdicts: Mapping[str, Verdict], mutants_count: int) -> None:
    if verdicts and len(verdicts) % 100 == 0:
        killed = sum(verdict.status == KILLED for verdict in verdicts.values())
        sys.stderr.write(f"{kind}: {killed} of {len(verdicts)} of {mutants_count}\n")
        sys.stderr.flush()


def caches() -> list["_lru_cache_wrapper[object]"]:
    """List what may remember answers of the original, which say nothing of a mutant."""
    return [
        each
        for each in gc.get_objects()
        if type(each) is _lru_cache_wrapper and each.__module__.startswith(("test", "lash_es"))
    ]
