"""FAULT-13: every scenario runs on every store, and none is skipped."""

import importlib
from pathlib import Path

from tests.postgres import test_postgres_scenarios

HERE = Path(__file__).parent
WITHOUT_A_STORE = {"test_backends", "test_sharp_edges"}
"""What is about the scenarios, and opens nothing."""


def scenario_names() -> set[str]:
    modules = {path.stem for path in HERE.glob("test_*.py")} - WITHOUT_A_STORE
    assert {"test_commit"} <= modules
    return {
        name
        for module in modules
        for name in vars(importlib.import_module(f"tests.scenarios.{module}"))
        if name.startswith("test_")
    }


def test_fault_13_every_scenario_runs_on_postgresql_too() -> None:
    assert scenario_names() - vars(test_postgres_scenarios).keys() == set()


def test_fault_13_no_scenario_is_skipped_or_expected_to_fail() -> None:
    marks = ("pytest.mark.skip", "pytest.skip", "xfail", "importorskip")
    texts = {path.name: path.read_text("utf-8") for path in HERE.glob("*.py")}
    del texts["test_backends.py"]

    assert len(texts) > 2
    assert [name for name, text in texts.items() for mark in marks if mark in text] == []
