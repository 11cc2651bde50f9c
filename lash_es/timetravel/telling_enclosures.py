"""Facts of states and attachments, told in sentences."""

from typing import assert_never

from lash_es.core.enclosures import (
    AttachmentForgotten,
    AttachmentPut,
    CommitEnclosed,
    EnclosureEvent,
)


def told_enclosure(event: EnclosureEvent) -> str:
    """Tell one fact; what states and attachments hold is not quoted."""
    match event:
        case AttachmentPut():
            body = event.bodies[0]
            return f"attached {body.bytes_count} bytes of {body.media_type[:24]}"
        case AttachmentForgotten():
            held = event.attachment.content.commitment
            return f"{held.bytes_count} bytes of {held.media_type[:24]} no longer attached"
        case CommitEnclosed():
            kept = [f"{each.kind.value} state {each.revision}" for each in event.states]
            if event.attachments:
                count = len(event.attachments)
                kept.append("1 attachment" if count == 1 else f"{count} attachments")
            return f"the commit keeps {', '.join(kept)}"
        case _:
            assert_never(event)
