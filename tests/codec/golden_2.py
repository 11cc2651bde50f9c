"""
The golden file of record format 2, written once, and never again.

It holds a life in which a session is trimmed, goes on, is trimmed again, is deleted and is trimmed
once more; and what the trims have kept. How that life is written today is in ``golden_3.py``.
"""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

from lash_es.codec.records import Record, decode_header, read_event
from lash_es.core.commands import (
    AcquireLease,
    BeginAnew,
    BranchToNode,
    CancelTurnInput,
    DeleteSession,
    ReleaseLease,
)
from lash_es.core.events import TurnCommitted
from lash_es.core.ids import Generation, Version
from lash_es.core.owners import Fence
from lash_es.core.transcripts import Node
from lash_es.log.appends import StoredBody
from lash_es.log.commitments import body_refs
from lash_es.log.loading import (
    FIRST,
    load,
)
from lash_es.log.port import Store
from lash_es.log.stores.memory import MemoryStore
from tests.log.tapes import ALICE, I3, OTHER, STREAM
from tests.log.trims import lived, trimming

FILE = Path(__file__).parents[1] / "golden" / "records-2.jsonl"


def life() -> Iterator[tuple[Record, tuple[StoredBody, ...]]]:
    """Play it as written today; yield every fact, with the bodies of those that are trims."""
    store = MemoryStore()
    player = lived(store)
    for append in player.appends:
        yield from ((record, ()) for record in append.records)
    yield _trimmed(store, 3)
    nodes, fence = _first(store), ALICES_AGAIN
    player.folded = load(store, STREAM)
    for command in (
        AcquireLease(now_ms=3_000, owner=ALICE, token="a-again", ttl_ms=1_000),
        BranchToNode(now_ms=3_000, fence=fence, parent=None, nodes=()),
        BeginAnew(now_ms=3_000, session_id=STREAM.session_id, policy=OTHER),
        BranchToNode(now_ms=3_000, fence=fence, parent=None, nodes=nodes),
        ReleaseLease(now_ms=3_000, fence=fence),
    ):
        yield from ((record, ()) for record in player.send(command).records)
    for end in (
        CancelTurnInput(now_ms=3_001, input_id=I3),
        DeleteSession(now_ms=3_002),
    ):
        player.folded = load(store, STREAM)
        yield from ((record, ()) for record in player.send(end).records)
        yield _trimmed(store, None)


ALICES_AGAIN = Fence(owner=ALICE, token="a-again", generation=Generation(3))


def _first(store: Store) -> tuple[Node, ...]:
    """Return the first message of the first turn."""
    (commit,) = (
        event
        for record in store.read(STREAM, FIRST, 999)
        if isinstance(event := read_event(STREAM, record), TurnCommitted)
    )
    return commit.nodes[:1]


def _trimmed(store: Store, below: int | None) -> tuple[Record, tuple[StoredBody, ...]]:
    trimming(store, page_bytes_max=400).trim(STREAM, None if below is None else Version(below))
    record = store.read(STREAM, FIRST, 999)[-1]
    refs = body_refs(decode_header(STREAM, record))
    found = store.read_bodies(STREAM, refs)
    return record, tuple(found[ref] for ref in refs)


def life_lines() -> Iterator[dict[str, object]]:
    """Write that life as a golden file has it."""
    for record, bodies in life():
        yield {
            "record": record.name,
            "position": record.position,
            "namespace": STREAM.namespace,
            "session": STREAM.session_id,
            "stored": base64.b64encode(record.stored).decode(),
        }
        for body in bodies:
            yield {
                "body": body.media_type,
                "position": body.ref.position,
                "ordinal": body.ref.ordinal,
                "salt": base64.b64encode(body.salt).decode(),
                "stored": base64.b64encode(body.content).decode(),
            }


def lines(file: Path = FILE) -> list[dict[str, str | int]]:
    """Read a golden file."""
    return [json.loads(line) for line in file.read_text("ascii").splitlines()]
