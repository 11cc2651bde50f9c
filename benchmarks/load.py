"""What is written, the same for everyone: inputs of 200 bytes; turns of 4 messages, 4 KB."""

import random
from typing import Any, Final, TypeAlias

from lash_es.core.ids import CallId
from lash_es.core.messages import (
    ModelReply,
    ProsePart,
    TextItem,
    ToolCallPart,
    ToolOutput,
    TurnInput,
)

Json: TypeAlias = dict[str, Any]

_VARIETY: Final = 64
_TOOL: Final = "search_documents"


def _text(size: int, seed: int) -> str:
    """Words of chance, so that a disk that compresses gains as little as with real text."""
    chance = random.Random(seed)
    words = ("".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=5)) for _ in range(size))
    return " ".join(words)[:size]


_TEXTS: Final = tuple(
    (_text(130, seed), _text(380, seed + 1), _text(2_350, seed + 2), _text(780, seed + 3))
    for seed in range(0, 4 * _VARIETY, 4)
)


def user_input(number: int) -> Json:
    """Return an input, about 200 bytes of JSON."""
    text = _TEXTS[number % _VARIETY][0]
    return {"role": "user", "content": text, "id": f"msg-{number:012d}", "ts": 1.7e9 + number}


def turn(number: int) -> list[Json]:
    """Return the messages of a turn with one tool call, 3,971 bytes of JSON."""
    asked, arguments, found, answer = _TEXTS[number % _VARIETY]
    call = {
        "id": f"call-{number:08d}",
        "name": _TOOL,
        "args": {"query": arguments, "limit": 10},
    }
    return [
        {"role": "user", "content": asked, "id": f"u-{number:08d}"},
        {
            "role": "assistant",
            "content": "",
            "id": f"a-{number:08d}",
            "tool_calls": [call],
        },
        {
            "role": "tool",
            "content": found,
            "id": f"t-{number:08d}",
            "tool_call_id": f"call-{number:08d}",
        },
        {"role": "assistant", "content": answer, "id": f"f-{number:08d}"},
    ]


def input_text(number: int) -> str:
    """Return the words of an input, as long as its JSON: ours says the rest in its header."""
    return (_TEXTS[number % _VARIETY][0] * 2)[:170]


def our_turn(number: int) -> tuple[TurnInput, ModelReply, ToolOutput, ModelReply]:
    """Return the same turn in the types of a session."""
    asked, arguments, found, answer = _TEXTS[number % _VARIETY]
    call = ToolCallPart(
        call_id=CallId(f"call-{number:08d}"),
        tool=_TOOL,
        arguments=f'{{"query":"{arguments}","limit":10}}',
    )
    return (
        TurnInput(items=(TextItem(text=asked),)),
        ModelReply(parts=(call,)),
        ToolOutput(text=found),
        ModelReply(parts=(ProsePart(text=answer),)),
    )
