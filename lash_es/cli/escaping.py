"""Text that others wrote, made safe for people to read: nothing in it can steer a terminal."""

import re
from typing import Final

_CONTROL: Final = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def shown(text: str) -> str:
    """Escape what could steer a terminal or hide text: control and invisible characters."""
    return _CONTROL.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:  # A byte that was no UTF-8, as surrogateescape carries it.
        return f"\\x{code - 0xDC00:02x}"
    return found[0].encode("unicode_escape").decode("ascii")


def shown_name(name: str) -> str:
    """Escape like ``shown``, and the tab too, which no name needs."""
    return shown(name).replace("\t", "\\t")
