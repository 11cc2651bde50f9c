"""
What a session holds besides messages: attachments, and the states of tools and plugins.

Putting and forgetting need no lease; a commit names what it keeps (``SessionCommits.commit``).
"""

from attrs import frozen

from lash_es.core.bodies import RecordedBody
from lash_es.core.commit_errors import AttachmentNotFound
from lash_es.core.enclosures import (
    AttachmentEntry,
    AttachmentStatus,
    ForgetAttachment,
    PutAttachment,
    StateKind,
    attachment_body,
)
from lash_es.core.ids import AttachmentId
from lash_es.core.known import attachment_key, names
from lash_es.core.state import Open
from lash_es.log.commitments import require_recorded
from lash_es.log.encoding import decode_index_entry
from lash_es.log.port import Store
from lash_es.runtime.committing import Lane
from lash_es.runtime.opening import require_open


@frozen(kw_only=True)
class HeldAttachment:
    """Bytes that a session holds, by reference; ``is_committed``: a commit has named them."""

    attachment_id: AttachmentId
    media_type: str
    label: str
    bytes_count: int
    is_committed: bool


@frozen(kw_only=True)
class KeptState:
    """The state of tools or of plugins as of the last commit that kept one."""

    revision: int
    media_type: str
    content: bytes


class SessionAttachments:
    """The attachments of one session."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane

    async def put(self, content: bytes, *, media_type: str, label: str = "") -> HeldAttachment:
        """
        Hold bytes, and mean to commit them; held already, they stay as they are.

        Raises:
            LimitExceeded: ``body_bytes_max``, ``description_chars_max``; nothing was written.

        Cost: one append, or none.
        """
        lane = self._lane
        body = attachment_body(content, media_type)
        command = PutAttachment(now_ms=lane.log.now_ms(), label=label, body=body)
        await lane.transact(lambda draft: draft.do(command), *names(command))
        return await self.find(command.attachment_id)

    async def find(self, attachment_id: str) -> HeldAttachment:
        """
        Describe an attachment.

        Raises:
            AttachmentNotFound: this session does not hold it, whoever else does.
        """
        entry = await self._entry(attachment_id)
        held = entry.attachment
        return HeldAttachment(
            attachment_id=held.attachment_id,
            media_type=held.content.commitment.media_type,
            label=held.label,
            bytes_count=held.content.commitment.bytes_count,
            is_committed=entry.status is AttachmentStatus.COMMITTED,
        )

    async def read(self, attachment_id: str) -> bytes:
        """
        Read the bytes.

        Raises:
            AttachmentNotFound: as ``find``. CorruptBody: they are not what was put.
        """
        entry = await self._entry(attachment_id)
        return (await _read(self._lane, entry.attachment.content))[1]

    async def is_held(self, attachment_id: str) -> bool:
        """Tell whether this session holds a reference, committed or meant to be."""
        try:
            await self._entry(attachment_id)
        except AttachmentNotFound:
            return False
        return True

    async def forget(self, attachment_id: str) -> None:
        """
        Hold these bytes no longer; not held, it does nothing. They go with the next trim, and if
        no other session holds them, with the sweep after it.
        """
        lane = self._lane
        command = ForgetAttachment(
            now_ms=lane.log.now_ms(), attachment_id=AttachmentId(attachment_id)
        )
        await lane.transact(lambda draft: draft.do(command), *names(command))

    async def _entry(self, attachment_id: str) -> AttachmentEntry:
        lane, key = self._lane, attachment_key(AttachmentId(attachment_id))
        require_open(await lane.catch_up(), lane.stream.session_id)

        def look(store: Store) -> AttachmentEntry | None:
            value = store.read_index(lane.stream, (key,)).get(key)
            entry = None if value is None else decode_index_entry(key, value)
            return entry if isinstance(entry, AttachmentEntry) and entry.is_held else None

        found = await lane.log.read(look)
        if found is None:
            raise AttachmentNotFound(
                session_id=lane.stream.session_id, attachment_id=AttachmentId(attachment_id)
            )
        return found


async def read_state(lane: Lane, session: Open, kind: StateKind) -> KeptState | None:
    """Read the state of a kind; none if no commit has kept one."""
    recorded = session.states.of(kind)
    if recorded is None:
        return None
    media_type, content = await _read(lane, recorded.content)
    return KeptState(revision=recorded.revision, media_type=media_type, content=content)


async def _read(lane: Lane, body: RecordedBody) -> tuple[str, bytes]:
    def look(store: Store) -> tuple[str, bytes]:
        stored = store.read_bodies(lane.stream, (body.ref,)).get(body.ref)
        found = require_recorded(lane.stream, body, stored)
        return found.media_type, found.content

    return await lane.log.read(look)
