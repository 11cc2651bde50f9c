"""Which index entries the facts of attachments make; called by ``index.py``."""

from typing import TypeAlias, assert_never

from lash_es.core.bodies import RecordedBody
from lash_es.core.enclosures import (
    Attachment,
    AttachmentEntry,
    AttachmentForgotten,
    AttachmentPut,
    AttachmentStatus,
    CommitEnclosed,
    EnclosureEvent,
)
from lash_es.core.events import body_ref
from lash_es.core.ids import Position
from lash_es.core.known import IndexEntry, IndexKey, IndexKind

_Row: TypeAlias = tuple[IndexKey, IndexEntry]


def enclosure_rows(event: EnclosureEvent, here: Position) -> tuple[_Row, ...]:
    """An attachment is found by its name, with how far it is."""
    match event:
        case AttachmentPut():
            content = RecordedBody(ref=body_ref(here), commitment=event.bodies[0])
            held = Attachment(
                attachment_id=event.attachment_id, label=event.label, content=content
            )
            return (_row(held, AttachmentStatus.INTENDED, here),)
        case CommitEnclosed():
            return tuple(
                _row(each, AttachmentStatus.COMMITTED, here) for each in event.attachments
            )
        case AttachmentForgotten():
            return (_row(event.attachment, AttachmentStatus.FORGOTTEN, here),)
        case _:
            assert_never(event)


def _row(attachment: Attachment, status: AttachmentStatus, here: Position) -> _Row:
    entry = AttachmentEntry(attachment=attachment, status=status, changed=here)
    return (IndexKey(IndexKind.ATTACHMENT, attachment.attachment_id), entry)
