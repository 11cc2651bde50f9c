"""
The golden file of record format 1, written by ``python -m tests.codec.golden``.

It is written once. After a release it is never written again: what it holds must be read for ever,
and a format that differs gets a file of its own beside it.
"""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

from lash_es.codec.contents import Content, encode_content
from lash_es.core.ids import CallId
from lash_es.core.messages import (
    EffectFailure,
    FinishReason,
    ImageItem,
    ModelReply,
    ProsePart,
    ProviderMark,
    ReasoningPart,
    TextItem,
    TokenUsage,
    ToolCallPart,
    ToolOutput,
    TurnInput,
)
from lash_es.log.stores.memory import MemoryStore
from tests.log.tapes import STREAM, play

FILE = Path(__file__).parents[1] / "golden" / "records-1.jsonl"

_MARK = ProviderMark(
    part_id="p1",
    provider="acme",
    signature="c2lnbmVk",
    details={"temperature": 0.5, "n": [1, None]},
)
CONTENTS: tuple[Content, ...] = (
    TurnInput(
        items=(
            TextItem(text="Was ist das? \U0001f642\u0000"),
            ImageItem(media_type="image/png", data=bytes(range(256))),
        )
    ),
    ModelReply(
        parts=(
            ReasoningPart(text="Hm.", mark=_MARK),
            ProsePart(text="I look.", mark=ProviderMark()),
            ToolCallPart(call_id=CallId("c1"), tool="look", arguments='{"broken": ', mark=_MARK),
        ),
        finish=FinishReason.OUTPUT_LIMIT,
        usage=TokenUsage(input_tokens=1, cache_read_input_tokens=2**53 - 1),
        usage_is_estimated=True,
        model="m1",
        response_id="r1",
    ),
    ToolOutput(text="line\nline\t\u2028"),
    EffectFailure(message='it "failed"'),
)


def _lines() -> Iterator[dict[str, object]]:
    for append in play(MemoryStore()).appends:
        for record in append.records:
            yield {
                "record": record.name,
                "position": record.position,
                "namespace": STREAM.namespace,
                "session": STREAM.session_id,
                "stored": base64.b64encode(record.stored).decode(),
            }
    for content in CONTENTS:
        body = encode_content(content, b"")
        stored = base64.b64encode(body.content).decode()
        yield {"body": body.media_type, "stored": stored}


def lines() -> list[dict[str, str | int]]:
    """Read the golden file."""
    return [json.loads(line) for line in FILE.read_text("ascii").splitlines()]


if __name__ == "__main__":
    FILE.write_text("".join(json.dumps(line) + "\n" for line in _lines()), "ascii")
