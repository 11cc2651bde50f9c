"""
Committing: lost races are run again, lost answers are looked up, and a refusal counts only on the
newest state.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from lash_es import (
    LashCore,
    LashSession,
    LeaseTimings,
    Limits,
    ModelSpec,
    RuntimeFault,
    SessionDeleted,
    SessionNotOpen,
    SessionPolicy,
    StoreFailed,
)
from lash_es.core.commands import ParkSession
from lash_es.core.events import (
    EffectSettled,
    SessionOpened,
    SessionTombstoned,
    TurnCommitted,
    TurnInputEnqueued,
)
from lash_es.core.evolve import fold
from lash_es.core.ids import SessionId
from lash_es.core.known import NOTHING_KNOWN
from lash_es.core.limits import DEFAULT_LIMITS
from lash_es.core.state import NOT_OPENED, State
from lash_es.log.appends import AppendResult, StreamAppend
from lash_es.log.log import StoreLog
from lash_es.log.port import Store
from lash_es.runtime.committing import APPEND_ATTEMPTS_MAX, Draft, Lane
from lash_es.runtime.faults import AppendUnresolved, TooManyConflicts
from lash_es.runtime.opening import open_session
from lash_es.runtime.world import World, system_now_ms
from tests.session.conftest import place
from tests.session.host import host, messages, run, texts
from tests.session.scripted import ScriptedProvider, call, calls, remembering, says, speaking
from tests.session.stores import (
    Failing,
    InFile,
    InMemory,
    Place,
    Through,
    Unsure,
    facts,
    names,
    stream,
)
from tests.session.virtual_time import VirtualTime

__all__ = ["place"]

TIMINGS = LeaseTimings(ttl_ms=30_000, renew_interval_ms=10_000)


def note(name: str) -> str:
    return f"noted {name}"


def provider() -> ScriptedProvider:
    return remembering(
        calls(call("a", "note", {"name": "a"}), call("b", "note", {"name": "b"})),
        says("both noted"),
    )


# Races


class Racing(Through):
    """Lets somebody else append first, so many times."""

    def __init__(self, inner: Store, times: int) -> None:
        super().__init__(inner)
        self.times_left = times
        self.interfere: Callable[[], Coroutine[Any, Any, object]] | None = None

    def append(self, appends: Sequence[StreamAppend]) -> AppendResult:
        if self.interfere is not None and self.times_left > 0:
            self.times_left -= 1
            at_once(self.interfere())
        return super().append(appends)


def at_once(coroutine: Coroutine[Any, Any, object]) -> None:
    """Run to the end on a loop of its own, as another process would, while this one stands."""
    thread = Thread(target=run, args=(coroutine,))
    thread.start()
    thread.join()


def test_a_command_that_lost_races_is_decided_again_on_what_it_lost_to(place: Place) -> None:
    async def scene() -> None:
        store = Racing(place.store(), times=5)
        async with (
            host(store) as core,
            host(place.store()) as rival,
            core.session("s").open() as session,
            rival.session("s").open() as other,
        ):
            store.interfere = lambda: other.enqueue("theirs").send()
            sent = await session.enqueue("mine")
            assert sent.sequence == 6
            assert [each.sequence for each in await session.pending_turn_inputs()] == [
                1,
                2,
                3,
                4,
                5,
                6,
            ]

    run(scene())


def test_who_loses_every_race_is_told_so(place: Place) -> None:
    async def scene() -> None:
        store = Racing(place.store(), times=APPEND_ATTEMPTS_MAX)
        async with (
            host(store) as core,
            host(place.store()) as rival,
            core.session("s").open() as session,
            rival.session("s").open() as other,
        ):
            store.interfere = lambda: other.enqueue("theirs").send()
            with pytest.raises(TooManyConflicts) as lost:
                await session.enqueue("mine")
            assert lost.value.fields == {"session_id": "s", "attempts": APPEND_ATTEMPTS_MAX}
            assert lost.value.is_retryable
            assert f"lost {APPEND_ATTEMPTS_MAX} races" in str(lost.value)
            await session.enqueue("mine")

    run(scene())


def test_inputs_sent_from_two_cores_while_a_turn_runs_are_all_there_once(tmp_path: Path) -> None:
    shared = InFile(tmp_path / "log.db")
    counts = {"a": 25, "b": 25}

    async def send(session: LashSession, name: str) -> None:
        for number in range(counts[name]):
            await session.enqueue(f"{name}{number}").id(f"{name}{number}")
            await asyncio.sleep(0)

    async def scene() -> None:
        async with (
            host(shared.store(), provider(), note) as core,
            host(shared.store()) as one,
            host(shared.store()) as two,
            core.session("s").open() as session,
            one.session("s").open() as first,
            two.session("s").open() as second,
        ):
            turn = asyncio.ensure_future(session.turn("go").run())
            await asyncio.gather(send(first, "a"), send(second, "b"), send(first, "b"))
            assert (await turn).result.is_success
            listed = await session.pending_turn_inputs()
            assert [each.sequence for each in listed] == list(range(1, 51))
            keys = [each.source_key for each in listed]
            assert sorted(filter(None, keys)) == sorted(
                f"host:{name}{number}" for name, count in counts.items() for number in range(count)
            )

    run(scene())


def test_a_key_that_another_core_has_just_used_is_the_same_input(place: Place) -> None:
    """The index said so already, while this handle's state did not know of it yet."""

    async def scene() -> None:
        async with (
            host(place.store()) as core,
            host(place.store()) as rival,
            core.session("s").open() as session,
            rival.session("s").open() as other,
        ):
            theirs = await other.enqueue("hello").id("k")
            assert await session.enqueue("hello").id("k") == theirs

    run(scene())


def test_a_refusal_counts_only_on_the_newest_state(place: Place) -> None:
    async def scene() -> None:
        async with (
            host(place.store(), limits=Limits(inputs_pending_max=1)) as core,
            host(place.store()) as rival,
            core.session("s").open() as session,
            rival.session("s").open() as other,
        ):
            sent = await session.enqueue("one")
            await other.cancel_pending_turn_input(sent.input_id)
            # As far as this handle knows, the queue is full.
            assert session.pending.inputs_count == 1
            await session.enqueue("two")

    run(scene())


def test_nothing_to_do_counts_only_on_the_newest_state(place: Place) -> None:
    async def scene() -> None:
        async with (
            host(place.store(), max_turns=3) as core,
            core.session("s").open() as session,
            core.session("s").open() as other,
        ):
            await other.configure(max_turns=5)
            # As far as this handle knows, it is 3 already.
            await session.configure(max_turns=3)
            assert session.policy_snapshot().max_turns == 3
            assert names(place.store())[-2:] == ["SessionConfigured", "SessionConfigured"]

    run(scene())


# Lost answers


@pytest.mark.parametrize("happens", [True, False])
@pytest.mark.parametrize("lost", range(1, 8))
def test_an_append_whose_answer_is_lost_is_neither_lost_nor_doubled(
    place: Place, lost: int, happens: bool
) -> None:
    async def scene() -> None:
        async with (
            host(InMemory().store(), provider(), note) as calm,
            calm.session("s").open() as undisturbed,
        ):
            await undisturbed.turn("go").turn_id("t")
            expected = await messages(undisturbed)
        store = Unsure(place.store(), happens=lambda number: happens if number == lost else None)
        async with host(store, provider(), note) as core, core.session("s").open() as session:
            await session.enqueue("queued")
            await session.turn("go").turn_id("t")
            assert await messages(session) == expected
            await session.enqueue("more")
            recorded = facts(place.store())
            settled = [fact.effect_id for fact in recorded if isinstance(fact, EffectSettled)]
            assert sorted(settled) == ["t/1", "t/2", "t/3", "t/4"]
            assert sum(isinstance(fact, TurnCommitted) for fact in recorded) == 1
            assert sum(isinstance(fact, TurnInputEnqueued) for fact in recorded) == 2
        assert store.lost_count == (1 if lost <= store.appends_count else 0)

    run(scene())


def test_an_append_that_happened_unheard_is_found_behind_what_others_appended(
    place: Place,
) -> None:
    class Overtaken(Unsure):
        """By the time the answer is lost, somebody else has appended as well."""

        other: LashSession | None = None

        def append(self, appends: Sequence[StreamAppend]) -> AppendResult:
            result = super().append(appends)
            if self.other is not None:
                other, self.other = self.other, None
                at_once(other.enqueue("theirs").send())
            return result

    async def scene() -> None:
        store = Overtaken(place.store(), happens=lambda number: True if number == 2 else None)
        async with (
            host(store) as core,
            host(place.store()) as rival,
            core.session("s").open() as session,
            rival.session("s").open() as other,
        ):
            store.other = other
            assert (await session.enqueue("mine")).sequence == 1
            assert [each.sequence for each in await session.pending_turn_inputs()] == [1, 2]
            assert session.version == 3

    run(scene())


def test_an_append_that_cannot_be_looked_up_is_reported_as_unresolved(place: Place) -> None:
    async def scene() -> None:
        failing = Failing(place.store())
        store = Unsure(failing, happens=lambda number: True if number == 2 else None)
        async with host(store) as core, core.session("s").open() as session:
            failing.can_read = False
            with pytest.raises(AppendUnresolved) as unresolved:
                await session.enqueue("mine").id("k")
            assert unresolved.value.reason == "the line went dead"
            assert "may have happened" in str(unresolved.value)
            failing.can_read = True
            # The host asks again under its key, and learns that it had happened.
            await session.enqueue("mine").id("k")
            assert [each.sequence for each in await session.pending_turn_inputs()] == [1]

    run(scene())


# A log that fails


def test_commit_37_a_turn_whose_log_fails_stops_and_goes_on_from_what_was_recorded(
    place: Place,
) -> None:
    time = VirtualTime()
    noted: list[str] = []

    async def scene() -> None:
        store = Failing(place.store())

        async def note(name: str) -> str:
            noted.append(name)
            if name == "b":
                # The first call is recorded; then the disk is full.
                for _ in range(20):
                    await asyncio.sleep(0)
                store.is_broken = True
            return f"noted {name}"

        asked = provider()
        async with (
            host(store, asked, note, time=time, timings=TIMINGS) as core,
            core.session("s").open() as session,
        ):
            with pytest.raises(RuntimeFault) as fault:
                await session.turn("go").turn_id("t")
            assert (fault.value.code, fault.value.is_retryable) == ("store_commit_failed", False)
            assert isinstance(fault.value.__cause__, StoreFailed)
            assert names(place.store())[-1] == "EffectSettled"
            assert len(asked.requests) == 1
            store.is_broken = False
            # Nobody knows what of the last append is there, so the lease is kept until it ends.
            async with (
                host(
                    place.store(), asked, note, time=time, timings=TIMINGS, on_uncertain_tool=None
                ) as rival,
                rival.session("s").open() as other,
            ):
                assert await other.queued_turn() is None
                time.jump(30_000)
                result = (await other.turn("go").turn_id("t")).result
                assert [each.output for each in result.tool_calls] == [
                    "noted a",
                    "interrupted: whether the call had its effect is not known",
                ]
                assert result.assistant_message == "both noted"
        assert noted == ["a", "b"]
        assert len(asked.requests) == 2

    run(scene())


def test_a_turn_whose_log_cannot_be_asked_fails_in_the_same_words(place: Place) -> None:
    async def scene() -> None:
        failing = Failing(place.store())
        # Opening, accepting; the answer to the reply's append is lost, and so is the line.
        store = Unsure(failing, happens=lambda number: True if number == 3 else None)

        class Cut(Unsure):
            def append(self, appends: Sequence[StreamAppend]) -> AppendResult:
                result = super().append(appends)
                failing.can_read = self.lost_count == 0
                return result

        store = Cut(failing, happens=lambda number: True if number == 3 else None)
        async with host(store, speaking(says("done"))) as core:
            session = await core.session("s")
            with pytest.raises(RuntimeFault) as fault:
                await session.turn("go").turn_id("t")
            assert fault.value.code == "store_commit_failed"
            assert isinstance(fault.value.__cause__, AppendUnresolved)
            failing.can_read = True
            # It had happened: the turn is over, and looking it up says so.
            result = (await session.turn("go").turn_id("t")).result
            assert result.assistant_message == "done"

    run(scene())


def test_a_turn_that_cannot_even_be_accepted_asks_nobody(place: Place) -> None:
    async def scene() -> None:
        store = Failing(place.store())
        asked = provider()
        async with host(store, asked, note) as core, core.session("s").open() as session:
            store.is_broken = True
            for attempt in (session.turn("go").run(), session.turn("go").run()):
                with pytest.raises(RuntimeFault) as fault:
                    await attempt
                assert fault.value.code == "store_commit_failed"
            assert asked.requests == []
            store.is_broken = False
            assert (await session.turn("go")).result.is_success

    run(scene())


def test_enqueuing_on_a_log_that_fails_raises_what_is_wrong_with_it(place: Place) -> None:
    async def scene() -> None:
        store = Failing(place.store())
        async with host(store) as core, core.session("s").open() as session:
            store.is_broken = True
            with pytest.raises(StoreFailed):
                await session.enqueue("hello")
            store.is_broken = False
            assert await session.pending_turn_inputs() == []

    run(scene())


def test_fault_19_a_commit_whose_caller_never_heard_of_it_is_looked_up(place: Place) -> None:
    async def scene() -> None:
        time = VirtualTime()
        asked = speaking(says("done"))

        class Deaf(Failing):
            """Commits the turn, and then is gone."""

            def append(self, appends: Sequence[StreamAppend]) -> AppendResult:
                result = super().append(appends)
                if names(self.inner)[-1] == "LeaseReleased":
                    raise StoreFailed(where=self.where, reason="after the commit")
                return result

        async with host(Deaf(place.store()), asked, time=time) as core:
            session = await core.session("s")
            with pytest.raises(RuntimeFault):
                await session.turn("go").turn_id("t")
        async with (
            host(place.store(), asked, time=time) as core,
            core.session("s").open() as session,
        ):
            result = (await session.turn("go").turn_id("t")).result
            assert (result.assistant_message, result.revision) == ("done", 1)
            assert await texts(session) == [("user", "go"), ("assistant", "done")]
            assert names(place.store()).count("TurnCommitted") == 1
        assert len(asked.requests) == 1

    run(scene())


# Drafts and lanes


def test_a_draft_of_no_session_says_which_kind_of_none() -> None:
    with pytest.raises(SessionNotOpen):
        _ = Draft(NOT_OPENED, NOTHING_KNOWN).session
    gone = folded_away()
    with pytest.raises(SessionDeleted):
        _ = Draft(gone, NOTHING_KNOWN).session


def folded_away() -> State:
    opened = SessionOpened(
        at_ms=1,
        session_id=SessionId("s"),
        policy=SessionPolicy(provider_id="", model=ModelSpec(model_id="m")),
    )
    return fold([opened, SessionTombstoned(at_ms=2)])


def test_a_lane_folds_what_it_appends_and_what_others_did(place: Place) -> None:
    async def scene() -> None:
        log = StoreLog(place.store(), system_now_ms)
        mine, theirs = (
            Lane(log, stream("s"), World(), DEFAULT_LIMITS),
            Lane(log, stream("s"), World(), DEFAULT_LIMITS),
        )
        core = LashCore(model="m")
        opened = await open_session(mine, core._policy)
        assert opened.version == 1
        assert theirs.state == NOT_OPENED
        assert await theirs.catch_up() == mine.state
        assert len(await theirs.execute(ParkSession(now_ms=log.now_ms()))) == 1
        # Parked already, which this lane finds out before it answers with nothing.
        assert await mine.execute(ParkSession(now_ms=log.now_ms())) == ()
        assert mine.folded == theirs.folded
        await core.aclose()

    run(scene())
