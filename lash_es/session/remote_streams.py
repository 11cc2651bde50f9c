"""Streams of what happens in a session, as they cross a wire."""

from typing import TypeAlias

from attrs import frozen

from lash_es.log.streams import ClosingStream
from lash_es.remote.constraints import validate
from lash_es.remote.observations import (
    RemoteLiveReplayGap,
    RemoteSessionCursor,
    RemoteSessionObservation,
    RemoteSessionObservationEvent,
    remote_cursor,
)
from lash_es.session.event_streams import (
    SessionEventStream,
    SessionObservationStream,
    Subscribed,
    subscribe_from,
)
from lash_es.session.holders import SharedSession
from lash_es.session.observations import Closed, StreamEvent
from lash_es.session.remote_mapping import remote_event, remote_gap, remote_observation


class RemoteSessionObservationEventStream(ClosingStream[RemoteSessionObservationEvent]):
    """
    Events after a cursor, as they cross a wire, an async iterator; it does not recover, and does
    not hold the session.

    Every event has the next number of this stream, from 0; only activity shows it.
    """

    def __init__(self, stream: SessionEventStream) -> None:
        self._stream = stream
        self._sequence = 0

    @property
    def cursor(self) -> RemoteSessionCursor:
        """The place after the event that was delivered last."""
        return remote_cursor(self._stream.cursor)

    async def next_event(self) -> RemoteSessionObservationEvent:
        """Return the next event, waiting for it; raises as ``SessionEventStream.next_event``."""
        event = remote_event(await self._stream.next_event(), self._sequence)
        self._sequence += 1
        return event

    async def __anext__(self) -> RemoteSessionObservationEvent:
        """Return the next event; ends when the stream does."""
        try:
            return await self.next_event()
        except Closed:
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        """End it; twice is once."""
        await self._stream.aclose()


@frozen(kw_only=True)
class RemoteSubscribed:
    """Everything after the cursor is there: the stream replays it and goes on live."""

    stream: RemoteSessionObservationEventStream


@frozen(kw_only=True)
class RemoteGap:
    """A cursor cannot be gone on from: show ``observation``, and go on from its cursor."""

    observation: RemoteSessionObservation
    gap: RemoteLiveReplayGap


RemoteSubscription: TypeAlias = RemoteSubscribed | RemoteGap


@frozen(kw_only=True)
class RemoteStreamEvent:
    """An event, as a recovering stream hands it out."""

    event: RemoteSessionObservationEvent


@frozen(kw_only=True)
class RemoteStreamGap:
    """Something was lost: replace what is shown; the stream goes on from the observation."""

    observation: RemoteSessionObservation
    gap: RemoteLiveReplayGap


async def subscribe_from_remote(
    shared: SharedSession, cursor: RemoteSessionCursor
) -> RemoteSubscription:
    """
    Follow a session from a remote cursor on.

    Raises:
        RemoteProtocolError: the envelope is not what the protocol says.
        CursorRefused, SessionDeleted: see there.
    """
    validate(cursor)
    found = await subscribe_from(shared, cursor.cursor)
    if isinstance(found, Subscribed):
        return RemoteSubscribed(stream=RemoteSessionObservationEventStream(found.stream))
    observation = remote_observation(found.observation)
    return RemoteGap(observation=observation, gap=remote_gap(found.gap))


class RemoteSessionObservationStream(ClosingStream[RemoteStreamEvent | RemoteStreamGap]):
    """
    A ``SessionObservationStream`` as it crosses a wire; it raises as that one, and holds the
    session until it is closed.

    Raises (when made):
        RemoteProtocolError: the envelope is not what the protocol says.
    """

    def __init__(self, shared: SharedSession, cursor: RemoteSessionCursor) -> None:
        validate(cursor)
        self._stream = SessionObservationStream(shared, cursor.cursor)
        self._sequence = 0

    @property
    def cursor(self) -> RemoteSessionCursor:
        """The place after what was delivered last; raises as the local stream's."""
        return remote_cursor(self._stream.cursor)

    async def __anext__(self) -> RemoteStreamEvent | RemoteStreamGap:
        """Return the next item, waiting for it; cancelling loses none."""
        item = await anext(self._stream)
        if isinstance(item, StreamEvent):
            event = remote_event(item.event, self._sequence)
            self._sequence += 1
            return RemoteStreamEvent(event=event)
        observation = remote_observation(item.observation)
        return RemoteStreamGap(observation=observation, gap=remote_gap(item.gap))

    async def aclose(self) -> None:
        """End it, and let the session go; twice is once."""
        await self._stream.aclose()
