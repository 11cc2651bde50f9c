"""
Which tests are altered: a sample, by a seed, of those that prove a sharp edge or bear the id of a
scenario.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Final

from attrs import frozen

from tests.altered.altering import Alteration, alterations, named
from tests.scenarios.test_sharp_edges import EDGES

TESTS: Final = Path(__file__).parents[1]
SCENARIOS: Final = "scenarios"


@frozen(order=True)
class Test:
    """A test, by the file it is in, below ``tests``, and its name."""

    __test__ = False  # For pytest, which takes it for one of its own.

    file: str
    name: str

    def __str__(self) -> str:
        return f"{self.file}::{self.name}"


@frozen(kw_only=True)
class Altered:
    """A test's file with one expectation altered, and where."""

    test: Test
    alteration: Alteration
    source: str


def everything() -> list[Test]:
    """List all tests that may be sampled, in order; each is there once."""
    return sorted({*_edges(), *_scenarios()})


def _edges() -> Iterator[Test]:
    for place in EDGES.values():
        yield Test(*place.split("::"))


def _scenarios() -> Iterator[Test]:
    indexes = {"test_backends.py", "test_sharp_edges.py"}
    for path in sorted((TESTS / SCENARIOS).glob("test_*.py")):
        if path.name not in indexes:
            for node in ast.parse(path.read_text("utf-8")).body:
                if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                    yield Test(f"{SCENARIOS}/{path.name}", node.name)


def places(test: Test, root: Path = TESTS) -> tuple[ast.Module, list[Alteration]]:
    """Read a test, and find what it expects."""
    tree = ast.parse((root / test.file).read_text("utf-8"))
    return tree, alterations(named(tree, test.name))


def altered(test: Test, chance: Random, root: Path = TESTS) -> Altered:
    """
    Alter one place of a test: a literal, if it expects one.

    Raises:
        LookupError: it expects nothing that could be altered.
    """
    tree, found = places(test, root)
    if not found:
        raise LookupError(f"{test} expects nothing that could be altered")
    chosen = chance.choice([each for each in found if each.is_literal] or found)
    chosen.do()
    return Altered(test=test, alteration=chosen, source=f"{ast.unparse(tree)}\n")


def sample(count: int, seed: int) -> list[Altered]:
    """Choose tests, and of each what is altered; the same for the same seed and the same tests."""
    chance = Random(seed)
    return [altered(test, chance) for test in chance.sample(everything(), count)]
