"""
The golden file of queued work, written by ``python -m tests.codec.golden_work``.

As ``golden.py``: written once, read for ever. It is a life of its own, in record format 2: the
other tapes keep the bytes that they had before there was queued work.
"""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

from lash_es.codec.contents import StoredContent, encode_content
from lash_es.codec.streams import StreamId
from lash_es.core.batches import (
    DeliveryPolicy,
    MergeGroup,
    MergeKey,
    NeverMerge,
    PayloadDefault,
    ProcessWake,
    RefreshToolCatalog,
    ResetSession,
    SlotPolicy,
    WorkBoundary,
    WorkCompletion,
    WorkKind,
    wake_name,
    wake_source_key,
)
from lash_es.core.bodies import NewBody
from lash_es.core.commands import (
    AcquireLease,
    Command,
    CommitTurn,
    EndTurn,
    OpenSession,
    RequestEffect,
    SettleEffect,
    StartTurn,
    WithInput,
)
from lash_es.core.effects import ModelCall
from lash_es.core.graph_commands import MaintainSession
from lash_es.core.ids import BatchId, ClaimId, EffectId, SessionId, TurnId
from lash_es.core.messages import ModelReply, ProsePart
from lash_es.core.outcomes import Finished, Stopped, StopReason
from lash_es.core.work_commands import (
    AbandonWorkClaim,
    CancelWork,
    ClaimWork,
    CompleteWork,
    EnqueueWork,
    LeadingCommand,
    LeadingTurnWork,
    WithWork,
)
from lash_es.log.port import Store
from lash_es.log.stores.memory import MemoryStore
from tests.log.tapes import ALICE, ALICES, ANSWERED, POLICY, Player, body, said

FILE = Path(__file__).parents[1] / "golden" / "records-work.jsonl"
STREAM = StreamId("default", SessionId("worked"))
WAKE = ProcessWake(
    wake_id=wake_name("root", "p1:7"),
    target_session_id="worked",
    target_scope_id="root",
    process_id="p1",
    sequence=7,
    event_type="deploy.complete",
    event_invocation="call-1",
    process_caused_by=None,
    dedupe_key="p1:7",
    input="Fertig. \U0001f642",
    created_at_ms=5,
)
REFRESH = RefreshToolCatalog(reason="a server came up")
RESET = ResetSession(reason="the user asked for it")
CONTENTS: tuple[StoredContent, ...] = (WAKE, REFRESH, RESET)
B1, B2, B3, B4, B5 = (BatchId(f"qwb:{number}") for number in range(1, 6))


def _queue(
    batch_id: BatchId,
    source_key: str | None,
    merge_key: MergeKey,
    kinds: tuple[WorkKind, ...],
    bodies: tuple[NewBody, ...],
) -> EnqueueWork:
    is_joined = not isinstance(merge_key, NeverMerge)
    return EnqueueWork(
        now_ms=12,
        batch_id=batch_id,
        source_key=source_key,
        delivery=DeliveryPolicy.EARLIEST_SAFE_BOUNDARY
        if is_joined
        else DeliveryPolicy.AFTER_CURRENT_TURN_COMMIT,
        slot=SlotPolicy.JOIN if is_joined else SlotPolicy.EXCLUSIVE,
        merge_key=merge_key,
        available_at_ms=0 if is_joined else 13,
        kinds=kinds,
        bodies=bodies,
    )


def commands() -> Iterator[Command]:
    """The tape: each command makes one fact at least."""
    wakes = (WorkKind.PROCESS_WAKE, WorkKind.PROCESS_WAKE)
    refresh, reset = (WorkKind.REFRESH_TOOL_CATALOG,), (WorkKind.RESET_SESSION,)
    key = wake_source_key("p1", 7)
    yield OpenSession(now_ms=10, session_id=STREAM.session_id, policy=POLICY)
    yield _queue(B1, key, MergeGroup("a"), wakes, (body(WAKE), body(WAKE)))
    yield _queue(B2, None, PayloadDefault(), wakes[:1], (body(WAKE),))
    yield _queue(B5, None, NeverMerge(), wakes[:1], (body(WAKE),))
    yield _queue(B3, "command:refresh:1", NeverMerge(), refresh, (body(REFRESH),))
    yield _queue(B4, None, NeverMerge(), reset, (body(RESET),))
    yield AcquireLease(now_ms=20, owner=ALICE, token="a-token", ttl_ms=1_000)
    idly = LeadingTurnWork(boundary=WorkBoundary.IDLE, batches_max=9)
    yield ClaimWork(now_ms=21, fence=ALICES, token="work", selection=idly)
    yield AbandonWorkClaim(now_ms=22, claim_id=ClaimId("qwc:1:1"), token="work")
    yield CancelWork(now_ms=23, batch_id=B2)
    for attempt in range(2, 6):
        yield ClaimWork(now_ms=24, fence=ALICES, token="work", selection=idly)
        yield from _failing_turn(TurnId(f"t{attempt}"), ClaimId(f"qwc:1:{attempt}"))
    yield from _turn_that_takes_work_in(TurnId("t9"))
    yield ClaimWork(now_ms=26, fence=ALICES, token="work", selection=LeadingCommand())
    done = WorkCompletion(claim_id=ClaimId("qwc:4:1"), token="work", batch_ids=(B3,))
    yield CompleteWork(now_ms=27, fence=ALICES, completions=(done,))
    yield MaintainSession(now_ms=28)


def _failing_turn(turn_id: TurnId, claim_id: ClaimId) -> Iterator[Command]:
    """A turn on work that ends without a commit; after the last of them, the work has failed."""
    source = WithWork(claim_id=claim_id, token="work")
    failed = Stopped(reason=StopReason.PROVIDER_ERROR, code="rate_limited")
    yield StartTurn(now_ms=24, fence=ALICES, turn_id=turn_id, source=source)
    yield EndTurn(now_ms=24, fence=ALICES, turn_id=turn_id, outcome=failed)


def _turn_that_takes_work_in(turn_id: TurnId) -> Iterator[Command]:
    """A turn on its own input that takes a batch in, tells the model of it, and is committed."""
    effect_id = EffectId(f"{turn_id}/1")
    leading = LeadingTurnWork(boundary=WorkBoundary.IDLE, batches_max=9, turn_id=turn_id)
    answer = ModelReply(parts=(ProsePart(text="Gut."),))
    source = WithInput(body=said("Ist es fertig?"))
    yield StartTurn(now_ms=25, fence=ALICES, turn_id=turn_id, source=source)
    yield ClaimWork(now_ms=25, fence=ALICES, token="work", selection=leading)
    yield RequestEffect(
        now_ms=25,
        fence=ALICES,
        turn_id=turn_id,
        effect_id=effect_id,
        request=ModelCall(iteration=0),
    )
    yield SettleEffect(
        now_ms=25,
        fence=ALICES,
        turn_id=turn_id,
        effect_id=effect_id,
        outcome=ANSWERED,
        body=body(answer),
    )
    yield CommitTurn(now_ms=25, fence=ALICES, turn_id=turn_id, outcome=Finished())


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
    for content in CONTENTS:
        encoded = encode_content(content, b"")
        stored = base64.b64encode(encoded.content).decode()
        yield {"body": encoded.media_type, "stored": stored}


def lines() -> list[dict[str, str | int]]:
    """Read the golden file."""
    return [json.loads(line) for line in FILE.read_text("ascii").splitlines()]


if __name__ == "__main__":
    FILE.write_text("".join(json.dumps(line) + "\n" for line in _lines()), "ascii")
