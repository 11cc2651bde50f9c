"""
Goal: no pure floor reaches the world, or lets an accident of the machine into the log.

Imports are refused by the contracts in ``pyproject.toml``. What needs no import is refused here,
by reading the source: builtins that open, print, ask or depend on the process; iteration over a
set, whose order follows the hash seed; and time in floats, which a header does not hold.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import lash_es

PURE_FLOORS = ("core", "codec", "turns", "projections")

WORLDLY = {"open", "print", "hash", "id", "input", "eval", "exec", "breakpoint", "__import__"}
# It compiles constructors from field names, once, at import: what attrs does for every class.
COMPILERS = {"core/makers.py": ["exec reaches the world"]}
ORDERING = {"list", "tuple", "iter", "enumerate", "zip", "map", "filter", "join"}
TIME_NAME = re.compile(r"(^|_)(ms|ns|us|seconds|time|timeout|deadline|duration|at)$")


def is_set(node: ast.AST) -> bool:
    return isinstance(node, ast.Set | ast.SetComp) or (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"set", "frozenset"}
    )


def iterated(node: ast.AST) -> Iterator[ast.AST]:
    """The values whose order this node brings to light."""
    match node:
        case ast.For(iter=source) | ast.comprehension(iter=source):
            yield source
        case ast.Starred(value=source) | ast.YieldFrom(value=source):
            yield source
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in ORDERING:
            yield from node.args


def times_in_floats(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation):
            pass
        case ast.arg(arg=name, annotation=annotation):
            pass
        case ast.FunctionDef(name=name, returns=annotation):
            pass
        case _:
            return
    if annotation and TIME_NAME.search(name) and "float" in ast.unparse(annotation):
        yield f"{name} is time in floats"


def impurities(source: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in WORLDLY:
            found.append(f"{node.id} reaches the world")
        found.extend("iterates over a set" for value in iterated(node) if is_set(value))
        found.extend(times_in_floats(node))
    return found


def pure_modules() -> list[Path]:
    package = Path(lash_es.__file__).parent
    return sorted(path for floor in PURE_FLOORS for path in (package / floor).rglob("*.py"))


@pytest.mark.parametrize("module", pure_modules(), ids=lambda path: "/".join(path.parts[-2:]))
def test_pure_floors_reach_nothing(module: Path) -> None:
    expected = COMPILERS.get("/".join(module.parts[-2:]), [])

    assert impurities(module.read_text("utf-8")) == expected


def test_every_pure_floor_was_read() -> None:
    package = Path(lash_es.__file__).parent

    assert {path.relative_to(package).parts[0] for path in pure_modules()} == set(PURE_FLOORS)


@pytest.mark.parametrize("name", sorted(WORLDLY))
def test_a_worldly_builtin_is_caught(name: str) -> None:
    assert impurities(f"{name}(x)") == [f"{name} reaches the world"]
    assert impurities(f"alias = {name}") == [f"{name} reaches the world"]


@pytest.mark.parametrize(
    "planted",
    [
        "for x in {1, 2}: pass",
        "for x in set(y): pass",
        "z = [x for x in frozenset(y)]",
        "z = {x: 1 for x in {y for y in w}}",
        "z = tuple({1, 2})",
        "z = ','.join(set(y))",
        "z = [*set(y)]",
    ],
)
def test_iteration_over_a_set_is_caught(planted: str) -> None:
    assert impurities(planted) == ["iterates over a set"]


@pytest.mark.parametrize(
    "planted",
    [
        "class C:\n    lease_ttl_ms: float",
        "def f(at: float | None): pass",
        "def deadline() -> float: pass",
    ],
)
def test_time_in_floats_is_caught(planted: str) -> None:
    assert len(impurities(planted)) == 1


@pytest.mark.parametrize(
    "innocent",
    [
        "z = sorted({1, 2})",
        "z = x in {1, 2}",
        "z = len(set(y))",
        "class C:\n    id: str\n    lease_ttl_ms: int\n    temperature: float",
        "log.open(session.id)",
    ],
)
def test_what_depends_on_nothing_is_left_alone(innocent: str) -> None:
    assert impurities(innocent) == []
