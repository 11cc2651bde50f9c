"""What a process of a soak did and saw, as lines that whoever judges reads back afterwards."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from tests.soak.plans import Tell

Line: TypeAlias = list[str | int]


@contextmanager
def ledger(path: Path) -> Iterator[Tell]:
    """Open a file of one's own."""
    with path.open("w", encoding="utf-8") as file:

        def tell(*words: str | int) -> None:
            file.write(f"{json.dumps(words)}\n")

        yield tell


def lines(path: Path) -> Iterator[Line]:
    """Read one back."""
    with path.open(encoding="utf-8") as file:
        for each in file:
            line: Line = json.loads(each)
            yield line
