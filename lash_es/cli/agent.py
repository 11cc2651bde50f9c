"""The demo's agent: who answers, and its tools, which report each time that they really run."""

import asyncio
import functools
import importlib.util
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Final

import typer

from lash_es.cli.directory import Directory
from lash_es.cli.offline_model import respond, stream
from lash_es.runtime.models import MODELS_INSTALL, function_provider, provider
from lash_es.runtime.providers import ModelsExtraMissing, Provider, UnknownModel
from lash_es.runtime.tools import OnTakeover, Tool, tool

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage, ModelResponse
    from pydantic_ai.models.function import AgentInfo

INSTRUCTIONS: Final = (
    "You answer questions about one directory. Find out with the tools, never guess, and name the "
    "files you speak of. Ask for several things at once where you can. When you tell what a file "
    'holds, end with this sentence: The word that stands out in it is "...".'
)
MODEL_CALLS_MAX: Final = 12
OFFLINE: Final = "offline"
SCRIPT: Final = "script"
SILENT: Final = "silent"

Around = Callable[[str, Callable[[], Awaitable[str]]], Awaitable[str]]
"""What is done around one run of a tool: it gets the tool's name and the run."""


def require_model(model: str) -> None:
    """
    Refuse a model that cannot be used here; raises as ``model_of``.

    The offline ones need the library and no key. It is only looked for: it costs most of a second
    to load, and whoever only starts workers does without.
    """
    kind, name = _parts(model)
    if kind == OFFLINE and importlib.util.find_spec("pydantic_ai") is None:
        raise ModelsExtraMissing(missing="pydantic_ai", install=MODELS_INSTALL)
    if kind == OFFLINE:
        _offline(name)
        return
    chosen, _ = model_of(model)
    asyncio.run(chosen.aclose())


def model_of(model: str) -> tuple[Provider, str]:
    """
    Make the provider of ``PROVIDER:NAME`` and check what can be checked without the network.

    Raises:
        BadParameter: it is not of that form.
        UnknownModel, MissingCredentials, ModelsExtraMissing: it cannot be used here.
    """
    kind, name = _parts(model)
    chosen = _offline(name) if kind == OFFLINE else provider(kind)
    chosen.check(name)
    return chosen, name


def _parts(model: str) -> tuple[str, str]:
    kind, colon, name = model.partition(":")
    if not (kind and colon and name):
        raise typer.BadParameter(f"{model!r} is no model: expected PROVIDER:NAME")
    return kind, name


def _offline(name: str) -> Provider:
    if name == SCRIPT:
        return function_provider(stream, respond, kind=OFFLINE)
    if name == SILENT:
        return function_provider(_say_nothing, _respond_nothing, kind=OFFLINE)
    reason = f"expected {SCRIPT!r}, or {SILENT!r}, which answers nothing"
    raise UnknownModel(provider=OFFLINE, model_id=name, reason=reason)


async def _say_nothing(_: "list[ModelMessage]", _info: "AgentInfo") -> AsyncIterator[str]:
    yield ""


async def _respond_nothing(_: "list[ModelMessage]", _info: "AgentInfo") -> "ModelResponse":
    from pydantic_ai.messages import ModelResponse

    return ModelResponse(parts=[])


def tools_of(directory: Directory, around: Around) -> tuple[Tool, ...]:
    """Make the three tools. They only read, so a call that was cut off may simply run again."""
    functions = (directory.list_files, directory.read_file, directory.search_text)
    return tuple(
        tool(on_takeover=OnTakeover.RERUN)(_surrounded(function, around)) for function in functions
    )


def _surrounded(function: Callable[..., str], around: Around) -> Callable[..., Awaitable[str]]:
    # Asynchronous, so that runs begin in the order of the calls; the reading is in a thread.
    @functools.wraps(function)
    async def surrounded(**arguments: object) -> str:
        return await around(
            function.__name__, lambda: asyncio.to_thread(functools.partial(function, **arguments))
        )

    return surrounded
