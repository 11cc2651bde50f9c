"""
Goal: the shape of the repository stays as drawn, without a reviewer having to measure it.

The top level holds only what is named here; functions and files stay small enough to be read at
once; and no module has a name that says nothing about what it owns.
"""

import ast
import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOP_LEVEL = {
    ".ci",
    ".git",
    ".gitignore",
    "LICENSE",
    "README.md",
    "adr",
    "benchmarks",
    "examples",
    "lash_es",
    "pyproject.toml",
    "tests",
}
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 400
# They are tables: as long as the vocabulary, a line or two an arm.
TABLES = {("decide.py", "_decide_open"), ("evolve.py", "_evolve_open")}
VAGUE_NAMES = {"utils", "helpers", "manager", "service", "base", "common", "types"}

MODULES = sorted((ROOT / "lash_es").rglob("*.py"))


def strangers(entries: set[str], ignored: str) -> set[str]:
    """What lies at the top level and is neither expected nor made by a tool."""
    patterns = [line.rstrip("/") for line in ignored.splitlines() if line[:1] not in {"", "#"}]
    return {
        entry
        for entry in entries - TOP_LEVEL
        if not any(fnmatch.fnmatch(entry, pattern) for pattern in patterns)
    }


def oversizes(file_name: str, source: str) -> list[str]:
    lines = len(source.splitlines())
    found = [f"{lines} lines, at most {FILE_LINES_MAX}"] if lines > FILE_LINES_MAX else []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES_MAX and (file_name, node.name) not in TABLES:
                found.append(f"{node.name}: {length} lines, at most {FUNCTION_LINES_MAX}")
    return found


def vague(modules: list[Path]) -> list[Path]:
    return [path for path in modules if {path.stem, path.stem.strip("_")} & VAGUE_NAMES]


def vague_packages(modules: list[Path]) -> list[Path]:
    return vague([path.parent for path in modules if path.name == "__init__.py"])


def test_the_top_level_holds_only_what_is_named() -> None:
    entries = {path.name for path in ROOT.iterdir()}

    assert strangers(entries, (ROOT / ".gitignore").read_text("utf-8")) == set()


def test_a_stranger_at_the_top_level_is_caught() -> None:
    entries = {"lash_es", ".venv", "a.db", "setup.py", "docs"}

    assert strangers(entries, "# tools\n\n.venv/\n*.db\n") == {"setup.py", "docs"}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: "/".join(path.parts[-2:]))
def test_functions_and_files_can_be_read_at_once(module: Path) -> None:
    assert oversizes(module.name, module.read_text("utf-8")) == []


def function_of(lines: int, name: str = "f") -> str:
    return f"def {name}():\n" + "    pass\n" * (lines - 1)


def test_a_long_function_is_caught() -> None:
    assert oversizes("inputs.py", function_of(70)) == []
    assert oversizes("inputs.py", function_of(71)) == ["f: 71 lines, at most 70"]
    assert oversizes("inputs.py", "async " + function_of(71)) == ["f: 71 lines, at most 70"]


def test_only_the_two_tables_may_be_long() -> None:
    assert oversizes("decide.py", function_of(300, "_decide_open")) == []
    assert oversizes("evolve.py", function_of(300, "_evolve_open")) == []
    assert oversizes("inputs.py", function_of(300, "_decide_open")) != []
    assert oversizes("decide.py", function_of(300, "cancel")) != []


def test_a_long_file_is_caught() -> None:
    assert oversizes("inputs.py", "x = 1\n" * 400) == []
    assert oversizes("inputs.py", "x = 1\n" * 401) == ["401 lines, at most 400"]


def test_module_names_say_what_they_own() -> None:
    assert vague(MODULES) + vague_packages(MODULES) == []


def test_a_vague_name_is_caught() -> None:
    planted = [Path("core/_utils.py"), Path("common/__init__.py"), Path("core/inputs.py")]

    assert vague(planted) == [Path("core/_utils.py")]
    assert vague_packages(planted) == [Path("common")]


def test_types_are_shipped() -> None:
    assert (ROOT / "lash_es" / "py.typed").exists()
