"""Rules of what a commit keeps besides what was said: states and attachments."""

from collections.abc import Iterator

from lash_es.core.commands import CommitTurn
from lash_es.core.commit_errors import AttachmentNotFound, StateOutdated
from lash_es.core.enclosures import (
    Attachment,
    AttachmentForgotten,
    AttachmentPut,
    AttachmentStatus,
    CommitEnclosed,
    ForgetAttachment,
    NewState,
    PutAttachment,
    StateRevision,
)
from lash_es.core.events import Event
from lash_es.core.ids import AttachmentId
from lash_es.core.known import Known
from lash_es.core.rules.bounds import require_body, require_within
from lash_es.core.state import Open


def put(command: PutAttachment, now_ms: int, known: Known) -> tuple[Event, ...]:
    """Hold the bytes, unless they are held; that they were committed is not undone."""
    limits = known.limits
    require_within("description_chars_max", len(command.label), limits.description_chars_max)
    require_body(command.body, limits)
    if known.held_attachment(command.attachment_id) is not None:
        return ()
    held = AttachmentPut(
        at_ms=now_ms,
        attachment_id=command.attachment_id,
        label=command.label,
        bodies=(command.body.commitment,),
    )
    return (held,)


def forget(command: ForgetAttachment, now_ms: int, known: Known) -> tuple[Event, ...]:
    """Let go of what is held."""
    entry = known.held_attachment(command.attachment_id)
    if entry is None:
        return ()
    return (AttachmentForgotten(at_ms=now_ms, attachment=entry.attachment),)


def enclosed(session: Open, command: CommitTurn, now_ms: int, known: Known) -> tuple[Event, ...]:
    """
    Keep the states that changed, and the attachments that are not committed yet; one fact, or
    none.
    """
    wanted = command.enclosures
    limit = known.limits.attachments_per_commit_max
    require_within("attachments_per_commit_max", len(wanted.attachment_ids), limit)
    states = tuple(_changed(session, wanted.states, known))
    attachments = tuple(_uncommitted(session, wanted.attachment_ids, known))
    if not states and not attachments:
        return ()
    fact = CommitEnclosed(
        at_ms=now_ms,
        generation=session.lease.generation,
        turn_id=command.turn_id,
        states=tuple(StateRevision(kind=each.kind, revision=each.revision) for each in states),
        attachments=attachments,
        bodies=tuple(each.body.commitment for each in states),
    )
    return (fact,)


def _changed(session: Open, states: tuple[NewState, ...], known: Known) -> Iterator[NewState]:
    """Yield the last of each kind, if it is newer than what is recorded."""
    for state in {each.kind: each for each in states}.values():
        require_body(state.body, known.limits)
        recorded = session.states.of(state.kind)
        if recorded is not None and state.revision < recorded.revision:
            raise StateOutdated(
                session_id=session.session_id,
                kind=state.kind,
                presented=state.revision,
                recorded=recorded.revision,
            )
        if recorded is None or state.revision > recorded.revision:
            yield state


def _uncommitted(
    session: Open, attachment_ids: tuple[AttachmentId, ...], known: Known
) -> Iterator[Attachment]:
    for attachment_id in dict.fromkeys(attachment_ids):
        entry = known.held_attachment(attachment_id)
        if entry is None:
            raise AttachmentNotFound(session_id=session.session_id, attachment_id=attachment_id)
        if entry.status is not AttachmentStatus.COMMITTED:
            yield entry.attachment
