"""
How a state was come to: back through the levels of a search by rows, and then forward again with
worlds as they are, under their own names.
"""

from collections.abc import Sequence

from lash_es.core.errors import ImpossibleEvent
from lash_es.verify.alphabet import moves
from lash_es.verify.findings import APPLICABLE, Counterexample
from lash_es.verify.footprints import COLUMN
from lash_es.verify.levels import Search, Trouble
from lash_es.verify.printing import as_test
from lash_es.verify.rows import Rows, bits_of, ids_of, row_of
from lash_es.verify.worlds import Move, World, moved

Path = list[list[int]]
"""States from the first that is open, as the numbers of their parts."""


def told(search: Search, trouble: Trouble) -> Counterexample:
    """Go a shortest way to the trouble with worlds as they are, and tell it."""
    world, history, because = search.start, list[Move](), trouble.because
    for ids in _path_to(search, trouble.depth, trouble.ids):
        move, world = _towards(search, world, ids)
        history.append(move)
    if trouble.is_move:
        move, because = _breaking(search, world, trouble.rule)
        history.append(move)
    text = as_test(trouble.rule, because, search.start, history)
    return Counterexample(rule=trouble.rule, because=because, history=tuple(history), text=text)


def _path_to(search: Search, depth: int, ids: Sequence[int]) -> Path:
    """
    Find a shortest way to a state that was new at a depth.

    Cost: every level is gone through again, until the state that led on is found.
    """
    path = [list(ids)]
    for level in reversed(search.levels[: depth - 1]):
        path.append(_origin(search, level, path[-1]))
    return path[::-1]


def _origin(search: Search, level: Rows, ids: Sequence[int]) -> list[int]:
    target, column = row_of(ids), ids[COLUMN]
    for row, columns in level.items():
        found: Rows = {}
        search.spread(row, columns, found)
        if not found.get(target, 0) >> column & 1:
            continue
        for each in bits_of(columns):
            found = {}
            search.spread(row, 1 << each, found)
            if found.get(target, 0) >> column & 1:
                return [*ids_of(row)[:COLUMN], each]
    raise AssertionError(f"nothing leads to {ids}")


def _towards(search: Search, world: World, ids: Sequence[int]) -> tuple[Move, World]:
    """Find a move to a world that is like this state: what is alike leads to what is alike."""
    for move in moves(world, search.bounds, search.alphabet):
        try:
            after = moved(world, move).after
        except ImpossibleEvent:
            continue
        if after is not world and search.walk.parts.is_like(after, ids):
            return move, after
    raise AssertionError(f"nothing leads to {ids} from {world}")


def _breaking(search: Search, world: World, rule: str) -> tuple[Move, str]:
    for move in moves(world, search.bounds, search.alphabet):
        try:
            problem = search.rules.broken_by(moved(world, move))
        except ImpossibleEvent as refusal:
            problem = (APPLICABLE, str(refusal))
        if problem is not None and problem[0] == rule:
            return move, problem[1]
    raise AssertionError(f"nothing breaks {rule!r} in {world}")
