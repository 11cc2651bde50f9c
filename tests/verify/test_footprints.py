"""
Goal: nobody looks at a hidden part unnoticed, and what did not look is true whatever is there.
"""

from collections.abc import Callable

import pytest

from lash_es.core.turns import NO_TURN, OpenTurn
from lash_es.verify.alphabet import Bounds, moves
from lash_es.verify.findings import Rules
from lash_es.verify.footprints import Branch, Footprints, Leaf
from lash_es.verify.lease_letters import acquires
from lash_es.verify.parts import HIDDEN, Looked, Part, is_hidden
from lash_es.verify.worlds import begin, moved

LOOKING: dict[str, Callable[[object], object]] = {
    "at a field": lambda hidden: hidden.batches,  # type: ignore[attr-defined]
    "at its class": lambda hidden: isinstance(hidden, OpenTurn),
    "for equality": lambda hidden: hidden == NO_TURN,
    "from the other side": lambda hidden: hidden == NO_TURN,
    "for order": lambda hidden: max(1, hidden),  # type: ignore[call-overload]
    "for truth": bool,
    "for a number": len,  # type: ignore[dict-item]
    "at all": list,  # type: ignore[dict-item]
    "for one": lambda hidden: 1 in hidden,  # type: ignore[operator]
    "at one": lambda hidden: hidden[0],  # type: ignore[index]
    "to count on": lambda hidden: hidden + 1,  # type: ignore[operator]
    "to look it up": lambda hidden: {hidden: 1},
    "to write it": repr,
    "to change it": lambda hidden: setattr(hidden, "turn", NO_TURN),
}


@pytest.mark.parametrize("how", LOOKING)
def test_every_way_to_look_is_noticed(how: str) -> None:
    with pytest.raises(Looked) as noticed:
        LOOKING[how](HIDDEN[Part.TURN])

    assert noticed.value.part is Part.TURN


def test_what_is_handed_on_is_not_looked_at_and_what_is_half_replaced_is() -> None:
    hidden = HIDDEN[Part.TURN]

    assert is_hidden((hidden, hidden), Part.TURN)
    assert not is_hidden((NO_TURN, ()), Part.TURN)
    with pytest.raises(Looked):
        is_hidden((hidden, NO_TURN), Part.TURN)


def test_a_letter_of_the_lease_looks_at_the_lease_and_those_who_may_have_it() -> None:
    start = begin("alice", "bob")
    opened = moved(start, next(iter(moves(start, Bounds())))).after
    parts = Footprints(start, Bounds(), Rules(sometimes={}))
    ids = parts.ids_of(opened)

    node = parts.grown(lambda world: parts.leaf(acquires, world), ids, frozenset())
    shown: set[Part] = set()
    while isinstance(node, Branch):
        shown.add(node.part)
        (node,) = node.children.values()

    assert shown == {Part.CLOCK, Part.LEASE, Part.CREW}
    assert isinstance(node, Leaf)
    assert node.decided == {("AcquireLease", "LeaseAcquired"): 2}
    # Who takes it does not count, so both lead to one state; the work is renamed by itself.
    assert len(node.outcomes) == 1
    assert Part.WORK in node.outcomes[0].moved_on
