"""What is checked before a turn is accepted: what could not be run leaves no trace in the log."""

import pytest

from lash_es import MemoryStore
from lash_es.runtime.tools import ToolUnusable
from tests.session.host import host, run
from tests.session.scripted import says, speaking
from tests.session.stores import InMemory, names


class Opaque:
    """Nothing that a schema could describe."""


def take(value: Opaque) -> None:
    """Take what no model can write."""


def test_a_tool_that_cannot_be_offered_is_refused_before_anything_is_written() -> None:
    provider = speaking(says("never asked"))
    store = MemoryStore()

    async def scene() -> None:
        async with host(store, provider, take) as core, core.session("s").open() as session:
            with pytest.raises(ToolUnusable, match="take"):
                await session.turn("go")
            assert names(store) == ["SessionOpened"]

    run(scene())
    assert provider.requests == []


def test_a_session_whose_tool_could_not_be_offered_runs_without_it() -> None:
    place = InMemory()

    async def scene() -> None:
        async with (
            host(place.store(), speaking(), take) as core,
            core.session("s").open() as session,
        ):
            with pytest.raises(ToolUnusable):
                await session.turn("go")
        async with (
            host(place.store(), speaking(says("done"))) as core,
            core.session("s").open() as session,
        ):
            assert (await session.turn("go")).result.is_success

    run(scene())
