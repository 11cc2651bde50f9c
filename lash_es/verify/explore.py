"""
Try everything, up to named bounds: every move from every world that can be reached.

Worlds that are alike (``likeness.py``) are one state, so that a search over few owners and inputs
comes to its end: an empty frontier means that within its bounds there is nothing else. It goes
breadth first, so that the first counterexample is a shortest one, and is printed as a test.

1. **Always** holds of every move that changes something.
2. **Sometimes** happens at least once, or else the search proved less than it seems.
3. **Eventually**: from every state but the deleted one a good one can be reached, without
   deleting anything. Judged if the frontier is empty.

This is the plain way, a world at a time. ``exhaust.py`` finds the same, faster.

Source: Stateright's properties, and TLC's explicit states.
"""

import hashlib
from array import array
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence

from attrs import Factory, define

from lash_es.core.errors import ImpossibleEvent
from lash_es.core.state import Deleted
from lash_es.verify.alphabet import ALPHABET, Bounds, Letter, moves
from lash_es.verify.findings import (
    APPLICABLE,
    LOST,
    Counterexample,
    Report,
    Rules,
    by_command,
    by_fact,
    counted,
)
from lash_es.verify.likeness import likeness
from lash_es.verify.printing import as_test
from lash_es.verify.worlds import Move, World, moved


def explore(
    start: World,
    bounds: Bounds | None = None,
    *,
    alphabet: Sequence[Letter] = ALPHABET,
    rules: Rules | None = None,
) -> Report:
    """
    Search from ``start`` until there is nothing new, a rule is broken or a bound is reached.

    Args:
        start: usually ``worlds.begin("alice", "bob")``.
        bounds: how much of everything; the defaults take minutes.
        alphabet: what may be asked. Order matters: of equally short histories the first is found.
        rules: what is expected; the defaults are those of ``properties.py``.

    Cost: 16 bytes a state and a world for each of the frontier; about 5 000 transitions a second.
    """
    search = _Search(
        start=start, bounds=bounds or Bounds(), alphabet=alphabet, rules=rules or Rules()
    )
    search.run()
    return search.report()


@define(kw_only=True)
class _Search:
    """The states so far, by number in the order in which they were found; how each was found."""

    start: World
    bounds: Bounds
    alphabet: Sequence[Letter]
    rules: Rules
    numbers: dict[bytes, int] = Factory(dict[bytes, int])
    frontier: deque[tuple[int, World]] = Factory(deque[tuple[int, World]])
    parents: "array[int]" = Factory(lambda: array("q"))
    ordinals: "array[int]" = Factory(lambda: array("q"))
    depths: "array[int]" = Factory(lambda: array("q"))
    edges: "array[int]" = Factory(lambda: array("q"))
    good: dict[str, list[int]] = Factory(dict[str, list[int]])
    deleted: set[int] = Factory(set[int])
    decided: Counter[tuple[str, str]] = Factory(Counter[tuple[str, str]])
    happened: set[str] = Factory(set[str])
    transitions: int = 0
    found: Counterexample | None = None

    def run(self) -> None:
        self._number(self.start, -1, 0)
        while self.frontier and self.found is None and len(self.numbers) < self.bounds.states_max:
            number, world = self.frontier[0]
            if self.depths[number] >= self.bounds.depth_max:
                return
            self.frontier.popleft()
            self._expand(number, world)
        if self.found is None and not self.frontier:
            self._require_eventually()

    def _expand(self, number: int, world: World) -> None:
        for ordinal, move in enumerate(moves(world, self.bounds, self.alphabet)):
            self.transitions += 1
            problem = self._step(number, ordinal, world, move)
            if problem:
                rule, because = problem
                history = (*self._history(number), move)
                self.found = self._counterexample(rule, because, history)
                return

    def _step(self, number: int, ordinal: int, world: World, move: Move) -> tuple[str, str] | None:
        try:
            transition = moved(world, move)
        except ImpossibleEvent as refusal:
            return APPLICABLE, str(refusal)
        counted(transition, self.decided)
        for rule, happens in self.rules.sometimes.items():
            if rule not in self.happened and happens(transition):
                self.happened.add(rule)
        if transition.after is world:
            return None
        problem = self.rules.broken_by(transition)
        if problem is None:
            after = self._number(transition.after, number, ordinal)
            self.edges.append(number)
            self.edges.append(after)
        return problem

    def _number(self, world: World, parent: int, ordinal: int) -> int:
        """Return the number of the state that this world is; a new one joins the frontier."""
        digest = self._digest(world)
        known = self.numbers.get(digest)
        if known is not None:
            return known
        number = self.numbers[digest] = len(self.numbers)
        self.parents.append(parent)
        self.ordinals.append(ordinal)
        self.depths.append(0 if parent < 0 else self.depths[parent] + 1)
        self.frontier.append((number, world))
        if isinstance(world.state, Deleted):
            self.deleted.add(number)
            return number
        for rule, is_good in self.rules.eventually.items():
            if is_good(world):
                self.good.setdefault(rule, []).append(number)
        return number

    def _digest(self, world: World) -> bytes:
        alike = likeness(world, self.bounds.floor_ms(world))
        return hashlib.blake2b(repr(alike).encode(), digest_size=16).digest()

    def _history(self, number: int) -> tuple[Move, ...]:
        """Find the moves that led to a state, by making them again."""
        ordinals: list[int] = []
        while number > 0:
            ordinals.append(self.ordinals[number])
            number = self.parents[number]
        world, history = self.start, list[Move]()
        for ordinal in reversed(ordinals):
            move = list(moves(world, self.bounds, self.alphabet))[ordinal]
            history.append(move)
            world = moved(world, move).after
        return tuple(history)

    def _require_eventually(self) -> None:
        """Go back from the good states; what is not come to has no way there."""
        before: dict[int, list[int]] = {}
        for index in range(0, len(self.edges), 2):
            before.setdefault(self.edges[index + 1], []).append(self.edges[index])
        for rule in self.rules.eventually:
            reached = _reached(before, self.good.get(rule, [])) | self.deleted
            lost = next((n for n in range(len(self.numbers)) if n not in reached), None)
            if lost is not None:
                self.found = self._counterexample(rule, LOST, self._history(lost))
                return

    def _counterexample(
        self, rule: str, because: str, history: tuple[Move, ...]
    ) -> Counterexample:
        text = as_test(rule, because, self.start, history)
        return Counterexample(rule=rule, because=because, history=history, text=text)

    def report(self) -> Report:
        """Say what was found."""
        return Report(
            states=len(self.numbers),
            transitions=self.transitions,
            depth=max(self.depths),
            is_exhausted=not self.frontier and self.found is None,
            decided=by_command(self.decided),
            evolved=by_fact(self.decided),
            never=tuple(rule for rule in self.rules.sometimes if rule not in self.happened),
            counterexample=self.found,
        )


def _reached(before: Mapping[int, Iterable[int]], good: Iterable[int]) -> set[int]:
    reached = set(good)
    waiting = list(reached)
    while waiting:
        for number in before.get(waiting.pop(), ()):
            if number not in reached:
                reached.add(number)
                waiting.append(number)
    return reached
