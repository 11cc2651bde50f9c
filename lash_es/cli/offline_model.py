"""
The offline model as ``pydantic_ai`` knows models: two functions of the messages.

``pydantic_ai`` is imported where it is used, since importing it costs most of a second.
"""

import re
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from lash_es.cli.offline import next_step
from lash_es.cli.results import Result, Transcript

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage, ModelResponse, UserPromptPart
    from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

_CHUNK_WORDS: Final = 3
_CHUNK_CHARACTERS: Final = 12


def offline_model() -> "FunctionModel":
    """Make the offline model, which answers streamed and plain requests alike."""
    from pydantic_ai.models.function import FunctionModel

    return FunctionModel(respond, stream_function=stream, model_name="offline")


async def respond(messages: "list[ModelMessage]", _info: "AgentInfo") -> "ModelResponse":
    """Answer a plain request: the next step as one response."""
    from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart

    transcript = transcript_of(messages)
    step = next_step(transcript)
    calls = [
        ToolCallPart(call.tool, call.arguments_json, tool_call_id=_call_id(transcript, index))
        for index, call in enumerate(step.calls)
    ]
    return ModelResponse(parts=[TextPart(step.text), *calls])


async def stream(
    messages: "list[ModelMessage]", _info: "AgentInfo"
) -> "AsyncIterator[str | dict[int, DeltaToolCall]]":
    """Answer a streamed request: the next step in pieces, as a provider would send it."""
    from pydantic_ai.models.function import DeltaToolCall

    transcript = transcript_of(messages)
    step = next_step(transcript)
    for piece in _text_pieces(step.text):
        yield piece
    for index, call in enumerate(step.calls):
        call_id = _call_id(transcript, index)
        yield {index: DeltaToolCall(name=call.tool, tool_call_id=call_id)}
        for piece in _pieces(call.arguments_json):
            yield {index: DeltaToolCall(json_args=piece)}


def transcript_of(messages: "Sequence[ModelMessage]") -> Transcript:
    """Take from the messages what the script looks at; a user's words begin a turn."""
    question, answers = "", list[str]()
    asked, results, earlier_results = list[str](), list[Result](), list[Result]()
    calls_count = 0
    for part in (part for message in messages for part in message.parts):
        if part.part_kind == "user-prompt":
            question, asked = _prompt_text(part), []
            earlier_results, results = [*earlier_results, *results], []
        elif part.part_kind == "text":
            answers.append(part.content)
        elif part.part_kind == "tool-call":
            asked.append(part.tool_name)
            calls_count += 1
        elif part.part_kind == "tool-return":
            results.append(Result(tool=part.tool_name, text=str(part.content)))
    return Transcript(
        question=question,
        asked=tuple(asked),
        results=tuple(results),
        earlier_results=tuple(earlier_results),
        answers=tuple(answers),
        calls_count=calls_count,
    )


def _prompt_text(part: "UserPromptPart") -> str:
    content = part.content
    texts = [content] if isinstance(content, str) else [t for t in content if isinstance(t, str)]
    return "\n".join(texts).strip()


def _call_id(transcript: Transcript, index: int) -> str:
    """Number the calls through the transcript: unique in it, and the same when asked again."""
    return f"call_{transcript.calls_count + index + 1}"


def _text_pieces(text: str) -> Iterator[str]:
    words = re.findall(r"\s*\S+", text)
    for start in range(0, len(words), _CHUNK_WORDS):
        yield "".join(words[start : start + _CHUNK_WORDS])


def _pieces(text: str) -> Iterator[str]:
    for start in range(0, len(text), _CHUNK_CHARACTERS):
        yield text[start : start + _CHUNK_CHARACTERS]
