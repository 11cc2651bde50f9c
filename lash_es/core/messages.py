"""
What a transcript is made of, and what passes between a session, a model and a tool.

These values live in *bodies*: the log commits to them by digest and the fold never reads them.
What a provider needs to see again in its next request (ids, thinking signatures) travels as
``ProviderMark``.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import TypeAlias

from attrs import field, frozen

from lash_es.core.ids import CallId
from lash_es.core.makers import maker

JsonValue: TypeAlias = (
    "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
)
JsonObject: TypeAlias = Mapping[str, JsonValue]


class Role(Enum):
    """Who speaks. Tool results are the user's side of the conversation, as in the seed."""

    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"
    EVENT = "event"


@frozen(kw_only=True)
class ProviderMark:
    """What a provider attached to a part and wants back unchanged: opaque to everyone else."""

    part_id: str | None = None
    provider: str | None = None
    signature: str | None = None
    details: JsonObject | None = None


@frozen(kw_only=True)
class TextPart:
    """Text that a person wrote, or that the runtime says in a person's place."""

    text: str


@frozen(kw_only=True)
class ImagePart:
    """An image a person sent."""

    media_type: str
    data: bytes = field(repr=False)


@frozen(kw_only=True)
class ProsePart:
    """Text that a model wrote for the reader."""

    text: str
    mark: ProviderMark | None = None


@frozen(kw_only=True)
class ReasoningPart:
    """Text that a model wrote for itself; it goes back to the provider and not into the answer."""

    text: str
    mark: ProviderMark | None = None


@frozen(kw_only=True)
class ToolCallPart:
    """
    A call that a model asks for.

    ``arguments`` is the JSON text as the model wrote it, valid or not.
    """

    call_id: CallId
    tool: str
    arguments: str
    mark: ProviderMark | None = None


class ToolStatus(Enum):
    """How a tool call ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


@frozen(kw_only=True)
class ToolResultPart:
    """What a call came to; of a failed one, ``text`` says why."""

    call_id: CallId
    tool: str
    status: ToolStatus
    text: str


Part: TypeAlias = TextPart | ImagePart | ProsePart | ReasoningPart | ToolCallPart | ToolResultPart
ReplyPart: TypeAlias = ProsePart | ReasoningPart | ToolCallPart


@frozen(kw_only=True)
class Message:
    """One entry of a transcript: ``message_id`` is unique in its session."""

    message_id: str
    role: Role
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The parts meant for a reader, joined by blank lines."""
        return "\n\n".join(p.text for p in self.parts if isinstance(p, TextPart | ProsePart))


@frozen(kw_only=True)
class TextItem:
    """A piece of text in a turn's input."""

    text: str


@frozen(kw_only=True)
class ImageItem:
    """An image in a turn's input."""

    media_type: str
    data: bytes = field(repr=False)


InputItem: TypeAlias = TextItem | ImageItem


@frozen(kw_only=True)
class TurnInput:
    """
    What a person, or a program in their place, says to a session.

    Neighbouring texts join without a separator.
    """

    items: tuple[InputItem, ...] = ()

    @classmethod
    def of_text(cls, text: str) -> "TurnInput":
        """Make an input of one text."""
        return cls(items=(TextItem(text=text),))


@frozen(kw_only=True)
class TokenUsage:
    """
    Tokens by bucket, in counts.

    ``output`` includes ``reasoning_output``; ``input`` excludes both caches.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_write_input_tokens: int = 0
    reasoning_output_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """
        All that was read, written and cached; reasoning is part of output and not added again.
        """
        return (
            self.input_tokens
            + self.output_tokens
            + self.cache_read_input_tokens
            + self.cache_write_input_tokens
        )

    def __add__(self, other: "TokenUsage") -> "TokenUsage":
        return _token_usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cache_read_input_tokens=self.cache_read_input_tokens + other.cache_read_input_tokens,
            cache_write_input_tokens=self.cache_write_input_tokens
            + other.cache_write_input_tokens,
            reasoning_output_tokens=self.reasoning_output_tokens + other.reasoning_output_tokens,
        )


_token_usage = maker(TokenUsage)

NO_TOKENS = TokenUsage()


class FinishReason(Enum):
    """Why a model stopped writing."""

    STOP = "stop"
    TOOL_CALLS = "tool_calls"
    OUTPUT_LIMIT = "output_limit"
    CONTENT_FILTER = "content_filter"
    ERROR = "error"
    UNKNOWN = "unknown"


@frozen(kw_only=True)
class ModelReply:
    """
    One answer of a model, whole.

    ``usage_is_estimated`` marks counts that no provider reported.
    """

    parts: tuple[ReplyPart, ...]
    finish: FinishReason = FinishReason.STOP
    usage: TokenUsage = NO_TOKENS
    usage_is_estimated: bool = False
    model: str | None = None
    response_id: str | None = None


@frozen(kw_only=True)
class EffectFailure:
    """Why an effect failed, in words; the header carries only the code."""

    message: str


@frozen(kw_only=True)
class ToolOutput:
    """What a tool returned, as the text that the model will read."""

    text: str


@frozen(kw_only=True)
class ToolSpec:
    """What a model is told of a tool. ``parameters`` is a JSON Schema of an object."""

    name: str
    description: str
    parameters: JsonObject


@frozen(kw_only=True)
class ModelRequest:
    """
    Everything that one model call is made of; a pure function of the log and the tools at hand.
    """

    model: str
    settings: JsonObject
    instructions: str
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...]
