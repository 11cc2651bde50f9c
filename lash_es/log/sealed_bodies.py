"""
One body, or one stretch of activity, on its way into a store and out of it again.

Activity has no column for its sealing: what begins with NUL carries it in front. JSON never does.
"""

import hashlib
from typing import Final

import attrs

from lash_es.codec.streams import StreamId
from lash_es.core.ids import Version
from lash_es.log.appends import Activity, StoredBody
from lash_es.log.blobs import Address, Blob, address_of
from lash_es.log.sealing import (
    AtRest,
    Sealing,
    Unopened,
    has_key,
    opened,
    sealed,
    with_salt,
    without_salt,
)
from lash_es.log.sealing_errors import ActivityBroken, ActivitySealed, SealBroken

_PLAIN: Final = Sealing()
_MARK: Final = b"\0"
_PLACE_BYTES: Final = 16


def lies_plain(at_rest: AtRest, body: StoredBody) -> bool:
    """Tell whether a plaintext body would lie as it is; rather too seldom than too often."""
    is_small = 1 + len(body.salt) + len(body.content) <= at_rest.body_inline_max
    return at_rest.is_plain and is_small and not body.sealing


def seal_body(
    at_rest: AtRest, stream: StreamId, body: StoredBody
) -> tuple[StoredBody, Blob | None]:
    """Seal a plaintext body; returns it, and the blob that it names if it is large."""
    sealing, content = sealed(at_rest, stream, with_salt(body.salt, body.content))
    if len(content) > at_rest.body_inline_max:
        blob = Blob.of(content)
        sealing = attrs.evolve(sealing, is_blob=True)
        return _as_stored(body, sealing, blob.address), blob
    if sealing == _PLAIN:
        return body, None
    return _as_stored(body, sealing, content), None


def _as_stored(body: StoredBody, sealing: Sealing, content: bytes) -> StoredBody:
    return attrs.evolve(body, salt=b"", content=content, sealing=sealing.text)


def blob_named(stream: StreamId, body: StoredBody) -> Address | None:
    """
    Return the address that a body's content is, if it is one.

    Raises:
        SealBroken: its sealing is not known here.
    """
    try:
        return Address(body.content) if Sealing.of_text(body.sealing).is_blob else None
    except Unopened as why:
        raise _broken(stream, body, why) from None


def open_body(
    at_rest: AtRest, stream: StreamId, body: StoredBody, blob: bytes | None
) -> StoredBody:
    """
    Open a body; one whose key is not there is returned as it is.

    Args:
        at_rest: with which keys.
        stream: whose body it is.
        body: as it is stored.
        blob: the blob that it names, none if that is missing or none is named.

    Raises:
        SealBroken: it does not open.
    """
    try:
        sealing = Sealing.of_text(body.sealing)
        if sealing == _PLAIN or not has_key(at_rest, stream, sealing):
            return body
        content = _blob(body, blob) if sealing.is_blob else body.content
        salt, content = without_salt(opened(at_rest, stream, sealing, content))
    except Unopened as why:
        raise _broken(stream, body, why) from None
    return attrs.evolve(body, salt=salt, content=content, sealing="")


def _blob(body: StoredBody, blob: bytes | None) -> bytes:
    if blob is None:
        raise Unopened("its blob is missing")
    if address_of(blob) != body.content:
        raise Unopened("its blob is not the one that its address names")
    return blob


def _broken(stream: StreamId, body: StoredBody, why: Unopened) -> SealBroken:
    return SealBroken(
        session_id=stream.session_id,
        position=body.ref.position,
        ordinal=body.ref.ordinal,
        reason=why.reason,
    )


def seal_activity(at_rest: AtRest, stream: StreamId, version: Version, payload: bytes) -> bytes:
    """Seal a stretch of activity; encrypted, it opens only in its own place."""
    plain = payload if at_rest.keys is None else _place(stream, version) + payload
    sealing, content = sealed(at_rest, stream, plain)
    if sealing == _PLAIN and not payload.startswith(_MARK):
        return payload
    text = sealing.text.encode()
    return _MARK + bytes((len(text),)) + text + content


def open_activity(at_rest: AtRest, stream: StreamId, activity: Activity) -> Activity:
    """
    Open a stretch of activity.

    Raises:
        ActivitySealed: its key is not there.
        ActivityBroken: it does not open.
    """
    if not activity.payload.startswith(_MARK):
        return activity
    try:
        text, content = _taken_apart(activity.payload)
        sealing = Sealing.of_text(text)
        if not has_key(at_rest, stream, sealing):
            raise ActivitySealed(
                session_id=stream.session_id,
                version=activity.version,
                seq=activity.seq,
                sealing=text,
            )
        payload = opened(at_rest, stream, sealing, content)
        if sealing.key_id:
            payload = _without_place(_place(stream, activity.version), payload)
    except Unopened as why:
        raise ActivityBroken(
            session_id=stream.session_id,
            version=activity.version,
            seq=activity.seq,
            reason=why.reason,
        ) from None
    return attrs.evolve(activity, payload=payload)


def _taken_apart(payload: bytes) -> tuple[str, bytes]:
    end = 2 + payload[1] if len(payload) > 1 else 2
    if len(payload) < end:
        raise Unopened("it is shorter than its sealing")
    return payload[2:end].decode(errors="replace"), payload[end:]


def _place(stream: StreamId, version: Version) -> bytes:
    """Say where activity belongs: no fact commits to it, so it could be moved about."""
    return hashlib.sha256(f"{version} {stream.key}".encode()).digest()[:_PLACE_BYTES]


def _without_place(place: bytes, payload: bytes) -> bytes:
    if not payload.startswith(place):
        raise Unopened("it was written for another place")
    return payload.removeprefix(place)
