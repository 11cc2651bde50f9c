"""The claims of the README that a machine can check: the matrix, and every name in it."""

import re
from pathlib import Path
from typing import Final

import lash_es
from tests.core.test_decision_matrix import MATRIX

ROOT: Final = Path(__file__).parent.parent
README: Final = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_matrix_is_the_one_that_is_compared_with_the_code() -> None:
    printed = re.search(r"<!-- matrix -->\s*```text\n(.*?)```", README, re.DOTALL)
    assert printed is not None
    assert printed[1].strip() == MATRIX.strip()


def test_every_test_that_a_claim_names_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", README)
    assert len(named) > 10
    missing = [
        f"{path}::{name}"
        for path, name in named
        if not (ROOT / path).is_file() or f"def {name}" not in (ROOT / path).read_text("utf-8")
    ]
    assert not missing


def test_every_file_that_is_named_exists() -> None:
    named = set(re.findall(r"`((?:lash_es|adr|benchmarks)/[\w./-]*)`", README))
    assert "lash_es/core/evolve.py" in named
    assert not [path for path in named if not (ROOT / path).exists()]


def test_the_smallest_program_uses_names_that_there_are() -> None:
    program = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert program is not None
    compile(program[1], "README.md", "exec")
    imported = re.search(r"from lash_es import (.*)", program[1])
    assert imported is not None
    assert not [name for name in imported[1].split(", ") if name not in lash_es.__all__]


def test_every_public_name_is_there() -> None:
    assert sorted(lash_es.__all__) == lash_es.__all__
    assert not [name for name in lash_es.__all__ if not hasattr(lash_es, name)]
