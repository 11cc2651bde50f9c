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

import asyncio
import inspect
import json
import re
import typing
from collections.abc import Awaitable, Callable, Iterable, Mapping
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias, cast, overload

import attrs
from attrs import define, field, frozen

from lash_es.core.errors import LashError
from lash_es.core.messages import JsonObject, ToolSpec
from lash_es.runtime.providers import ModelsExtraMissing

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

TOOL_OUTPUT_CHARS_MAX: Final = 200_000
"""How much of a result a model gets to read, in characters; the rest is cut with a remark."""

TOOL_MESSAGE_CHARS_MAX: Final = 2_000
"""How long the words of a failed or refused call may be, in characters."""

TOOL_PROBLEMS_MAX: Final = 10
"""How many problems of its arguments a refusal lists."""

Arguments: TypeAlias = dict[str, Any]

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_INSTALL: Final = "pip install 'lash-es[models]'"


class OnTakeover(Enum):
    """What may happen to a call that was in flight when its owner died."""

    RERUN = "rerun"
    ASK = "ask"


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
        _refuse_unusable(chosen, function)
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
        checked = _checked(self, self._signature.adapter, arguments)
        ending = await _called(self.function, checked)
        if isinstance(ending, _Raised):
            raise ToolCallFailed(tool=self.name, code="tool_raised", message=ending.words)
        return _bounded(_text_of(self, ending.value), self.tool_output_chars_max)

    @cached_property
    def _signature(self) -> "_Signature":
        return _signature_of(self)


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
            message=_short(f"No such tool. Known tools: {known}."),
        )

    def specs(self) -> tuple[ToolSpec, ...]:
        """Say what a model is told of each tool, in order."""
        return tuple(each.spec() for each in self.tools)


# --- the signature


@frozen(kw_only=True)
class _Signature:
    spec: ToolSpec
    adapter: "TypeAdapter[Arguments]"


def _refuse_unusable(name: str, function: Callable[..., Any]) -> None:
    if not _NAME.fullmatch(name):
        raise ToolUnusable(
            tool=name, reason="a name has 1 to 64 letters, digits, underscores or hyphens"
        )
    by_name = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in by_name:
            raise ToolUnusable(tool=name, reason=f"{parameter} cannot be passed by name")


def _signature_of(described: Tool) -> _Signature:
    """
    Derive schema and check from the function, with ``pydantic`` itself.

    Not with ``pydantic_ai.tools.Tool``: its schema is built on private parts of ``pydantic`` and
    is called internal by its own docstring, it unwraps a lone parameter that is a model, and gives
    some parameters a meaning of its own. A ``TypedDict`` with one key per parameter needs public
    names only, and takes any parameter name, where a model class would trip over ``json`` or
    ``schema``.
    """
    try:
        text, hints = _docstring(described.function)
        adapter = _adapter(described.function, hints)
        parameters = _parameters(adapter)
    except ImportError as error:
        raise ModelsExtraMissing(missing=error.name or "pydantic", install=_INSTALL) from error
    except Exception as error:
        # The annotations are the host's: whatever is wrong with them, one error says so.
        reason = _short(f"{type(error).__name__}: {error}")
        raise ToolUnusable(tool=described.name, reason=reason) from error
    description = text if described.description is None else described.description
    spec = ToolSpec(name=described.name, description=description, parameters=parameters)
    return _Signature(spec=spec, adapter=adapter)


def _adapter(function: Callable[..., Any], hints: Mapping[str, str]) -> "TypeAdapter[Arguments]":
    from pydantic import ConfigDict, TypeAdapter, with_config
    from typing_extensions import TypedDict

    types = typing.get_type_hints(_routine(function), include_extras=True)
    keys = {
        name: _key(parameter, types.get(name, Any), hints.get(name))
        for name, parameter in inspect.signature(function).parameters.items()
    }
    # ``TypedDict`` from ``typing_extensions``: pydantic takes the standard one only from 3.12 on.
    shape = TypedDict("Arguments", keys)  # type: ignore[misc]
    return TypeAdapter(cast("type[Arguments]", with_config(ConfigDict(extra="forbid"))(shape)))


def _routine(function: Callable[..., Any]) -> Callable[..., Any]:
    """Find what is annotated: of an object that can be called, its ``__call__``."""
    if inspect.isroutine(function):
        return function
    return cast("Callable[..., Any]", cast("Any", function).__call__)


def _key(parameter: inspect.Parameter, annotation: object, description: str | None) -> object:
    from pydantic import Field

    # What is told beside the type is for the schema only: the function fills in its defaults.
    hint: dict[str, Any] = {} if description is None else {"description": description}
    if parameter.default is inspect.Parameter.empty:
        return typing.Annotated[annotation, Field(json_schema_extra=hint)]
    told = {**hint, **_told_default(parameter.default)}
    return typing.NotRequired[typing.Annotated[annotation, Field(json_schema_extra=told)]]


def _told_default(default: object) -> dict[str, Any]:
    from pydantic_core import PydanticSerializationError, to_jsonable_python

    try:
        return {"default": to_jsonable_python(default)}
    except PydanticSerializationError:
        return {}


def _parameters(adapter: "TypeAdapter[Arguments]") -> JsonObject:
    """Take the schema without its titles, which repeat the names at a cost in every request."""
    schema = adapter.json_schema()
    schema.pop("title", None)
    for each in schema.get("properties", {}).values():
        each.pop("title", None)
    return {"properties": {}, **schema}


def _docstring(function: Callable[..., Any]) -> tuple[str, Mapping[str, str]]:
    """Split a docstring into its text and what it says of each parameter."""
    import griffe

    docstring = griffe.Docstring(inspect.getdoc(function) or "", lineno=1)
    # Silent: a docstring that it cannot read is the author's business, and goes out as it is.
    sections = griffe.parse_google(docstring, warnings=False)
    told = [part for part in sections if isinstance(part, griffe.DocstringSectionText)]
    listed = [part for part in sections if isinstance(part, griffe.DocstringSectionParameters)]
    hints = {each.name: each.description for part in listed for each in part.value}
    return "\n\n".join(part.value for part in told), hints


# --- the call


@frozen(kw_only=True)
class _Returned:
    value: object


@frozen(kw_only=True)
class _Raised:
    words: str


def _checked(called: Tool, adapter: "TypeAdapter[Arguments]", arguments: str) -> Arguments:
    from pydantic import ValidationError

    try:
        # A model that writes nothing calls without arguments.
        return adapter.validate_json(arguments if arguments.strip() else "{}")
    except ValidationError as error:
        words = _problems(error)
    except Exception as error:  # noqa: BLE001 - a host's own validator may raise anything
        words = f"{type(error).__name__}: {error}"
    wanted = ", ".join(_wanted(called.spec().parameters)) or "no arguments"
    message = _short(
        f"The arguments do not fit: {words}", f" Expected a JSON object with {wanted}."
    )
    raise ToolCallRefused(tool=called.name, code="invalid_arguments", message=message)


def _problems(error: "ValidationError") -> str:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    said = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in found]
    more = len(said) - TOOL_PROBLEMS_MAX
    listed = "; ".join(line.removeprefix(": ") for line in said[:TOOL_PROBLEMS_MAX])
    return f"{listed}; and {more} more." if more > 0 else f"{listed}."


def _wanted(parameters: JsonObject) -> list[str]:
    names = cast("Mapping[str, object]", parameters["properties"])
    required = cast("Iterable[str]", parameters.get("required", ()))
    return [name if name in required else f"{name} (optional)" for name in names]


async def _called(function: Callable[..., Any], arguments: Arguments) -> _Returned | _Raised:
    if inspect.iscoroutinefunction(_routine(function)):
        return await _awaited(function(**arguments))
    ending = await asyncio.to_thread(_run, function, arguments)
    if isinstance(ending, _Returned) and inspect.isawaitable(ending.value):
        return await _awaited(ending.value)
    return ending


def _run(function: Callable[..., Any], arguments: Arguments) -> _Returned | _Raised:
    """
    Call in the thread, and catch there.

    A ``StopIteration`` that leaves a thread can be set on no future, so its caller would wait for
    ever; a ``SystemExit`` would end the process.
    """
    try:
        return _Returned(value=function(**arguments))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a tool may raise anything
        return _Raised(words=_words(error))


async def _awaited(result: Awaitable[object]) -> _Returned | _Raised:
    try:
        return _Returned(value=await result)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a tool may raise anything
        return _Raised(words=_words(error))


def _words(error: BaseException) -> str:
    try:
        said = error.summary() if isinstance(error, LashError) else str(error)
    except Exception:  # noqa: BLE001 - even putting it into words may fail
        said = "(it cannot be put into words)"
    kind = type(error).__name__
    return _short(f"{kind}: {said}" if said else kind)


# --- the result


def _text_of(called: Tool, value: object) -> str:
    """Take text as it is, and everything else as JSON with sorted keys."""
    if isinstance(value, str):
        return value
    from pydantic_core import to_jsonable_python

    try:
        plain = to_jsonable_python(value, fallback=_plain)
        return json.dumps(plain, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    except Exception as error:  # noqa: BLE001 - a value's own conversion may raise anything
        words = _short(f"the result is no JSON value: {_words(error)}")
    raise ToolCallFailed(tool=called.name, code="result_not_json", message=words)


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


def _short(text: str, ending: str = "") -> str:
    """Keep words within their limit, and the ending whole if it leaves room for them."""
    ending = ending[: TOOL_MESSAGE_CHARS_MAX // 2]
    room = TOOL_MESSAGE_CHARS_MAX - len(ending)
    kept = text if len(text) <= room else f"{text[: room - 3]}..."
    return (kept + ending).encode("utf-8", "replace").decode("utf-8")
