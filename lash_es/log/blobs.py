"""
Blobs: bytes that are too large to lie beside the facts, kept once and named by what they are.

An address is SHA-256 over the bytes as they are stored, so that whoever has no key can still tell
a damaged blob from a whole one (ADR 0021).
"""

import hashlib
from collections.abc import Sequence
from typing import Final, NewType, Protocol

from attrs import field, frozen

Address = NewType("Address", bytes)
"""What a blob is called: 32 bytes."""

ADDRESS_BYTES: Final = 32
FIRST_ADDRESS: Final = Address(b"")
"""Before all others: where reading in pages begins."""
BLOB: Final = "blob"
"""How the sealing of a body begins whose content is an address."""
_DOMAIN: Final = b"lash-es/blob/1"


def address_of(content: bytes) -> Address:
    """Name bytes by what they are."""
    return Address(hashlib.sha256(_DOMAIN + content).digest())


@frozen(kw_only=True)
class Blob:
    """Bytes on their way into a place, or out of it."""

    address: Address
    content: bytes = field(repr=False)

    @classmethod
    def of(cls, content: bytes) -> "Blob":
        """Name bytes."""
        return cls(address=address_of(content), content=content)


@frozen(kw_only=True)
class KeptBlob:
    """
    A blob as a place lists it. ``token`` changes whenever somebody writes the blob, also where its
    bytes are there already: it tells that somebody is about to name it.
    """

    address: Address
    token: int
    at_ms: int


class Blobs(Protocol):
    """A place of blobs, as far as a sweep goes."""

    def page(self, after: Address, blobs_max: int) -> tuple[KeptBlob, ...]:
        """
        List blobs after an address, ordered by address.

        Whoever wrote a blob before this call, and is to name it, has named it when it returns; or
        the token will have changed.
        """
        ...

    def delete(self, kept: Sequence[KeptBlob]) -> int:
        """
        Delete those whose token is still the one that was listed, and count them. One transaction.
        """
        ...
