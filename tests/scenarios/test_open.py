"""OPEN: what a session is opened with, and what is there already."""

from collections.abc import Mapping, Sequence

import pytest
from attrs import evolve

from lash_es import (
    BusyWithTurn,
    Description,
    DurabilityTier,
    MemoryStore,
    NodeNotFound,
    Residency,
    RuntimeFault,
    SessionDeleted,
    SessionRequest,
    SessionStore,
    StoreSessionMismatch,
)
from lash_es.codec.streams import StreamId
from lash_es.core.bodies import BodyRef
from lash_es.core.ids import SessionId
from lash_es.log.appends import StoredBody
from tests.log.trims import trimming
from tests.scenarios.owning import owner
from tests.scenarios.test_commit import ANSWERS, LEFT, RIGHT, ROOT, branched
from tests.session.host import host, run, texts
from tests.session.scripted import says, speaking
from tests.session.stores import Place, Through, names, stream, version


class Reading(Through):
    """Counts what is read."""

    bodies_count = 0

    def read_bodies(
        self, stream: StreamId, refs: Sequence[BodyRef]
    ) -> Mapping[BodyRef, StoredBody]:
        self.bodies_count += len(refs)
        return super().read_bodies(stream, refs)


def test_open_09_open_fresh_adopts_nothing_and_loses_nothing(place: Place) -> None:
    async def scene() -> None:
        async with (
            host(place.store(), speaking(says("stored"))) as core,
            core.session("s").max_turns(3).open() as session,
        ):
            await session.turn("already stored", turn_id="t1")
            await session.enqueue("still waiting")
            usage, before = session.usage_report(), session.version
        provider = speaking(says("new"), says("on"))
        async with host(place.store(), provider, model="other") as core:
            async with core.session("s").open_fresh() as fresh:
                assert await texts(fresh) == []
                assert fresh.policy_snapshot().provider_id == provider.kind
                assert (fresh.policy_snapshot().model.model_id, fresh.revision) == ("other", 1)
                assert fresh.policy_snapshot().max_turns is None
                assert fresh.read_view().turn_index == 0
                assert fresh.usage_report() == usage
                assert fresh.pending.inputs_count == 1
                await fresh.turn("new root", turn_id="t2")
                assert [m.text for m in provider.requests[0].messages] == ["new root"]
            async with core.session("s").open() as again:
                assert await texts(again) == [("user", "new root"), ("assistant", "new")]
                assert again.revision == 2
                # What is gone from the view is still in the history, and can be gone back to.
                assert (await again.read_view().message("t1:m1")).text == "already stored"
                assert before < again.version
                back = await again.branch_to_node("t1:m2")
                assert [m.text for m in await back.messages()] == ["already stored", "stored"]
                await again.queued_turn()
                assert (await texts(again))[-2:] == [
                    ("user", "still waiting"),
                    ("assistant", "on"),
                ]

    run(scene())


def test_open_09_open_fresh_creates_what_is_not_there_and_names_an_open_turn(
    place: Place,
) -> None:
    async def scene() -> None:
        async with host(place.store()) as core:
            await (await core.session("new").open_fresh()).close()
            assert names(place.store(), "new") == ["SessionOpened"]
            async with owner(place) as alice:
                await alice.acquire()
                await alice.answered("t1")
                written = version(place.store())
                with pytest.raises(BusyWithTurn) as refusal:
                    await core.session("s").open_fresh()
                assert refusal.value.open_turn_id == "t1"
                assert version(place.store()) == written

    run(scene())


def test_open_16_every_message_is_at_hand_and_opening_reads_none(place: Place) -> None:
    async def scene() -> None:
        async with (
            host(place.store(), speaking(*map(says, ANSWERS))) as core,
            core.session("s").open() as session,
        ):
            await branched(session)
        store = Reading(place.store())
        async with host(store) as later, later.session("s").open() as again:
            assert store.bodies_count == 0
            view = again.read_view()
            graph = await view.session_graph()
            assert store.bodies_count == 0
            read = [await view.message(node.node_id) for node in graph.nodes]
            assert [each.text for each in read] == [
                *("root", "root!", "left", "left!", "right", "right!")
            ]
            with pytest.raises(NodeNotFound):
                await view.message("nobody")

    run(scene())


def test_open_17_active_path_residency_holds_the_path_and_loses_nothing(place: Place) -> None:
    async def scene() -> None:
        provider = speaking(*map(says, ANSWERS), says("more!"), says("anew!"))
        async with (
            host(place.store(), provider, residency=Residency.ACTIVE_PATH_ONLY) as core,
            core.session("s").open() as session,
        ):
            await branched(session)
        for _ in range(2):
            async with (
                host(place.store(), residency=Residency.ACTIVE_PATH_ONLY) as core,
                core.session("s").open() as again,
            ):
                graph = await again.read_view().session_graph()
                assert [node.node_id for node in graph.nodes] == [*ROOT, *LEFT]
                assert (await again.read_view().message("right:m2")).text == "right!"
        async with (
            host(place.store(), provider, residency=Residency.ACTIVE_PATH_ONLY) as core,
            core.session("s").open() as again,
        ):
            # A commit that follows the path, and one that starts another: neither loses anything.
            await again.turn("more", turn_id="more")
            await again.branch_to_node(None)
            assert (await again.read_view().session_graph()).nodes == ()
            await again.turn("anew", turn_id="anew")
            path = (await again.read_view().session_graph()).nodes
            assert [node.node_id for node in path] == ["anew:m1", "anew:m2"]
        async with host(place.store()) as core, core.session("s").open() as full:
            nodes = (await full.read_view().session_graph()).nodes
            ids = [*ROOT, *LEFT, *RIGHT, "more:m1", "more:m2", "anew:m1", "anew:m2"]
            assert [node.node_id for node in nodes] == ids

    run(scene())


def test_open_17_a_branch_is_kept_by_a_trim(place: Place) -> None:
    """The active path stays whole although a commit of it stands for another one."""

    async def scene() -> None:
        async with (
            host(place.store(), speaking(*map(says, ANSWERS), says("on"))) as core,
            core.session("s").open() as session,
        ):
            await branched(session)
            await session.branch_to_node("left:m1")
            await session.turn("go on", turn_id="t4")
            expected = await texts(session)
        trimming(place.store()).trim(stream("s"), None)
        async with host(place.store()) as later, later.session("s").open() as again:
            assert await texts(again) == expected
            assert [text for _, text in expected] == ["root", "root!", "left", "go on", "on"]

    run(scene())


def test_open_18_a_state_of_another_session_is_refused(place: Place) -> None:
    async def scene() -> None:
        async with host(place.store()) as core:
            state = (await core.session("actual-session")).export()
            with pytest.raises(StoreSessionMismatch) as refusal:
                await core.session("requested-session").open_with_state(state)
            assert refusal.value.fields == {
                "loaded": "actual-session",
                "requested": "requested-session",
            }
            assert version(place.store(), "requested-session") == 0

    run(scene())


def test_open_with_state_goes_on_where_the_state_stood(place: Place) -> None:
    async def scene() -> None:
        provider = speaking(says("one!"), says("two!"), says("three!"))
        async with host(place.store(), provider) as core:
            async with core.session("s").open() as session:
                await session.turn("one", turn_id="t1")
                kept = session.export()
                assert (kept.revision, kept.turn_index, kept.leaf_node_id) == (1, 1, "t1:m2")
                await session.turn("two", turn_id="t2")
            async with core.session("s").max_turns(4).open_with_state(kept) as again:
                assert await texts(again) == [("user", "one"), ("assistant", "one!")]
                assert again.policy_snapshot().max_turns == 4
                await again.turn("three", turn_id="t3")
                assert list(await again.read_view().path_to("t3:m1")) == [
                    "t1:m1",
                    "t1:m2",
                    "t3:m1",
                ]
                written = again.version
                state = again.export()
            # Where it stands already, nothing is recorded.
            async with core.session("s").max_turns(4).open_with_state(state) as there:
                assert there.version == written

    run(scene())


def test_open_with_state_keeps_the_provider_that_the_state_names(place: Place) -> None:
    async def scene() -> None:
        async with host(place.store(), speaking(kind="first")) as core:
            state = (await core.session("s")).export()
        async with host(place.another().store(), speaking(kind="second")) as core:
            session = await core.session("s").open_with_state(state)
            assert session.policy_snapshot().provider_id == "first"
            with pytest.raises(RuntimeFault, match="'first'") as refusal:
                await session.turn("hello")
            assert refusal.value.code == "llm_provider"

    run(scene())


def test_open_18_a_store_that_holds_another_session_is_refused(place: Place) -> None:
    async def scene() -> None:
        kept = SessionStore(place.store())
        async with host(place.another().store()) as core:
            await (await core.session("actual-session", store=kept)).close()
            with pytest.raises(StoreSessionMismatch) as refusal:
                await core.session("requested-session").store(kept)
            assert refusal.value.fields == {
                "loaded": "actual-session",
                "requested": "requested-session",
            }
            assert refusal.value.is_terminal
            assert kept.session_id == "actual-session"
            assert version(kept.store, "requested-session") == 0

    run(scene())


def test_open_23_an_explicit_store_wins_and_the_cores_is_not_asked(place: Place) -> None:
    async def scene() -> None:
        kept, shared = SessionStore(place.store()), place.another()
        provider = speaking(says("fine"), says("on"))
        async with host(shared.store(), provider) as core:
            async with core.session("s").store(kept).open() as session:
                await session.turn("hello")
                await session.enqueue("more")
                parked = await session.park()
            resumed = await core.resume(parked)
            assert (await resumed.queued_turn()) is not None
            assert await texts(resumed) == [
                ("user", "hello"),
                ("assistant", "fine"),
                ("user", "more"),
                ("assistant", "on"),
            ]
            assert version(place.store()) > 0
            assert version(shared.store()) == 0

    run(scene())


def test_open_41_a_core_built_anew_finds_the_session_as_it_was(place: Place) -> None:
    async def scene() -> None:
        async with host(place.store(), speaking(says("fine"), says("on"))) as core:
            session = await core.session("s")
            await session.turn("hello")
            await session.enqueue("waiting", id="k")
            view, usage, queue = await texts(session), session.usage_report(), session.pending
            at = (session.version, session.revision, session.policy_snapshot())
        async with host(place.store(), speaking(says("on"))) as later:
            again = await later.session("s")
            assert (again.version, again.revision, again.policy_snapshot()) == at
            assert (await texts(again), again.usage_report(), again.pending) == (
                view,
                usage,
                queue,
            )
            assert (await again.queued_turn()) is not None
            assert again.revision == 2

    run(scene())


def test_open_05_the_recorded_provider_stays_and_another_one_fails_the_first_turn(
    place: Place,
) -> None:
    """Edges 4, 5 and 6: the host's model wins; the provider does not, and nothing is written."""

    async def scene() -> None:
        async with host(place.store(), speaking(says("fine"))) as core:
            await (await core.session("s")).close()
        other = speaking(says("never"), kind="another")
        async with host(place.store(), other, model="m2") as core:
            session = await core.session("s").max_turns(5)
            policy = session.policy_snapshot()
            assert (policy.model.model_id, policy.max_turns) == ("m2", 5)
            assert policy.provider_id != "another"
            written = version(place.store())
            with pytest.raises(RuntimeFault) as refusal:
                await session.turn("hello")
            assert refusal.value.code == "llm_provider"
            assert policy.provider_id in str(refusal.value)
            assert version(place.store()) == written

    run(scene())


def test_commit_04_the_tier_of_a_store_is_pinned(place: Place) -> None:
    """Each of the three says its own, and a factory's sessions have the factory's."""

    async def scene() -> None:
        is_memory = isinstance(place.store().as_stored, MemoryStore)
        expected = DurabilityTier.INLINE if is_memory else DurabilityTier.DURABLE
        async with host(place.store()) as core:
            factory = core.session_factory()
            made = await factory.create_store(SessionRequest(session_id="s"))
            tiers = {core.durability_tier, factory.durability_tier, made.durability_tier}
            assert tiers == {expected}
            assert SessionStore(place.store()).durability_tier is expected
        assert expected.value == ("inline" if is_memory else "durable")

    run(scene())


def test_commit_18_the_record_of_a_birth_round_trips(place: Place) -> None:
    async def scene() -> None:
        async with host(place.store(), model="m") as core:
            birth = core.session("root").described(name="Conformance Root", cwd="/srv/agent")
            async with birth.open() as session:
                meta = session.metadata()
                assert (meta.session_id, meta.name) == ("root", "Conformance Root")
                assert (meta.model.model_id, meta.cwd) == ("m", "/srv/agent")
                assert meta.parent_session_id is None
                assert session.parent_session_id is None
                await session.configure(model="another")
        async with host(place.store(), model="third") as later:
            async with later.session("root").described(name="never").open() as again:
                assert again.metadata() == meta
            child = await later.session("child", parent="root")
            assert child.parent_session_id == "root"
            assert child.metadata().name == "child"

    run(scene())


def test_commit_28_a_factory_creates_once_and_finds_what_there_is(place: Place) -> None:
    async def scene() -> None:
        request = SessionRequest(
            session_id="child",
            model="model-a",
            description=Description(parent_session_id=SessionId("root")),
        )
        async with host(place.store()) as core:
            factory = core.session_factory()
            assert await factory.open_existing("child") is None
            assert version(place.store(), "child") == 0
            meta = await (await factory.create_store(request)).load_meta()
            assert (meta.session_id, meta.name, meta.model.model_id) == (
                "child",
                "child",
                "model-a",
            )
            assert (meta.parent_session_id, meta.created_at_ms > 0) == ("root", True)
        async with host(place.store()) as later:
            factory = later.session_factory()
            found = await factory.open_existing("child")
            assert found is not None
            assert await found.load_meta() == meta
            written = version(place.store(), "child")
            other = SessionRequest(
                session_id="child", model="model-b", description=Description(name="other")
            )
            assert await (await factory.create_store(other)).load_meta() == meta
            assert version(place.store(), "child") == written
            named = evolve(request, session_id="named", description=Description(name="My name"))
            await factory.create_store(named)
            again = await (await factory.create_store(evolve(named, model="b"))).load_meta()
            assert (again.name, again.model.model_id) == ("My name", "model-a")
            # Which model the next turn asks is the host's to say; the record stays.
            async with later.session("child", model="model-c").open() as session:
                assert session.policy_snapshot().model.model_id == "model-c"
                assert session.metadata() == meta
            assert await factory.delete_session("child")
            with pytest.raises(SessionDeleted):
                await factory.open_existing("child")
            with pytest.raises(SessionDeleted):
                await factory.create_store(request)
            with pytest.raises(SessionDeleted):
                await found.load_meta()

    run(scene())
