"""
Search by levels: all rows of states that are new at a depth, and all that they lead to.

It keeps every level, so that the way to a state can be found again (``tracing.py``).
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from attrs import Factory, define, frozen

from lash_es.core.state import Deleted
from lash_es.verify.alphabet import moves
from lash_es.verify.bounds import Bounds, Letter
from lash_es.verify.findings import LOST, Rules, counted
from lash_es.verify.footprints import COLUMN, Branch, Footprints, Leaf
from lash_es.verify.returning import lost_states
from lash_es.verify.rows import (
    Plan,
    Rows,
    Tree,
    Walk,
    bits_of,
    ids_of,
    lowest,
    row_of,
    tree_of,
)
from lash_es.verify.worlds import World, moved


@frozen(kw_only=True)
class Trouble:
    """
    A rule that does not hold, at a state that was new at a depth: by a move from there
    (``is_move``), or of the state itself.
    """

    rule: str
    because: str
    depth: int
    ids: tuple[int, ...]
    is_move: bool


class _Broken(Exception):
    def __init__(self, ids: Sequence[int], problem: tuple[str, str]) -> None:
        super().__init__(problem)
        self.ids, self.problem = ids, problem


@define(kw_only=True)
class Search:
    """
    The states so far, as rows; ``levels`` holds those that were new at each depth, from 1.

    The session that was not opened is a state of its own, and so is the deleted one, which is
    first found at depth ``deleted_at``.
    """

    start: World
    bounds: Bounds
    alphabet: Sequence[Letter]
    rules: Rules
    walk: Walk = Factory(
        lambda self: _walk(self.start, self.bounds, self.alphabet, self.rules), takes_self=True
    )
    reached: Rows = Factory(dict[int, int])
    levels: list[Rows] = Factory(list[Rows])
    states: int = 1
    deleted_at: int = 0

    @property
    def is_at_end(self) -> bool:
        """Nothing is new."""
        return not self.levels[-1]

    @property
    def depth(self) -> int:
        """How many moves the longest of the shortest histories has."""
        return max(sum(map(bool, self.levels)), self.deleted_at)

    @property
    def never(self) -> tuple[str, ...]:
        """List what was to happen sometimes and did not."""
        happened = self.walk.parts.happened
        return tuple(rule for rule in self.rules.sometimes if rule not in happened)

    def run(self) -> Trouble | None:
        """Go on by levels until there is nothing new, or something is wrong."""
        try:
            self.levels.append(self._opened())
            while self.levels[-1] and not self._is_enough():
                self.levels.append(self._next_level(self.levels[-1]))
        except _Broken as broken:
            rule, because = broken.problem
            return Trouble(
                rule=rule,
                because=because,
                depth=len(self.levels),
                ids=tuple(broken.ids),
                is_move=True,
            )
        return self._lost() if self.is_at_end else None

    def _is_enough(self) -> bool:
        return self.states >= self.bounds.states_max or len(self.levels) >= self.bounds.depth_max

    def _opened(self) -> Rows:
        """Take the first steps one by one: what is not opened has no parts."""
        found: Rows = {}
        for move in moves(self.start, self.bounds, self.alphabet):
            transition = moved(self.start, move)
            if transition.after is not self.start:
                ids = self.walk.parts.ids_of(transition.after)
                found[row_of(ids)] = 1 << ids[COLUMN]
        return self._new(found)

    def _next_level(self, level: Rows) -> Rows:
        found: Rows = {}
        for row, columns in level.items():
            self.spread(row, columns, found)
        return self._new(found)

    def _new(self, found: Rows) -> Rows:
        new: Rows = {}
        for row, columns in found.items():
            known = self.reached.get(row, 0)
            more = columns & ~known
            if more:
                new[row] = more
                self.reached[row] = known | more
                self.states += more.bit_count()
        return new

    def spread(self, row: int, columns: int, found: Rows) -> None:
        """Add to ``found`` where every letter leads from these states."""
        plan = self.walk.plan(row, lowest(columns))
        self._require(plan.problem, row, lowest(columns))
        self._note_end(is_end=plan.is_end)
        if plan.questions:
            self._answer(plan, row, columns)
        for target in plan.targets:
            found[target] = found.get(target, 0) | columns
        for target, frame in plan.renaming:
            found[target] = found.get(target, 0) | self.walk.moved_on(frame, columns)
        for tree, branch in plan.branches:
            self._spread_columns(tree, branch, row, columns, found)

    def _spread_columns(
        self, tree: Tree, branch: Branch, row: int, columns: int, found: Rows
    ) -> None:
        spread = self.walk.spread(tree, branch, ids_of(row), columns)
        self._note_end(is_end=spread.is_end)
        for leaf, column in spread.troubled:
            self._require(leaf.problem, row, column)
            self._ask(tree, leaf, row, 1 << column)
        for keep, put, there in spread.led:
            target = row & keep | put
            found[target] = found.get(target, 0) | there

    def _require(self, problem: tuple[str, str] | None, row: int, column: int) -> None:
        if problem is not None:
            raise _Broken([*ids_of(row)[:COLUMN], column], problem)

    def _answer(self, plan: Plan, row: int, columns: int) -> None:
        for tree, leaf in plan.questions:
            self._ask(tree, leaf, row, columns)
        plan.questions = [each for each in plan.questions if each[1].open_questions]

    def _ask(self, tree: Tree, leaf: Leaf, row: int, columns: int) -> None:
        ids = ids_of(row)
        for column in bits_of(columns):
            ids[COLUMN] = column
            assert tree.letter is not None
            self.walk.parts.answer_questions(tree.letter, leaf, ids)

    def _note_end(self, *, is_end: bool) -> None:
        if is_end and not self.deleted_at:
            self.deleted_at = len(self.levels) + 1
            self.states += 1

    def _lost(self) -> Trouble | None:
        """Find a state, one of the nearest, from which no good one can be reached."""
        for rule, is_good in self.rules.eventually.items():
            lost = lost_states(self.walk, self.reached, is_good)
            for depth, level in enumerate(self.levels, start=1):
                for row, columns in level.items():
                    if columns & lost.get(row, 0):
                        ids = (*ids_of(row)[:COLUMN], lowest(columns & lost[row]))
                        return Trouble(
                            rule=rule, because=LOST, depth=depth, ids=ids, is_move=False
                        )
        return None

    def counts(self) -> tuple[int, Counter[tuple[str, str]]]:
        """Count the transitions from all states, and commands by their answers."""
        transitions = 0
        decided: Counter[tuple[str, str]] = Counter()
        for world in self._ends():
            for move in moves(world, self.bounds, self.alphabet):
                transitions += 1
                counted(moved(world, move), decided)
        hits: Counter[Leaf] = Counter()
        for leaf, count in self._hits():
            hits[leaf] += count
        for leaf, count in hits.items():
            transitions += leaf.moves_count * count
            for answer, times in leaf.decided.items():
                decided[answer] += times * count
        return transitions, decided

    def _hits(self) -> Iterator[tuple[Leaf, int]]:
        """Count the states in which each leaf is what a letter came to."""
        for row, reached in self.reached.items():
            # What was new at last was not gone on from, if the search was cut short.
            columns = reached & ~self.levels[-1].get(row, 0)
            if not columns:
                continue
            plan, count = self.walk.plan(row, lowest(columns)), columns.bit_count()
            for leaf in plan.leaves:
                yield leaf, count
            for tree, branch in plan.branches:
                for leaf, _ in self.walk.spread(tree, branch, ids_of(row), columns).leaves:
                    yield leaf, 1

    def _ends(self) -> Iterator[World]:
        """Return the world that was not opened, and a deleted one if there was one."""
        yield self.start
        world = self.start
        for _ in range(2) if self.deleted_at else ():
            steps = (moved(world, move).after for move in moves(world, self.bounds, self.alphabet))
            ahead = [after for after in steps if after is not world]
            deleted = [after for after in ahead if isinstance(after.state, Deleted)]
            world = (deleted or ahead)[0]
            yield from deleted[:1]


def _walk(start: World, bounds: Bounds, alphabet: Sequence[Letter], rules: Rules) -> Walk:
    parts = Footprints(start, bounds, rules)
    return Walk(parts, [tree_of(parts, letter) for letter in alphabet])
