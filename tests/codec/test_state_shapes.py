"""The fingerprint changes with every shape of the state, and no shape changes unannounced."""

from collections.abc import Mapping
from enum import Enum
from typing import Literal, NewType

import pytest
from attrs import frozen

from lash_es.codec.state_shapes import fingerprint, fingerprint_of, shapes_of, state_shapes
from lash_es.core.state import EVOLVE_VERSION
from tests.codec import state_lock

Name = NewType("Name", str)


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@frozen
class Leaf:
    colour: Colour


@frozen
class Twig:
    name: Name


@frozen
class Tree:
    parts: tuple[Leaf, ...]
    part: Leaf | Twig | None
    by_name: Mapping[Name, Twig]


def test_the_state_is_the_one_that_is_locked() -> None:
    locked = state_lock.FILE.read_text("utf-8").splitlines()

    # Meant? Then see the docstring of the lock: it says what has to be raised and written first.
    assert state_lock.lines() == locked


def test_every_class_of_a_state_has_its_line() -> None:
    assert shapes_of(Tree) == (
        "Colour: red blue",
        "Leaf(colour: Colour)",
        "Tree(parts: list[Leaf], part: Leaf | Twig | none, by_name: map[str, Twig])",
        "Twig(name: str)",
    )
    assert {"Open", "Deleted", "OpenTurn", "PendingInput", "ResultRef"} <= {
        line.split("(")[0] for line in state_shapes()
    }


def test_a_shape_that_no_snapshot_can_hold_is_refused() -> None:
    @frozen
    class Vague:
        what: Literal["a"]

    with pytest.raises(TypeError):
        shapes_of(Vague)


def test_the_fingerprint_is_of_the_shapes_and_of_evolve() -> None:
    shapes = state_shapes()
    changed = (*shapes[:-1], f"{shapes[-1]} more")

    assert fingerprint() == fingerprint_of(EVOLVE_VERSION, shapes)
    assert len(fingerprint()) == 32
    different = {
        fingerprint(),
        fingerprint_of(EVOLVE_VERSION + 1, shapes),
        fingerprint_of(EVOLVE_VERSION, changed),
        fingerprint_of(EVOLVE_VERSION, shapes[1:]),
    }
    assert len(different) == 4
