"""Handles: opening, reopening, cloning, observing, parking, closing, deleting."""

import asyncio
from pathlib import Path

import pytest

from lash_es import (
    LashCore,
    LimitExceeded,
    MissingModelSpec,
    ModelSpec,
    ParkedSession,
    RuntimeFault,
    SessionCursor,
    SessionDeleted,
    SessionNotOpen,
    SessionSpec,
    SessionStillInUse,
    StoreClosed,
    UnencodableValue,
)
from lash_es.core.errors import BlankValue
from lash_es.core.ids import SessionId
from tests.session.host import host, run, texts
from tests.session.scripted import ScriptedProvider, always, says, speaking
from tests.session.stores import Place, names, version

HOSTILE_IDS = [
    "../weird/session",
    "/",
    "a%2fb",
    "tab\tnewline\nescape\x1b[2J",
    "nul\x00byte",
    "\u00e9",
    "e\u0301",
    "\U0001f642" * 3,
    "'; DROP TABLE stored_events; --",
    "A",
    "a",
    "x" * 512,
]


# Opening


def test_open_creates_a_session_and_opening_again_records_nothing(place: Place) -> None:
    async def scene() -> None:
        store = place.store()
        async with host(store) as core:
            session = await core.session("s")
            assert (session.session_id, session.version, session.revision) == ("s", 1, 0)
            await session.close()
            async with core.session("s").open() as again:
                assert again.version == 1
            assert names(store) == ["SessionOpened"]

    run(scene())


def test_two_cores_that_create_one_session_at_once_create_it_once(place: Place) -> None:
    async def scene() -> None:
        store = place.store()
        async with host(place.store()) as core, host(place.store(), model="other") as rival:
            await asyncio.gather(core.session("s").open(), rival.session("s").open())
            assert names(store) == ["SessionOpened", "SessionConfigured"]

    run(scene())


def test_the_host_that_opens_last_sets_the_policy(place: Place) -> None:
    async def scene() -> None:
        store = place.store()
        first = host(store, speaking(), model="m1", max_turns=3, instructions="Be short.")
        async with first, first.session("s").open() as session:
            assert session.policy_snapshot().model == ModelSpec(model_id="m1")
        second = host(place.store(), speaking(), model="m2", max_turns=9)
        async with second:
            spec = SessionSpec(max_turns=None, instructions="Be long.")
            builder = second.session("s").session_spec(spec).model("m3")
            async with builder.open() as session:
                policy = session.policy_snapshot()
                assert (policy.model.model_id, policy.max_turns) == ("m3", None)
                assert (policy.instructions, policy.provider_id) == ("Be long.", "scripted")

    run(scene())


def test_setters_return_new_builders(place: Place) -> None:
    async def scene() -> None:
        async with host(place.store(), model="m1") as core:
            plain = core.session("s")
            changed = plain.model("m2").max_turns(5).instructions("Be kind.")
            async with plain.open() as session:
                assert session.policy_snapshot().model.model_id == "m1"
            async with changed.open() as session:
                policy = session.policy_snapshot()
                assert (policy.model.model_id, policy.max_turns, policy.instructions) == (
                    "m2",
                    5,
                    "Be kind.",
                )

    run(scene())


def test_the_recorded_provider_stays_and_another_one_fails_the_turn_before_it_is_written(
    place: Place,
) -> None:
    async def scene() -> None:
        store = place.store()
        async with host(place.store(), speaking(kind="first")) as core:
            await (await core.session("s")).close()
        async with (
            host(store, speaking(says("never"), kind="second")) as other,
            other.session("s").open() as session,
        ):
            assert session.policy_snapshot().provider_id == "first"
            written = names(store)
            await session.enqueue("queued")
            for attempt in (session.turn("hello").run(), session.queued_turn().run()):
                with pytest.raises(RuntimeFault) as fault:
                    await attempt
                assert fault.value.code == "llm_provider"
                assert not fault.value.is_retryable
                assert "'first'" in str(fault.value)
                assert "'second'" in str(fault.value)
            assert names(store) == [*written, "TurnInputEnqueued"]

    run(scene())


def test_without_a_provider_a_session_is_opened_and_its_turns_fail(place: Place) -> None:
    async def scene() -> None:
        async with host(place.store()) as core, core.session("s").open() as session:
            with pytest.raises(RuntimeFault) as fault:
                await session.turn("hello")
            assert fault.value.code == "llm_provider"
            assert "has no provider to ask" in str(fault.value)
        async with (
            host(place.store(), speaking(says("fine"))) as core,
            core.session("s").open() as session,
        ):
            # A blank provider is nobody's: the first one that comes is recorded.
            assert session.policy_snapshot().provider_id == "scripted"
            assert (await session.turn("hello")).result.is_success

    run(scene())


def test_a_provider_named_at_opening_wins_over_the_core_s(place: Place) -> None:
    async def scene() -> None:
        async with host(place.store(), speaking(kind="core")) as core:
            mine = speaking(says("mine"), kind="mine")
            async with core.session("s").provider(mine).open() as session:
                assert session.policy_snapshot().provider_id == "mine"
                assert (await session.turn("hello")).result.assistant_message == "mine"

    run(scene())


def test_a_core_without_a_model_is_refused() -> None:
    with pytest.raises(MissingModelSpec) as refusal:
        LashCore()
    assert refusal.value.is_terminal
    assert "name one" in str(refusal.value)


def test_session_ids_are_opaque_text(place: Place) -> None:
    async def scene() -> None:
        provider = ScriptedProvider(script=always(says("fine")))
        async with host(place.store(), provider) as core:
            for session_id in HOSTILE_IDS:
                async with core.session(session_id).open() as session:
                    await session.turn(session_id)
            for session_id in HOSTILE_IDS:
                async with core.session(session_id).open() as session:
                    assert session.session_id == session_id
                    assert (await texts(session))[0] == ("user", session_id)

    run(scene())


@pytest.mark.parametrize(
    ("session_id", "refusal"),
    [
        ("", BlankValue),
        (" \n", BlankValue),
        ("x" * 513, LimitExceeded),
        ("\ud800", UnencodableValue),
    ],
)
def test_a_session_id_that_cannot_be_one_is_refused(
    place: Place, session_id: str, refusal: type[Exception]
) -> None:
    async def scene() -> None:
        async with host(place.store()) as core:
            with pytest.raises(refusal):
                await core.session(session_id)

    run(scene())


@pytest.mark.parametrize("model", [" ", "m" * 513])
def test_a_model_that_cannot_be_one_is_refused(place: Place, model: str) -> None:
    async def scene() -> None:
        async with host(place.store(), model=model) as core:
            with pytest.raises((BlankValue, LimitExceeded)):
                await core.session("s")

    run(scene())


def test_commit_40_without_a_store_the_log_is_in_memory_and_ends_with_the_core() -> None:
    async def scene() -> None:
        core = LashCore(model="m", provider=speaking(says("fine")))
        async with core:
            async with core.session("s").open() as session:
                await session.turn("hello")
            async with core.session("s").open() as again:
                assert await texts(again) == [("user", "hello"), ("assistant", "fine")]
        with pytest.raises(StoreClosed):
            await core.session("s")

    run(scene())


def test_open_41_a_path_is_a_file_that_another_core_opens_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "log.db"

    async def scene() -> None:
        async with (
            LashCore(model="m", provider=speaking(says("fine")), store=path) as core,
            core.session("s").open() as session,
        ):
            await session.turn("hello")
            await session.enqueue("queued")
            before = (await texts(session), session.usage_report(), session.pending)
        async with (
            LashCore(model="m", provider=speaking(), store=str(path)) as core,
            core.session("s").open() as session,
        ):
            assert (await texts(session), session.usage_report(), session.pending) == before

    run(scene())


def test_closing_a_core_closes_its_log_though_the_provider_fails_to() -> None:
    class Stubborn(ScriptedProvider):
        async def aclose(self) -> None:
            raise OSError("the connection is gone")

    async def scene() -> None:
        core = LashCore(model="m", provider=Stubborn(script=always(says("fine"))))
        with pytest.raises(OSError, match="gone"):
            await core.aclose()
        with pytest.raises(StoreClosed):
            await core.session("s")

    run(scene())


# Configuring


def test_configure_changes_what_is_named_for_the_turns_to_come(place: Place) -> None:
    provider = speaking(says("a"), says("b"))

    async def scene() -> None:
        store = place.store()
        async with (
            host(store, provider, instructions="Be short.") as core,
            core.session("s").open() as session,
        ):
            await session.turn("first")
            await session.configure(model=ModelSpec(model_id="m2"), max_turns=4)
            assert names(store)[-1] == "SessionConfigured"
            policy = session.policy_snapshot()
            assert (policy.model.model_id, policy.max_turns, policy.instructions) == (
                "m2",
                4,
                "Be short.",
            )
            await session.configure(instructions="Be long.")
            written = names(store)
            await session.configure()
            assert names(store) == written
            await session.turn("second")
            assert (provider.requests[1].model, provider.requests[1].instructions) == (
                "m2",
                "Be long.",
            )

    run(scene())


def test_configuring_on_one_handle_does_not_undo_what_another_has_configured(
    place: Place,
) -> None:
    async def scene() -> None:
        async with (
            host(place.store()) as core,
            core.session("s").open() as one,
            core.session("s").open() as two,
        ):
            await one.configure(model="m2")
            await two.configure(instructions="Be kind.")
            policy = two.policy_snapshot()
            assert (policy.model.model_id, policy.instructions) == ("m2", "Be kind.")

    run(scene())


# Observing


def test_an_observation_is_a_view_with_the_cursor_after_it(place: Place) -> None:
    async def scene() -> None:
        async with (
            host(place.store(), speaking(says("fine"))) as core,
            core.session("s").open() as session,
            core.session("s").open() as other,
            session.observe() as watching,
        ):
            await other.turn("hello")
            seen = await watching.current_observation()
            assert watching.session_id == "s"
            assert seen.cursor == SessionCursor(SessionId("s"), seen.read_view.version)
            assert SessionCursor.parse(str(seen.cursor)) == seen.cursor
            assert [m.text for m in await seen.read_view.messages()] == ["hello", "fine"]
            assert watching.usage_report() == other.usage_report()
            assert watching.policy_snapshot() == other.policy_snapshot()
            assert watching.read_view() == seen.read_view

    run(scene())


def test_an_observer_holds_the_session_until_it_is_closed_once(place: Place) -> None:
    async def scene() -> None:
        async with host(place.store()) as core:
            session = await core.session("s")
            watching, second = session.observe(), session.observe()
            await watching.aclose()
            await watching.aclose()
            with pytest.raises(SessionStillInUse) as refusal:
                await session.close()
            assert refusal.value.fields == {"session_id": "s", "holders": ("an observer",)}
            await second.aclose()

    run(scene())


# Parking and closing


def test_resuming_keeps_the_parked_policy(place: Place) -> None:
    async def scene() -> None:
        async with host(place.store(), speaking(), model="m1") as core:
            parked = await (await core.session("s").max_turns(2)).park()
        async with host(place.store(), speaking(says("on")), model="m2") as other:
            resumed = await other.resume(parked)
            policy = resumed.policy_snapshot()
            assert (policy.model.model_id, policy.max_turns) == ("m1", 2)
            assert (await resumed.turn("go")).result.is_success

    run(scene())


def test_parking_a_parked_session_again_appends_nothing(place: Place) -> None:
    async def scene() -> None:
        store = place.store()
        async with host(store) as core:
            await (await core.session("s")).park()
            await (await core.session("s")).park()
            assert names(store) == ["SessionOpened", "SessionParked"]

    run(scene())


def test_resuming_what_is_not_there_is_refused(place: Place) -> None:
    async def scene() -> None:
        store = place.store()
        async with host(store) as core:
            with pytest.raises(SessionNotOpen):
                await core.resume(ParkedSession(session_id=SessionId("none")))
            assert version(store, "none") == 0

    run(scene())


def test_what_the_body_of_a_with_block_raised_is_what_is_seen(place: Place) -> None:
    async def scene() -> None:
        async with host(place.store()) as core, core.session("s").open() as session:
            session.observe()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(scene())


def test_a_with_block_that_cannot_be_entered_leaves_nothing_behind(place: Place) -> None:
    async def scene() -> None:
        async with host(place.store()) as core:
            with pytest.raises(BlankValue):
                async with core.session("").open():
                    raise AssertionError("never entered")

    run(scene())


# Deleting


def test_deleting_what_is_not_there_is_refused(place: Place) -> None:
    async def scene() -> None:
        store = place.store()
        async with host(store) as core:
            with pytest.raises(SessionNotOpen):
                await core.delete_session("none")
            assert version(store, "none") == 0

    run(scene())


def test_deleting_stops_a_turn_that_runs(place: Place) -> None:
    gate = asyncio.Event()
    provider = speaking(says("done", gate=gate))

    async def scene() -> None:
        store = place.store()
        async with host(store, provider) as core:
            session = await core.session("s")
            turn = asyncio.ensure_future(session.turn("hello").run())
            await provider.is_asked.wait()
            await core.delete_session("s")
            gate.set()
            with pytest.raises(SessionDeleted):
                await turn
            assert names(store)[-1] == "SessionTombstoned"

    run(scene())


def test_namespaces_of_one_store_do_not_see_each_other(tmp_path: Path) -> None:
    path = tmp_path / "log.db"

    async def scene() -> None:
        async with (
            LashCore(model="m", store=path, namespace="a") as one,
            LashCore(model="m", store=path, namespace="b") as two,
        ):
            session = await one.session("s")
            await session.enqueue("hello")
            other = await two.session("s")
            assert (session.version, other.version) == (2, 1)
            assert await one.delete_session("s") is True
            await two.session("s")

    run(scene())
