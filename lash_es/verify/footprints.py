"""
What a letter comes to, remembered by the parts of a world that it looked at.

A letter, the decisions on its moves, the facts applied and the rules that judge them are one pure
function of a world. It is asked of a world whose parts are hidden (``parts.py``); a part that is
looked at is shown, and it is asked again. What came of it is then true of every world that has the
same parts shown: a tree per letter, at each branch the part that was looked at next, at each leaf
what came of it. Nobody says what depends on what, so nobody can say it wrongly.

Where a step moves the generation of the lease or the clock, parts that were not looked at are
renamed by themselves: what was claimed under this generation is claimed under an older one.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import Final, TypeAlias

from attrs import Factory, define, frozen

from lash_es.core.errors import ImpossibleEvent
from lash_es.core.state import Deleted, Open
from lash_es.verify.bounds import Bounds, Letter
from lash_es.verify.findings import APPLICABLE, Rules, counted
from lash_es.verify.likeness import GENERATION, Frame, key_of, renamed
from lash_es.verify.parts import (
    NOW_MS,
    Looked,
    Part,
    Values,
    is_hidden,
    put_together,
    values_of,
)
from lash_es.verify.worlds import Move, Transition, World, moved

ROW_BITS: Final = 24
"""How many there may be of each part: 16 million."""

COLUMN: Final = Part.WORK
"""The part that is a bit of a row: the last, so that a row is made of all in front of it."""

_MASK: Final = (1 << ROW_BITS) - 1
_SAME: Final = Frame(generation=GENERATION, now_ms=NOW_MS)


@frozen
class Outcome:
    """
    A step to another state: parts that are others now, by number, and hidden parts that are to be
    renamed by ``frame``. ``is_end``: the session is deleted.
    """

    changed: tuple[tuple[Part, int], ...]
    frame: Frame = _SAME
    moved_on: tuple[Part, ...] = ()
    is_end: bool = False


@frozen(eq=False)
class Step:
    """
    An outcome for rows: what is kept of a row and what is put in, and one column or the same ones.

    ``moved_on`` are parts, the column among them, that are to be renamed by the frame.
    """

    keep: int
    put: int
    column: int | None
    frame: Frame
    moved_on: tuple[Part, ...]
    is_end: bool


def step_of(outcome: Outcome) -> Step:
    """Say of an outcome what it does to rows."""
    keep, put, column = -1, 0, None
    for part, number in outcome.changed:
        if part is COLUMN:
            column = number
        else:
            keep &= ~(_MASK << ROW_BITS * part)
            put |= number << ROW_BITS * part
    return Step(keep, put, column, outcome.frame, outcome.moved_on, outcome.is_end)


@define(eq=False)
class Leaf:
    """What a letter came to; ``open_questions`` are occasions that depend on hidden parts."""

    outcomes: tuple[Outcome, ...] = ()
    moves_count: int = 0
    decided: Counter[tuple[str, str]] = Factory(Counter[tuple[str, str]])
    problem: tuple[str, str] | None = None
    open_questions: set[str] = Factory(set[str])
    _steps: tuple[Step, ...] | None = None

    @property
    def steps(self) -> tuple[Step, ...]:
        """The outcomes as what they do to rows, put down at the first time they are needed."""
        if self._steps is None:
            self._steps = tuple(map(step_of, self.outcomes))
        return self._steps


@define(eq=False)
class Branch:
    """The part that was looked at next; ``shown`` are all so far."""

    part: Part
    shown: frozenset[Part]
    children: dict[int, "Node"] = Factory(dict[int, "Node"])


Node: TypeAlias = Leaf | Branch
Question: TypeAlias = Callable[[World], Leaf]
"""What is asked of a world: a pure function of it."""
Ids: TypeAlias = Sequence[int]
"""The number of each part, in the order of ``Part``."""


@define
class Footprints:
    """The parts that were met, numbered, and what letters come to in worlds made of them."""

    like: World
    bounds: Bounds
    rules: Rules
    happened: set[str] = Factory(set[str])
    values: list[list[Values]] = Factory(lambda: [[] for _ in Part])
    numbers: list[dict[Hashable, int]] = Factory(lambda: [{} for _ in Part])
    evaluations: int = 0
    _renamed: dict[tuple[Frame, Part, int], int] = Factory(dict[tuple[Frame, Part, int], int])

    def ids_of(self, world: World) -> tuple[int, ...]:
        """Return the numbers of the parts of an open world."""
        frame = self._frame(world)
        return tuple(self._number(part, world, frame) for part in Part)

    def world(self, ids: Ids, shown: frozenset[Part] = frozenset(Part)) -> World:
        """Put a world together, with some parts shown."""
        values = [self.values[part][ids[part]] if part in shown else None for part in Part]
        return put_together(self.like, values)

    def grown(self, ask: Question, ids: Ids, shown: frozenset[Part]) -> Node:
        """Ask of a world with these parts shown; and of one with more if they are looked at."""
        try:
            return ask(self.world(ids, shown))
        except Looked as looked:
            part = looked.part
        assert part not in shown
        branch = Branch(part, shown | {part})
        branch.children[ids[part]] = self.grown(ask, ids, branch.shown)
        return branch

    def is_like(self, world: World, ids: Ids) -> bool:
        """Tell whether a world is like the state of these parts."""
        return isinstance(world.state, Open) and self.ids_of(world) == tuple(ids)

    def renamed(self, frame: Frame, part: Part, number: int) -> int:
        """Return what a part is called where generation and clock have moved on."""
        key = (frame, part, number)
        found = self._renamed.get(key)
        if found is None:
            values: list[Values | None] = [None] * len(Part)
            values[part] = self.values[part][number]
            world = put_together(self.like, values)
            found = self._renamed[key] = self._number(part, world, frame)
        return found

    def _number(self, part: Part, world: World, frame: Frame) -> int:
        key = key_of(world, part, frame)
        numbers = self.numbers[part]
        found = numbers.get(key)
        if found is None:
            found = numbers[key] = len(numbers)
            self.values[part].append(renamed(world, part, frame))
        return found

    def leaf(self, letter: Letter, world: World) -> Leaf:
        """Try every move that the letter lists."""
        self.evaluations += 1
        leaf = Leaf()
        outcomes: list[Outcome] = []
        for move in letter(world, self.bounds):
            leaf.moves_count += 1
            transition = _tried(world, move)
            if isinstance(transition, ImpossibleEvent):
                leaf.problem = (APPLICABLE, str(transition))
                break
            counted(transition, leaf.decided)
            self._ask_for_occasions(transition, leaf)
            if transition.after is world:
                continue
            leaf.problem = self.rules.broken_by(transition)
            if leaf.problem is not None:
                break
            outcomes.append(self._outcome(world, transition.after))
        leaf.outcomes = tuple(dict.fromkeys(outcomes))
        return leaf

    def _ask_for_occasions(self, transition: Transition, leaf: Leaf) -> None:
        for rule, happens in self.rules.sometimes.items():
            if rule not in self.happened:
                try:
                    if happens(transition):
                        self.happened.add(rule)
                except Looked:
                    leaf.open_questions.add(rule)

    def answer_questions(self, letter: Letter, leaf: Leaf, ids: Ids) -> None:
        """Ask for the occasions that hidden parts decide, of a world with everything shown."""
        leaf.open_questions -= self.happened
        if leaf.open_questions:
            world = self.world(ids)
            for move in letter(world, self.bounds):
                transition = moved(world, move)
                for rule in leaf.open_questions:
                    if self.rules.sometimes[rule](transition):
                        self.happened.add(rule)

    def _frame(self, world: World) -> Frame:
        lease = world.state.lease if isinstance(world.state, Open) else None
        return Frame(
            generation=GENERATION
            if lease is None or is_hidden((lease,), Part.LEASE)
            else lease.generation,
            now_ms=world.now_ms,
            floor_ms=self.bounds.floor_ms(world),
        )

    def _outcome(self, before: World, after: World) -> Outcome:
        if isinstance(after.state, Deleted):
            return Outcome((), is_end=True)
        frame = self._frame(after)
        is_other = frame != Frame(GENERATION, NOW_MS, self.bounds.floor_ms(before))
        changed: list[tuple[Part, int]] = []
        moved_on: list[Part] = []
        for part in Part:
            old, new = values_of(before, part), values_of(after, part)
            if part is Part.CREW:
                # Who holds the lease says who is the first of the crew.
                old, new = (
                    (*old, *values_of(before, Part.LEASE)),
                    (
                        *new,
                        *values_of(after, Part.LEASE),
                    ),
                )
            is_same = all(one is other for one, other in zip(old, new, strict=True))
            if is_same and not is_other:
                continue
            if part is not Part.CREW and is_hidden(new, part):
                moved_on.append(part)
            elif not (part is Part.CREW and is_same):
                changed.append((part, self._number(part, after, frame)))
        return Outcome(tuple(changed), frame if moved_on else _SAME, tuple(moved_on))


def _tried(world: World, move: Move) -> Transition | ImpossibleEvent:
    try:
        return moved(world, move)
    except ImpossibleEvent as refusal:
        return refusal
