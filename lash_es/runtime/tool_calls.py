"""
Calling a function, and putting what comes of it into words.

What it raises is an outcome like any other. It runs in a thread unless it is async, so that it
blocks no loop; cancelling then stops the waiting, not the function, since Python cannot stop a
thread.
"""

import asyncio
import inspect
import json
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
from attrs import frozen

from lash_es.core.errors import LashError
from lash_es.runtime.tool_errors import ToolCallFailed, shortened
from lash_es.runtime.tool_schemas import Arguments, routine_of


@frozen(kw_only=True)
class Returned:
    """The function gave this."""

    value: object


@frozen(kw_only=True)
class Raised:
    """The function raised; these are the words for it."""

    words: str


async def called(function: Callable[..., Any], arguments: Arguments) -> Returned | Raised:
    """Call on the loop if the function is async, else in a thread; cancelling passes through."""
    if inspect.iscoroutinefunction(routine_of(function)):
        return await _awaited(function(**arguments))
    ending = await asyncio.to_thread(_run, function, arguments)
    if isinstance(ending, Returned) and inspect.isawaitable(ending.value):
        return await _awaited(ending.value)
    return ending


def _run(function: Callable[..., Any], arguments: Arguments) -> Returned | Raised:
    """
    Call in the thread, and catch there.

    A ``StopIteration`` that leaves a thread can be set on no future, so its caller would wait for
    ever; a ``SystemExit`` would end the process.
    """
    try:
        return Returned(value=function(**arguments))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a tool may raise anything
        return Raised(words=_words(error))


async def _awaited(result: Awaitable[object]) -> Returned | Raised:
    try:
        return Returned(value=await result)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a tool may raise anything
        return Raised(words=_words(error))


def _words(error: BaseException) -> str:
    try:
        said = error.summary() if isinstance(error, LashError) else str(error)
    except Exception:  # noqa: BLE001 - even putting it into words may fail
        said = "(it cannot be put into words)"
    kind = type(error).__name__
    return shortened(f"{kind}: {said}" if said else kind)


# --- the result


def result_text(value: object, *, tool: str, chars_max: int) -> str:
    """
    Put a result into words, cut to what a model gets to read.

    Raises:
        ToolCallFailed: JSON cannot hold it.

    """
    return _bounded(_text_of(tool, value), chars_max)


def _text_of(tool: str, value: object) -> str:
    """Take text as it is, and everything else as JSON with sorted keys."""
    if isinstance(value, str):
        return value
    from pydantic_core import to_jsonable_python

    try:
        plain = to_jsonable_python(value, fallback=_plain)
        return json.dumps(plain, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    except Exception as error:  # noqa: BLE001 - a value's own conversion may raise anything
        words = shortened(f"the result is no JSON value: {_words(error)}")
    raise ToolCallFailed(tool=tool, code="result_not_json", message=words)


def _plain(value: object) -> object:
    kind: type[object] = type(value)
    if attrs.has(kind):
        return {each.name: getattr(value, each.name) for each in attrs.fields(kind)}
    raise TypeError(f"{kind.__name__} cannot be written as JSON")


def _bounded(text: str, chars_max: int) -> str:
    """Cut what is too long; half a character (a lone surrogate) becomes a question mark."""
    whole = text.encode("utf-8", "replace").decode("utf-8")
    if len(whole) <= chars_max:
        return whole
    remark = f"\n[cut: the result has {len(whole)} characters]"
    return whole[: max(chars_max - len(remark), 0)] + remark[:chars_max]
