"""
Time that moves only from one deadline to the next, and everybody who sleeps in it.

Sleepers are processes: generators that yield for how long they sleep, in milliseconds. The one
with the earliest deadline wakes first; of several with the same, the seed picks one. Every choice
is kept, so that nobody has to believe that it was the schedule that made it.
"""

from collections.abc import Callable, Generator
from random import Random
from typing import TypeAlias

from attrs import define, frozen

Process: TypeAlias = Generator[int, None, None]


@frozen(kw_only=True)
class Delivery:
    """
    Who was woken, when, and out of how many that could have been: ``index`` is the one picked.
    """

    sequence: int
    name: str
    due_ms: int
    at_ms: int
    candidates: int
    index: int


@define
class _Sleeper:
    name: str
    due_ms: int
    process: Process


class VirtualClock:
    """A monotonic time in milliseconds, and a wall clock beside it that can be set."""

    def __init__(self, pick: Random, begin_ms: int = 1_700_000_000_000) -> None:
        self._pick = pick
        self._sleepers: list[_Sleeper] = []
        self.running_ms = 0
        self.ahead_ms = begin_ms
        self.deliveries: list[Delivery] = []

    @property
    def now_ms(self) -> int:
        """Tell the time of commands; who sets the clock moves it, and no sleeper."""
        return self.running_ms + self.ahead_ms

    def start(self, name: str, process: Process, in_ms: int = 0) -> None:
        """Let a process run, after a while."""
        self._sleepers.append(_Sleeper(name, self.running_ms + in_ms, process))

    def stop(self, name: str) -> None:
        """Let a process never wake again."""
        for sleeper in self._sleepers:
            if sleeper.name == name:
                sleeper.process.close()
        self._sleepers = [each for each in self._sleepers if each.name != name]

    def delay(self, name: str, by_ms: int) -> None:
        """Let a process wake later: it was frozen."""
        for sleeper in self._sleepers:
            if sleeper.name == name:
                sleeper.due_ms += by_ms

    def run(self, until_ms: int, crashed: Callable[[str], None]) -> None:
        """Wake one sleeper after the other, up to a time; ``Crashed`` ends one, and is told."""
        while (
            self._sleepers and (due_ms := min(each.due_ms for each in self._sleepers)) <= until_ms
        ):
            ready = [each for each in self._sleepers if each.due_ms == due_ms]
            index = self._pick.randrange(len(ready))
            sleeper = ready[index]
            self.running_ms = max(self.running_ms, due_ms)
            self.deliveries.append(
                Delivery(
                    sequence=len(self.deliveries),
                    name=sleeper.name,
                    due_ms=due_ms,
                    at_ms=self.running_ms,
                    candidates=len(ready),
                    index=index,
                )
            )
            self._wake(sleeper, crashed)
        self.running_ms = max(self.running_ms, until_ms)

    def _wake(self, sleeper: _Sleeper, crashed: Callable[[str], None]) -> None:
        try:
            sleeper.due_ms = self.running_ms + next(sleeper.process)
        except StopIteration:
            self._sleepers.remove(sleeper)
        except Crashed:
            self._sleepers.remove(sleeper)
            crashed(sleeper.name)


class Crashed(Exception):
    """The process that wrote is no more."""
