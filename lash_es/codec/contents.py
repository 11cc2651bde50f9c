"""Bodies: what is said, to bytes and back. The media type names the shape and its version."""

from typing import TypeAlias, TypeVar, cast

import orjson

from lash_es.codec.canonical import plain_values
from lash_es.codec.errors import UndecodableValue, UnencodableValue
from lash_es.codec.mirrors import NOT_READ
from lash_es.codec.readers import content_reader
from lash_es.codec.shapes import from_plain, to_plain
from lash_es.codec.upcast import upcast
from lash_es.codec.wire_names import BODY_TYPES
from lash_es.core.batches import ProcessWake, WorkItem
from lash_es.core.bodies import NewBody
from lash_es.core.messages import EffectFailure, ModelReply, ToolOutput, TurnInput

Content: TypeAlias = TurnInput | ModelReply | ToolOutput | EffectFailure | ProcessWake
StoredContent: TypeAlias = Content | WorkItem
_C = TypeVar("_C", bound=StoredContent)


def encode_content(content: StoredContent, salt: bytes) -> NewBody:
    """
    Encode what is said, to be committed to under ``salt``, and read it back: types bind nobody who
    makes a value, and what nobody can read would be there for ever.

    Raises:
        UnencodableValue: it cannot be written, or not be read again.
    """
    name, version = BODY_TYPES[type(content)]
    media_type = f"{name};v={version}"
    try:
        encoded = orjson.dumps(to_plain(content), option=orjson.OPT_SORT_KEYS)
        decode_content(encoded, media_type, type(content))
    except orjson.JSONEncodeError as cause:
        raise UnencodableValue(what=name, reason=str(cause)[:300]) from cause
    except UndecodableValue as cause:
        raise UnencodableValue(what=name, reason=cause.reason[:300]) from cause
    return NewBody(content=encoded, salt=salt, media_type=media_type)


def decode_content(stored: bytes, media_type: str, kind: type[_C]) -> _C:
    """Decode a body that is expected to be a ``kind``; what is written today, without cattrs."""
    name, version = BODY_TYPES[kind]
    found, _, stored_version = media_type.partition(";v=")
    if found != name or not stored_version.isdecimal() or int(stored_version) > version:
        raise UndecodableValue(what=media_type, reason=f"expected {name} up to version {version}")
    if int(stored_version) == version:
        try:
            return cast("_C", content_reader(name)(stored))
        except NOT_READ:
            pass  # Cattrs says what is wrong, if anything is.
    plain = upcast(name, int(stored_version), plain_values(stored, name), current=version)
    return from_plain(plain, kind, name)
