"""
Goal: the front door shows every public name, and loads none before it is asked for.

Method: compare what type checkers read (``__init__.pyi``) with what runs, and look at what a fresh
interpreter has loaded after the import.
"""

import subprocess
import sys
from importlib import import_module

import pytest

import lash_es
from tests.front_door import FILE, STUB, listed, told, written


def printed(program: str) -> str:
    """Run a program in an interpreter of its own."""
    words = [sys.executable, "-c", program]
    return subprocess.run(words, capture_output=True, check=True, text=True).stdout.strip()


def test_type_checkers_are_told_what_is_there() -> None:
    stub, source = STUB.read_text("utf-8"), FILE.read_text("utf-8")

    # Is a name missing? See the docstring of ``tests/front_door.py``.
    assert told(stub) == lash_es._HOMES
    assert listed(stub) == lash_es.__all__
    assert written(source, told(stub)) == source


def test_a_name_that_is_told_wrongly_is_noticed() -> None:
    assert told("from lash_es.core.ids import B, A") == {"A": "core.ids", "B": "core.ids"}
    assert listed('__all__ = ["A"]') == ["A"]
    space: dict[str, object] = {}
    exec(written("x = 1\n_HOMES = {\n    'C': 'd',\n}\ny = 2\n", {"A": "b"}), space)
    assert (space["x"], space["_HOMES"], space["y"]) == (1, {"A": "b"}, 2)


def test_the_import_loads_nothing() -> None:
    program = "import sys, lash_es; print([n for n in sys.modules if n.startswith('lash_es.')])"

    assert printed(program) == "[]"
    assert "lash_es.core.ids" in printed(program.replace("lash_es;", "lash_es.core.ids;"))


def test_a_name_is_loaded_with_its_home_and_kept() -> None:
    program = (
        "import sys, lash_es\n"
        "mine = lash_es.SessionCursor\n"
        "print('SessionCursor' in vars(lash_es), 'lash_es.session.core' in sys.modules)"
    )

    assert printed(program) == "True False"


@pytest.mark.parametrize("name", sorted(lash_es._HOMES))
def test_a_public_name_is_the_one_of_its_home(name: str) -> None:
    home = import_module(f"lash_es.{lash_es._HOMES[name]}")

    assert getattr(lash_es, name) is getattr(home, name)


def test_star_import_brings_every_public_name() -> None:
    space: dict[str, object] = {}
    exec("from lash_es import *", space)

    assert {*lash_es.__all__} == space.keys() - {"__builtins__"}


def test_names_are_listed_before_they_are_loaded() -> None:
    assert {*lash_es.__all__} <= {*dir(lash_es)}
    assert printed("import lash_es; print('LashCore' in dir(lash_es))") == "True"


def test_a_name_that_is_not_there_is_refused() -> None:
    with pytest.raises(AttributeError, match="'lash_es' has no attribute 'LashCores'") as refusal:
        lash_es.LashCores  # type: ignore[attr-defined]  # noqa: B018

    assert refusal.value.name == "LashCores"
    with pytest.raises(ImportError, match="LashCores"):
        exec("from lash_es import LashCores")
