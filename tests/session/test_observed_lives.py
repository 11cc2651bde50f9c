"""
For every log, cursor and retention: what is told after a cursor is everything that came after it,
once and in order; or there is a gap, and its observation is the fold at its cursor.
"""

import asyncio
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from lash_es import SessionCursor, SessionObservation, StreamEvent, StreamGap
from lash_es.core.ids import Revision
from lash_es.log.subscribing import GapReason
from lash_es.session import event_streams, telling
from lash_es.session.event_streams import SessionObservationStream
from lash_es.session.holders import SharedSession
from lash_es.session.observations import SubscriberLagged
from lash_es.session.observing import ObservableSession
from lash_es.session.telling import Teller
from tests.core.effort import effort
from tests.session.observed_lives import LOOKS, WRITES, Life, Model, Observe, Step
from tests.session.stores import InFile, InMemory, Place

STEPS = st.lists(
    st.tuples(st.sampled_from((*WRITES, *LOOKS)), st.integers(0, 4)), min_size=1, max_size=40
)


def recovering(watching: ObservableSession, cursor: SessionCursor) -> SessionObservationStream:
    return watching.subscribe_and_recover(cursor)


def lived(place: Place, steps: list[Step], observe: Observe = recovering) -> Model:
    return asyncio.run(asyncio.wait_for(Life(place, observe).live(steps), timeout=60))


def require_not_vacuous(seen: Counter[str]) -> None:
    assert seen["events"] > 20 * seen["lives"] / 10
    assert seen["gaps"] > seen["lives"] / 10
    assert seen["trims"] > 0
    assert seen["commits"] > 0


def note(seen: Counter[str], model: Model) -> None:
    seen["lives"] += 1
    seen["events"] += model.events_count
    seen["gaps"] += model.gaps_count
    seen["trims"] += model.oldest > 0
    seen["commits"] += model.revisions[-1]


def test_nothing_is_missed_repeated_or_out_of_order_in_memory() -> None:
    seen = Counter[str]()

    @effort(60)
    @given(steps=STEPS)
    @example(steps=[("turn", 0), ("text", 2), ("prune", 1), ("take", 4), ("take", 4)])
    def check(steps: list[Step]) -> None:
        note(seen, lived(InMemory(), steps))

    check()

    require_not_vacuous(seen)


def test_nor_in_a_file_that_another_process_writes() -> None:
    seen = Counter[str]()

    @effort(15)
    @given(steps=STEPS)
    def check(steps: list[Step]) -> None:
        with TemporaryDirectory() as folder:
            note(seen, lived(InFile(Path(folder) / "log.db"), steps))

    check()

    require_not_vacuous(seen)


# Planted faults


class TellsOfNoGap(SessionObservationStream):
    async def _gap(self, cursor: SessionCursor, reason: GapReason) -> StreamEvent | StreamGap:  # type: ignore[override]  # it hands out an event where a gap is due
        await super()._gap(cursor, reason)
        return await self._next()


def going_on(watching: ObservableSession, cursor: SessionCursor) -> SessionObservationStream:
    return TellsOfNoGap(watching._shared, cursor)


def with_seq(seq_of_head: bool) -> object:
    async def observe(shared: SharedSession) -> SessionObservation:
        observation = await telling_observe_now(shared)
        head = await shared.lane.log.read(lambda store: store.head(shared.lane.stream))
        assert head is not None
        seq = head.activity_seq if seq_of_head else 0
        return attrs.evolve(observation, cursor=attrs.evolve(observation.cursor, seq=seq))

    return observe


telling_observe_now = telling.observe_now


class TellsOfTheStateInFront(Teller):
    def _event(self, told: object) -> object:  # type: ignore[override]
        event = super()._event(told)  # type: ignore[arg-type]
        return attrs.evolve(event, revision=Revision(max(0, event.revision - 1)))


class ForgetsWhatItWasCancelledWith(Teller):
    async def next(self, **_: object) -> object:  # type: ignore[override]
        self._item = None
        event = await super().next()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return event


FAULTS = {
    "tells of no gap": (event_streams, "SubscriberLagged", None),
    "takes its cursor at the tail": (telling, "observe_now", with_seq(seq_of_head=True)),
    "takes its cursor in front of what is gone": (
        telling,
        "observe_now",
        with_seq(seq_of_head=False),
    ),
    "tells of the state in front": (telling, "Teller", TellsOfTheStateInFront),
    "forgets what it was cancelled with": (telling, "Teller", ForgetsWhatItWasCancelledWith),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_model_catches_an_observer_that(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, name, planted = FAULTS[fault]
    if planted is not None:
        monkeypatch.setattr(module, name, planted)
    observe = going_on if planted is None else recovering

    @settings(effort(100), phases=[Phase.generate], report_multiple_bugs=False)
    @given(steps=STEPS)
    def check(steps: list[Step]) -> None:
        lived(InMemory(), steps, observe)

    with pytest.raises((AssertionError, SubscriberLagged)):
        check()
