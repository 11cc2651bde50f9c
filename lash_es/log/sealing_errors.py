"""
What can stand between stored bytes and what was said: a key that is not there, a seal that does
not open. None of these holds a key, or a byte of content.
"""

from typing import ClassVar

from attrs import define

from lash_es.codec.errors import CorruptBody, StoredDataError
from lash_es.core.errors import LashError
from lash_es.core.ids import Position, Version


@define(kw_only=True)
class BodySealed(StoredDataError):
    """A body is whole as far as anyone can tell who does not have its key."""

    session_id: str
    position: Position
    ordinal: int
    sealing: str

    def _summary(self) -> str:
        return (
            f"session {self.session_id!r}, position {self.position}, body {self.ordinal} is "
            f"sealed ({self.sealing}), and nothing here opens it"
        )


@define(kw_only=True)
class SealBroken(CorruptBody):
    """
    A body's seal does not open: its bytes are damaged, or the key of that name is another one.
    """


@define(kw_only=True)
class ActivitySealed(StoredDataError):
    """Activity is sealed with a key that is not there."""

    session_id: str
    version: Version
    seq: int
    sealing: str

    def _summary(self) -> str:
        return (
            f"session {self.session_id!r}, activity {self.seq} after version {self.version} is "
            f"sealed ({self.sealing}), and nothing here opens it"
        )


@define(kw_only=True)
class ActivityBroken(StoredDataError):
    """The seal of activity does not open; it is shown while it happens, and a fact follows."""

    session_id: str
    version: Version
    seq: int
    reason: str

    def _summary(self) -> str:
        return (
            f"session {self.session_id!r}, activity {self.seq} after version {self.version}: "
            f"{self.reason}"
        )


@define(kw_only=True)
class KeyUnusable(LashError):
    """A key, or the name of one, cannot be used; the key itself is never repeated."""

    key_id: str
    reason: str
    terminal_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        return f"the key {self.key_id!r} cannot be used: {self.reason}"


@define(kw_only=True)
class CryptoExtraMissing(LashError):
    """The library that encrypts is not installed."""

    missing: str
    install: str
    terminal_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        return f"{self.missing} is not installed; run: {self.install}"
