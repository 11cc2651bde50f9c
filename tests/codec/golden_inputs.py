"""
The golden file of what inputs came to after format 2, written by ``python -m
tests.codec.golden_inputs``.

As ``golden.py``: written once, when it is released. It holds a life in which a turn is told
something while it runs, and something else too late; and what a trim has kept of it.
"""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lash_es.codec.records import Record
from lash_es.codec.streams import StreamId
from lash_es.codec.trims import encode_trim_content
from lash_es.core import targets
from lash_es.core.bodies import NewBody
from lash_es.core.commands import (
    AcquireLease,
    CancelTurnInputs,
    ClaimActiveTurnInputs,
    Command,
    CommitTurn,
    EnqueueTurnInput,
    OpenSession,
    RequestEffect,
    SettleEffect,
    StartTurn,
    WithInput,
)
from lash_es.core.effects import ModelCall
from lash_es.core.graph_commands import MaintainSession
from lash_es.core.ids import EffectId, InputId, SessionId
from lash_es.core.ingress import ActiveTurn, Boundary
from lash_es.core.outcomes import Finished
from lash_es.core.state import Open
from lash_es.core.trims import KeptState
from lash_es.log.stores.memory import MemoryStore
from tests.log.tapes import ALICE, ALICES, ANSWERED, POLICY, T1, Player, said

FILE: Final = Path(__file__).parents[1] / "golden" / "records-inputs.jsonl"
STREAM: Final = StreamId("default", SessionId("told"))
SALT: Final = b"salt of the kept"


def commands() -> Iterator[Command]:
    """The tape: each command makes one fact at least."""
    yield OpenSession(now_ms=10, session_id=STREAM.session_id, policy=POLICY)
    yield AcquireLease(now_ms=20, owner=ALICE, token="a-token", ttl_ms=1_000)
    yield StartTurn(now_ms=21, fence=ALICES, turn_id=T1, source=WithInput(body=said("look")))
    yield _enqueue("i1", Boundary.BEFORE_COMPLETION)
    yield ClaimActiveTurnInputs(
        now_ms=23,
        fence=ALICES,
        token="claim",
        turn_id=T1,
        checkpoint=Boundary.BEFORE_COMPLETION,
        inputs_max=9,
    )
    effect_id = EffectId("t1/1")
    yield RequestEffect(
        now_ms=24, fence=ALICES, turn_id=T1, effect_id=effect_id, request=ModelCall(iteration=0)
    )
    yield SettleEffect(
        now_ms=25,
        fence=ALICES,
        turn_id=T1,
        effect_id=effect_id,
        outcome=ANSWERED,
        body=said("a reply"),
    )
    yield CommitTurn(now_ms=26, fence=ALICES, turn_id=T1, outcome=Finished())
    yield _enqueue("i2", Boundary.AFTER_WORK)
    yield CancelTurnInputs(now_ms=27, targets=(targets.InputId("i2"),))
    yield MaintainSession(now_ms=28)


def _enqueue(name: str, boundary: Boundary) -> EnqueueTurnInput:
    return EnqueueTurnInput(
        now_ms=22,
        input_id=InputId(name),
        source_key=None,
        ingress=ActiveTurn(T1, boundary),
        body=said(f"this is {name}"),
    )


def life() -> tuple[list[Record], NewBody]:
    """Play it; with the state in mid-turn, as a trim keeps it."""
    player, kept = Player(MemoryStore(), STREAM), None
    records: list[Record] = []
    for command in commands():
        records.extend(player.send(command).records)
        state = player.folded.state
        if isinstance(command, RequestEffect) and isinstance(state, Open):
            kept = encode_trim_content(KeptState(state=state), SALT)
    assert kept is not None
    return records, kept


def _lines() -> Iterator[dict[str, object]]:
    records, kept = life()
    for record in records:
        yield {
            "record": record.name,
            "position": record.position,
            "stored": base64.b64encode(record.stored).decode(),
        }
    yield {"body": kept.media_type, "stored": base64.b64encode(kept.content).decode()}


def lines() -> list[dict[str, str | int]]:
    """Read the golden file."""
    return [json.loads(line) for line in FILE.read_text("ascii").splitlines()]


def names() -> set[str]:
    """Name the facts that no older golden file holds."""
    return {
        "input.accepted",
        "input.deferred",
        "input.cancelled_together",
        "input.tombstones_pruned",
    }


if __name__ == "__main__":
    FILE.write_text("".join(json.dumps(line) + "\n" for line in _lines()), "ascii")
