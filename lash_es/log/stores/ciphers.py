"""
Keys out of a host's configuration, for the library's own cipher: AES in GCM.

A key is 16, 24 or 32 random bytes in base64. It is never repeated: in no message, no ``repr`` and
no cause of an error.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Final

from lash_es.log.sealing import Cipher, KeyRing, require_key_id
from lash_es.log.sealing_errors import CryptoExtraMissing, KeyUnusable

CRYPTO_INSTALL: Final = "pip install 'lash-es[crypto]'"


def aes_cipher(key_id: str, key: str) -> Cipher:
    """
    Make the library's cipher of a key.

    Raises:
        KeyUnusable: it is no key.
        CryptoExtraMissing: the library that encrypts is not installed.
    """
    require_key_id(key_id)
    if not _is_key(key):
        raise KeyUnusable(key_id=key_id, reason="expected 16, 24 or 32 bytes in base64")
    try:
        from eventsourcing.cipher import AESCipher  # noqa: PLC0415 - it is behind an extra
        from eventsourcing.utils import Environment  # noqa: PLC0415
    except ModuleNotFoundError as cause:
        raise CryptoExtraMissing(missing=str(cause.name), install=CRYPTO_INSTALL) from None
    return AESCipher(Environment(env={AESCipher.CIPHER_KEY: key}))


def _is_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) in {16, 24, 32}
    except (ValueError, binascii.Error):
        return False


def aes_keys(text: str) -> KeyRing:
    """
    Read keys as they stand in a configuration: ``ID:KEY``, several with commas between them; the
    first is written with.

    Raises:
        KeyUnusable, CryptoExtraMissing: as ``aes_cipher``; or a name comes twice. It is said which
            of them, by number: a name may be a key that slipped into its place.
    """
    ciphers: dict[str, Cipher] = {}
    for number, word in enumerate(text.split(","), start=1):
        key_id, _, key = word.strip().partition(":")
        reason = "there are two of its name"
        if key_id not in ciphers and (made := _cipher_of(key_id, key)) is not None:
            ciphers[key_id] = made
            continue
        if key_id not in ciphers:
            reason = "expected ID:KEY, a name and 16, 24 or 32 bytes in base64"
        raise KeyUnusable(key_id=f"number {number}", reason=reason)
    return KeyRing(writes=next(iter(ciphers)), ciphers=ciphers)


def _cipher_of(key_id: str, key: str) -> Cipher | None:
    try:
        return aes_cipher(key_id, key)
    except KeyUnusable:
        return None


def keys_from_environment(environment: Mapping[str, str], variable: str) -> KeyRing:
    """
    Read the keys of a variable that the host names; nothing is read unasked.

    Raises:
        KeyUnusable, CryptoExtraMissing: as ``aes_keys``; or it is not set.
    """
    text = environment.get(variable, "")
    if not text:
        raise KeyUnusable(key_id=variable, reason="the environment variable is not set")
    return aes_keys(text)
