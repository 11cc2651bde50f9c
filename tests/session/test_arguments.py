"""What a host hands in is completed or refused at the edge, with a word on what was expected."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from lash_es import (
    BlankValue,
    CancelToken,
    InvalidArgument,
    LashCore,
    LeaseOwner,
    ModelSpec,
    NextTurn,
    SessionSpec,
)
from tests.session.scripted import says, speaking


def core(**options: Any) -> LashCore:  # noqa: ANN401 - what is wrong is the point
    return LashCore(**{"model": "m", "provider": speaking(says("yes")), **options})


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: core(provider="openai"), "lash_es.provider('openai')"),
        (lambda: core(model=3), "a name or a ModelSpec"),
        (lambda: core(max_turns=0), "from 1 on"),
        (lambda: core().session(3), "a text"),  # type: ignore[arg-type]
        (lambda: core().session("s", max_turns=-1), "from 1 on"),
    ],
    ids=["provider", "model", "max_turns", "session id", "a session's max_turns"],
)
def test_what_cannot_be_meant_is_refused(call: Callable[[], object], expected: str) -> None:
    with pytest.raises(InvalidArgument, match="expected") as refusal:
        call()
    assert expected in str(refusal.value)
    assert refusal.value.is_terminal


def test_an_open_session_refuses_what_is_no_input_and_writes_nothing() -> None:
    async def main() -> None:
        async with core() as lash, lash.session("s").open() as session:
            before = session.version
            for wrong in (None, 5, b"bytes"):
                with pytest.raises(InvalidArgument, match="a text or a TurnInput"):
                    session.enqueue(wrong)  # type: ignore[arg-type]
            with pytest.raises(InvalidArgument, match="from 1 on"):
                await session.configure(max_turns=0)
            with pytest.raises(BlankValue, match="the submission's id"):
                session.enqueue("hello", id=" ")
            with pytest.raises(BlankValue, match="turn_id"):
                await session.turn("hello", turn_id="")
            assert session.version == before

    asyncio.run(main())


def test_keywords_are_the_setters_of_the_builders() -> None:
    async def main() -> None:
        owner = LeaseOwner(owner_id="replica", incarnation_id="boot")
        provider = speaking(says("yes"), says("yes"))
        described = core().session(
            "s",
            session_spec=SessionSpec(max_turns=9),
            provider=provider,
            model=ModelSpec(model_id="other"),
            max_turns=None,
            instructions="Be brief.",
            session_execution_owner=owner,
        )
        async with described.open() as session:
            policy = session.policy_snapshot()
            assert (policy.model.model_id, policy.max_turns) == ("other", None)
            assert policy.instructions == "Be brief."
            output = await session.turn("hello", turn_id="t1", cancel=CancelToken())
            assert output.result.turn_id == "t1"
            await session.enqueue("more", id="k", ingress=NextTurn())
            drained = await session.queued_turn(drain_id="d1", cancel=CancelToken())
            assert drained is not None
            assert drained.result.turn_id == "d1"

    asyncio.run(main())
