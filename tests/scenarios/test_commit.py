"""
COMMIT: all or nothing, in a fixed order of checks, once. Named after the catalogue of scenarios.

Where a scenario is of a store, an ``Owner`` writes its commands one by one; where it is of a host,
a core runs turns. Every one runs on memory, SQLite and PostgreSQL.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from attrs import evolve

from lash_es import (
    BlankValue,
    HeadRevisionConflict,
    LashSession,
    NodeNotFound,
    RuntimeFault,
    RuntimeTurnCommitConflict,
    SessionBindingMismatch,
    SessionExecutionLeaseExpired,
    SessionStore,
)
from lash_es.core.errors import SessionNotOpen, TurnInputClaimSuperseded
from lash_es.core.ids import Generation, Revision
from lash_es.core.messages import TokenUsage
from lash_es.core.outcomes import Finished
from lash_es.core.work_errors import QueuedWorkClaimSuperseded
from tests.scenarios.owning import ALICE, NOBODYS, USAGE, Owner, owner
from tests.session.host import host, run, texts
from tests.session.scripted import says, speaking
from tests.session.stores import Place, names, version


def test_commit_02_a_stream_is_bound_to_its_session(place: Place) -> None:
    async def scene() -> None:
        async with owner(place, "alpha") as alpha:
            await alpha.acquire()
            await alpha.answered("t1")
            await alpha.commit("t1", session_id="alpha")
            await alpha.answered("t2")
            written = version(place.store(), "alpha")
            with pytest.raises(SessionBindingMismatch) as refusal:
                await alpha.commit("t2", session_id="beta")
            assert (refusal.value.bound, refusal.value.attempted) == ("alpha", "beta")
            assert version(place.store(), "alpha") == written

    run(scene())


def test_commit_02_a_store_of_one_session_commits_for_no_other(place: Place) -> None:
    async def scene() -> None:
        own = SessionStore(place.another().store())
        with pytest.raises(SessionNotOpen):
            await own.commit(NOBODYS, "t1", Finished())
        async with host(place.store()) as core:
            session = await core.session("alpha").store(own)
            alpha = Owner(session._shared.lane)
            await alpha.acquire()
            await alpha.answered("t1")
            presented = await own.commit_hash("t1", Finished())
            with pytest.raises(SessionBindingMismatch) as refusal:
                await own.commit(alpha.fence, "t1", Finished(), session_id="beta")
            assert (refusal.value.bound, refusal.value.attempted) == ("alpha", "beta")
            first = await own.commit(
                alpha.fence,
                "t1",
                Finished(),
                session_id="alpha",
                expected_revision=0,
                commit_hash=presented,
                releases_lease=True,
            )
            again = await own.commit(NOBODYS, "t1", Finished(), commit_hash=presented)
            assert (first.is_stored, again.is_stored) == (False, True)
            assert again.revision == first.revision == 1
            assert await own.inputs.claim_for_next_turn(NOBODYS, inputs_max=0) is None
            await own.leases.release(alpha.fence)
            await session.close()

    run(scene())


def test_commit_05_no_fence_no_commit(place: Place) -> None:
    async def scene() -> None:
        async with owner(place) as alice:
            await alice.acquire()
            await alice.answered("t1")
            alice.fence = evolve(alice.fence, token="another")
            written = version(place.store())
            with pytest.raises(SessionExecutionLeaseExpired) as refusal:
                await alice.commit("t1")
            assert refusal.value.session_id == "s"
            assert version(place.store()) == written
            assert (await alice.state()).head.revision == 0

    run(scene())


def test_commit_07_a_released_fence_cannot_commit_again(place: Place) -> None:
    async def scene() -> None:
        async with owner(place) as alice:
            await alice.acquire()
            await alice.answered("t1")
            await alice.commit("t1", releases_lease=True)
            assert names(place.store())[-2:] == ["TurnCommitted", "LeaseReleased"]
            written = version(place.store())
            for again in (alice.commit("t1"), alice.answered("t2"), alice.commit("t2")):
                with pytest.raises(SessionExecutionLeaseExpired) as refusal:
                    await again
                assert refusal.value.session_id == "s"
            assert version(place.store()) == written

    run(scene())


def test_commit_10_what_the_commit_hash_covers(place: Place) -> None:
    """Same words under the same salt in another session, turn, time: the same; any other: not."""

    async def hashed(session_id: str, turn_id: str, said: str = "go", answer: str = "done") -> str:
        async with owner(place, session_id) as alice:
            await alice.acquire()
            await alice.answered(turn_id, said=said, answer=answer)
            presented = await alice.hash()
            receipt = await alice.commit(turn_id, commit_hash=presented)
            assert receipt.commit_hash == presented
            return presented

    async def scene() -> None:
        first = await hashed("a", "t1")
        await asyncio.sleep(0.005)
        assert await hashed("b", "another") == first
        assert await hashed("c", "t1", said="something else") != first
        assert await hashed("d", "t1", answer='{"timestamp": 1}') != first
        assert await hashed("e", "t1", answer='{"timestamp": 2}') != await hashed(
            "f", "t1", answer='{"timestamp": 1}'
        )

    run(scene())


def test_commit_10_a_commit_sent_again_is_answered_with_the_first_one(place: Place) -> None:
    """Also by another connection, without a lease and with an expectation long gone."""

    async def scene() -> None:
        async with owner(place) as alice, owner(place) as later:
            await alice.acquire()
            await alice.answered("t1")
            presented = await alice.hash()
            first = await alice.commit("t1", commit_hash=presented, releases_lease=True)
            written = version(place.store())
            again = await later.commit("t1", commit_hash=presented, expected_revision=0)
            assert (first.is_stored, again.is_stored) == (False, True)
            assert (again.revision, again.commit_hash) == (Revision(1), presented)
            with pytest.raises(RuntimeTurnCommitConflict) as refusal:
                await later.commit("t1", commit_hash="another", expected_revision=7)
            assert (refusal.value.turn_id, refusal.value.recorded_hash) == ("t1", presented)
            assert version(place.store()) == written

    run(scene())


@pytest.mark.parametrize("is_stale_last", [True, False])
def test_commit_12_a_rejected_claim_has_not_consumed_the_other(
    place: Place, is_stale_last: bool
) -> None:
    async def scene() -> None:
        async with host(place.store()) as core, core.session("s").open() as session:
            await session.enqueue("one")
            await session.enqueue("two")
        async with owner(place) as alice:
            await alice.acquire()
            valid, other = await alice.claim(), await alice.claim()
            stale = evolve(other, token="another")
            await alice.answered("t1")
            before, written = await alice.state(), version(place.store())
            both = (valid, stale) if is_stale_last else (stale, valid)
            with pytest.raises(TurnInputClaimSuperseded) as refusal:
                await alice.commit("t1", input_completions=both)
            assert refusal.value.claim_id == stale.claim_id
            assert version(place.store()) == written
            assert await alice.state() == before
            await alice.commit("t1", input_completions=(valid, other))
            after = await alice.state()
            assert (dict(after.inputs.pending), after.head.revision) == ({}, 1)

    run(scene())


@pytest.mark.parametrize("is_work_stale", [True, False])
def test_commit_12_a_rejected_lane_has_not_consumed_the_other(
    place: Place, is_work_stale: bool
) -> None:
    async def scene() -> None:
        async with host(place.store()) as core, core.session("s").open() as session:
            await session.enqueue("one")
            await session.enqueue_wake("done", process_id="p", sequence=1, event_type="exit")
        async with owner(place) as alice:
            await alice.acquire()
            inputs, work = await alice.claim(), await alice.claim_work()
            await alice.answered("t1")
            before, written = await alice.state(), version(place.store())
            inputs_token, work_token = (
                (inputs.token, "another") if is_work_stale else ("another", work.token)
            )
            refused = QueuedWorkClaimSuperseded if is_work_stale else TurnInputClaimSuperseded
            with pytest.raises(refused):
                await alice.commit(
                    "t1",
                    input_completions=(evolve(inputs, token=inputs_token),),
                    work_completions=(evolve(work, token=work_token),),
                )
            assert version(place.store()) == written
            assert await alice.state() == before
            await alice.commit("t1", input_completions=(inputs,), work_completions=(work,))
            after = await alice.state()
            assert (dict(after.inputs.pending), dict(after.work.batches)) == ({}, {})
            assert (after.head.revision, before.head.revision) == (1, 0)

    run(scene())


def test_commit_13_of_two_connections_under_one_fence_one_commits(place: Place) -> None:
    async def scene() -> None:
        async with owner(place) as alice, owner(place) as twin:
            await alice.acquire()
            twin.fence = alice.fence
            await alice.answered("t1")
            found = await asyncio.gather(
                alice.commit("t1", expected_revision=0),
                twin.commit("t1", expected_revision=0),
                return_exceptions=True,
            )
            lost = [each for each in found if isinstance(each, HeadRevisionConflict)]
            assert len(lost) == 1, found
            assert (lost[0].expected, lost[0].actual) == (0, 1)
            assert (await twin.state()).head.revision == 1
            assert names(place.store()).count("TurnCommitted") == 1

    run(scene())


async def branched(session: LashSession) -> None:
    """Make a root with two branches, and stand on the left one."""
    await session.turn("root", turn_id="root")
    await session.turn("left", turn_id="left")
    await session.branch_to_node("root:m2")
    await session.turn("right", turn_id="right")
    await session.branch_to_node("left:m2")


ANSWERS = ("root!", "left!", "right!")
ROOT, LEFT, RIGHT = ([f"{turn}:m1", f"{turn}:m2"] for turn in ("root", "left", "right"))


def test_commit_15_the_full_graph_holds_every_branch(place: Place) -> None:
    async def scene() -> None:
        async with (
            host(place.store(), speaking(*map(says, ANSWERS))) as core,
            core.session("s").open() as session,
        ):
            await branched(session)
            graph = await session.read_view().session_graph()
            assert [node.node_id for node in graph.nodes] == [*ROOT, *LEFT, *RIGHT]
            assert graph.leaf_node_id == "left:m2"
            parents = {node.node_id: node.parent_node_id for node in graph.nodes}
            assert parents == {
                "root:m1": None,
                "root:m2": "root:m1",
                "left:m1": "root:m2",
                "left:m2": "left:m1",
                "right:m1": "root:m2",
                "right:m2": "right:m1",
            }

    run(scene())


def test_commit_16_without_a_leaf_the_recorded_one_is_meant(place: Place) -> None:
    async def scene() -> None:
        async with (
            host(place.store(), speaking(*map(says, ANSWERS))) as core,
            core.session("s").open() as session,
        ):
            await branched(session)
        async with host(place.store()) as later, later.session("s").open() as again:
            assert [m.message_id for m in await again.read_view().messages()] == [*ROOT, *LEFT]
            assert await texts(again) == [
                ("user", "root"),
                ("assistant", "root!"),
                ("user", "left"),
                ("assistant", "left!"),
            ]

    run(scene())


def test_commit_17_with_a_leaf_that_path_is_meant(place: Place) -> None:
    async def scene() -> None:
        async with (
            host(place.store(), speaking(*map(says, ANSWERS))) as core,
            core.session("s").open() as session,
        ):
            await branched(session)
            view = session.read_view()
            assert list(await view.path_to("right:m2")) == [*ROOT, *RIGHT]
            assert list(await view.path_to("left:m1")) == [*ROOT, "left:m1"]
            assert list(await view.path_to("root:m1")) == ["root:m1"]
            for stranger in ("nobody", "root:m3", "root:m0", "other:m1"):
                with pytest.raises(NodeNotFound):
                    await view.path_to(stranger)
                with pytest.raises(NodeNotFound):
                    await session.branch_to_node(stranger)

    run(scene())


def test_commit_17_a_branch_from_the_middle_of_a_turn_goes_on_there(place: Place) -> None:
    async def scene() -> None:
        provider = speaking(says("first"), says("second"), says("third"))
        async with (
            host(place.store(), provider) as core,
            core.session("s").open() as session,
        ):
            await session.turn("one", turn_id="t1")
            await session.turn("two", turn_id="t2")
            view = await session.branch_to_node("t1:m1")
            assert [m.message_id for m in await view.messages()] == ["t1:m1"]
            revision = session.revision
            await session.turn("three", turn_id="t3")
            # What the model was asked is what the path holds, and no more.
            asked = [message.text for message in provider.requests[-1].messages]
            assert asked == ["one", "three"]
            assert list(await view.path_to("t3:m2")) == ["t1:m1", "t3:m1", "t3:m2"]
            assert session.revision == revision + 1
            # A branch is left by another one: what was off the path is there as before.
            await session.branch_to_node("t2:m2")
            assert [text for _, text in await texts(session)] == ["one", "first", "two", "second"]
            root = await session.branch_to_node(None)
            assert await root.messages() == []

    run(scene())


def test_commit_17_a_branch_waits_for_nobody(place: Place) -> None:
    """Whoever does not hold the session is told so, and nothing is written."""

    async def scene() -> None:
        async with (
            host(place.store(), speaking(says("fine"))) as core,
            core.session("s").open() as session,
            owner(place) as alice,
        ):
            await session.turn("one", turn_id="t1")
            await alice.acquire()
            written = version(place.store())
            with pytest.raises(RuntimeFault, match=ALICE.owner_id) as refusal:
                await session.branch_to_node("t1:m1")
            assert refusal.value.code == "session_execution_busy"
            assert version(place.store()) == written

    run(scene())


def test_commit_27_everything_survives_reopening(place: Place) -> None:
    async def scene() -> None:
        async with (
            host(place.store(), speaking(says("fine"))) as core,
            core.session("s").max_turns(7).open() as session,
        ):
            await session.turn("hello", turn_id="t1")
            first = await session.enqueue("later", id="key")
            policy, usage = session.policy_snapshot(), session.usage_report()
        async with host(place.store()) as later:
            again = await later.resume(await (await later.session("s").max_turns(7)).park())
            assert again.policy_snapshot() == policy
            assert again.usage_report() == usage
            assert [each.input_id for each in await again.pending_turn_inputs()] == [
                first.input_id
            ]
            assert (await again.enqueue("later", id="key")).input_id == first.input_id
            assert await texts(again) == [("user", "hello"), ("assistant", "fine")]

    run(scene())


def test_commit_31_sixteen_first_opens_of_a_new_database_all_succeed(place: Place) -> None:
    def open_first(number: int) -> int:
        async def scene() -> int:
            async with host(place.store()) as core, core.session(f"s{number}").open() as session:
                await session.enqueue("hello")
                return session.version

        return run(scene())

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(open_first, range(16))) == [2] * 16


HOSTILE = (
    "../weird/session",
    "weird/session",
    "a%b_c",
    "A%B_C",
    "x" * 300,
    "tab\tand\nnewline\x01",
    "'; DROP TABLE facts; --",
    "\u202egnp.exe",
)


def test_commit_32_hostile_ids_keep_their_own_logs(place: Place) -> None:
    async def scene() -> None:
        for round_number in (1, 2):
            async with host(place.store()) as core:
                for number, session_id in enumerate(HOSTILE):
                    async with core.session(session_id).open() as session:
                        waiting = await session.pending_turn_inputs()
                        texts_found = [item.input.items[0] for item in waiting]
                        assert len(texts_found) == round_number - 1
                        said = f"of {number}"
                        assert all(getattr(item, "text", "") == said for item in texts_found)
                        await session.enqueue(said)
        async with host(place.store()) as core:
            for blank in ("", "  "):
                with pytest.raises(BlankValue, match="session_id"):
                    await core.session(blank)

    run(scene())


def test_commit_40_a_log_takes_a_commit_like_any_other(place: Place) -> None:
    async def scene() -> None:
        async with host(place.store(), speaking(says("fine", usage=USAGE))) as core:
            async with core.session("s").open() as session:
                await session.turn("hello", turn_id="t1")
            async with core.session("s").open() as again:
                graph = await again.read_view().session_graph()
                assert [node.node_id for node in graph.nodes] == ["t1:m1", "t1:m2"]
                (row,) = again.usage_report().rows
                assert (row.source, row.usage) == ("turn", USAGE)
                assert again.revision == 1

    run(scene())


def test_fault_06_a_commit_after_the_release_changes_nothing(place: Place) -> None:
    async def scene() -> None:
        async with owner(place) as alice:
            await alice.acquire()
            await alice.answered("t1", usage=TokenUsage())
            await alice.release()
            before, written = await alice.state(), version(place.store())
            with pytest.raises(SessionExecutionLeaseExpired) as refusal:
                await alice.commit("t1", commit_hash=await alice.hash())
            assert refusal.value.reason == "the lease is free"
            assert refusal.value.presented_generation == Generation(1)
            assert version(place.store()) == written
            assert await alice.state() == before

    run(scene())
