"""
Enclosures: what a commit keeps besides what was said. The states of tools and plugins, and
attachments.

An attachment is named after its bytes, so the same bytes have the same name in every session; who
it belongs to is decided in each session apart. Commands and facts of both are here, and are
members of ``commands.Command`` and ``events.Event``.
"""

import hashlib
from enum import Enum
from typing import Final, TypeAlias

from attrs import frozen

from lash_es.core.bodies import SALT_BYTES, Commitment, NewBody, RecordedBody
from lash_es.core.ids import AttachmentId, Generation, Position, TurnId

_SALT_DOMAIN: Final = b"lash-es/attachment/1"


class StateKind(Enum):
    """Whose state it is."""

    TOOLS = "tools"
    PLUGINS = "plugins"


@frozen(kw_only=True)
class NewState:
    """A state as it is now. ``revision`` names it: under the same one it is not recorded again."""

    kind: StateKind
    revision: int
    body: NewBody


@frozen(kw_only=True)
class Enclosures:
    """What a commit is to keep: states that changed, and attachments that the session holds."""

    states: tuple[NewState, ...] = ()
    attachment_ids: tuple[AttachmentId, ...] = ()

    @property
    def bodies(self) -> tuple[NewBody, ...]:
        """The content that it brings."""
        return tuple(state.body for state in self.states)


NO_ENCLOSURES = Enclosures()


@frozen(kw_only=True)
class Attachment:
    """Bytes that the session holds. Their media type and size are in ``content.commitment``."""

    attachment_id: AttachmentId
    label: str
    content: RecordedBody


class AttachmentStatus(Enum):
    """How far an attachment is."""

    INTENDED = "intended"
    COMMITTED = "committed"
    FORGOTTEN = "forgotten"


@frozen(kw_only=True)
class AttachmentEntry:
    """An entry of the index: an attachment, and the fact that made it what it is."""

    attachment: Attachment
    status: AttachmentStatus
    changed: Position

    @property
    def is_held(self) -> bool:
        """Tell whether the session holds it."""
        return self.status is not AttachmentStatus.FORGOTTEN


def attachment_body(content: bytes, media_type: str) -> NewBody:
    """
    Make a body of bytes that are to lie once, however many sessions hold them: so its salt is made
    of them, and not minted. It hides nothing, and neither does the name.
    """
    salt = hashlib.sha256(_SALT_DOMAIN + content).digest()[:SALT_BYTES]
    return NewBody(content=content, salt=salt, media_type=media_type)


def attachment_id_of(content: bytes) -> AttachmentId:
    """Name bytes by what they are."""
    return AttachmentId(f"sha256:{hashlib.sha256(content).hexdigest()}")


# Commands


@frozen(kw_only=True)
class PutAttachment:
    """Hold these bytes; a commit can name them from then on. Held already: nothing."""

    now_ms: int
    label: str
    body: NewBody

    @property
    def attachment_id(self) -> AttachmentId:
        """What the bytes are called."""
        return attachment_id_of(self.body.content)


@frozen(kw_only=True)
class ForgetAttachment:
    """Hold these bytes no longer, committed or not."""

    now_ms: int
    attachment_id: AttachmentId


AttachmentCommand: TypeAlias = PutAttachment | ForgetAttachment

# Facts


@frozen(kw_only=True)
class StateRevision:
    """Which state the body of the same place is."""

    kind: StateKind
    revision: int


@frozen(kw_only=True)
class CommitEnclosed:
    """
    The commit in the same append keeps these states, whose contents are ``bodies``, in the same
    order, and these attachments.
    """

    at_ms: int
    generation: Generation
    turn_id: TurnId
    states: tuple[StateRevision, ...]
    attachments: tuple[Attachment, ...]
    bodies: tuple[Commitment, ...]


@frozen(kw_only=True)
class AttachmentPut:
    """The session holds these bytes, and means to commit them."""

    at_ms: int
    attachment_id: AttachmentId
    label: str
    bodies: tuple[Commitment, ...]


@frozen(kw_only=True)
class AttachmentForgotten:
    """The session holds these bytes no longer. They go with the next trim, or with the session."""

    at_ms: int
    attachment: Attachment


EnclosureEvent: TypeAlias = CommitEnclosed | AttachmentPut | AttachmentForgotten
