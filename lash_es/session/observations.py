"""What whoever looks on gets: observations, events, gaps, and why a cursor is refused."""

from typing import TypeAlias

from attrs import define, field, frozen

from lash_es.codec.cursors import MalformedCursor, SessionCursor, WrongSession
from lash_es.core.ids import Revision, SessionId, Version
from lash_es.log.subscribing import GapReason
from lash_es.projections.observation import AgentFrameSwitched, QueueChanged
from lash_es.runtime.faults import LIVE_REPLAY, RuntimeFault
from lash_es.session.views import SessionReadView
from lash_es.turns.activities import TurnActivity


@frozen(kw_only=True)
class SessionObservation:
    """A view, and the cursor from which to go on: both of one state."""

    read_view: SessionReadView
    cursor: SessionCursor


@frozen(kw_only=True)
class Committed:
    """
    What a view shows is another from here on: a commit, a moved leaf, a new policy.

    ``read_view`` is a view of exactly this version; its words are read when they are asked for.
    What was streamed before it is superseded.
    """

    version: Version
    revision: Revision
    read_view: SessionReadView = field(repr=False)


ObservationPayload: TypeAlias = TurnActivity | Committed | AgentFrameSwitched | QueueChanged


@frozen(kw_only=True)
class SessionObservationEvent:
    """
    One thing that happened; ``cursor`` is the place after it.

    ``revision`` is how many commits there were, this one included.
    """

    session_id: SessionId
    revision: Revision
    cursor: SessionCursor
    payload: ObservationPayload


@frozen(kw_only=True)
class LiveReplayGap:
    """
    Something after the cursor is not there any more, or not yet.

    ``latest_cursor`` is that of the observation that comes with it: go on from there.
    """

    session_id: SessionId
    requested_cursor: SessionCursor
    latest_cursor: SessionCursor
    latest_revision: Revision
    reason: GapReason


@frozen(kw_only=True)
class Gap:
    """A cursor cannot be gone on from: show ``observation`` instead, and go on from its cursor."""

    observation: SessionObservation
    gap: LiveReplayGap


@frozen(kw_only=True)
class Replayed:
    """
    What came after a cursor, in order. ``cursor`` is where to go on; ``is_complete`` tells that
    nothing came after it when it was read, which is so unless there was too much for one answer.
    """

    events: tuple[SessionObservationEvent, ...]
    cursor: SessionCursor
    is_complete: bool


SessionResume: TypeAlias = Replayed | Gap


@frozen(kw_only=True)
class StreamEvent:
    """An event, as a recovering stream hands it out."""

    event: SessionObservationEvent


@frozen(kw_only=True)
class StreamGap:
    """Something was lost: replace what is shown by the observation; the stream goes on from it."""

    observation: SessionObservation
    gap: LiveReplayGap


@define(kw_only=True)
class CursorRefused(RuntimeFault):
    """The cursor is none, or of another session; the log was not read."""

    code: str = LIVE_REPLAY
    refusal: MalformedCursor | WrongSession

    @property
    def is_terminal(self) -> bool:
        """Tell that the same cursor can never work."""
        return True


@define(kw_only=True)
class SubscriberLagged(RuntimeFault):
    """
    The consumer was so slow that what it had not read yet was pruned meanwhile.

    ``missed_count`` counts what is known to be gone: at least so much activity, or one fact whose
    words were trimmed. The stream may be gone on with, unless facts are missing.
    """

    code: str = LIVE_REPLAY
    message: str = "activity was pruned before it was read"
    missed_count: int


@define(kw_only=True)
class Closed(RuntimeFault):
    """The stream has ended: it was closed, or facts behind it were trimmed."""

    code: str = LIVE_REPLAY
    message: str = "the stream is closed"


def as_cursor(cursor: SessionCursor | str, session_id: SessionId) -> SessionCursor:
    """
    Take a cursor, or its text, as one of this session.

    Raises:
        CursorRefused: it is none, or of another session.
    """
    try:
        parsed = SessionCursor.parse(cursor) if isinstance(cursor, str) else cursor
        parsed.require_session(session_id)
    except (MalformedCursor, WrongSession) as refusal:
        raise CursorRefused(message=refusal.summary(), refusal=refusal) from refusal
    return parsed
