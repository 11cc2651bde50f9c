"""
Sets of states, and where the letters lead from them.

A state is a number for each of its parts. States that differ in queued work only are one *row*,
and the set of them is a number of bits, its *columns*. What did not look at the work is true of
a whole row at once; what looked is gone through column by column.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final, TypeAlias

from attrs import Factory, define, frozen

from lash_es.verify.bounds import Letter
from lash_es.verify.footprints import (
    COLUMN,
    ROW_BITS,
    Branch,
    Footprints,
    Ids,
    Leaf,
    Node,
    Question,
    Step,
)
from lash_es.verify.likeness import Frame
from lash_es.verify.parts import Part
from lash_es.verify.worlds import World

_MASK: Final = (1 << ROW_BITS) - 1
_SHIFTS: Final = tuple(ROW_BITS * part for part in Part if part is not COLUMN)

Rows: TypeAlias = dict[int, int]
"""The columns that there are of each row."""


def row_of(ids: Ids) -> int:
    """Return the row of a state."""
    row = 0
    for shift, number in zip(_SHIFTS, ids, strict=False):
        row |= number << shift
    return row


def ids_of(row: int) -> list[int]:
    """Return the numbers of a row's parts, with room for that of a column."""
    return [*[row >> shift & _MASK for shift in _SHIFTS], 0]


def bits_of(columns: int) -> Iterator[int]:
    """List the columns in a set of them."""
    while columns:
        low = columns & -columns
        yield low.bit_length() - 1
        columns ^= low


def lowest(columns: int) -> int:
    """Return the first column of a set."""
    return (columns & -columns).bit_length() - 1


@define(eq=False)
class Tree:
    """What a question comes to, by the parts that it looks at; ``letter`` is what is asked."""

    ask: Question
    letter: Letter | None = None
    root: Node = Factory(lambda: Branch(Part.CLOCK, frozenset({Part.CLOCK})))
    """The clock comes first: nearly everything looks at it, and it has few values."""


def tree_of(parts: Footprints, letter: Letter) -> Tree:
    """Make the tree of a letter, with nothing asked yet."""
    return Tree(partial(parts.leaf, letter), letter)


def judging(is_so: Callable[[World], bool]) -> Tree:
    """Make the tree of a judgement: its leaves have a move where it is so."""
    return Tree(lambda world: Leaf(moves_count=int(is_so(world))))


@define(eq=False)
class Plan:
    """
    What the letters come to in a row, as far as the columns do not matter: where it leads; and
    what is still to be asked of each column.
    """

    leaves: list[Leaf] = Factory(list[Leaf])
    targets: set[int] = Factory(set[int])
    renaming: set[tuple[int, Frame]] = Factory(set[tuple[int, Frame]])
    branches: list[tuple[Tree, Branch]] = Factory(list[tuple[Tree, Branch]])
    questions: list[tuple[Tree, Leaf]] = Factory(list[tuple[Tree, Leaf]])
    problem: tuple[str, str] | None = None
    is_end: bool = False


@frozen(eq=False)
class Spread:
    """Where a branch leads from some columns: kept of a row, put in, columns; and by what."""

    led: tuple[tuple[int, int, int], ...]
    leaves: tuple[tuple[Leaf, int], ...]
    is_end: bool
    troubled: tuple[tuple[Leaf, int], ...]
    """Of the leaves those with something wrong, or to be asked of whole worlds."""


@define(eq=False)
class Walk:
    """Goes through rows with letters."""

    parts: Footprints
    trees: Sequence[Tree]
    _plans: dict[int, Plan] = Factory(dict[int, Plan])
    _spreads: dict[tuple[Branch, int], Spread] = Factory(dict[tuple[Branch, int], Spread])
    _moved_on: dict[tuple[Frame, int], int] = Factory(dict[tuple[Frame, int], int])

    def plan(self, row: int, column: int) -> Plan:
        """Return the plan of a row; ``column`` is one that it has."""
        found = self._plans.get(row)
        if found is None:
            found = self._plans[row] = self._planned(row, column)
        return found

    def _planned(self, row: int, column: int) -> Plan:
        plan, ids = Plan(), ids_of(row)
        ids[COLUMN] = column
        for tree in self.trees:
            node = self.node(tree, ids)
            if isinstance(node, Branch):
                plan.branches.append((tree, node))
            else:
                self._add(plan, tree, node, row, ids)
        return plan

    def _add(self, plan: Plan, tree: Tree, leaf: Leaf, row: int, ids: list[int]) -> None:
        plan.leaves.append(leaf)
        plan.problem = plan.problem or leaf.problem
        if leaf.open_questions:
            plan.questions.append((tree, leaf))
        for step in leaf.steps:
            target = self.target(step, row, ids)
            if step.is_end:
                plan.is_end = True
            elif COLUMN in step.moved_on:
                plan.renaming.add((target, step.frame))
            else:
                plan.targets.add(target)

    def node(self, tree: Tree, ids: list[int]) -> Node:
        """Go down a tree to a leaf, or to where the column is looked at."""
        return self._down(tree, tree.root, ids)

    def _down(self, tree: Tree, node: Node, ids: list[int]) -> Node:
        while isinstance(node, Branch) and node.part is not COLUMN:
            node = self._child(tree, node, ids)
        return node

    def _child(self, tree: Tree, node: Branch, ids: list[int]) -> Node:
        child = node.children.get(ids[node.part])
        if child is None:
            child = self.parts.grown(tree.ask, ids, node.shown)
            node.children[ids[node.part]] = child
        return child

    def leaf(self, tree: Tree, branch: Branch, ids: list[int], column: int) -> Leaf:
        """Go down from where the column is looked at."""
        ids[COLUMN] = column
        node = self._down(tree, self._child(tree, branch, ids), ids)
        assert isinstance(node, Leaf)
        return node

    def target(self, step: Step, row: int, ids: Ids) -> int:
        """Return the row that a step leads to."""
        target = row & step.keep | step.put
        for part in step.moved_on:
            if part is not COLUMN:
                number = self.parts.renamed(step.frame, part, ids[part])
                target += (number - ids[part]) << ROW_BITS * part
        return target

    def columns(self, step: Step, columns: int) -> int:
        """Return the columns that a step leads to."""
        if step.column is not None:
            return 1 << step.column
        return self.moved_on(step.frame, columns) if COLUMN in step.moved_on else columns

    def moved_on(self, frame: Frame, columns: int) -> int:
        """Rename columns by a frame."""
        found = self._moved_on.get((frame, columns))
        if found is None:
            found = 0
            for column in bits_of(columns):
                found |= 1 << self.parts.renamed(frame, COLUMN, column)
            self._moved_on[(frame, columns)] = found
        return found

    def spread(self, tree: Tree, branch: Branch, ids: list[int], columns: int) -> Spread:
        """Say where a branch leads from these columns, and by which leaves."""
        found = self._spreads.get((branch, columns))
        return found or self._spread(tree, branch, ids, columns)

    def _spread(self, tree: Tree, branch: Branch, ids: list[int], columns: int) -> Spread:
        row = row_of(ids)
        led: dict[tuple[int, int], int] = {}
        leaves: list[tuple[Leaf, int]] = []
        is_true_of_all, is_end = True, False
        for column in bits_of(columns):
            leaf = self.leaf(tree, branch, ids, column)
            leaves.append((leaf, column))
            # What was looked at after the column may be another in another row.
            is_true_of_all &= branch.children[column] is leaf and not leaf.open_questions
            for step in leaf.steps:
                is_true_of_all &= not step.moved_on
                key = (step.keep, step.put)
                if step.moved_on:
                    key = (0, self.target(step, row, ids))
                is_end |= step.is_end
                if not step.is_end:
                    led[key] = led.get(key, 0) | self.columns(step, 1 << column)
        ends = tuple((keep, put, there) for (keep, put), there in led.items())
        troubled = [each for each in leaves if each[0].problem or each[0].open_questions]
        spread = Spread(ends, tuple(leaves), is_end, tuple(troubled))
        if is_true_of_all:
            self._spreads[(branch, columns)] = spread
        return spread
