"""
Frames, messages that a host adds, and what is hidden: the graph cases of COMMIT, and the sharp
edges of the graph. Every one runs on memory, SQLite and PostgreSQL.
"""

import asyncio

import pytest
from attrs import evolve

from lash_es import (
    BusyWithTurn,
    FrameIdConflict,
    LashSession,
    NewMessage,
    NodeNotFound,
    NodesAdded,
    Role,
    RuntimeFault,
    StaleBranch,
)
from lash_es.core.commands import CommitTurn, ReleaseLease
from lash_es.core.graph_commands import NewNode
from lash_es.core.ids import FrameId, NodeId, TurnId
from lash_es.core.outcomes import FrameSwitched
from lash_es.core.turns import OpenTurn
from lash_es.timetravel.verifying import verify_session
from tests.log.trims import trimming
from tests.scenarios.owning import ALICE, owner
from tests.scenarios.test_commit import ANSWERS, LEFT, RIGHT, ROOT, branched
from tests.session.host import host, run, texts
from tests.session.scripted import call, calls, remembering, says, speaking
from tests.session.stores import Place, names, stream, version


def summary(text: str) -> NewMessage:
    return NewMessage(role=Role.SYSTEM, content=text)


async def ids(session: LashSession) -> list[str]:
    return [each.message_id for each in await session.read_view().messages()]


def test_edge_35_a_frame_is_opened_once_and_shows_what_was_made_in_it(place: Place) -> None:
    async def scene() -> None:
        provider = speaking(says("one!"), says("two!"))
        async with host(place.store(), provider) as core, core.session("s").open() as session:
            assert session.agent_frame_id == "s:frame:initial"
            await session.turn("one", turn_id="t1")
            opened = await session.open_frame("f1", reason="compaction", messages=[summary("so")])
            assert (opened.frame_id, opened.is_opened) == ("f1", True)
            assert await texts(session) == [("system", "so")]
            # The next prompt is made of what the frame shows, and of nothing else.
            await session.turn("two", turn_id="t2")
            assert [m.text for m in provider.requests[-1].messages] == ["so", "two"]
            written = version(place.store())
            for same in ("f1", "", "  "):
                receipt = await session.open_frame(same, reason="r", messages=[summary("never")])
                assert (receipt.frame_id, receipt.is_opened) == ("f1", False)
            with pytest.raises(FrameIdConflict):
                await session.open_frame("s:frame:initial", reason="r")
            assert version(place.store()) == written
            assert session.read_view().agent_frame_id == "f1"
        async with host(place.store()) as later, later.session("s").open() as again:
            assert await texts(again) == [("system", "so"), ("user", "two"), ("assistant", "two!")]
            frames = await again.agent_frames()
            assert [(f.frame_id, f.is_active, f.reason) for f in frames] == [
                ("s:frame:initial", False, "initial"),
                ("f1", True, "compaction"),
            ]
            graph = await again.read_view().session_graph()
            assert [(n.node_id, n.agent_frame_id) for n in graph.nodes] == [
                ("t1:m1", "s:frame:initial"),
                ("t1:m2", "s:frame:initial"),
                ("f1:f1", "f1"),
                ("t2:m1", "f1"),
                ("t2:m2", "f1"),
            ]

    run(scene())


def test_edge_32_what_an_older_frame_holds_is_not_shown_in_a_newer_one(place: Place) -> None:
    """Also where the leaf is moved back to it: a frame shows what was made in it."""

    async def scene() -> None:
        provider = speaking(says("one!"), says("two!"), says("three!"), says("four!"))
        async with host(place.store(), provider) as core, core.session("s").open() as session:
            await session.turn("one", turn_id="t1")
            await session.open_frame("f1", reason="compaction")
            assert await texts(session) == []
            await session.turn("two", turn_id="t2")
            await session.branch_to_node("t1:m1")
            assert await ids(session) == []
            await session.turn("three", turn_id="t3")
            assert [m.text for m in provider.requests[-1].messages] == ["three"]
            assert await ids(session) == ["t3:m1", "t3:m2"]
            # The path goes through all frames; and what was left can be gone back to.
            assert list(await session.read_view().path_to("t3:m1")) == ["t1:m1", "t3:m1"]
            await session.branch_to_node("t2:m1")
            assert await ids(session) == ["t2:m1"]
            await session.turn("four", turn_id="t4")
            assert [m.text for m in provider.requests[-1].messages] == ["two", "four"]
            nodes = (await session.read_view().session_graph()).nodes
            assert [n.node_id for n in nodes] == [
                *("t1:m1", "t1:m2", "t2:m1", "t2:m2", "t3:m1", "t3:m2", "t4:m1", "t4:m2")
            ]

    run(scene())


def test_open_09_beginning_anew_is_in_the_initial_frame(place: Place) -> None:
    async def scene() -> None:
        provider = speaking(says("one!"), says("two!"))
        async with host(place.store(), provider) as core:
            async with core.session("s").open() as session:
                await session.open_frame("f1", reason="compaction")
                await session.turn("one", turn_id="t1")
            async with core.session("s").open_fresh() as fresh:
                assert fresh.agent_frame_id == "s:frame:initial"
                await fresh.branch_to_node("t1:m2")
                await fresh.turn("two", turn_id="t2")
                assert [m.text for m in provider.requests[-1].messages] == ["one", "one!", "two"]
                nodes = (await fresh.read_view().session_graph()).nodes
                frames = [(node.node_id, node.agent_frame_id) for node in nodes]
                assert frames[1:3] == [("t1:m2", "f1"), ("t2:m1", "s:frame:initial")]

    run(scene())


def test_a_frame_is_refused_while_a_turn_or_another_owner_has_the_session(place: Place) -> None:
    async def scene() -> None:
        async with (
            host(place.store()) as core,
            core.session("s").open() as session,
            owner(place) as alice,
        ):
            await alice.acquire()
            written = version(place.store())
            for refused in (
                session.open_frame("f1", reason="r"),
                session.append_messages([summary("so")]),
            ):
                with pytest.raises(RuntimeFault, match=ALICE.owner_id) as refusal:
                    await refused
                assert refusal.value.code == "session_execution_busy"
            assert version(place.store()) == written
            await alice.answered("t1")
            await alice.release()
            with pytest.raises(BusyWithTurn):
                await session.open_frame("f1", reason="r")

    run(scene())


def test_a_commit_switches_the_frame_or_does_nothing(place: Place) -> None:
    async def scene() -> None:
        async with owner(place) as alice:
            await alice.acquire()
            await alice.answered("t1")
            begins = alice.body("goes on")
            switch = CommitTurn(
                now_ms=alice.now_ms,
                fence=alice.fence,
                turn_id=TurnId("t1"),
                outcome=FrameSwitched(frame_id=FrameId("f1")),
                frame_nodes=(NewNode(role=Role.USER, body=begins),),
                releases_lease=True,
            )
            await alice.execute(switch)
            assert names(place.store())[-3:] == ["TurnCommitted", "FrameOpened", "LeaseReleased"]
            before, written = await alice.state(), version(place.store())
            await alice.acquire()
            await alice.answered("t2")
            with pytest.raises(FrameIdConflict):
                await alice.execute(
                    evolve(
                        switch,
                        fence=alice.fence,
                        turn_id=TurnId("t2"),
                        outcome=FrameSwitched(frame_id=FrameId("s:frame:initial")),
                    )
                )
            after = await alice.state()
            assert isinstance(after.turn, OpenTurn)
            assert (after.head, after.graph) == (before.head, before.graph)
            assert version(place.store()) > written
            await alice.execute(ReleaseLease(now_ms=alice.now_ms, fence=alice.fence))
        async with host(place.store()) as core, core.session("s").open() as session:
            assert session.agent_frame_id == "f1"
            assert await texts(session) == [("user", "goes on")]

    run(scene())


def test_edge_37_an_append_off_the_required_path_changes_nothing(place: Place) -> None:
    async def scene() -> None:
        async with (
            host(place.store(), speaking(*map(says, ANSWERS))) as core,
            core.session("s").open() as session,
        ):
            await branched(session)
            written = version(place.store())
            for off_path in (RIGHT[1], "nobody"):
                stale = await session.append_messages(
                    [summary("never")], requires_ancestor=off_path
                )
                assert stale == StaleBranch(current_leaf=NodeId(LEFT[1]))
            assert version(place.store()) == written
            for on_path in (ROOT[0], LEFT[1]):
                added = await session.append_messages(
                    [summary("so"), NewMessage(role=Role.ASSISTANT, content="yes")],
                    requires_ancestor=on_path,
                )
                assert isinstance(added, NodesAdded)
                assert added.leaf_node_id == added.node_ids[-1]
            assert (await texts(session))[-2:] == [("system", "so"), ("assistant", "yes")]
            assert session.revision == 3

    run(scene())


def test_edge_77e_an_append_in_mid_turn_leaves_the_turn_its_lease(place: Place) -> None:
    async def scene() -> None:
        gate = asyncio.Event()
        provider = speaking(says("one!", gate=gate), says("two!"))
        async with host(place.store(), provider) as core, core.session("s").open() as session:
            running = asyncio.ensure_future(session.turn("one", turn_id="t1").run())
            await provider.is_asked.wait()
            held = names(place.store())
            added = await session.append_messages([summary("meanwhile")])
            assert isinstance(added, NodesAdded)
            assert names(place.store()) == [*held, "NodesAppended"]
            gate.set()
            assert (await running).result.is_success
            assert names(place.store()).count("LeaseAcquired") == 1
            assert await texts(session) == [
                ("system", "meanwhile"),
                ("user", "one"),
                ("assistant", "one!"),
            ]
            await session.turn("two")
            asked = [m.text for m in provider.requests[-1].messages]
            assert asked == ["meanwhile", "one", "one!", "two"]

    run(scene())


def test_commit_19_hidden_messages_are_in_no_view_and_no_prompt(place: Place) -> None:
    async def scene() -> None:
        provider = speaking(*map(says, ANSWERS), says("more!"))
        async with host(place.store(), provider) as core, core.session("s").open() as session:
            await branched(session)
            assert (await session.read_view().message(RIGHT[1])).text == "right!"
            assert list(await session.orphaned_node_ids()) == RIGHT
            hidden = await session.tombstone_nodes([RIGHT[1], LEFT[0], "nobody", "left:m7"])
            assert list(hidden) == [RIGHT[1], LEFT[0]]
            assert await session.tombstone_nodes([RIGHT[1]]) == ()
            with pytest.raises(NodeNotFound):
                await session.read_view().message(RIGHT[1])
            with pytest.raises(NodeNotFound):
                await session.branch_to_node(RIGHT[1])
            nodes = (await session.read_view().session_graph()).nodes
            assert [node.node_id for node in nodes] == [*ROOT, LEFT[1], RIGHT[0]]
            assert await ids(session) == [*ROOT, LEFT[1]]
            await session.turn("more", turn_id="more")
            asked = [message.text for message in provider.requests[-1].messages]
            assert asked == ["root", "root!", "left!", "more"]
            assert (await session.maintain()).removed_node_count == 2
            assert (await session.maintain()).removed_node_count == 0
            assert session.pending.inputs_count == 0
        async with host(place.store()) as later, later.session("s").open() as again:
            assert await ids(again) == [*ROOT, LEFT[1], "more:m1", "more:m2"]
        assert verify_session(place.store(), stream()).is_sound

    run(scene())


def test_commit_19_results_are_hidden_with_the_calls_that_they_answer(place: Place) -> None:
    """In what is shown and prompted: providers refuse results without calls."""

    async def scene() -> None:
        def look() -> str:
            """Look."""
            return "seen"

        provider = speaking(calls(call("c1", "look")), says("one!"), says("two!"))
        async with (
            host(place.store(), provider, look) as core,
            core.session("s").open() as session,
        ):
            await session.turn("one", turn_id="t1")
            assert await ids(session) == ["t1:m1", "t1:m2", "t1:m3", "t1:m4"]
            await session.tombstone_nodes(["t1:m2"])
            assert await ids(session) == ["t1:m1", "t1:m4"]
            await session.turn("two", turn_id="t2")
            asked = [message.text for message in provider.requests[-1].messages]
            assert asked == ["one", "one!", "two"]
            assert (await session.read_view().message("t1:m3")).role is Role.USER
            await session.tombstone_nodes(["t1:m4"])
            assert await ids(session) == ["t1:m1", "t2:m1", "t2:m2"]

    run(scene())


def test_edge_36_a_hidden_leaf_is_passed_over_and_the_history_goes_on(place: Place) -> None:
    async def scene() -> None:
        provider = speaking(says("one!"), says("two!"))
        async with host(place.store(), provider) as core, core.session("s").open() as session:
            await session.turn("one", turn_id="t1")
            assert list(await session.tombstone_nodes(["t1:m2"])) == ["t1:m2"]
            assert await ids(session) == ["t1:m1"]
        async with host(place.store(), provider) as core, core.session("s").open() as again:
            assert await ids(again) == ["t1:m1"]
            await again.turn("two", turn_id="t2")
            assert [m.text for m in provider.requests[-1].messages] == ["one", "two"]
            assert await ids(again) == ["t1:m1", "t2:m1", "t2:m2"]

    run(scene())


def test_edge_34_what_a_rewrite_leaves_stays_until_it_is_hidden_and_forgotten(
    place: Place,
) -> None:
    async def scene() -> None:
        async with (
            host(place.store(), speaking(*map(says, ANSWERS))) as core,
            core.session("s").open() as session,
        ):
            await branched(session)
            for _ in range(2):
                assert list(await session.orphaned_node_ids()) == RIGHT
                await session.maintain()  # Nothing is hidden, so nothing goes.
            await session.tombstone_nodes(await session.orphaned_node_ids())
            assert await session.orphaned_node_ids() == ()
            assert (await session.maintain()).removed_node_count == len(RIGHT)
            nodes = (await session.read_view().session_graph()).nodes
            assert [node.node_id for node in nodes] == [*ROOT, *LEFT]

    run(scene())


def test_open_17_a_trim_keeps_frames_added_messages_and_what_is_hidden(place: Place) -> None:
    async def scene() -> None:
        provider = remembering(says("one!"), says("two!"))
        async with host(place.store(), provider) as core, core.session("s").open() as session:
            await session.turn("one", turn_id="t1")
            await session.open_frame("f1", reason="compaction", messages=[summary("so")])
            added = await session.append_messages([summary("more"), summary("gone")])
            assert isinstance(added, NodesAdded)
            await session.tombstone_nodes(added.node_ids[1:])
            expected = await texts(session)
        trimming(place.store()).trim(stream("s"), None)
        async with host(place.store(), provider) as later, later.session("s").open() as again:
            assert await texts(again) == expected == [("system", "so"), ("system", "more")]
            assert [f.frame_id for f in await again.agent_frames()] == ["s:frame:initial", "f1"]
            with pytest.raises(FrameIdConflict):
                await again.open_frame("s:frame:initial", reason="r")
            assert list(await again.read_view().path_to(added.node_ids[0])) == [
                *("t1:m1", "t1:m2", "f1:f1", added.node_ids[0])
            ]
        assert verify_session(place.store(), stream()).is_sound

    run(scene())
