"""Sessions to look at, made through the public API with a model that is a list of replies."""

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from attrs import define

from lash_es import (
    LashCore,
    LeaseOwner,
    ModelReply,
    ModelRequest,
    ProsePart,
    TokenUsage,
    ToolCallPart,
)
from lash_es.core.ids import CallId
from lash_es.core.messages import ReplyPart
from lash_es.runtime.providers import DeltaSink

HOSTILE = "\x1b[31mred\x07 \x9b2J [bold]loud[/bold] \u202egnol \x7f"
"""What would steer a terminal, hide text, or be taken for markup."""


@define
class Scripted:
    """A provider that gives its replies one after the other."""

    replies: list[ModelReply]
    kind: str = "scripted"

    def check(self, model_id: str) -> None:
        """Every name will do."""

    async def request(self, request: ModelRequest, on_delta: DeltaSink) -> ModelReply:
        """The next one."""
        del request, on_delta
        return self.replies.pop(0)

    async def aclose(self) -> None:
        """Nothing is open."""


def reply(*parts: ReplyPart) -> ModelReply:
    return ModelReply(parts=parts, usage=TokenUsage(input_tokens=7, output_tokens=2))


def call(tool: str, arguments: str, call_id: str = "c1") -> ToolCallPart:
    return ToolCallPart(call_id=CallId(call_id), tool=tool, arguments=arguments)


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def echo(text: str) -> str:
    """Say it again."""
    return text


async def _make(
    db: Path, session: str, replies: Sequence[ModelReply], inputs: Sequence[str], queued: str
) -> None:
    core = LashCore(
        model="m", provider=Scripted(list(replies)), store=db, tools=[add, echo], max_turns=4
    )
    owner = LeaseOwner(owner_id="the owner", incarnation_id="one")
    async with core, core.session(session).session_execution_owner(owner).open() as opened:
        for number, text in enumerate(inputs, 1):
            await opened.turn(text).turn_id(f"t{number}")
        if queued:
            await opened.enqueue(queued)


def make_session(
    db: Path,
    session: str = "s",
    replies: Sequence[ModelReply] | None = None,
    inputs: Sequence[str] = ("What is 2 and 3?",),
    queued: str = "And 4?",
) -> Path:
    """Make a session of one turn with two tool calls, and an input that waits."""
    default = [
        reply(call("add", '{"a": 2, "b": 3}'), call("add", '{"a": "no"}', "c2")),
        reply(ProsePart(text="It is 5.\n\nThe other sum was none.")),
    ]
    asyncio.run(_make(db, session, default if replies is None else replies, inputs, queued))
    return db


def make_hostile_session(db: Path) -> str:
    """Make a session whose every text is hostile, its name included."""
    session = f"s{HOSTILE}"
    hostile_echo = '{"text": "' + HOSTILE.replace("\x1b", "\\u001b").replace("\x07", "\\u0007")
    replies = [
        reply(ProsePart(text=HOSTILE), call("echo", hostile_echo + '"}')),
        reply(ProsePart(text=f"{HOSTILE}\n{HOSTILE}")),
    ]
    make_session(db, session, replies, inputs=(HOSTILE,), queued=HOSTILE)
    return session


def edit(db: Path, *statements: str) -> None:
    """Edit a log behind the library's back."""
    connection = sqlite3.connect(db)
    with connection:
        for statement in statements:
            assert connection.execute(statement).rowcount > 0
    connection.close()
