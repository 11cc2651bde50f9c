"""PARK: letting a session go, by its last holder, and ending it for ever."""

import asyncio

import pytest

from lash_es import (
    HandleConsumed,
    LashCore,
    ParkedSession,
    SessionDeleted,
    SessionStillInUse,
    SessionStore,
    StoreFailed,
    StoreSessionMismatch,
)
from lash_es.core.ids import SessionId
from tests.scenarios.owning import owner
from tests.session.host import host, run
from tests.session.scripted import says, speaking
from tests.session.stores import Failing, Place, names, version


def test_park_02_a_clone_keeps_the_session_and_the_parked_handle_is_used_up(
    place: Place,
) -> None:
    async def scene() -> None:
        store = place.store()
        async with host(store) as core:
            session = await core.session("s")
            twin = session.clone()
            with pytest.raises(SessionStillInUse) as refusal:
                await session.park()
            assert refusal.value.holders == ("a handle",)
            assert names(store) == ["SessionOpened"]
            with pytest.raises(HandleConsumed):
                session.turn("hello")
            await twin.close()
            parked = await (await core.session("s")).park()
            assert parked == ParkedSession(session_id=SessionId("s"))

    run(scene())


def test_park_04_a_running_turn_keeps_the_session_and_nothing_is_written(place: Place) -> None:
    gate = asyncio.Event()
    provider = speaking(says("done", gate=gate))

    async def scene() -> None:
        store = place.store()
        async with host(store, provider) as core:
            session = await core.session("s")
            turn = asyncio.ensure_future(session.turn("hello").run())
            await provider.is_asked.wait()
            written = names(store)
            with pytest.raises(SessionStillInUse) as refusal:
                await session.park()
            assert refusal.value.holders == ("a running turn",)
            assert names(store) == written
            gate.set()
            assert (await turn).result.is_success

    run(scene())


def test_park_06_closing_appends_nothing_and_uses_the_handle_up(place: Place) -> None:
    async def scene() -> None:
        store = place.store()
        async with host(store, speaking(says("fine"))) as core:
            session = await core.session("s")
            await session.turn("hello")
            written = names(store)
            await session.close()
            assert names(store) == written
            for use in (
                lambda: session.turn("a"),
                session.queued_turn,
                lambda: session.enqueue("a"),
                session.observe,
                session.clone,
                session.cancel_running_turns,
            ):
                with pytest.raises(HandleConsumed) as refusal:
                    use()
                assert refusal.value.is_terminal
            for wait in (session.close(), session.park(), session.pending_turn_inputs()):
                with pytest.raises(HandleConsumed, match="closed or parked before"):
                    await wait
            # Leaving an `async with` block after that is not a mistake.
            async with session:
                pass

    run(scene())


def test_park_07_parking_leaves_the_lease_free_and_the_head_where_it_was(place: Place) -> None:
    async def scene() -> None:
        store = place.store()
        async with host(store, speaking(says("fine"), says("again"))) as core:
            session = await core.session("s")
            await session.turn("hello")
            revision = session.revision
            written = names(store)
            parked = await session.park()
            assert names(store) == [*written, "SessionParked"]
            async with (
                host(place.store(), speaking(says("again"))) as rival,
                rival.resume(parked) as resumed,
            ):
                assert resumed.revision == revision
                assert (await resumed.turn("on")).result.assistant_message == "again"

    run(scene())


def test_park_09_a_deleted_id_is_used_up_for_ever(place: Place) -> None:
    async def scene() -> None:
        store = place.store()
        async with host(store, speaking(says("fine"))) as core:
            session = await core.session("s")
            await session.turn("hello")
            other = await core.session("s")
            watching = other.observe()
            parked = await session.park()
            assert await core.delete_session("s") is True
            assert await core.delete_session("s") is False
            for opening in (core.session("s").open(), core.resume(parked)):
                with pytest.raises(SessionDeleted) as refusal:
                    await opening
                assert refusal.value.fields == {"session_id": "s"}
                assert refusal.value.is_terminal
            for use in (
                other.enqueue("a").send(),
                other.turn("a").run(),
                other.queued_turn().run(),
                other.configure(max_turns=1),
                other.pending_turn_inputs(),
                other.cancel_pending_turn_input("ti:1"),
                watching.current_observation(),
            ):
                with pytest.raises(SessionDeleted):
                    await use
            with pytest.raises(SessionDeleted):
                watching.read_view()
            assert names(store)[-1] == "SessionTombstoned"
        async with host(place.store()) as later:
            with pytest.raises(SessionDeleted):
                await later.session("s")

    run(scene())


def test_park_12_a_core_with_its_default_store_deletes() -> None:
    async def scene() -> None:
        async with LashCore(model="m") as core:
            await (await core.session("s")).close()
            assert await core.delete_session("s") is True

    run(scene())


def test_park_02_an_observer_keeps_the_session_and_the_handle_is_used_up(place: Place) -> None:
    async def scene() -> None:
        async with host(place.store()) as core:
            for let_go in ("park", "close"):
                session = await core.session("s")
                watching = session.observe()
                with pytest.raises(SessionStillInUse) as refusal:
                    await getattr(session, let_go)()
                assert refusal.value.holders == ("an observer",)
                with pytest.raises(HandleConsumed):
                    await getattr(session, let_go)()
                await watching.aclose()

    run(scene())


def test_park_03_a_final_write_that_fails_is_said_and_changes_nothing(place: Place) -> None:
    async def scene() -> None:
        store = Failing(place.store())
        async with host(store) as core:
            session = await core.session("s")
            written = version(place.store())
            store.is_broken = True
            with pytest.raises(StoreFailed, match="broken on purpose"):
                await session.park()
            store.is_broken = False
            assert version(place.store()) == written
            await (await core.session("s")).park()
            assert names(place.store())[-1] == "SessionParked"

    run(scene())


def test_park_03_a_store_of_another_session_is_named_with_both_ids(place: Place) -> None:
    async def scene() -> None:
        kept = SessionStore(place.store(), session_id="other-session")
        async with host(place.another().store()) as core:
            with pytest.raises(StoreSessionMismatch) as refusal:
                await core.session("s", store=kept)
            assert refusal.value.fields == {"loaded": "other-session", "requested": "s"}
            assert version(kept.store, "s") == version(kept.store, "other-session") == 0

    run(scene())


@pytest.mark.parametrize("let_go", ["park", "close"])
def test_park_07_after_it_another_owner_takes_the_lease_at_once(place: Place, let_go: str) -> None:
    async def scene() -> None:
        async with host(place.store(), speaking(says("fine"))) as core, owner(place) as alice:
            session = await core.session("s")
            await session.turn("hello")
            await getattr(session, let_go)()
            await alice.acquire()
            assert (await alice.state()).head.revision == 1

    run(scene())


def test_park_09_a_deleted_id_is_not_begun_anew_either(place: Place) -> None:
    async def scene() -> None:
        async with host(place.store()) as core:
            await (await core.session("s")).close()
            await core.delete_session("s")
            with pytest.raises(SessionDeleted) as refusal:
                await core.session("s").open_fresh()
            assert refusal.value.session_id == "s"

    run(scene())


def test_park_11_a_closed_log_stays_readable_and_a_second_delete_finds_nothing(
    place: Place,
) -> None:
    async def scene() -> None:
        async with host(place.store(), speaking(says("fine"))) as core:
            async with core.session("s").open() as session, core.session("other").open() as other:
                await session.turn("hello")
                await other.enqueue("stays")
            written = names(place.store())
            assert await core.delete_session("s")
            assert names(place.store()) == [*written, "SessionTombstoned"]
            assert not await core.delete_session("s")
            assert names(place.store()) == [*written, "SessionTombstoned"]
            assert version(place.store(), "other") == 2

    run(scene())
