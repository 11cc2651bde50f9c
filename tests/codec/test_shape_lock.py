"""No stored shape changes unannounced."""

from collections.abc import Mapping
from enum import Enum
from typing import get_args

from attrs import frozen

from lash_es.codec.wire_names import BODY_TYPES, EVENT_NAMES
from lash_es.core.events import Event
from tests.codec import shape_lock


class Colour(Enum):
    RED = "red"


@frozen
class Leaf:
    colour: Colour


@frozen
class Tree:
    parts: tuple[Leaf, ...]
    part: Leaf | None
    names: Mapping[str, int]
    details: Mapping[str, int | str] | None


def test_every_stored_shape_is_the_one_that_is_locked() -> None:
    locked = shape_lock.FILE.read_text("utf-8").splitlines()

    # Meant? Then see the docstring of the lock: what was released gets a new version first.
    assert shape_lock.lines() == locked


def test_the_lock_tells_every_field_apart() -> None:
    assert shape_lock.shapes(Tree) == [
        "Colour: red",
        "Leaf(colour: Colour)",
        "Tree(details: json | none, names: map[str, int], part: Leaf | none, parts: list[Leaf])",
    ]


def test_the_lock_holds_every_event_and_body() -> None:
    locked = shape_lock.FILE.read_text("utf-8")
    for kind, (name, version) in (*EVENT_NAMES.items(), *BODY_TYPES.items()):
        assert f"\n{name} v{version}: {kind.__name__}\n" in locked
        assert f"\n{kind.__name__}(" in locked
    assert set(EVENT_NAMES) == set(get_args(Event))
