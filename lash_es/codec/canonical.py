"""
Canonical bytes: orjson with sorted keys. For what headers hold, that is RFC 8785 (ADR 0003).

Headers hold no floats and only ASCII keys, by the types of the events; that integers are under
2**53 and that no text holds a lone surrogate is checked here.
"""

from collections.abc import Mapping
from typing import cast

import orjson

from lash_es.codec.errors import UndecodableValue, UnencodableValue

_CANONICAL = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER


def canonical_bytes(plain: Mapping[str, object], what: str) -> bytes:
    """Encode plain values; the same values are the same bytes on every machine."""
    try:
        return orjson.dumps(plain, option=_CANONICAL)
    except orjson.JSONEncodeError as cause:
        raise UnencodableValue(what=what, reason=str(cause)[:300]) from cause


def plain_values(stored: bytes | memoryview, what: str) -> dict[str, object]:
    """Decode a JSON object."""
    try:
        plain: object = orjson.loads(stored)
    except orjson.JSONDecodeError as cause:
        raise UndecodableValue(what=what, reason=str(cause)[:300]) from cause
    if not isinstance(plain, dict):
        raise UndecodableValue(
            what=what, reason=f"found {type(plain).__name__}, expected an object"
        )
    return cast("dict[str, object]", plain)  # JSON knows no other keys than texts
