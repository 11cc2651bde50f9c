"""
The table of public names, from the stub that says the same: ``python -m tests.front_door``.

A new public name is imported in ``lash_es/__init__.pyi`` and listed in its ``__all__``; then this
writes its line into ``lash_es/__init__.py``.
"""

import ast
import re
from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).parent.parent / "lash_es" / "__init__.py"
STUB: Final = FILE.with_suffix(".pyi")
_TABLE: Final = re.compile(r"^_HOMES = \{\n(?:    .*\n)*\}\n", re.MULTILINE)


def told(stub: str) -> dict[str, str]:
    """Read which name a stub imports from where, in alphabetical order."""
    found = {
        alias.name: node.module.removeprefix("lash_es.")
        for node in ast.parse(stub).body
        if isinstance(node, ast.ImportFrom) and node.module is not None
        for alias in node.names
    }
    return dict(sorted(found.items()))


def listed(stub: str) -> list[str]:
    """Read what a stub says that ``import *`` brings."""
    (found,) = (
        node.value
        for node in ast.parse(stub).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    )
    names: list[str] = ast.literal_eval(found)
    return names


def written(source: str, homes: dict[str, str]) -> str:
    """Put a table into the source in the place of the one that is there."""
    lines = "".join(f'    "{name}": "{home}",\n' for name, home in homes.items())
    return _TABLE.sub(f"_HOMES = {{\n{lines}}}\n", source, count=1)


if __name__ == "__main__":
    FILE.write_text(written(FILE.read_text("utf-8"), told(STUB.read_text("utf-8"))), "utf-8")
