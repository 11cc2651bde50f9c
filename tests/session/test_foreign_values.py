"""
Values that are not as their types say, from a host, a provider or the server behind it.

Types bind nobody at run time. What could be written and never be read again would end its session
for ever, so it is refused before it is written; of a provider, it is a failed call.
"""

from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from attrs import frozen

from lash_es import (
    ActiveTurn,
    LashCore,
    LashSession,
    ModelReply,
    ModelRequest,
    ProsePart,
    Stopped,
    StopReason,
    TokenUsage,
    ToolCallPart,
    TurnInput,
)
from lash_es.codec.errors import UnencodableValue
from lash_es.core.ids import CallId, TurnId
from lash_es.core.messages import TextItem
from lash_es.runtime.performing import TOKENS_MAX
from lash_es.runtime.providers import DeltaSink
from tests.session.host import run

WRONG = cast("Any", 5)
ANSWER = ModelReply(parts=(ProsePart(text="fine"),))


@frozen
class Answering:
    """A provider that answers with whatever it is given, and then as it should."""

    replies: list[object]
    kind: str = "scripted"

    def check(self, model_id: str) -> None:
        """Every name will do."""

    async def request(self, request: ModelRequest, on_delta: DeltaSink) -> ModelReply:
        del request, on_delta
        return cast("ModelReply", self.replies.pop(0))

    async def aclose(self) -> None:
        """Hold nothing."""


def prose(**fields: object) -> ModelReply:
    return ModelReply(parts=(ProsePart(text="x"),), **cast("Any", fields))


BAD_REPLIES = {
    "no reply": None,
    "a text": "well",
    "words that are none": ModelReply(parts=(ProsePart(text=WRONG),)),
    "a part that is none": ModelReply(parts=(WRONG,)),
    "a response id that is none": prose(response_id=WRONG),
    "a model that is none": prose(model=WRONG),
    "a tool that is none": ModelReply(
        parts=(ToolCallPart(call_id=CallId("c"), tool=WRONG, arguments="{}"),)
    ),
    "usage that is none": prose(usage=WRONG),
    "a count that is none": prose(usage=TokenUsage(input_tokens=cast("Any", 1.5))),
    "a count that none can be": prose(usage=TokenUsage(output_tokens=TOKENS_MAX + 1)),
}


@pytest.mark.parametrize("what", BAD_REPLIES)
def test_a_reply_that_is_none_fails_its_call_and_the_next_turn_goes_on(what: str) -> None:
    async def scene() -> None:
        provider = Answering([BAD_REPLIES[what], ANSWER])
        async with LashCore(model="m", provider=provider) as core, core.session("s").open() as s:
            await s.enqueue("hello")
            first = await s.queued_turn()
            assert first is not None
            outcome = first.result.outcome
            assert isinstance(outcome, Stopped)
            assert outcome.reason is StopReason.PROVIDER_ERROR
            assert outcome.code in ("unencodable_value", "unexpected")
            second = await s.queued_turn()
            assert second is not None
            assert second.result.assistant_message == "fine"
            assert len(await s.read_view().messages()) == 2

    run(scene())


def test_a_negative_count_is_none() -> None:
    async def scene() -> None:
        provider = Answering([prose(usage=TokenUsage(input_tokens=-5, output_tokens=TOKENS_MAX))])
        async with LashCore(model="m", provider=provider) as core, core.session("s").open() as s:
            await s.turn("hello")
            assert s.usage_report().usage == TokenUsage(output_tokens=TOKENS_MAX)

    run(scene())


Act = Callable[[LashSession], Awaitable[object]]
ACTS: dict[str, Act] = {
    "a boundary": lambda s: s.enqueue(
        "x", ingress=ActiveTurn(turn_id=TurnId("t"), min_boundary=WRONG)
    ),
    "an ingress": lambda s: s.enqueue("x", ingress=WRONG),
    "words": lambda s: s.enqueue(TurnInput(items=(TextItem(text=WRONG),))),
    "words of a turn": lambda s: s.turn(TurnInput(items=(TextItem(text=WRONG),))).run(),
    "a wake": lambda s: s.enqueue_wake(WRONG, process_id="p", sequence=1, event_type="e"),
    "a reason": lambda s: s.commands().reset(reason=WRONG, idempotency_key="k"),
}


@pytest.mark.parametrize("what", ACTS)
def test_what_could_not_be_read_again_is_not_written(what: str) -> None:
    async def scene() -> None:
        provider = Answering([ANSWER])
        async with LashCore(model="m", provider=provider) as core, core.session("s").open() as s:
            before = s.version
            with pytest.raises(UnencodableValue):
                await ACTS[what](s)
            assert s.version == before
            assert (await s.turn("on")).result.assistant_message == "fine"

    run(scene())
