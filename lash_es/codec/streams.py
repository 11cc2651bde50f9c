"""How a stream is named: by namespace and session, in one text that no two streams share."""

import re
from typing import Final

from attrs import frozen

from lash_es.codec.errors import UnencodableValue
from lash_es.core.ids import SessionId

_NAMESPACE: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_ESCAPED: Final = re.compile(r"[\x00-\x1f\x7f-\x9f%]")
_ESCAPE: Final = re.compile(r"%([0-9a-f]{2})")


@frozen
class StreamId:
    """
    One session's stream.

    A namespace is 1 to 63 of ``a-z 0-9 _ -``; a session id is any text.
    """

    namespace: str
    session_id: SessionId

    def __attrs_post_init__(self) -> None:
        if _NAMESPACE.fullmatch(self.namespace) is None:
            raise UnencodableValue(
                what=f"namespace {self.namespace!r}", reason="expected 1 to 63 of a-z 0-9 _ -"
            )
        try:
            self.session_id.encode()
        except UnicodeEncodeError as cause:
            raise UnencodableValue(
                what=f"session id {self.session_id!r}", reason=cause.reason
            ) from cause

    @classmethod
    def of_key(cls, key: str) -> "StreamId":
        """Read a stream's key back."""
        namespace, _, escaped = key.partition("/")
        return cls(namespace, SessionId(_ESCAPE.sub(_character, escaped)))

    @property
    def key(self) -> str:
        """
        The stream in one text, without control characters.

        PostgreSQL stores no NUL, and whoever prints a key is not to be written to by it.
        """
        return f"{self.namespace}/{_ESCAPED.sub(_percent, self.session_id)}"


def _percent(found: re.Match[str]) -> str:
    return f"%{ord(found[0]):02x}"


def _character(found: re.Match[str]) -> str:
    return chr(int(found[1], 16))
