"""The life of a process that checkpoints after every second commit, until somebody kills it."""

import os
import sys
from pathlib import Path

from lash_es.log.loading import load
from lash_es.log.stores.sqlite import SQLiteStore
from lash_es.log.stores.sqlite_checkpoints import CheckpointBounds, Checkpoints
from tests.log.processes import STREAM, enqueue


def append_until_killed(path: str) -> None:
    """Append without end, and tell each version after its commit."""
    store = SQLiteStore.open(path, create=True)
    connections = store._connections
    bounds = CheckpointBounds(commits_per_checkpoint=2, log_bytes_max=100_000)
    connections.checkpoints = Checkpoints(Path(path), connections.checkpoints._connect, bounds)
    folded = load(store, STREAM)
    for number in range(10**6):
        folded = enqueue(store, folded, number)
        os.write(1, f"{folded.version}\n".encode())


if __name__ == "__main__":
    append_until_killed(sys.argv[1])
