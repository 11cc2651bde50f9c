"""What may be wrong with a tool or a call of one, in words that are short enough for a model."""

from typing import ClassVar, Final

from attrs import define

from lash_es.core.errors import LashError

TOOL_MESSAGE_CHARS_MAX: Final = 2_000
"""How long the words of a failed or refused call may be, in characters."""


@define(kw_only=True)
class ToolUnusable(LashError):
    """The function cannot be a tool; said where the tool is made, or at its first use."""

    tool: str
    reason: str
    terminal_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        return f"{self.tool!r} cannot be a tool: {self.reason}"


@define(kw_only=True)
class DuplicateTool(LashError):
    """Two tools of one set go by the same name."""

    tool: str
    terminal_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        return f"two tools are named {self.tool!r}, expected each name once"


@define(kw_only=True)
class ToolCallRefused(LashError):
    """The call was not made: ``unknown_tool`` or ``invalid_arguments``, in words for a model."""

    tool: str
    code: str
    message: str

    def _summary(self) -> str:
        return "the tool was not called"


@define(kw_only=True)
class ToolCallFailed(LashError):
    """The call was made and gave no result: ``tool_raised`` or ``result_not_json``."""

    tool: str
    code: str
    message: str

    def _summary(self) -> str:
        return "the tool failed"


def shortened(text: str, ending: str = "") -> str:
    """Keep words within their limit, and the ending whole if it leaves room for them."""
    ending = ending[: TOOL_MESSAGE_CHARS_MAX // 2]
    room = TOOL_MESSAGE_CHARS_MAX - len(ending)
    kept = text if len(text) <= room else f"{text[: room - 3]}..."
    return (kept + ending).encode("utf-8", "replace").decode("utf-8")
