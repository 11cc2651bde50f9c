"""A host as these tests are one: opens cores, runs coroutines, reads transcripts."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from lash_es import (
    LashCore,
    LashSession,
    LeaseTimings,
    Limits,
    Message,
    Residency,
    Tool,
    TurnActivity,
)
from lash_es.log.port import Store
from lash_es.runtime.performing import UncertainToolHandler
from lash_es.runtime.providers import Provider
from lash_es.runtime.world import system_now_ms
from lash_es.turns.activities import TurnActivityEvent
from tests.session.virtual_time import VirtualTime

_R = TypeVar("_R")
_A = TypeVar("_A", bound=TurnActivityEvent)


def run(coroutine: Coroutine[Any, Any, _R]) -> _R:
    """Run a coroutine on a loop of its own; one that hangs is a failure."""
    return asyncio.run(asyncio.wait_for(coroutine, timeout=30))


def host(
    store: Store,
    provider: Provider | None = None,
    *tools: Tool | Callable[..., Any],
    time: VirtualTime | None = None,
    own_time: VirtualTime | None = None,
    model: str = "m",
    instructions: str = "",
    max_turns: int | None = None,
    timings: LeaseTimings | None = None,
    limits: Limits | None = None,
    residency: Residency = Residency.KEEP_ALL,
    on_uncertain_tool: UncertainToolHandler | None = None,
    uncertain_tool_wait_ms_max: int = 60_000,
) -> LashCore:
    """Make a core; with a ``time`` it lives by that clock, or sleeps by ``own_time``."""
    lived = own_time or time
    return LashCore(
        model=model,
        provider=provider,
        store=store,
        tools=tools,
        instructions=instructions,
        max_turns=max_turns,
        lease_timings=timings,
        limits=limits or Limits(),
        residency=residency,
        on_uncertain_tool=on_uncertain_tool,
        uncertain_tool_wait_ms_max=uncertain_tool_wait_ms_max,
        world=None if lived is None else lived.world(),
        clock_ms=system_now_ms if time is None else time.now_ms,
    )


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for what nobody announces, such as what the log holds by now."""
    while not is_so():  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0.001)


async def messages(session: LashSession) -> list[Message]:
    """Read the transcript."""
    return await session.read_view().messages()


async def texts(session: LashSession) -> list[tuple[str, str]]:
    """Read who said what."""
    return [(message.role.value, message.text) for message in await messages(session)]


def shown(activities: tuple[TurnActivity, ...], kind: type[_A]) -> list[_A]:
    """Pick the activities of one kind."""
    return [each.event for each in activities if isinstance(each.event, kind)]
