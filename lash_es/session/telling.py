"""
From a session's log to what whoever looks on is told: the state is folded along, so that each
event comes with the revision and the view of its own version.
"""

from typing import Final

from attrs import frozen

from lash_es.codec.activities import decode_activity
from lash_es.codec.cursors import SessionCursor
from lash_es.codec.streams import StreamId
from lash_es.core.errors import HistoryTrimmedBelow, SessionDeleted
from lash_es.core.ids import Revision, Version
from lash_es.core.state import Deleted, Open, State
from lash_es.log.appends import Activity
from lash_es.log.contents import read_contents, read_header
from lash_es.log.encoding import Folded
from lash_es.log.loading import Fact, step
from lash_es.log.pages import Offset
from lash_es.log.port import Store
from lash_es.log.snapshotting import load_as_of
from lash_es.log.subscribing import Gap as LogGap
from lash_es.log.subscribing import GapReason, missing_after, subscribe
from lash_es.projections.observation import Told, ViewChanged, told_of_activity, told_of_fact
from lash_es.projections.observed_turns import (
    NO_SOURCES,
    NOTHING_WANTED,
    Sources,
    Wanted,
    activity_name,
    sources_of,
)
from lash_es.runtime.opening import require_open
from lash_es.session.holders import SharedSession
from lash_es.session.observations import (
    Closed,
    Committed,
    LiveReplayGap,
    ObservationPayload,
    SessionObservation,
    SessionObservationEvent,
    SubscriberLagged,
)
from lash_es.session.views import read_view

OBSERVE_ATTEMPTS_MAX: Final = 8
"""How often an observation is taken anew because the log has moved while it was taken."""

_VERSION_MAX: Final = Version(2**53)
"""No session is that long; a store need not be asked with what a host may write into a cursor."""


async def observe_now(shared: SharedSession) -> SessionObservation:
    """
    Catch up with the log, and return what is there with the cursor after it: the first one of this
    state after which nothing is missing.

    Raises:
        SessionDeleted: the session is no more.
    """
    for _ in range(OBSERVE_ATTEMPTS_MAX - 1):
        observation, is_good = await _observation(shared)
        if is_good:
            return observation
    return (await _observation(shared))[0]


async def _observation(shared: SharedSession) -> tuple[SessionObservation, bool]:
    """Observe, and tell whether nothing was pruned meanwhile behind what was caught up with."""
    lane = shared.lane
    state = require_open(await lane.catch_up(), lane.stream.session_id)
    head = await lane.log.read(lambda store: store.head(lane.stream))
    pruned, seq = (Version(0), 0) if head is None else head.low_water
    cursor = SessionCursor(state.session_id, state.version, seq if pruned == state.version else 0)
    view = read_view(lane, state, shared.residency)
    return SessionObservation(read_view=view, cursor=cursor), pruned <= state.version


async def gap_for(
    shared: SharedSession, requested: SessionCursor, reason: GapReason
) -> tuple[SessionObservation, LiveReplayGap]:
    """Answer a cursor that cannot be gone on from, with a fresh observation."""
    observation = await observe_now(shared)
    gap = LiveReplayGap(
        session_id=requested.session_id,
        requested_cursor=requested,
        latest_cursor=observation.cursor,
        latest_revision=Revision(observation.read_view.revision),
        reason=reason,
    )
    return observation, gap


@frozen
class _Place:
    """The state at a cursor, and where the log ended when it was looked up."""

    folded: Folded
    end: Offset


async def follow_from(shared: SharedSession, cursor: SessionCursor) -> "Teller | GapReason":
    """
    Follow the session from a cursor on, or say why that cannot be.

    Raises:
        SessionDeleted: the session is no more.
    """
    lane = shared.lane
    require_open(await lane.catch_up(), lane.stream.session_id)
    after: Offset = (min(cursor.version, _VERSION_MAX), cursor.seq)
    resident = lane.folded
    place = await lane.log.read(lambda store: _place(store, lane.stream, after, resident))
    return (
        place if isinstance(place, GapReason) else Teller(shared, place.folded, after, place.end)
    )


def _place(store: Store, stream: StreamId, after: Offset, resident: Folded) -> _Place | GapReason:
    page = store.read_page(stream, after, 1)
    gap = missing_after(page, after)
    if gap is not None:
        return gap.reason
    if resident.version == after[0]:
        return _Place(resident, page.end)
    try:
        return _Place(load_as_of(store, stream, after[0]), page.end)
    except HistoryTrimmedBelow:
        return GapReason.TRIMMED


class Teller:
    """
    Tells what happens after a cursor, one event after the other; for one consumer.

    ``end`` is where the log ended when it began.
    """

    def __init__(self, shared: SharedSession, folded: Folded, after: Offset, end: Offset) -> None:
        self._lane = shared.lane
        self._residency = shared.residency
        self._folded = folded
        self._offset = after
        self._item: Fact | Activity | LogGap | None = None
        self._has_lost_facts = False
        self._subscription = subscribe(
            self._lane.log, self._lane.stream, after=after, digest=folded.digest
        )
        self.end: Final = end

    @property
    def offset(self) -> Offset:
        """The place of what was looked at last, whether it was told or tells nothing."""
        return self._offset

    async def next(self, *, until: Offset | None = None) -> SessionObservationEvent | None:
        """
        Return what happens next, waiting for it; cancelling loses nothing.

        Args:
            until: do not wait: return none as soon as everything up to there was told.

        Raises:
            SubscriberLagged: something is gone; what comes after it can still be told.
            Closed: it was closed, or facts are gone.
            SessionDeleted: the session ended.
            CorruptHistory, CorruptBody, StorageError: the log cannot be read.
        """
        while until is None or self._offset < until:
            if self._has_lost_facts:
                await self.aclose()
            if self._item is None:
                try:
                    self._item = await anext(self._subscription)
                except StopAsyncIteration:
                    raise Closed from None
            told = await self._tell(self._item)
            if told is not None:
                return told
        return None

    async def aclose(self) -> None:
        """End it, also for whoever waits; twice is once."""
        await self._subscription.aclose()

    async def _tell(self, item: Fact | Activity | LogGap) -> SessionObservationEvent | None:
        match item:
            case Fact():
                return await self._tell_fact(item)
            case Activity():
                self._move((item.version, item.seq))
                name = activity_name(item.version, item.seq)
                return self._event(told_of_activity(name, decode_activity(item.payload)))
            case LogGap():
                self._has_lost_facts = item.goes_on != item.asked
                self._move(item.asked)
                raise SubscriberLagged(missed_count=_missed_count(item))

    async def _tell_fact(self, fact: Fact) -> SessionObservationEvent | None:
        before = self._folded.state
        wanted = sources_of(before, fact.position, fact.event)
        sources = NO_SOURCES if wanted == NOTHING_WANTED else await self._sources(wanted)
        # From here on nothing waits: the fact was told, or was not.
        state = step(before, fact)
        self._folded = Folded(stream=fact.stream, state=state, digest=fact.digest)
        self._move((Version(fact.position + 1), 0))
        if isinstance(state, Deleted):
            raise SessionDeleted(session_id=state.session_id)
        if sources is None:
            raise SubscriberLagged(missed_count=1)
        told = told_of_fact(before, fact.position, fact.event, sources)
        return None if told is None else self._event(told)

    async def _sources(self, wanted: Wanted) -> Sources | None:
        """Read what an event is told with; none if that was trimmed."""
        try:
            return await self._lane.log.read(
                lambda store: read_sources(store, self._lane.stream, wanted)
            )
        except HistoryTrimmedBelow:
            return None

    def _move(self, offset: Offset) -> None:
        self._offset = offset
        self._item = None

    def _event(self, told: Told) -> SessionObservationEvent:
        session_id = self._lane.stream.session_id
        return SessionObservationEvent(
            session_id=session_id,
            revision=_open(self._folded.state).head.revision,
            cursor=SessionCursor(session_id, *self._offset),
            payload=self._payload(told),
        )

    def _payload(self, told: Told) -> ObservationPayload:
        if not isinstance(told, ViewChanged):
            return told
        state = _open(self._folded.state)
        view = read_view(self._lane, state, self._residency)
        return Committed(version=state.version, revision=state.head.revision, read_view=view)


def read_sources(store: Store, stream: StreamId, wanted: Wanted) -> Sources:
    """
    Read the bodies and facts that an event is told with.

    Raises:
        HistoryTrimmedBelow: one is gone.
        CorruptBody: a body is not what was committed to.
    """
    return Sources(
        contents=read_contents(store, stream, wanted.contents),
        times_ms={
            position: read_header(store, stream, position).recorded_at_ms
            for position in wanted.positions
        },
    )


def _missed_count(gap: LogGap) -> int:
    """Count what is known to be gone: numbers between two facts are dense."""
    (asked_version, asked_seq), (version, seq) = gap.asked, gap.kept
    return max(1, seq - asked_seq if version == asked_version else seq)


def _open(state: State) -> Open:
    """Return the open session: a fact that tells something was recorded in one."""
    assert isinstance(state, Open)
    return state
