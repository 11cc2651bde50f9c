"""
Tools: plain typed Python functions that a model may call.

1. A tool's schema, and the check of its arguments, come from its signature and docstring, at first
   use.
2. Nothing is called with arguments that do not fit; the refusal tells the model what to write
   instead.
3. What a function raises is an outcome like any other: its words, bounded, and no traceback.
4. A sync function runs in a thread, so that it blocks no loop; cancelling then stops the waiting,
   not the function, since Python cannot stop a thread.
"""

from collections.abc import Callable, Iterable
from enum import Enum
from functools import cached_property
from typing import Any, Final, overload

from attrs import field, frozen

from lash_es.core.messages import ToolSpec
from lash_es.runtime.tool_calls import Raised, called, result_text
from lash_es.runtime.tool_errors import (
    TOOL_MESSAGE_CHARS_MAX,
    DuplicateTool,
    ToolCallFailed,
    ToolCallRefused,
    ToolUnusable,
    shortened,
)
from lash_es.runtime.tool_schemas import (
    TOOL_PROBLEMS_MAX,
    Signature,
    checked_arguments,
    refuse_unusable,
    signature_of,
)

__all__ = [
    "TOOL_MESSAGE_CHARS_MAX",
    "TOOL_OUTPUT_CHARS_MAX",
    "TOOL_PROBLEMS_MAX",
    "DuplicateTool",
    "OnTakeover",
    "Tool",
    "ToolCallFailed",
    "ToolCallRefused",
    "ToolSet",
    "ToolUnusable",
    "tool",
]

TOOL_OUTPUT_CHARS_MAX: Final = 200_000
"""How much of a result a model gets to read, in characters; the rest is cut with a remark."""


class OnTakeover(Enum):
    """What may happen to a call that was in flight when its owner died."""

    RERUN = "rerun"
    ASK = "ask"


@frozen(kw_only=True)
class Tool:
    """A function with what a model is told of it; made by ``Tool.of`` or ``@tool``."""

    function: Callable[..., Any] = field(repr=False)
    name: str
    description: str | None = None
    on_takeover: OnTakeover = OnTakeover.ASK
    tool_output_chars_max: int = TOOL_OUTPUT_CHARS_MAX

    @classmethod
    def of(
        cls,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        description: str | None = None,
        on_takeover: OnTakeover = OnTakeover.ASK,
        tool_output_chars_max: int = TOOL_OUTPUT_CHARS_MAX,
    ) -> "Tool":
        """
        Make a tool of a function whose parameters can be passed by name.

        Args:
            function: sync or async; its annotations say what arguments it takes.
            name: what the model calls it; by default the function's name.
            description: what the model is told; by default the docstring's text.
            on_takeover: what may happen to a call whose owner died.
            tool_output_chars_max: how much of a result the model gets to read.

        Raises:
            ToolUnusable: the name is no tool's, or a parameter cannot be passed by name.

        """
        chosen = name if name is not None else str(getattr(function, "__name__", ""))
        refuse_unusable(chosen, function)
        return cls(
            function=function,
            name=chosen,
            description=description,
            on_takeover=on_takeover,
            tool_output_chars_max=tool_output_chars_max,
        )

    def spec(self) -> ToolSpec:
        """Say what a model is told of this tool."""
        return self._signature.spec

    async def call(self, arguments: str) -> str:
        """
        Check the arguments' JSON text, call the function, and put its result into words.

        Raises:
            ToolCallRefused: the arguments do not fit; nothing was called.
            ToolCallFailed: the function raised, or returned what JSON cannot hold.

        """
        checked = checked_arguments(self._signature, arguments)
        ending = await called(self.function, checked)
        if isinstance(ending, Raised):
            raise ToolCallFailed(tool=self.name, code="tool_raised", message=ending.words)
        return result_text(ending.value, tool=self.name, chars_max=self.tool_output_chars_max)

    @cached_property
    def _signature(self) -> Signature:
        return signature_of(self.function, name=self.name, description=self.description)


@overload
def tool(function: Callable[..., Any], /) -> Tool: ...


@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    on_takeover: OnTakeover = OnTakeover.ASK,
    tool_output_chars_max: int = TOOL_OUTPUT_CHARS_MAX,
) -> Callable[[Callable[..., Any]], Tool]: ...


def tool(
    function: Callable[..., Any] | None = None, /, **options: Any
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Decorate a function to be a tool: ``@tool`` or ``@tool(on_takeover=OnTakeover.RERUN)``."""
    if function is not None:
        return Tool.of(function, **options)
    return lambda decorated: Tool.of(decorated, **options)


def _as_tools(tools: Iterable[Tool | Callable[..., Any]]) -> tuple[Tool, ...]:
    return tuple(each if isinstance(each, Tool) else Tool.of(each) for each in tools)


@frozen
class ToolSet:
    """Tools by name, in a fixed order. A plain function counts as ``Tool.of`` it."""

    tools: tuple[Tool, ...] = field(default=(), converter=_as_tools)

    def __attrs_post_init__(self) -> None:
        seen: set[str] = set()
        for each in self.tools:
            if each.name in seen:
                raise DuplicateTool(tool=each.name)
            seen.add(each.name)

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in order."""
        return tuple(each.name for each in self.tools)

    def get(self, name: str) -> Tool:
        """
        Find a tool by its name.

        Raises:
            ToolCallRefused: there is none; the message lists those that there are.

        """
        for each in self.tools:
            if each.name == name:
                return each
        known = ", ".join(self.names) or "none"
        raise ToolCallRefused(
            tool=name[:64],
            code="unknown_tool",
            message=shortened(f"No such tool. Known tools: {known}."),
        )

    def specs(self) -> tuple[ToolSpec, ...]:
        """Say what a model is told of each tool, in order."""
        return tuple(each.spec() for each in self.tools)
