"""
Cursors: a place in a session's log, as text that hosts keep and never look into.

A cursor is ``(version, seq)``: after the first ``version`` facts and the activity up to ``seq``
that followed them. As text it is ``les1.`` + 16 hex digits of version + 8 of seq + ``.`` +
base64url of the session id: of fixed width within a session, hence sortable, and good in a URL.
"""

import base64
import binascii
import re
from functools import total_ordering
from typing import ClassVar, Final

from attrs import define, frozen

from lash_es.core.errors import LashError
from lash_es.core.ids import SessionId, Version

_TEXT: Final = re.compile(r"les1\.([0-9a-f]{16})([0-9a-f]{8})\.([A-Za-z0-9_-]+)")


@define(kw_only=True)
class MalformedCursor(LashError):
    """The text is no cursor."""

    reason: str
    terminal_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        return f"malformed cursor: {self.reason}"


@define(kw_only=True)
class WrongSession(LashError):
    """The cursor is of another session than the one it was used on."""

    expected: str
    actual: str
    terminal_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        return f"the cursor is of session {self.actual!r}, expected one of {self.expected!r}"


@total_ordering
@frozen(repr=False, order=False)
class SessionCursor:
    """
    A place in a session's log.

    Equality, order, hash and ``str()``; ``repr`` hides the content.
    """

    session_id: SessionId
    version: Version
    seq: int = 0

    def __str__(self) -> str:
        session = base64.urlsafe_b64encode(self.session_id.encode()).decode().rstrip("=")
        return f"les1.{self.version:016x}{self.seq:08x}.{session}"

    def __repr__(self) -> str:
        return "SessionCursor(...)"

    def __lt__(self, other: "SessionCursor") -> bool:
        return str(self) < str(other)

    @classmethod
    def parse(cls, text: str) -> "SessionCursor":
        """
        Read a cursor's text.

        Raises:
            MalformedCursor: it is none.
        """
        found = _TEXT.fullmatch(text)
        if found is None:
            raise MalformedCursor(reason="expected les1.<24 hex digits>.<base64url>")
        version, seq, session = found.groups()
        padded = session + "=" * (-len(session) % 4)
        try:
            session_id = base64.urlsafe_b64decode(padded).decode()
        except (binascii.Error, UnicodeDecodeError) as cause:
            raise MalformedCursor(reason="the session id is not base64url of UTF-8") from cause
        cursor = cls(SessionId(session_id), Version(int(version, 16)), int(seq, 16))
        if str(cursor) != text:
            # One place has one text, or hosts could not compare what they keep.
            raise MalformedCursor(reason="the session id has bits that say nothing")
        return cursor

    def require_session(self, session_id: SessionId) -> None:
        """
        Refuse to be used on another session.

        Raises:
            WrongSession: with both names.
        """
        if self.session_id != session_id:
            raise WrongSession(expected=session_id, actual=self.session_id)
