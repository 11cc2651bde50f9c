"""From which states a good one can be reached: backwards, by sweeps over rows of states."""

from collections.abc import Callable
from typing import TypeAlias

from lash_es.verify.footprints import COLUMN, Branch
from lash_es.verify.rows import Plan, Rows, Walk, bits_of, ids_of, judging, lowest
from lash_es.verify.worlds import World

Saving: TypeAlias = Callable[[Walk, Rows, int, int], int]


def lost_states(walk: Walk, reached: Rows, is_good: Callable[[World], bool]) -> Rows:
    """
    Return the states from which no good one can be reached without deleting the session.

    Cost: a sweep goes through the states that are not saved yet; there are as many as it takes.
    """
    good = _good(walk, reached, is_good)
    newest_first = list(reversed(reached.items()))
    while _sweep(walk, newest_first, good, _by_rows) or _sweep(
        walk, newest_first, good, _by_columns
    ):
        pass
    lost = ((row, columns & ~good.get(row, 0)) for row, columns in reached.items())
    return {row: columns for row, columns in lost if columns}


def _sweep(walk: Walk, rows: list[tuple[int, int]], good: Rows, saving: Saving) -> bool:
    """Save what leads to what is good; say whether there was any."""
    is_more = False
    for row, columns in rows:
        todo = columns & ~good.get(row, 0)
        saved = saving(walk, good, row, todo) if todo else 0
        if saved:
            good[row] = good.get(row, 0) | saved
            is_more = True
    return is_more


def _good(walk: Walk, reached: Rows, is_good: Callable[[World], bool]) -> Rows:
    tree, good = judging(is_good), Rows()
    for row, columns in reached.items():
        ids = ids_of(row)
        ids[COLUMN] = lowest(columns)
        node = walk.node(tree, ids)
        if isinstance(node, Branch):
            good[row] = sum(
                1 << column
                for column in bits_of(columns)
                if walk.leaf(tree, node, ids, column).moves_count
            )
        elif node.moves_count:
            good[row] = columns
    return good


def _by_rows(walk: Walk, good: Rows, row: int, todo: int) -> int:
    """Return those of the states that lead to a good one whatever their work is."""
    saved = 0
    for target in walk.plan(row, lowest(todo)).targets:
        saved |= todo & good.get(target, 0)
    return saved


def _by_columns(walk: Walk, good: Rows, row: int, todo: int) -> int:
    """Return those of the states that lead to a good one, one by one."""
    plan = walk.plan(row, lowest(todo))
    saved = (column for column in bits_of(todo) if _is_saved(walk, plan, good, row, column))
    return sum(1 << column for column in saved)


def _is_saved(walk: Walk, plan: Plan, good: Rows, row: int, column: int) -> bool:
    for target, frame in plan.renaming:
        if walk.moved_on(frame, 1 << column) & good.get(target, 0):
            return True
    for tree, branch in plan.branches:
        spread = walk.spread(tree, branch, ids_of(row), 1 << column)
        if any(there & good.get(row & keep | put, 0) for keep, put, there in spread.led):
            return True
    return False
