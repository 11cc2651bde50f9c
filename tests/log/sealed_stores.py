"""Stores with a layer that seals in front, in every way that there is."""

import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from lash_es.core.bodies import BodyRef
from lash_es.core.ids import Position
from lash_es.log.appends import AppendResult, StoredBody, StreamAppend
from lash_es.log.port import Store
from lash_es.log.sealed import SealedStore
from lash_es.log.sealing import AtRest, KeyRing
from lash_es.log.stores.ciphers import aes_cipher
from lash_es.log.stores.directory_blobs import DirectoryBlobs
from lash_es.log.stores.memory import MemoryStore
from lash_es.log.stores.sqlite import SQLiteStore
from tests.log.conformance import CLAUSES, A, an_append, stored_body

OLD = "AAECAwQFBgcICQoLDA0ODw=="
NEW = "EBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtLi8="
OLD_KEYS = KeyRing(writes="old", ciphers={"old": aes_cipher("old", OLD)})
BOTH_KEYS = KeyRing(
    writes="new", ciphers={"old": aes_cipher("old", OLD), "new": aes_cipher("new", NEW)}
)

COUNTS_BYTES = "what_was_done_is_counted"
SEALED_CLAUSES = tuple(clause for clause in CLAUSES if clause.__name__ != COUNTS_BYTES)
"""What the layer keeps, too. Bytes are counted as they lie, and sealed they lie longer."""

WAYS: Mapping[str, AtRest] = {
    "plain": AtRest(compressor=None),
    "compressed": AtRest(),
    "encrypted": AtRest(keys=BOTH_KEYS),
    "blobs": AtRest(compressor=None, body_inline_max=0),
    "all": AtRest(keys=BOTH_KEYS, body_inline_max=0),
}


def sealed(inner: Store, way: str, folder: Path | None = None) -> SealedStore:
    """Put the layer in front of a store."""
    blobs = None if folder is None else DirectoryBlobs.open(folder, create=True)
    return SealedStore(inner, WAYS[way], blobs)


def body_of(store: Store, position: int = 0) -> StoredBody:
    """Read the first body of stream A's fact at a position."""
    ref = BodyRef(position=Position(position), ordinal=0)
    return store.read_bodies(A, [ref])[ref]


class DiesBeforeTheCommit(MemoryStore):
    """A store whose process is killed when it is about to write."""

    def append_each(
        self, batches: Sequence[Sequence[StreamAppend]], *, may_wait: bool = True
    ) -> tuple[AppendResult, ...]:
        del batches, may_wait
        os.kill(os.getpid(), signal.SIGKILL)
        return ()


def die_between_blob_and_facts(folder: str) -> None:
    """Append a large body, and be killed after its file was written."""
    store = sealed(DiesBeforeTheCommit(), "all", Path(folder))
    store.append([an_append(A, 0, bodies=(stored_body(0, "large"),))])


def die_in_the_middle_of_many(database: str, folder: str, kind: str) -> None:
    """Append large bodies until somebody kills this process; print each version afterwards."""
    inner = SQLiteStore.open(database, create=True)
    store = sealed(inner, "all", Path(folder) if kind == "folder" else None)
    for version in range(10_000):
        body = stored_body(version, f"{version} " * 2_000)
        store.append([an_append(A, version, bodies=(body,))])
        print(version, flush=True)  # noqa: T201 - the parent reads it
