"""
What a commit keeps besides what was said: the states of tools and plugins, and attachments; and
what storage lets go of. COMMIT 03, 20, 21, 23, 24, 26, on memory, SQLite and PostgreSQL.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from lash_es import (
    AttachmentNotFound,
    Enclosures,
    InvalidArgument,
    LashCore,
    LashSession,
    NewState,
    StateKind,
    StateOutdated,
)
from lash_es.core.bodies import BodyRef, NewBody
from lash_es.core.commands import ParkSession
from lash_es.core.errors import LimitExceeded
from lash_es.core.ids import AttachmentId, Position, Version
from lash_es.core.messages import TokenUsage
from lash_es.core.state import Open
from lash_es.log.removing import NoArchive
from lash_es.log.snapshotting import load_as_of, write_snapshot
from lash_es.log.sweeping import Swept, TableBlobs, body_roots, sweep
from lash_es.timetravel.verifying import verify_session
from tests.log.trims import trimming
from tests.scenarios.owning import SALT, Owner, owner
from tests.session.host import host, run
from tests.session.scripted import Say, says, speaking
from tests.session.stores import Place, names, stream, version

PNG = b"\x89PNG" + b"pixels" * 20_000
"""Large enough to be kept once, apart from who holds it."""
LONG_AFTER_MS = 10**15
NOBODYS = AttachmentId("sha256:0")


def kept(kind: StateKind, revision: int, content: bytes = b"{}") -> NewState:
    return NewState(kind=kind, revision=revision, body=NewBody(content=content, salt=SALT))


def tools(generation: int) -> Enclosures:
    """Tool state of a generation, which its content says too."""
    content = f'{{"generation": {generation}}}'.encode()
    return Enclosures(states=(kept(StateKind.TOOLS, generation, content),))


@asynccontextmanager
async def hosted(place: Place, session_id: str = "s") -> AsyncIterator[LashSession]:
    async with host(place.store()) as core, core.session(session_id).open() as session:
        yield session


async def committed(alice: Owner, turn_id: str, enclosures: Enclosures) -> None:
    await alice.acquire()
    await alice.answered(turn_id)
    await alice.commit(turn_id, releases_lease=True, enclosures=enclosures)


def shown(place: Place, at: int) -> int | None:
    """Return the generation of the tool state as of a version."""
    state = load_as_of(place.store(), stream(), at).state
    assert isinstance(state, Open)
    return None if state.states.tools is None else state.states.tools.revision


def test_commit_03_states_and_usage_are_there_when_the_session_is_opened(place: Place) -> None:
    async def scene() -> None:
        usage = TokenUsage(
            input_tokens=11,
            output_tokens=7,
            cache_read_input_tokens=3,
            reasoning_output_tokens=5,
        )
        async with owner(place) as alice:
            await alice.acquire()
            await alice.answered("t1", usage=usage)
            states = (kept(StateKind.TOOLS, 9, b"tools"), kept(StateKind.PLUGINS, 12, b"plugins"))
            await alice.commit("t1", enclosures=Enclosures(states=states), releases_lease=True)
            assert names(place.store())[-3:] == [
                *("CommitEnclosed", "TurnCommitted", "LeaseReleased")
            ]
        async with hosted(place) as session:
            tool_state = await session.kept_state(StateKind.TOOLS)
            plugin_state = await session.kept_state(StateKind.PLUGINS)
            assert tool_state is not None
            assert plugin_state is not None
            assert (tool_state.revision, tool_state.content) == (9, b"tools")
            assert (plugin_state.revision, plugin_state.content) == (12, b"plugins")
            (row,) = session.usage_report().rows
            assert row.usage == usage
        assert verify_session(place.store(), stream()).is_sound

    run(scene())


def test_commit_03_a_state_that_did_not_change_is_not_recorded_again(place: Place) -> None:
    async def scene() -> None:
        async with owner(place) as alice:
            await committed(alice, "t1", tools(2))
            await committed(alice, "t2", tools(2))
            assert names(place.store()).count("CommitEnclosed") == 1
            await alice.acquire()
            await alice.answered("t3")
            written = version(place.store())
            with pytest.raises(StateOutdated) as refusal:
                await alice.commit("t3", enclosures=tools(1))
            assert (refusal.value.presented, refusal.value.recorded) == (1, 2)
            assert "revision 1, expected 2 or more" in str(refusal.value)
            assert version(place.store()) == written
            presented = await alice.hash()
            await alice.commit("t3", enclosures=tools(3), commit_hash=presented)
            # Who never heard the answer asks again, and is told what was stored.
            again = await alice.commit("t3", enclosures=tools(3), commit_hash=presented)
            assert again.is_stored
        async with hosted(place) as session:
            state = await session.kept_state(StateKind.TOOLS)
            assert state is not None
            assert state.content == b'{"generation": 3}'
            assert await session.kept_state(StateKind.PLUGINS) is None

    run(scene())


def test_commit_03_a_trim_keeps_the_last_states_and_lets_the_older_go(place: Place) -> None:
    async def scene() -> None:
        async with owner(place) as alice:
            await committed(alice, "t1", tools(1))
            await committed(alice, "t2", tools(2))
        before = verify_session(place.store(), stream())
        trimming(place.store()).trim(stream(), None)
        async with hosted(place) as session:
            state = await session.kept_state(StateKind.TOOLS)
            assert state is not None
            assert state.content == b'{"generation": 2}'
        after = verify_session(place.store(), stream())
        assert after.is_sound
        assert after.oldest > before.oldest
        lying = [
            body.content
            for position in range(after.version)
            for body in read_bodies(place, position)
        ]
        assert b'{"generation": 2}' in lying
        assert b'{"generation": 1}' not in lying

    run(scene())


def read_bodies(place: Place, position: int) -> list[NewBody]:
    refs = [BodyRef(position=Position(position), ordinal=n) for n in range(2)]
    found = place.store().read_bodies(stream(), refs)
    return [NewBody(content=each.content, salt=each.salt) for each in found.values()]


async def parked(alice: Owner) -> None:
    """A snapshot is taken whenever a session is parked."""
    await alice.execute(ParkSession(now_ms=alice.now_ms))


def snapshots(place: Place) -> list[int]:
    """List the versions that there are snapshots of, newest first."""
    store, found = place.store(), list[int]()
    newest = Version(version(store))
    while (stored := store.read_snapshot(stream(), newest)) is not None:
        found.append(stored.version)
        newest = Version(stored.version - 1)
    return found


def test_commit_20_superseded_snapshots_go_and_no_fact_does(place: Place) -> None:
    async def scene() -> None:
        async with owner(place) as alice:
            await committed(alice, "t1", tools(1))
            first = version(place.store())
            await parked(alice)
            await committed(alice, "t2", tools(2))
            await parked(alice)
        assert len(snapshots(place)) == 2
        async with host(place.store()) as core:
            collected = await core.storage.gc_unreachable()
            assert collected.root_count >= 1
            assert collected.retained_blob_count >= 1
            assert collected.deleted_blob_count >= 1
            assert snapshots(place) == [version(place.store())]
            assert (await core.storage.gc_unreachable()).deleted_blob_count == 0
            async with core.session("s").open() as session:
                state = await session.kept_state(StateKind.TOOLS)
                assert state is not None
                assert (state.revision, state.content) == (2, b'{"generation": 2}')
        assert shown(place, first) == 1
        assert shown(place, first - 5) is None
        assert verify_session(place.store(), stream()).is_sound

    run(scene())


def test_commit_20_a_snapshot_that_was_asked_for_stays(place: Place) -> None:
    async def scene() -> None:
        async with owner(place) as alice:
            await committed(alice, "t1", tools(1))
            await parked(alice)
        assert write_snapshot(place.store(), stream(), 2) is not None
        newest = version(place.store())
        for _ in range(2):
            forgotten = place.store().forget_snapshots(stream())
            assert (forgotten.retained_count, forgotten.deleted_count) == (2, 0)
        assert snapshots(place) == [newest, 2]
        nowhere = place.store().forget_snapshots(stream("nowhere"))
        assert (nowhere.retained_count, nowhere.deleted_count) == (0, 0)

    run(scene())


def test_commit_21_snapshots_go_with_a_commit_while_other_sessions_commit(place: Place) -> None:
    async def scene() -> None:
        turns = [says(f"{n}!") for n in range(40)]
        async with housekeeping(place, turns, every=1) as core:
            session = core.session("s")
            for n in range(2):
                async with session.open() as opened:
                    await opened.turn(f"{n}")
                    await opened.park()
            assert len(snapshots(place)) == 2
            others = [turn(core, f"other {n}") for n in range(8)]
            async with session.open() as opened:
                await asyncio.wait_for(asyncio.gather(opened.turn("3"), *others), 60)
                assert len(snapshots(place)) == 1
                assert opened.revision == 3
        for n in range(8):
            assert "TurnCommitted" in names(place.store(), f"other {n}")
        assert verify_session(place.store(), stream()).is_sound

    run(scene())


@pytest.mark.parametrize("every", [None, 2])
def test_commit_21_snapshots_stay_until_it_is_their_turn(place: Place, every: int | None) -> None:
    async def scene() -> None:
        async with housekeeping(place, [says("!")] * 3, every=every) as core:
            for n in range(2):
                async with core.session("s").open() as opened:
                    await opened.turn(f"{n}")
                    await opened.park()
            async with core.session("s").open() as opened:
                await opened.turn("3")
                assert len(snapshots(place)) == 2
        with pytest.raises(InvalidArgument):
            LashCore(model="m", gc_commits_count=0)

    run(scene())


def housekeeping(place: Place, turns: Sequence[Say], every: int | None) -> LashCore:
    return LashCore(
        model="m", provider=speaking(*turns), store=place.store(), gc_commits_count=every
    )


async def turn(core: LashCore, session_id: str) -> None:
    async with core.session(session_id).open() as session:
        await session.turn("go")


def test_commit_23_the_same_attachment_is_of_two_owners_apart(place: Place) -> None:
    async def scene() -> None:
        async with hosted(place, "a") as a, hosted(place, "b") as b:
            held = await a.attachments.put(b"bytes", media_type="image/png", label="a.png")
            other = await b.attachments.put(b"bytes", media_type="image/png")
            assert held.attachment_id == other.attachment_id
            async with owner(place, "a") as alice:
                named = Enclosures(attachment_ids=(held.attachment_id, held.attachment_id))
                await committed(alice, "t1", named)
                await committed(alice, "t2", named)
            assert (await a.attachments.find(held.attachment_id)).is_committed
            assert not (await b.attachments.find(held.attachment_id)).is_committed
            await b.attachments.forget(held.attachment_id)
            assert not await b.attachments.is_held(held.attachment_id)
            written = version(place.store(), "a")
            again = await a.attachments.put(b"bytes", media_type="image/jpeg", label="other")
            assert version(place.store(), "a") == written
            assert again.is_committed
            assert (again.media_type, again.label, again.bytes_count) == ("image/png", "a.png", 5)
            assert names(place.store(), "a").count("CommitEnclosed") == 1

    run(scene())


def test_commit_24_references_and_the_set_of_all_of_them(place: Place) -> None:
    async def scene() -> None:
        async with host(place.store()) as core, core.session("a").open() as a:
            meant = await a.attachments.put(b"meant", media_type="text/plain")
            done = await a.attachments.put(b"done", media_type="text/plain")
            async with owner(place, "a") as alice:
                await committed(alice, "t1", Enclosures(attachment_ids=(done.attachment_id,)))
            both = {meant.attachment_id, done.attachment_id}
            async with core.session("b").open() as b:
                for each in both:
                    assert await a.attachments.is_held(each)
                    assert not await b.attachments.is_held(each)
                assert not await a.attachments.is_held(NOBODYS)
            references = await core.storage.attachment_references()
            assert {name: set(held) for name, held in references.items()} == {"a": both}
            for each in both:
                await a.attachments.forget(each)
                await a.attachments.forget(each)
                assert not await a.attachments.is_held(each)
            assert names(place.store(), "a").count("AttachmentForgotten") == 2
            assert await core.storage.attachment_references() == {}
            # What was forgotten can be held again.
            await a.attachments.put(b"done", media_type="text/plain")
            assert await a.attachments.read(done.attachment_id) == b"done"

    run(scene())


def test_commit_24_a_commit_that_names_what_is_not_held_does_not_happen(place: Place) -> None:
    async def scene() -> None:
        async with hosted(place) as session, owner(place) as alice:
            held = await session.attachments.put(b"bytes", media_type="text/plain")
            await alice.acquire()
            await alice.answered("t1")
            written = version(place.store())
            missing = Enclosures(
                states=tools(1).states, attachment_ids=(held.attachment_id, NOBODYS)
            )
            with pytest.raises(AttachmentNotFound) as refusal:
                await alice.commit("t1", enclosures=missing, releases_lease=True)
            assert (refusal.value.session_id, refusal.value.attachment_id) == ("s", NOBODYS)
            assert "holds no attachment" in str(refusal.value)
            with pytest.raises(LimitExceeded):
                await alice.commit("t1", enclosures=Enclosures(attachment_ids=(NOBODYS,) * 257))
            assert version(place.store()) == written
            assert not (await session.attachments.find(held.attachment_id)).is_committed
            with pytest.raises(AttachmentNotFound):
                await session.attachments.read(NOBODYS)
            fine = Enclosures(states=tools(1).states, attachment_ids=(held.attachment_id,))
            await alice.commit("t1", enclosures=fine, releases_lease=True)
            assert (await session.attachments.find(held.attachment_id)).is_committed

    run(scene())


def swept(place: Place) -> Swept:
    store = place.store()
    return sweep(TableBlobs(store), [body_roots(store)], now_ms=LONG_AFTER_MS)


async def erased(core: LashCore, session_id: str) -> None:
    """A deleted session leaves its tombstone; a trim lets the rest of it go."""
    assert await core.delete_session(session_id)
    await core.trim_history(session_id, archive=NoArchive())


def test_commit_26_shared_bytes_go_with_the_last_who_holds_them(place: Place) -> None:
    async def scene() -> None:
        async with host(place.store()) as core:
            async with core.session("a").open() as a, core.session("b").open() as b:
                png = await a.attachments.put(PNG, media_type="image/png", label="a.png")
                async with owner(place, "a") as alice:
                    await committed(alice, "t1", Enclosures(attachment_ids=(png.attachment_id,)))
                for ask in (b.attachments.read, b.attachments.find):
                    with pytest.raises(AttachmentNotFound):
                        await ask(png.attachment_id)
                jpeg = await b.attachments.put(PNG, media_type="image/jpeg", label="b.jpg")
                assert jpeg.attachment_id == png.attachment_id
                assert (jpeg.media_type, jpeg.label) == ("image/jpeg", "b.jpg")
                assert (await a.attachments.find(png.attachment_id)).media_type == "image/png"
                assert await b.attachments.read(jpeg.attachment_id) == PNG
            assert swept(place) == Swept(roots_count=1, retained_count=1, deleted_count=0)
            await erased(core, "a")
            assert set(await core.storage.attachment_references()) == {"b"}
            assert swept(place).deleted_count == 0
            async with core.session("b").open() as b:
                assert await b.attachments.read(png.attachment_id) == PNG
            await erased(core, "b")
            assert await core.storage.attachment_references() == {}
            assert swept(place).deleted_count == 1
            assert swept(place) == Swept(roots_count=0, retained_count=0, deleted_count=0)

    run(scene())


def test_commit_26_a_trim_keeps_what_is_held_and_lets_go_of_what_is_not(place: Place) -> None:
    async def scene() -> None:
        async with host(place.store()) as core, core.session("a").open() as a:
            held = await a.attachments.put(PNG, media_type="image/png")
            gone = await a.attachments.put(PNG[:-1], media_type="image/png")
            await a.attachments.forget(gone.attachment_id)
            await core.trim_history("a", archive=NoArchive())
            assert swept(place).deleted_count == 1
            assert await a.attachments.read(held.attachment_id) == PNG
            await a.attachments.forget(held.attachment_id)
            await a.configure(max_turns=3)
            await core.trim_history("a", archive=NoArchive())
            assert swept(place).deleted_count == 1
        assert verify_session(place.store(), stream("a")).is_sound

    run(scene())
