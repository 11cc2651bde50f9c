"""
The golden file of states and attachments: ``python -m tests.codec.golden_enclosures``.

As ``golden.py``: a life of its own, in record format 2, so that the other tapes keep their bytes.
"""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

from lash_es.codec.streams import StreamId
from lash_es.core.commands import (
    AcquireLease,
    Command,
    CommitTurn,
    OpenSession,
    StartTurn,
    WithInput,
)
from lash_es.core.enclosures import (
    Enclosures,
    ForgetAttachment,
    NewState,
    PutAttachment,
    StateKind,
    attachment_body,
    attachment_id_of,
)
from lash_es.core.ids import SessionId
from lash_es.core.outcomes import Finished
from lash_es.log.port import Store
from lash_es.log.stores.memory import MemoryStore
from tests.log.tapes import ALICE, ALICES, POLICY, T1, Player, said

FILE = Path(__file__).parents[1] / "golden" / "records-enclosures.jsonl"
STREAM = StreamId("default", SessionId("enclosing"))
PNG = b"\x89PNG"


def commands() -> Iterator[Command]:
    """The tape: each command makes a fact, the commit two."""
    yield OpenSession(now_ms=10, session_id=STREAM.session_id, policy=POLICY)
    for label, content in (("a.png", PNG), ("b\u00e4.png", PNG + b"2")):
        body = attachment_body(content, "image/png")
        yield PutAttachment(now_ms=11, label=label, body=body)
    yield AcquireLease(now_ms=20, owner=ALICE, token="a-token", ttl_ms=1_000)
    yield StartTurn(now_ms=23, fence=ALICES, turn_id=T1, source=WithInput(body=said("go")))
    states = tuple(
        NewState(kind=kind, revision=revision, body=said(kind.value))
        for revision, kind in enumerate(StateKind, start=7)
    )
    yield CommitTurn(
        now_ms=24,
        fence=ALICES,
        turn_id=T1,
        outcome=Finished(),
        enclosures=Enclosures(states=states, attachment_ids=(attachment_id_of(PNG),)),
    )
    yield ForgetAttachment(now_ms=25, attachment_id=attachment_id_of(PNG + b"2"))


def life(store: Store | None = None) -> Player:
    """Play it into a store."""
    player = Player(store or MemoryStore(), STREAM)
    for command in commands():
        player.send(command)
    return player


def _lines() -> Iterator[dict[str, object]]:
    for append in life().appends:
        for record in append.records:
            yield {
                "record": record.name,
                "position": record.position,
                "namespace": STREAM.namespace,
                "session": STREAM.session_id,
                "stored": base64.b64encode(record.stored).decode(),
            }


def lines() -> list[dict[str, str | int]]:
    """Read the golden file."""
    return [json.loads(line) for line in FILE.read_text("ascii").splitlines()]


def names() -> set[str]:
    """Name the facts that no other golden file holds."""
    return {"attachment.put", "attachment.forgotten", "commit.enclosed"}


if __name__ == "__main__":
    FILE.write_text("".join(json.dumps(line) + "\n" for line in _lines()), "ascii")
