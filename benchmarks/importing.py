"""G14: what ``import lash_es`` costs a fresh interpreter, beside one that imports nothing."""

import subprocess
import sys
from collections.abc import Mapping
from typing import Final

from benchmarks.contests import Spread, spread

_PROGRAM: Final = """
import resource, time
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
started = time.perf_counter()
import lash_es
taken_ms = (time.perf_counter() - started) * 1e3
print(taken_ms, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def imports(rounds: int) -> Mapping[str, Spread]:
    """Import in one new interpreter after the other; the first only warms the page cache."""
    ms, mebibytes = [], []
    for _ in range(1 + rounds):
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM], check=True, capture_output=True, text=True
        )
        taken_ms, grown = map(float, done.stdout.split())
        ms.append(taken_ms)
        mebibytes.append(grown)
    figures = {"import ms": spread(ms[1:]), "import MiB": spread(mebibytes[1:])}
    return {name: figure for name, figure in figures.items() if figure is not None}
