"""
How a body lies at rest, and the way there and back (ADR 0021).

1. Salt and plaintext are put together: whoever has the salt can test guesses at a short text, so
   it is hidden with the text, and erased with its key.
2. They are compressed, if that saves something; then encrypted, if there is a key.
3. What is still too large becomes a blob, and the body's content its address.

What was done is written beside the body in a few words, its *sealing*: ``zlib;key=2026-11``. It
names a key and never holds one. The commitment in the fact's header is to the plaintext, and is
checked after all this.
"""

import re
import zlib
from collections.abc import Mapping
from typing import Final, Protocol

from attrs import field, frozen
from attrs.validators import ge

from lash_es.codec.streams import StreamId
from lash_es.core.limits import DEFAULT_LIMITS
from lash_es.log.blobs import BLOB
from lash_es.log.sealing_errors import KeyUnusable

BODY_INLINE_MAX: Final = 64 * 1024
"""Bytes of a sealed body that may lie beside the facts."""

COMPRESS_BYTES_MIN: Final = 256
"""What is shorter hardly gets shorter, and would cost more than all else that is done to it."""

_KEY_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SEALING: Final = re.compile(r"(blob)?;?(zlib)?;?(?:key=([A-Za-z0-9._-]{1,64}))?")
_SALT_BYTES_MAX: Final = 255
_ROOM: Final = 512
"""What may come on top of a plaintext: salt, nonce, tag, and what zlib adds to noise."""
_PROBE: Final = b"probe" * 9


class Cipher(Protocol):
    """``eventsourcing``'s cipher: authenticated, or a damaged body is found only afterwards."""

    def encrypt(self, plaintext: bytes) -> bytes:
        """Encrypt."""
        ...

    def decrypt(self, ciphertext: bytes) -> bytes:
        """Decrypt, or raise."""
        ...


class Compressor(Protocol):
    """``eventsourcing``'s compressor."""

    def compress(self, data: bytes) -> bytes:
        """Compress."""
        ...

    def decompress(self, data: bytes) -> bytes:
        """Decompress, or raise."""
        ...


class Keys(Protocol):
    """
    Which key a stream's bodies are sealed with, and who opens them.

    A host may have a key for each session: what it no longer has is erased.
    """

    def to_seal(self, stream: StreamId) -> tuple[str, Cipher]:
        """Choose the key that is written with; ``key_id`` is 1 to 64 of ``A-Za-z0-9._-``."""
        ...

    def to_open(self, stream: StreamId, key_id: str) -> Cipher | None:
        """Find the key that something was written with; none if it is not there."""
        ...


@frozen(kw_only=True)
class KeyRing:
    """
    The same keys for every stream: one to write with, any number to read.

    A key is rotated by adding another one and writing with it; the old one stays to read.
    """

    writes: str
    ciphers: Mapping[str, Cipher] = field(repr=False)

    def __attrs_post_init__(self) -> None:
        for key_id in self.ciphers:
            require_key_id(key_id)
        if self.writes not in self.ciphers:
            raise KeyUnusable(key_id=self.writes, reason="it is not among the keys")

    def to_seal(self, stream: StreamId) -> tuple[str, Cipher]:
        """Return the one key, for any stream."""
        del stream
        return self.writes, self.ciphers[self.writes]

    def to_open(self, stream: StreamId, key_id: str) -> Cipher | None:
        """Find a key by its name."""
        del stream
        return self.ciphers.get(key_id)


def require_key_id(key_id: str) -> None:
    """Refuse a name that a sealing could not hold."""
    if _KEY_ID.fullmatch(key_id) is None:
        raise KeyUnusable(
            key_id=key_id[:100], reason="expected a name of 1 to 64 A-Z a-z 0-9 . _ -"
        )


class Zlib:
    """The compressor that is used unless another is named."""

    def compress(self, data: bytes) -> bytes:
        """Compress at zlib's own level."""
        return zlib.compress(data)

    def decompress(self, data: bytes) -> bytes:
        """Decompress without a bound; what comes from a store goes by ``inflated``."""
        return zlib.decompress(data)


def inflated(data: bytes, bytes_max: int) -> bytes:
    """
    Decompress up to a bound; what follows the end of the stream is refused, too.

    Raises:
        Unopened: it is damaged, or a bomb.
    """
    inflating = zlib.decompressobj()
    try:
        found = inflating.decompress(data, bytes_max + 1)
    except zlib.error:
        found = b""
    if len(found) > bytes_max:
        raise Unopened(f"it would decompress to more than {bytes_max} bytes")
    if not inflating.eof or inflating.unused_data:
        raise Unopened("its compressed bytes are damaged")
    return found


@frozen(kw_only=True)
class AtRest:
    """
    How bodies are kept: read with any of the keys, written with one of them, or in the clear.

    Args:
        keys: without them nothing is encrypted, and what is encrypted stays closed.
        compressor: one that writes zlib's format, in which everything is read back, up to a bound
            that no other could promise; none to write uncompressed. What is compressed tells by
            its length a little of what it holds, also when it is encrypted.
        body_inline_max: what is larger, sealed, becomes a blob; in bytes.
        body_bytes_max: what no plaintext is longer than; in bytes.

    Raises:
        ValueError: the compressor writes another format.
    """

    keys: Keys | None = None
    compressor: Compressor | None = field(factory=Zlib)
    body_inline_max: int = field(default=BODY_INLINE_MAX, validator=ge(0))
    body_bytes_max: int = field(default=DEFAULT_LIMITS.body_bytes_max, validator=ge(0))

    def __attrs_post_init__(self) -> None:
        if self.compressor is not None and not _is_zlib(self.compressor):
            raise ValueError("the compressor must write what zlib reads")

    @property
    def is_plain(self) -> bool:
        """Tell whether nothing is compressed or encrypted on its way in."""
        return self.keys is None and self.compressor is None

    @property
    def packed_bytes_max(self) -> int:
        """What no plaintext with its salt is longer than, in bytes."""
        return self.body_bytes_max + _ROOM


def _is_zlib(compressor: Compressor) -> bool:
    try:
        return inflated(compressor.compress(_PROBE), len(_PROBE)) == _PROBE
    except Unopened:
        return False


@frozen(kw_only=True)
class Sealing:
    """What was done to a plaintext, in order: compressed, encrypted, put away as a blob."""

    is_compressed: bool = False
    key_id: str = ""
    is_blob: bool = False

    @property
    def text(self) -> str:
        """What is written beside the body; nothing for a plaintext."""
        key = f"key={self.key_id}" if self.key_id else ""
        words = (BLOB if self.is_blob else "", "zlib" if self.is_compressed else "", key)
        return ";".join(filter(None, words))

    @classmethod
    def of_text(cls, text: str) -> "Sealing":
        """
        Read it back.

        Raises:
            Unopened: it is not one that is known here.
        """
        found = _SEALING.fullmatch(text)
        is_blob, is_compressed, key_id = found.groups() if found else ("", "", "")
        read = cls(is_compressed=bool(is_compressed), key_id=key_id or "", is_blob=bool(is_blob))
        if read.text != text:
            raise Unopened(f"its sealing {text[:100]!r} is not known here")
        return read


class Unopened(Exception):
    """Why bytes do not open, in words that tell nothing of them."""

    @property
    def reason(self) -> str:
        """The words."""
        return str(self.args[0])


def sealed(at_rest: AtRest, stream: StreamId, plain: bytes) -> tuple[Sealing, bytes]:
    """Compress if it saves something, encrypt if there are keys."""
    packed = plain
    if at_rest.compressor is not None and len(plain) >= COMPRESS_BYTES_MIN:
        packed = min(plain, at_rest.compressor.compress(plain), key=len)
    is_compressed = packed is not plain
    if at_rest.keys is None:
        return Sealing(is_compressed=is_compressed), packed
    key_id, cipher = at_rest.keys.to_seal(stream)
    require_key_id(key_id)
    return Sealing(is_compressed=is_compressed, key_id=key_id), cipher.encrypt(packed)


def has_key(at_rest: AtRest, stream: StreamId, sealing: Sealing) -> bool:
    """Tell whether what was sealed so can be opened, as far as keys go."""
    return not sealing.key_id or _cipher(at_rest, stream, sealing.key_id) is not None


def _cipher(at_rest: AtRest, stream: StreamId, key_id: str) -> Cipher | None:
    return None if at_rest.keys is None else at_rest.keys.to_open(stream, key_id)


def opened(at_rest: AtRest, stream: StreamId, sealing: Sealing, stored: bytes) -> bytes:
    """
    Undo what a sealing says.

    Raises:
        Unopened: the bytes are not what it says, or its key is not there (``has_key``).
    """
    if sealing.key_id:
        stored = _decrypted(at_rest, stream, sealing.key_id, stored)
    return inflated(stored, at_rest.packed_bytes_max) if sealing.is_compressed else stored


def _decrypted(at_rest: AtRest, stream: StreamId, key_id: str, stored: bytes) -> bytes:
    cipher = _cipher(at_rest, stream, key_id)
    if cipher is None:
        raise Unopened(f"key {key_id!r} is not here")
    try:
        return cipher.decrypt(stored)
    except Exception as cause:  # noqa: BLE001 - a cipher raises what it likes, of what it likes
        kind = type(cause).__name__
    # Outside of the handler: what a cipher says may hold what it was given, and is left out.
    raise Unopened(f"key {key_id!r} does not open it ({kind}): damaged, or another key")


def with_salt(salt: bytes, content: bytes) -> bytes:
    """Put salt and plaintext together; the first byte is the salt's length."""
    if len(salt) > _SALT_BYTES_MAX:
        raise ValueError(f"a salt has at most {_SALT_BYTES_MAX} bytes, found {len(salt)}")
    return bytes((len(salt),)) + salt + content


def without_salt(packed: bytes) -> tuple[bytes, bytes]:
    """Take salt and plaintext apart."""
    end = 1 + packed[0] if packed else 1
    if len(packed) < end:
        raise Unopened("it is shorter than its salt")
    return packed[1:end], packed[end:]
