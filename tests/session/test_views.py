"""Views: a transcript read by pages from either end, in order, and as a tree."""

import pytest

from lash_es import NodeNotFound, Role
from lash_es.codec.records import Record
from lash_es.codec.streams import StreamId
from lash_es.core.ids import NodeId, Position
from lash_es.projections.chronology import Called, Said
from lash_es.session.views import SessionReadView
from tests.session.conftest import place
from tests.session.host import host, run
from tests.session.scripted import call, calls, says, speaking
from tests.session.stores import Place, Through

__all__ = ["place"]


class CountsRows(Through):
    """Counts the facts that are read."""

    rows_count = 0

    def read(self, stream: StreamId, first: Position, records_max: int) -> tuple[Record, ...]:
        records = super().read(stream, first, records_max)
        self.rows_count += len(records)
        return records


async def pages(view: SessionReadView, messages_max: int) -> list[list[str]]:
    """Read everything, page by page, from the newest on."""
    found: list[list[str]] = []
    before: NodeId | None = None
    while True:
        page = await view.latest_messages(messages_max=messages_max, before=before)
        found.append([message.message_id for message in page.messages])
        before = page.before
        if before is None:
            return found


@pytest.mark.parametrize("messages_max", [1, 2, 3, 8, 100])
def test_pages_from_the_newest_on_are_the_whole_transcript(
    place: Place, messages_max: int
) -> None:
    async def scene() -> None:
        provider = speaking(
            says("one"), calls(call("a", "look", {"name": "x"})), says("two"), says("three")
        )
        async with (
            host(place.store(), provider, look) as core,
            core.session("s").open() as session,
        ):
            for number in range(3):
                await session.turn(str(number))
            view = session.read_view()
            whole = [message.message_id for message in await view.messages()]
            found = await pages(view, messages_max)
            assert [each for page in reversed(found) for each in page] == whole
            assert {len(page) for page in found[:-1]} <= {messages_max}
            assert await pages(view, 0) == await pages(view, 1)

    run(scene())


def test_the_newest_page_costs_the_same_however_long_the_transcript_is(place: Place) -> None:
    async def scene() -> None:
        store = CountsRows(place.store())
        costs = []
        provider = speaking(*(says(str(number)) for number in range(60)))
        async with host(store, provider) as core, core.session("s").open() as session:
            for number in range(60):
                await session.turn(str(number))
                if number in {47, 59}:
                    store.rows_count = 0
                    await session.read_view().latest_messages(messages_max=2)
                    costs.append(store.rows_count)
        # The commit of the leaf, and one page of facts to find the one in front of it.
        assert costs[0] == costs[1] < 300

    run(scene())


def test_a_page_in_front_of_what_nobody_said_is_refused(place: Place) -> None:
    async def scene() -> None:
        async with host(place.store()) as core, core.session("s").open() as session:
            view = session.read_view()
            assert (await view.latest_messages(messages_max=5)).messages == ()
            with pytest.raises(NodeNotFound):
                await view.latest_messages(messages_max=5, before="t1:m1")

    run(scene())


def test_the_chronology_has_calls_with_their_results(place: Place) -> None:
    async def scene() -> None:
        provider = speaking(calls(call("a", "look", {"name": "x"}), text="Hm."), says("done"))
        async with (
            host(place.store(), provider, look) as core,
            core.session("s").open() as session,
        ):
            await session.turn("go")
            view = session.read_view()
            happened = await view.chronological_projection()
            assert [type(each) for each in happened] == [Said, Said, Called, Said]
            assert isinstance(happened[2], Called)
            assert happened[2].text == "saw x"
            assert [each.text for each in happened if isinstance(each, Said)] == [
                "go",
                "Hm.",
                "done",
            ]
            assert await view.chronological_projection(first=3) == happened[3:]
            events = await view.active_events()
            assert [each.role for each in events] == [
                Role.USER,
                Role.ASSISTANT,
                Role.USER,
                Role.ASSISTANT,
            ]
            assert [each.node_id for each in events] == [
                message.message_id for message in await view.messages()
            ]

    run(scene())


def test_the_tree_shows_branches_and_what_is_active(place: Place) -> None:
    async def scene() -> None:
        provider = speaking(says("one"), says("two"), says("three"))
        async with host(place.store(), provider) as core, core.session("s").open() as session:
            await session.turn("a")
            fork = (await session.read_view().messages())[-1].message_id
            await session.turn("b")
            await session.branch_to_node(fork)
            await session.turn("c")
            view = session.read_view()
            tree = {each.node_id: each for each in await view.message_tree()}
            active = [each.message_id for each in await view.messages()]
            assert [each for each in tree if tree[each].is_active] == active
            assert len(tree) == 6
            assert len(tree[NodeId(fork)].child_node_ids) == 2
            # A page in front of a message off the path goes on along its own branch.
            off_path = next(each for each in tree.values() if not each.is_active)
            page = await view.latest_messages(messages_max=9, before=off_path.node_id)
            assert [each.text for each in page.messages] == ["a", "one"]

    run(scene())


def look(name: str) -> str:
    """Look at something."""
    return f"saw {name}"
