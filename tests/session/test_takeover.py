"""
Takeover: a driver dies at any append, or at any turn of its event loop, and another one goes on.

There is no code for recovery: fold, then do the agenda. So what is swept here is every place where
a process can die, and what is compared is the transcript, which must not show it.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from lash_es import (
    AssistantProseDelta,
    LashSession,
    LeaseTimings,
    ModelCallFailed,
    ModelRequestStarted,
    OnTakeover,
    Rerun,
    RuntimeFault,
    Settle,
    Tool,
    ToolCallStarted,
    ToolStatus,
    TurnIdConflict,
    UncertainToolCall,
    UsageReported,
)
from lash_es.core.effects import ToolCall
from lash_es.core.events import (
    EffectRequested,
    EffectSettled,
    Event,
    TurnCommitted,
    TurnInputEnqueued,
)
from lash_es.runtime.providers import ProseDelta
from tests.session.host import host, messages, run, shown, texts
from tests.session.scripted import (
    USAGE,
    ScriptedProvider,
    call,
    calls,
    fails,
    remembering,
    says,
    speaking,
)
from tests.session.stores import Dying, InMemory, Killed, Place, facts, names
from tests.session.virtual_time import VirtualTime

TIMINGS = LeaseTimings(ttl_ms=30_000, renew_interval_ms=10_000)
APPENDS_COUNT = 7
"""Accepting, three replies, three tools: the last reply is settled with the commit."""


class Stage:
    """One place, one clock, and a count of what was really done."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.time = VirtualTime()
        self.done = Counter[str]()

    def provider(self) -> ScriptedProvider:
        return remembering(
            calls(call("a", "look", {"name": "a"}), call("b", "look", {"name": "b"})),
            calls(call("c", "look", {"name": "c"}), text="One more."),
            says("all seen"),
        )

    def tool(self, on_takeover: OnTakeover = OnTakeover.RERUN) -> Tool:
        async def look(name: str) -> str:
            self.done[name] += 1
            # The two of a batch end apart, so that one can be recorded without the other.
            for _ in range(12 if name == "b" else 3):
                await asyncio.sleep(0)
            return f"saw {name}"

        return Tool.of(look, on_takeover=on_takeover)

    async def undisturbed(self) -> list[object]:
        stage = Stage(InMemory())
        async with (
            host(stage.place.store(), stage.provider(), stage.tool()) as core,
            core.session("s").open() as session,
        ):
            await session.turn("go").turn_id("t")
            return list(await messages(session))

    async def die(self, store: Dying, *, after_rounds: int | None = None) -> bool:
        """Drive until the store's time has come, or for so many turns of the loop."""
        core = host(store, self.provider(), self.tool(), time=self.time, timings=TIMINGS)
        session = await core.session("s")
        turn = asyncio.ensure_future(session.turn("go").turn_id("t").run())
        if after_rounds is not None:
            for _ in range(after_rounds):
                await asyncio.sleep(0)
            if turn.done():
                return False
            store.is_dead = True
            turn.cancel()
        with pytest.raises((Killed, asyncio.CancelledError)):
            await turn
        return True

    async def go_on(
        self, drive: Callable[[LashSession], Awaitable[object]], *, ttl_ms: int = 30_000
    ) -> list[object]:
        """Let another core take the lease over, and read what came of it."""
        self.time.jump(ttl_ms)
        async with (
            host(
                self.place.store(), self.provider(), self.tool(), time=self.time, timings=TIMINGS
            ) as core,
            core.session("s").open() as session,
        ):
            await drive(session)
            return list(await messages(session))

    def check(self, before: list[Event]) -> None:
        """Each effect settled once; what was settled at the death was not done again."""
        store = self.place.store()
        after = facts(store)
        assert after[: len(before)] == before
        settled = [fact.effect_id for fact in after if isinstance(fact, EffectSettled)]
        assert sorted(settled) == sorted({*settled})
        requested = {fact.effect_id for fact in after if isinstance(fact, EffectRequested)}
        assert requested == {*settled}
        assert sum(isinstance(fact, TurnCommitted) for fact in after) == 1
        requests = {
            fact.effect_id: fact.request.call_id
            for fact in before
            if isinstance(fact, EffectRequested) and isinstance(fact.request, ToolCall)
        }
        settled_before = {
            requests[fact.effect_id]
            for fact in before
            if isinstance(fact, EffectSettled) and fact.effect_id in requests
        }
        in_flight = {*requests.values()} - settled_before
        for name, times in self.done.items():
            assert times == 1 or (name in in_flight and times == 2)


async def same_turn(session: LashSession) -> object:
    return await session.turn("go").turn_id("t")


async def drain(session: LashSession) -> object:
    output = await session.queued_turn()
    assert output is not None
    assert output.result.turn_id == "t"
    return output


@pytest.mark.parametrize("is_last_written", [False, True])
@pytest.mark.parametrize("drive", [same_turn, drain])
def test_a_driver_that_dies_at_any_append_is_taken_over_without_a_trace(
    place: Place, drive: Callable[[LashSession], Awaitable[object]], is_last_written: bool
) -> None:
    in_flight_sometimes: list[bool] = []

    async def scene(appends_max: int, expected: list[object]) -> None:
        stage = Stage(place.another())
        async with host(stage.place.store(), stage.provider(), time=stage.time) as core:
            await (await core.session("s")).close()
        store = Dying(
            stage.place.store(), appends_max=appends_max, is_last_written=is_last_written
        )
        await stage.die(store)
        before = facts(stage.place.store())
        is_started = len(before) > 1
        is_over = any(isinstance(fact, TurnCommitted) for fact in before)
        in_flight_sometimes.append(is_started and not is_over)
        # A drain cannot know of a turn that was never accepted, nor of one that is over.
        chosen = drive if is_started and not is_over else same_turn
        assert await stage.go_on(chosen) == expected
        stage.check(before)

    async def sweep() -> None:
        expected = await Stage(place).undisturbed()
        for appends_max in range(1, APPENDS_COUNT + 1):
            await scene(appends_max, expected)

    run(sweep())
    assert sum(in_flight_sometimes) >= APPENDS_COUNT - 1


def test_a_driver_that_dies_at_any_turn_of_its_loop_is_taken_over_without_a_trace(
    place: Place,
) -> None:
    lengths: set[int] = set()

    async def scene(rounds: int, expected: list[object]) -> bool:
        stage = Stage(place.another())
        async with host(stage.place.store(), stage.provider(), time=stage.time) as core:
            await (await core.session("s")).close()
        store = Dying(stage.place.store(), appends_max=1_000, is_last_written=True)
        if not await stage.die(store, after_rounds=rounds):
            return False
        before = facts(stage.place.store())
        lengths.add(len(before))
        assert await stage.go_on(same_turn) == expected
        stage.check(before)
        return True

    async def sweep() -> None:
        expected = await Stage(place).undisturbed()
        # A file is slower, and its appends are swept above.
        stride = 1 if isinstance(place, InMemory) else 5
        rounds = 0
        while await scene(rounds, expected):
            rounds += stride

    run(sweep())
    # It died with nothing accepted, and after each append.
    assert len(lengths) == APPENDS_COUNT + 1 or not isinstance(place, InMemory)
    assert len(lengths) > 3


# What was in flight


async def died_in_the_tool(stage: Stage) -> None:
    """Leave a turn behind whose call of ``a`` and ``b`` may have happened, or not."""
    store = Dying(stage.place.store(), appends_max=4, is_last_written=False)
    await stage.die(store)
    assert names(stage.place.store())[-3:] == [
        "EffectSettled",
        "EffectRequested",
        "EffectRequested",
    ]
    stage.time.jump(30_000)


async def continued(
    stage: Stage,
    handler: Callable[[UncertainToolCall], Awaitable[Rerun | Settle]] | None,
    *,
    wait_ms_max: int = 60_000,
) -> list[tuple[str, ToolStatus, str]]:
    async with (
        host(
            stage.place.store(),
            stage.provider(),
            stage.tool(OnTakeover.ASK),
            time=stage.time,
            timings=TIMINGS,
            on_uncertain_tool=handler,
            uncertain_tool_wait_ms_max=wait_ms_max,
        ) as core,
        core.session("s").open() as session,
    ):
        result = (await session.turn("go").turn_id("t")).result
        assert result.is_success
        assert result.takeovers == 1
        return [(each.call_id, each.status, each.output) for each in result.tool_calls]


INTERRUPTED = "interrupted: whether the call had its effect is not known"
UNKNOWN = [
    ("a", ToolStatus.FAILED, INTERRUPTED),
    ("b", ToolStatus.FAILED, INTERRUPTED),
    ("c", ToolStatus.SUCCEEDED, "saw c"),
]


def test_without_a_handler_a_call_in_flight_is_interrupted_and_not_made_again(
    place: Place,
) -> None:
    async def scene() -> None:
        stage = Stage(place)
        await died_in_the_tool(stage)
        assert await continued(stage, None) == UNKNOWN
        assert stage.done == {"a": 1, "b": 1, "c": 1}
        settled = [fact for fact in facts(place.store()) if isinstance(fact, EffectSettled)]
        codes = {getattr(fact.outcome, "code", None) for fact in settled}
        assert codes == {None, "interrupted"}

    run(scene())


def test_the_handler_says_which_calls_run_again_and_what_the_others_came_to(
    place: Place,
) -> None:
    asked: list[UncertainToolCall] = []

    async def decide(uncertain: UncertainToolCall) -> Rerun | Settle:
        asked.append(uncertain)
        return Rerun() if uncertain.call_id == "a" else Settle(output="saw b, says the host")

    async def scene() -> None:
        stage = Stage(place)
        await died_in_the_tool(stage)
        assert await continued(stage, decide) == [
            ("a", ToolStatus.SUCCEEDED, "saw a"),
            ("b", ToolStatus.SUCCEEDED, "saw b, says the host"),
            ("c", ToolStatus.SUCCEEDED, "saw c"),
        ]
        assert stage.done == {"a": 2, "b": 1, "c": 1}
        assert [(each.session_id, each.turn_id, each.tool) for each in asked] == [
            ("s", "t", "look"),
            ("s", "t", "look"),
        ]
        assert [(each.call_id, each.arguments) for each in asked] == [
            ("a", '{"name": "a"}'),
            ("b", '{"name": "b"}'),
        ]
        assert [each.effect_id for each in asked] == ["t/2", "t/3"]

    run(scene())


def test_a_handler_that_raises_or_never_answers_leaves_the_call_interrupted(
    place: Place,
) -> None:
    async def undecided(uncertain: UncertainToolCall) -> Rerun | Settle:
        if uncertain.call_id == "a":
            raise ConnectionError("nobody is in")
        await asyncio.Event().wait()
        return Rerun()

    async def scene() -> None:
        stage = Stage(place)
        await died_in_the_tool(stage)
        assert await continued(stage, undecided, wait_ms_max=20) == UNKNOWN

    run(scene())


def test_a_model_call_in_flight_is_made_again_as_its_next_attempt(place: Place) -> None:
    async def scene() -> None:
        time = VirtualTime()
        store = Dying(place.store(), appends_max=3, is_last_written=False)
        core = host(store, speaking(says("first")), time=time, timings=TIMINGS)
        session = await core.session("s")
        with pytest.raises(Killed):
            await session.turn("go").turn_id("t")
        time.jump(30_000)
        provider = speaking(says("second", deltas=(ProseDelta(text="second"),)))
        async with (
            host(place.store(), provider, time=time, timings=TIMINGS) as other,
            other.session("s").open() as again,
        ):
            output = await again.turn("go").turn_id("t")
            (started,) = shown(output.activities, ModelRequestStarted)
            (delta,) = shown(output.activities, AssistantProseDelta)
            assert (started.attempt, delta.attempt) == (2, 2)
            assert started.effect_id == delta.effect_id == "t/1"
            assert output.result.assistant_message == "second"

    run(scene())


def test_a_tool_that_runs_again_says_so_and_usage_goes_on_from_what_was_recorded(
    place: Place,
) -> None:
    async def scene() -> None:
        stage = Stage(place)
        await died_in_the_tool(stage)
        async with (
            host(place.store(), stage.provider(), stage.tool(), time=stage.time) as core,
            core.session("s").open() as session,
        ):
            output = await session.turn("go").turn_id("t")
            attempts = [
                (each.call_id, each.attempt) for each in shown(output.activities, ToolCallStarted)
            ]
            assert attempts == [("a", 2), ("b", 2), ("c", 1)]
            used = [each.cumulative for each in shown(output.activities, UsageReported)]
            assert used == [USAGE + USAGE, USAGE + USAGE + USAGE]
            assert output.result.usage == used[-1]

    run(scene())


# Who goes on


def test_another_turn_first_brings_the_open_one_to_its_end(place: Place) -> None:
    async def scene() -> None:
        stage = Stage(place)
        await died_in_the_tool(stage)
        provider = remembering(
            calls(call("a", "look"), call("b", "look")),
            calls(call("c", "look", {"name": "c"}), text="One more."),
            says("all seen"),
            says("hello to you"),
        )
        async with (
            host(place.store(), provider, stage.tool(), time=stage.time) as core,
            core.session("s").open() as session,
        ):
            result = (await session.turn("hello").turn_id("u")).result
            assert (result.turn_id, result.assistant_message) == ("u", "hello to you")
            assert [text for role, text in await texts(session) if role == "user" and text] == [
                "go",
                "hello",
            ]
            assert session.revision == 2

    run(scene())


def test_an_open_turn_is_not_continued_with_another_input(place: Place) -> None:
    async def scene() -> None:
        stage = Stage(place)
        await died_in_the_tool(stage)
        written = names(place.store())
        async with (
            host(place.store(), stage.provider(), stage.tool(), time=stage.time) as core,
            core.session("s").open() as session,
        ):
            with pytest.raises(TurnIdConflict):
                await session.turn("something else").turn_id("t")
            assert names(place.store()) == written

    run(scene())


def test_a_drained_turn_that_is_taken_over_settles_its_input_once(place: Place) -> None:
    async def scene() -> None:
        time = VirtualTime()
        async with host(place.store(), speaking(), time=time) as core:
            session = await core.session("s")
            sent = await session.enqueue("queued")
        store = Dying(place.store(), appends_max=2, is_last_written=False)
        core = host(store, speaking(says("never")), time=time, timings=TIMINGS)
        session = await core.session("s")
        with pytest.raises(Killed):
            await session.queued_turn().drain_id("d")
        time.jump(30_000)
        async with (
            host(place.store(), speaking(says("done")), time=time) as core,
            core.session("s").open() as session,
        ):
            # The open turn still holds it, though its owner is gone.
            assert await session.pending_turn_inputs() == []
            output = await session.queued_turn()
            assert output is not None
            assert output.result.turn_id == "d"
            assert await texts(session) == [("user", "queued"), ("assistant", "done")]
            commit = next(fact for fact in facts(place.store()) if isinstance(fact, TurnCommitted))
            assert commit.completed_input_ids == (sent.input_id,)
            enqueued = [
                fact for fact in facts(place.store()) if isinstance(fact, TurnInputEnqueued)
            ]
            assert len(enqueued) == 1

    run(scene())


def test_opening_continues_no_turn(place: Place) -> None:
    async def scene() -> None:
        stage = Stage(place)
        await died_in_the_tool(stage)
        written = names(place.store())
        async with (
            host(place.store(), stage.provider(), stage.tool(), time=stage.time) as core,
            core.session("s").open() as session,
        ):
            assert await texts(session) == []
            await session.enqueue("meanwhile")
        assert names(place.store()) == [*written, "TurnInputEnqueued"]

    run(scene())


def test_before_its_lease_has_run_out_nobody_takes_a_dead_owner_over(place: Place) -> None:
    async def scene() -> None:
        stage = Stage(place)
        store = Dying(place.store(), appends_max=4, is_last_written=False)
        await stage.die(store)
        stage.time.jump(29_999)
        async with (
            host(place.store(), stage.provider(), stage.tool(), time=stage.time) as core,
            core.session("s").open() as session,
        ):
            with pytest.raises(RuntimeFault) as busy:
                await session.turn("go").turn_id("t")
            assert busy.value.code == "session_execution_busy"
            stage.time.jump(1)
            assert (await session.turn("go").turn_id("t")).result.is_success

    run(scene())


def test_a_turn_whose_continuation_fails_ends_like_any_other(place: Place) -> None:
    broken = ModelCallFailed(code="timeout", message="too slow", retryable=True)

    async def scene() -> None:
        stage = Stage(place)
        await died_in_the_tool(stage)
        async with (
            host(place.store(), speaking(fails(broken)), stage.tool(), time=stage.time) as core,
            core.session("s").open() as session,
        ):
            result = (await session.turn("go").turn_id("t")).result
            assert (result.revision, result.takeovers) == (None, 1)
            assert [issue.code for issue in result.errors] == ["timeout"]

    run(scene())
