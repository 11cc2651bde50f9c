"""
Bodies: content that the log commits to and the fold never reads.

A command brings a ``NewBody``, salt and all; the event that follows holds its ``Commitment``; the
store keeps bytes and salt apart from the header, so that erasing them breaks no digest. The salted
digest is SHA-256(salt || plaintext), taken before compression and encryption (ADR 0003).
"""

import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import Final

from attrs import field, frozen

from lash_es.core.ids import Position

SALT_BYTES: Final = 16
JSON_MEDIA_TYPE: Final = "application/json"


@frozen(kw_only=True)
class Commitment:
    """What a header says of a body. ``digest`` is lowercase hexadecimal."""

    digest: str
    bytes_count: int
    media_type: str


@frozen(kw_only=True)
class NewBody:
    """Content on its way into the log. Neither field is ever printed."""

    content: bytes = field(repr=False)
    salt: bytes = field(repr=False)
    media_type: str = JSON_MEDIA_TYPE

    @cached_property
    def commitment(self) -> Commitment:
        """What the event will hold; hashed once, since deciding and encoding both ask for it."""
        return Commitment(
            digest=salted_digest(self.salt, self.content),
            bytes_count=len(self.content),
            media_type=self.media_type,
        )


@frozen(kw_only=True)
class BodyRef:
    """Where a body is: the ``ordinal``-th of the fact at ``position``, both from 0."""

    position: Position
    ordinal: int


@frozen(kw_only=True)
class RecordedBody:
    """A body that is in the log: where, and what was committed to."""

    ref: BodyRef
    commitment: Commitment

    def holds(self, new: NewBody, salts: Mapping[BodyRef, bytes]) -> bool:
        """
        Tell whether new content is this body's, under the stored salt; an erased body equals
        anything.
        """
        salt = salts.get(self.ref)
        return salt is None or salted_digest(salt, new.content) == self.commitment.digest


def salted_digest(salt: bytes, content: bytes) -> str:
    """SHA-256(salt || content), in lowercase hexadecimal."""
    return hashlib.sha256(salt + content).hexdigest()
