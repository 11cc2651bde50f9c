"""
What a function's signature says: the schema that a model is told, and the check of its arguments.

``pydantic`` and ``griffe`` are imported at first use, never with this module.
"""

import inspect
import re
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from attrs import frozen

from lash_es.core.messages import JsonObject, ToolSpec
from lash_es.runtime.model_failures import MODELS_INSTALL
from lash_es.runtime.providers import ModelsExtraMissing
from lash_es.runtime.tool_errors import ToolCallRefused, ToolUnusable, shortened

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

TOOL_PROBLEMS_MAX: Final = 10
"""How many problems of its arguments a refusal lists."""

Arguments: TypeAlias = dict[str, Any]

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


@frozen(kw_only=True)
class Signature:
    """What a model is told of a tool, and what its arguments are checked by."""

    spec: ToolSpec
    adapter: "TypeAdapter[Arguments]"


def refuse_unusable(name: str, function: Callable[..., Any]) -> None:
    """Refuse what can be no tool whatever its annotations say."""
    if not _NAME.fullmatch(name):
        raise ToolUnusable(
            tool=name, reason="a name has 1 to 64 letters, digits, underscores or hyphens"
        )
    by_name = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in by_name:
            raise ToolUnusable(tool=name, reason=f"{parameter} cannot be passed by name")


def signature_of(function: Callable[..., Any], *, name: str, description: str | None) -> Signature:
    """
    Derive schema and check from the function, with ``pydantic`` itself.

    Not with ``pydantic_ai.tools.Tool``: its schema is built on private parts of ``pydantic`` and
    is called internal by its own docstring, it unwraps a lone parameter that is a model, and gives
    some parameters a meaning of its own. A ``TypedDict`` with one key per parameter needs public
    names only, and takes any parameter name, where a model class would trip over ``json`` or
    ``schema``.
    """
    try:
        text, hints = _docstring(function)
        adapter = _adapter(function, hints)
        parameters = _parameters(adapter)
    except ImportError as error:
        raise ModelsExtraMissing(
            missing=error.name or "pydantic", install=MODELS_INSTALL
        ) from error
    except Exception as error:
        # The annotations are the host's: whatever is wrong with them, one error says so.
        reason = shortened(f"{type(error).__name__}: {error}")
        raise ToolUnusable(tool=name, reason=reason) from error
    told = text if description is None else description
    spec = ToolSpec(name=name, description=told, parameters=parameters)
    return Signature(spec=spec, adapter=adapter)


def _adapter(function: Callable[..., Any], hints: Mapping[str, str]) -> "TypeAdapter[Arguments]":
    from pydantic import ConfigDict, TypeAdapter, with_config
    from typing_extensions import TypedDict

    types = typing.get_type_hints(routine_of(function), include_extras=True)
    keys = {
        name: _key(parameter, types.get(name, Any), hints.get(name))
        for name, parameter in inspect.signature(function).parameters.items()
    }
    # ``TypedDict`` from ``typing_extensions``: pydantic takes the standard one only from 3.12 on.
    # Called as what it is at run time, since type checkers want its keys written out.
    make_shape = cast("Callable[[str, Mapping[str, object]], type[Arguments]]", TypedDict)
    shape = make_shape("Arguments", keys)
    return TypeAdapter(with_config(ConfigDict(extra="forbid"))(shape))


def routine_of(function: Callable[..., Any]) -> Callable[..., Any]:
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


# --- the check


def checked_arguments(signature: Signature, arguments: str) -> Arguments:
    """
    Read the JSON text that a model wrote.

    Raises:
        ToolCallRefused: it does not fit; the message says what would.

    """
    from pydantic import ValidationError

    try:
        # A model that writes nothing calls without arguments.
        return signature.adapter.validate_json(arguments if arguments.strip() else "{}")
    except ValidationError as error:
        words = _problems(error)
    except Exception as error:  # noqa: BLE001 - a host's own validator may raise anything
        words = f"{type(error).__name__}: {error}"
    wanted = ", ".join(_wanted(signature.spec.parameters)) or "no arguments"
    message = shortened(
        f"The arguments do not fit: {words}", f" Expected a JSON object with {wanted}."
    )
    raise ToolCallRefused(tool=signature.spec.name, code="invalid_arguments", message=message)


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
