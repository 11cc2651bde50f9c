"""Activity to bytes and back: JSON with a ``kind``, like every stored union."""

from collections.abc import Mapping
from typing import Final

from lash_es.codec.canonical import canonical_bytes, plain_values
from lash_es.codec.errors import UndecodableValue
from lash_es.codec.shapes import from_plain, to_plain
from lash_es.core.activity import ProseStreamed, ReasoningStreamed, StreamedActivity

_KINDS: Final[Mapping[type[StreamedActivity], str]] = {
    ProseStreamed: "prose",
    ReasoningStreamed: "reasoning",
}
_CLASSES: Final = {kind: activity_class for activity_class, kind in _KINDS.items()}


def encode_activity(activity: StreamedActivity) -> bytes:
    """Encode one stretch of activity."""
    return canonical_bytes(to_plain(activity) | {"kind": _KINDS[type(activity)]}, "activity")


def decode_activity(payload: bytes) -> StreamedActivity:
    """
    Decode one stretch of activity.

    Raises:
        UndecodableValue: it is of a kind or shape that is not known here.
    """
    plain = plain_values(payload, "activity")
    kind = plain.pop("kind", None)
    activity_class = _CLASSES.get(kind) if isinstance(kind, str) else None
    if activity_class is None:
        raise UndecodableValue(what="activity", reason=f"unknown kind {kind!r}")
    return from_plain(plain, activity_class, "activity")
