"""
The golden file of a birth, frames and tombstones: ``python -m tests.codec.golden_graph``.

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
from lash_es.core.descriptions import DescribeSession, Description
from lash_es.core.graph_commands import (
    AppendNodes,
    MaintainSession,
    NewNode,
    OpenFrame,
    TombstoneNodes,
)
from lash_es.core.ids import FrameId, NodeId, SessionId
from lash_es.core.messages import Role
from lash_es.core.outcomes import FrameSwitched
from lash_es.log.port import Store
from lash_es.log.stores.memory import MemoryStore
from tests.log.tapes import ALICE, ALICES, POLICY, T1, Player, said

FILE = Path(__file__).parents[1] / "golden" / "records-graph.jsonl"
STREAM = StreamId("default", SessionId("framed"))


def commands() -> Iterator[Command]:
    """The tape: each command makes a fact, the commit two."""
    yield OpenSession(now_ms=10, session_id=STREAM.session_id, policy=POLICY)
    child = Description(name="A child", cwd="/somewhere", parent_session_id=SessionId("p1"))
    yield DescribeSession(now_ms=10, description=child)
    yield AcquireLease(now_ms=20, owner=ALICE, token="a-token", ttl_ms=1_000)
    more = NewNode(role=Role.ASSISTANT, body=said("Schon da. \U0001f642"))
    yield AppendNodes(now_ms=21, fence=ALICES, name="an:1", nodes=(more,))
    summary = NewNode(role=Role.SYSTEM, body=said("so far"))
    yield OpenFrame(
        now_ms=22, fence=ALICES, frame_id=FrameId("f1"), reason="compaction", nodes=(summary, more)
    )
    yield StartTurn(now_ms=23, fence=ALICES, turn_id=T1, source=WithInput(body=said("go")))
    yield CommitTurn(
        now_ms=24,
        fence=ALICES,
        turn_id=T1,
        outcome=FrameSwitched(frame_id=FrameId("f2")),
        frame_nodes=(summary,),
    )
    yield TombstoneNodes(now_ms=25, node_ids=(NodeId("an:1:a1"), NodeId("f1:f2")))
    yield MaintainSession(now_ms=26)
    yield TombstoneNodes(now_ms=27, node_ids=(NodeId("t1:m1"),))


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
    """Name the facts that no older golden file holds."""
    return {
        "frame.opened",
        "nodes.appended",
        "nodes.tombstoned",
        "nodes.forgotten",
        "session.described",
    }


if __name__ == "__main__":
    FILE.write_text("".join(json.dumps(line) + "\n" for line in _lines()), "ascii")
