"""
``python -m tests.sim`` runs many seeds and keeps what it found in ``tests/sim/results``, dated.

``python -m tests.sim run SEED`` runs one; ``replay SEED`` runs it and says what does not hold,
made as small as it gets. ``--profile fast|full``, ``--store memory|sqlite``, ``--shard 2/9``. Each
seed that fails leaves its trace beside the results, with the line that replays it.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from lash_es import Durability, MemoryStore, SQLiteStore
from lash_es.log.port import Store
from lash_es.verify.traces import Trace, minimised, packed, run_seed
from lash_es.verify.workloads import PROFILES, shard

RESULTS: Final = Path(__file__).parent / "results"


def opened(kind: str, folder: Path) -> Store:
    """Open an empty store."""
    if kind == "memory":
        return MemoryStore()
    path = Path(tempfile.mkdtemp(dir=folder)) / "simulated.db"
    return SQLiteStore.open(path, create=True, durability=Durability.NORMAL)


def shown(trace: Trace) -> str:
    """Say what became of a seed; of one that fails, how to see it again."""
    if not trace.violations:
        return f"{trace.workload.seed:#x} holds"
    lines = [f"{each.oracle}: session {each.session}, {each.witness}" for each in trace.violations]
    return "\n".join([*lines, f"replay: {trace.line}"])


def replayed(seed: int, profile: str) -> str:
    """Run a seed again; one that fails is made as small as it gets."""
    trace = run_seed(seed, profile, MemoryStore())
    if not trace.violations:
        return shown(trace)
    smallest = minimised(trace, MemoryStore)
    rest = "\n".join(map(str, smallest.workload.disturbances))
    return f"{shown(smallest)}\n{len(smallest.workload.disturbances)} disturbances:\n{rest}"


def main(arguments: Sequence[str]) -> int:
    """Do what is asked; the exit status is 1 if an oracle does not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("what", nargs="?", choices=("all", "run", "replay"), default="all")
    parser.add_argument("seed", nargs="?", type=lambda text: int(text, 0), default=0)
    parser.add_argument("--profile", choices=sorted(PROFILES), default="fast")
    parser.add_argument("--store", choices=("memory", "sqlite"), default="memory")
    parser.add_argument("--seeds", type=int, default=256)
    parser.add_argument("--shard", default="1/1")
    parser.add_argument("--to", type=Path, default=RESULTS)
    asked = parser.parse_args(arguments)
    if asked.what == "replay":
        text = replayed(asked.seed, asked.profile)
        sys.stdout.write(text + "\n")
        return 0 if text.endswith("holds") else 1
    index, of = map(int, asked.shard.split("/"))
    seeds = shard(range(asked.seeds), index, of)
    if asked.what == "run":
        seeds = range(asked.seed, asked.seed + 1)
    return searched(seeds, asked.profile, asked.store, asked.to, is_kept=asked.what == "all")


def searched(seeds: range, profile: str, kind: str, to: Path, *, is_kept: bool) -> int:
    """Run seeds one after the other."""
    started, failed = time.process_time(), list[Trace]()
    with tempfile.TemporaryDirectory(prefix="sim-") as folder:
        for seed in seeds:
            store = opened(kind, Path(folder))
            trace = run_seed(seed, profile, store)
            store.close()
            if trace.violations:
                failed.append(trace)
                sys.stdout.write(shown(trace) + "\n")
    if failed or is_kept:
        to.mkdir(exist_ok=True)
    for trace in failed:
        (to / f"seed-{trace.workload.seed:#x}.json").write_text(packed(trace), "utf-8")
    date = datetime.now(UTC).date().isoformat()
    found = {
        "date": date,
        "machine": f"{os.cpu_count()} cores of {platform.machine()}, shared with other work",
        "versions": f"Python {platform.python_version()}",
        "profile": profile,
        "store": kind,
        "seeds": len(seeds),
        "failed": [trace.line for trace in failed],
        "seconds of processor": round(time.process_time() - started),
    }
    if is_kept:
        name = f"sim-{profile}-{kind}-{date}.json"
        (to / name).write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    sys.stdout.write(json.dumps(found) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
