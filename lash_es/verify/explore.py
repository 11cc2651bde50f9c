"""
Try everything, up to named bounds: every move from every world that can be reached.

Worlds that are alike (``likeness.py``) are one state, so that a search over few owners and inputs
comes to its end: an empty frontier means that within its bounds there is nothing else. It goes
breadth first, so that the first counterexample is a shortest one, and is printed as a test.

1. **Always** holds of every move that changes something.
2. **Sometimes** happens at least once, or else the search proved less than it seems.
3. **Eventually**: from every state a good one can be reached. Judged if the frontier is empty.

Source: Stateright's properties, and TLC's explicit states.
"""

import hashlib
from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, get_args

from attrs import Factory, define, frozen

from lash_es.core.commands import Command
from lash_es.core.errors import CommandRejected, ImpossibleEvent
from lash_es.core.events import Event
from lash_es.verify.alphabet import ALPHABET, Bounds, Letter, moves
from lash_es.verify.printing import as_test
from lash_es.verify.properties import ALWAYS, EVENTUALLY, SOMETIMES
from lash_es.verify.worlds import Ask, Move, Transition, World, moved

APPLICABLE: Final = "what was decided can be applied"


@frozen(kw_only=True)
class Counterexample:
    """The shortest history that breaks a rule; ``text`` is a test that shows it."""

    rule: str
    because: str
    history: tuple[Move, ...]
    text: str


@frozen(kw_only=True)
class Report:
    """
    What a search went through. ``decided`` counts commands by their answers, ``evolved`` facts.

    ``depth`` is the length of the longest shortest history; ``never`` lists what was to happen
    sometimes and did not.
    """

    states: int
    transitions: int
    depth: int
    is_exhausted: bool
    decided: Mapping[str, Mapping[str, int]]
    evolved: Mapping[str, int]
    never: tuple[str, ...]
    counterexample: Counterexample | None

    @property
    def arms_missing(self) -> tuple[str, ...]:
        """List the arms of ``decide`` and ``evolve`` that were not taken."""
        arms = (kind.__name__ for kind in (*get_args(Command), *get_args(Event)))
        return tuple(sorted(set(arms) - self.decided.keys() - self.evolved.keys()))


@frozen(kw_only=True)
class Rules:
    """What is expected of a search, by the rule's sentence."""

    always: Mapping[str, Callable[[Transition], str]] = Factory(lambda: ALWAYS)
    sometimes: Mapping[str, Callable[[Transition], bool]] = Factory(lambda: SOMETIMES)
    eventually: Mapping[str, Callable[[World], bool]] = Factory(lambda: EVENTUALLY)


def explore(
    start: World,
    bounds: Bounds,
    *,
    alphabet: Sequence[Letter] = ALPHABET,
    rules: Rules | None = None,
) -> Report:
    """
    Search until there is nothing left, or until a bound or a broken rule ends it.

    Costs about a tenth of a millisecond a move and 200 bytes a state, and holds the worlds of the
    frontier.
    """
    search = _Search(start=start, bounds=bounds, alphabet=alphabet, rules=rules or Rules())
    search.run()
    return search.report()


def _digest(world: World) -> bytes:
    return hashlib.blake2b(repr(world.likeness()).encode(), digest_size=16).digest()


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
    decided: dict[str, Counter[str]] = Factory(dict[str, Counter[str]])
    evolved: Counter[str] = Factory(Counter[str])
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
        self._count(transition)
        if transition.after is world:
            return None
        for rule, problem in self.rules.always.items():
            if because := problem(transition):
                return rule, because
        after = self._number(transition.after, number, ordinal)
        self.edges.append(number)
        self.edges.append(after)
        return None

    def _number(self, world: World, parent: int, ordinal: int) -> int:
        """Return the number of the state that this world is; a new one joins the frontier."""
        digest = _digest(world)
        known = self.numbers.get(digest)
        if known is not None:
            return known
        number = self.numbers[digest] = len(self.numbers)
        self.parents.append(parent)
        self.ordinals.append(ordinal)
        self.depths.append(0 if parent < 0 else self.depths[parent] + 1)
        self.frontier.append((number, world))
        for rule, is_good in self.rules.eventually.items():
            if is_good(world):
                self.good.setdefault(rule, []).append(number)
        return number

    def _count(self, transition: Transition) -> None:
        if isinstance(transition.move, Ask):
            found = transition.found
            names = [type(event).__name__ for event in transition.events]
            is_refused = isinstance(found, CommandRejected)
            answer = f"!{type(found).__name__}" if is_refused else ", ".join(names) or "-"
            command = type(transition.move.command).__name__
            self.decided.setdefault(command, Counter())[answer] += 1
            self.evolved.update(names)
        for rule, happens in self.rules.sometimes.items():
            if rule not in self.happened and happens(transition):
                self.happened.add(rule)

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
            reached = _reached(before, self.good.get(rule, []))
            lost = next((n for n in range(len(self.numbers)) if n not in reached), None)
            if lost is not None:
                history = self._history(lost)
                because = "nothing that may be asked leads there"
                self.found = self._counterexample(rule, because, history)
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
            decided=self.decided,
            evolved=self.evolved,
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
