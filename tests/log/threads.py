"""Several threads on one store, which nobody should need: they take turns, and none hangs."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from lash_es.codec.streams import StreamId
from lash_es.core.ids import Position, Version
from lash_es.log.appends import Appended
from lash_es.log.port import Store
from tests.log.conformance import A, B, C, an_append, head_after

APPENDS: Final = 40


def threads_take_turns(store: Store) -> None:
    """Append to two streams and read a third, each on two threads at once."""
    kept = an_append(A, 0, 3)
    store.append([kept])

    def append(stream: StreamId) -> None:
        for version in range(APPENDS):
            done = store.append([an_append(stream, version)])
            assert done == Appended(versions=(Version(version + 1),))

    def read() -> None:
        for _ in range(APPENDS * 5):
            assert store.read(A, Position(0), 10) == kept.records
            assert store.head(A) == head_after(kept)

    jobs = (partial(append, B), partial(append, C), read, read)
    with ThreadPoolExecutor(len(jobs)) as threads:
        for job in [threads.submit(job) for job in jobs]:
            job.result(timeout=60)
    for stream in (B, C):
        assert [each.position for each in store.read(stream, Position(0), 1_000)] == [
            *range(APPENDS)
        ]
