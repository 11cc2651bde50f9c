"""Prompts are made of what is kept, and only what is new is read; what is kept decides nothing."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from lash_es import CancelToken, LashCore, MemoryStore, SQLiteStore, ToolCallPart
from lash_es.codec.records import Record
from lash_es.codec.streams import StreamId
from lash_es.core.bodies import BodyRef
from lash_es.core.heads import Leaf
from lash_es.core.ids import NodeId, Position
from lash_es.core.messages import Message, Role, TextPart, ToolResultPart
from lash_es.core.state import Open
from lash_es.log.appends import StoredBody
from lash_es.log.contents import read_commits
from lash_es.log.loading import load
from lash_es.log.port import Store
from lash_es.runtime.transcripts import (
    CommittedTurn,
    Kept,
    Transcripts,
    read_on,
    size_bytes,
)
from tests.session.host import host, messages, run
from tests.session.scripted import ScriptedProvider, call, calls, in_order, says
from tests.session.stores import Through, stream

TURN = (calls(call("c", "look"), call("d", "look")), says("done"))


def look() -> str:
    """Look."""
    return "seen"


async def wait() -> str:
    """Wait for ever."""
    await asyncio.Event().wait()
    return ""


def provider(turns: int) -> ScriptedProvider:
    return ScriptedProvider(script=in_order(*(step for _ in range(turns) for step in TURN)))


class Reading(Through):
    """Notes what is read of a transcript, by how much was found."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.bodies: list[int] = []
        self.records: list[int] = []

    def read(self, stream: StreamId, first: Position, records_max: int) -> tuple[Record, ...]:
        found = super().read(stream, first, records_max)
        self.records.append(len(found))
        return found

    def read_bodies(
        self, stream: StreamId, refs: Sequence[BodyRef]
    ) -> Mapping[BodyRef, StoredBody]:
        found = super().read_bodies(stream, refs)
        self.bodies.append(len(found))
        return found


# Reading


def test_a_turn_reads_each_body_once_and_none_of_the_turns_before_it() -> None:
    async def scene() -> None:
        store = Reading(MemoryStore())
        async with host(store, provider(3), look) as core, core.session("s").open() as session:
            await session.turn("go")
            # The input; the reply, for its calls; the results. What follows is for the host.
            assert store.bodies[:3] == [1, 1, 2]
            for _ in range(2):
                store.bodies.clear()
                await session.turn("go on")
                # With the input, the answer of the last turn: no prompt had it yet.
                assert store.bodies[:3] == [2, 1, 2]

    run(scene())


def test_opening_and_enqueuing_read_no_body() -> None:
    async def scene() -> None:
        store = Reading(MemoryStore())
        async with host(store, provider(1), look) as core, core.session("s").open() as session:
            await session.turn("go")
        store.bodies.clear()
        async with host(store, provider(1), look) as core, core.session("s").open() as session:
            await session.enqueue("later")
            await session.park()
        assert store.bodies == []

    run(scene())


def test_a_cold_history_is_read_in_pages_and_its_turns_are_the_same() -> None:
    async def scene() -> None:
        store, turns = Reading(MemoryStore()), 40
        warm, cold = provider(turns), provider(1)
        async with host(store, warm, look) as core, core.session("s").open() as session:
            for _ in range(turns - 1):
                await session.turn("go")
        async with host(store, cold, look) as core, core.session("s").open() as session:
            said = await messages(session)
            store.bodies.clear()
            store.records.clear()
            await session.turn("go")
        (*before, asked) = cold.requests[0].messages
        assert before == said
        assert asked.text == "go"
        # 39 turns of 4 bodies and the input are less than a page; so are their facts, nearly.
        assert store.bodies[0] == len(said) + turns - 1 + 1
        assert len(store.records) < 16

    run(scene())


def test_turns_of_another_process_are_read_in_their_order(tmp_path: Path) -> None:
    async def scene() -> None:
        path = tmp_path / "log.db"
        first, second = provider(4), provider(4)
        async with (
            host(SQLiteStore.open(path, create=True), first, look) as ours,
            host(SQLiteStore.open(path, create=True), second, look) as theirs,
            ours.session("s").open() as mine,
            theirs.session("s").open() as yours,
        ):
            asked: list[tuple[Message, ...]] = []
            for number, session in enumerate((mine, yours, yours, mine, yours, mine)):
                await session.turn(f"go {number}")
                asked.append((first if session is mine else second).requests[-2].messages)
            said = tuple(await messages(mine))
            # Each turn is four messages long, and each prompt ends with the input of its own.
            assert asked == [said[: 4 * number + 1] for number in range(6)]
            assert [said[4 * number].text for number in range(6)] == [f"go {n}" for n in range(6)]

    run(scene())


def test_a_turn_holds_what_it_has_read_where_it_is_too_large_to_be_kept() -> None:
    async def scene() -> None:
        store = Reading(MemoryStore())
        core = LashCore(
            model="m", provider=provider(2), store=store, tools=[look], transcripts_bytes_max=99
        )
        async with core, core.session("s").open() as session:
            await session.turn("go")
            store.bodies.clear()
            await session.turn("go on")
            assert store.bodies[:3] == [6, 1, 2]  # Five of the history and the input; as ever.

    run(scene())


def test_calls_that_were_cut_off_are_in_no_later_prompt() -> None:
    async def scene() -> None:
        cancel = CancelToken()

        def stop() -> str:
            """Stop the turn from inside."""
            cancel.cancel()
            return "stopped"

        steps = (calls(call("c", "stop"), call("d", "wait")), says("done"), says("done"))
        models = ScriptedProvider(script=in_order(*steps))
        async with (
            host(MemoryStore(), models, stop, wait) as core,
            core.session("s").open() as session,
        ):
            await session.turn("go", cancel=cancel)
            await session.turn("go on")
            await session.turn("and on")
        for request in models.requests[1:]:
            parts = [part for message in request.messages for part in message.parts]
            made = [part.call_id for part in parts if isinstance(part, ToolCallPart)]
            assert made == [part.call_id for part in parts if isinstance(part, ToolResultPart)]

    run(scene())


# The path


def recorded() -> tuple[Reading, list[Leaf]]:
    """Three turns, and the leaf after each."""
    store = Reading(MemoryStore())

    async def scene() -> None:
        async with host(store, provider(3), look) as core, core.session("s").open() as session:
            for number in range(3):
                await session.turn(f"go {number}")

    run(scene())
    state = load(store, stream()).state
    assert isinstance(state, Open)
    leaf = state.head.leaf
    commits = list(read_commits(store, stream(), None if leaf is None else leaf.commit))
    store.bodies.clear()
    store.records.clear()
    return store, [
        Leaf(node_id=commit.nodes[-1].node_id, commit=commit.position)
        for commit in reversed(commits)
    ]


def texts_of(kept: Kept) -> list[str]:
    return [message.text for message in kept.history if message.text.startswith("go")]


def test_a_head_that_went_back_keeps_the_turns_up_to_it_and_reads_nothing() -> None:
    store, leaves = recorded()
    whole = read_on(store, stream(), Kept(), leaves[2], ())
    store.bodies.clear()
    store.records.clear()

    back = read_on(store, stream(), whole, leaves[1], ())

    assert texts_of(whole) == ["go 0", "go 1", "go 2"]
    assert (back.path, back.history) == (whole.path[:2], whole.history[:8])
    assert back.bytes_count < whole.bytes_count
    assert read_on(store, stream(), whole, None, ()) == Kept()
    assert store.bodies == store.records == []


def test_a_head_on_another_path_keeps_nothing_of_the_one_that_it_left() -> None:
    store, leaves = recorded()
    whole = read_on(store, stream(), Kept(), leaves[2], ())
    left = CommittedTurn(
        position=Position(leaves[1].commit + 1), messages_count=9, bytes_count=1_000_000
    )
    stray = Message(message_id=NodeId("x"), role=Role.USER, parts=())
    store.bodies.clear()

    astray = Kept(path=(*whole.path[:2], left), history=(*whole.history[:8], stray))
    found = read_on(store, stream(), astray, leaves[2], ())

    assert found == whole
    assert store.bodies == [5]
    alone = Kept(path=(left,), history=(stray,))
    assert read_on(store, stream(), alone, leaves[2], ()) == whole


# What is kept


def kept_of(size: int) -> Kept:
    return Kept(path=(CommittedTurn(position=Position(0), messages_count=0, bytes_count=size),))


def test_the_sessions_that_were_used_least_recently_are_dropped_first() -> None:
    transcripts = Transcripts(bytes_max=100)
    a, b, c = map(stream, "abc")
    transcripts.keep(a, kept_of(40))
    transcripts.keep(b, kept_of(40))
    transcripts.keep(a, kept_of(50))
    transcripts.keep(c, kept_of(20))

    assert [transcripts.kept(each).bytes_count for each in (a, b, c)] == [50, 0, 20]

    transcripts.keep(b, kept_of(101))

    assert [transcripts.kept(each) for each in (a, b, c)] == [Kept()] * 3

    transcripts.keep(c, kept_of(100))

    assert transcripts.kept(c) == kept_of(100)


def test_the_size_of_a_value_is_that_of_what_it_is_made_of() -> None:
    message = Message(
        message_id=NodeId("m"),
        role=Role.USER,
        parts=(TextPart(text="x" * 10_000), TextPart(text="y" * 20_000)),
    )

    assert 30_000 < size_bytes(message) < 31_000
    assert size_bytes((message, message)) == 2 * size_bytes(message)
