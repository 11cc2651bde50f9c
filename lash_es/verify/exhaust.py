"""
Try everything, as ``explore.py`` does, by sets of states at a time.

What a letter comes to is found out once for all states that agree in what it looks at
(``footprints.py``), and gone on from for many states at once (``rows.py``). It goes breadth first
by levels, so that states, transitions, depths and the lengths of counterexamples are those of the
plain search: nothing is left out, and nothing taken for alike that is not there.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from lash_es.verify.alphabet import ALPHABET, Bounds, Letter
from lash_es.verify.findings import Report, Rules, by_command, by_fact
from lash_es.verify.levels import Search
from lash_es.verify.tracing import told
from lash_es.verify.worlds import World

_NONE: Final = Counter[tuple[str, str]]()


def exhaust(
    start: World,
    bounds: Bounds | None = None,
    *,
    alphabet: Sequence[Letter] = ALPHABET,
    rules: Rules | None = None,
) -> Report:
    """
    Search as ``explore.explore`` does, and report the same.

    Args:
        start: ``worlds.begin(...)``: a session that was not opened.
        bounds: how much of everything.
        alphabet: what may be asked.
        rules: what is expected; the defaults are those of ``properties.py``.

    Cost: a decision for each letter and each set of parts that it looks at; some hundred bytes a
    row and a level, a bit a state.
    """
    search = Search(
        start=start, bounds=bounds or Bounds(), alphabet=alphabet, rules=rules or Rules()
    )
    trouble = search.run()
    transitions, decided = search.counts() if trouble is None else (0, _NONE)
    return Report(
        states=search.states,
        transitions=transitions,
        depth=search.depth,
        is_exhausted=trouble is None and search.is_at_end,
        decided=by_command(decided),
        evolved=by_fact(decided),
        never=search.never,
        counterexample=None if trouble is None else told(search, trouble),
    )
