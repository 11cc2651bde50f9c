"""FAULT: rows of the fault matrix that concern a commit and what waits for the next turn."""

import pytest

from lash_es import ActiveTurn, Cancelled, InputStatus
from lash_es.core.ids import TurnId
from tests.scenarios.owning import owner
from tests.session.host import host, run, texts
from tests.session.scripted import says, speaking
from tests.session.stores import Place, names


def test_fault_05_an_input_that_a_commit_deferred_is_cancelled_and_not_drained(
    place: Place,
) -> None:
    async def scene() -> None:
        async with (
            host(place.store(), speaking(says("done"), says("never"))) as core,
            core.session("s").open() as session,
        ):
            sent = await session.enqueue("by the way").ingress(ActiveTurn(TurnId("t1")))
            assert sent.state is InputStatus.PENDING_ACTIVE
            async with owner(place) as alice:
                await alice.acquire()
                await alice.answered("t1")
                await alice.commit("t1", releases_lease=True)
            (deferred,) = await session.pending_turn_inputs()
            assert deferred.state is InputStatus.DEFERRED_NEXT_TURN
            outcome = await session.cancel_pending_turn_input(sent.input_id)
            assert isinstance(outcome, Cancelled)
            assert await session.queued_turn() is None
            assert names(place.store()).count("TurnStarted") == 1

    run(scene())


@pytest.mark.parametrize("inputs_count", [34, 70])
def test_fault_10_every_input_that_waits_is_reached(place: Place, inputs_count: int) -> None:
    async def scene() -> None:
        said = [str(number) for number in range(inputs_count)]
        async with (
            host(place.store(), speaking(says("some"), says("rest"))) as core,
            core.session("s").open() as session,
        ):
            for text in said:
                await session.enqueue(text)
            while await session.queued_turn() is not None:
                pass
            asked = [text for role, text in await texts(session) if role == "user"]
            assert "\n".join(asked).split("\n") == said
            assert session.pending.inputs_count == 0

    run(scene())
