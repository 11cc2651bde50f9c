"""
The one adapter to models: ``pydantic_ai`` as a bare client, without its agent loop.

1. ``pydantic_ai`` is imported at first use, never with this module: that costs most of a second.
2. What a model wrote comes back as it wrote it (``model_replies``).
3. What a provider attached to a part (ids, signatures, details) goes back with it in the next
   request (``model_requests``).
4. A failure leaves as ``ModelCallFailed`` and nothing else (``model_failures``), without the
   exception that caused it: that one, or what it was raised from, may quote a request header.
"""

import re
from typing import TYPE_CHECKING, Final

from attrs import define, field

from lash_es.core.errors import LashError
from lash_es.core.messages import ModelReply, ModelRequest
from lash_es.runtime.model_failures import (
    MESSAGE_CHARS_MAX,
    MODELS_INSTALL,
    failure_of,
    refusal_of,
)
from lash_es.runtime.model_replies import delta_of, reply_of
from lash_es.runtime.model_requests import history_of, parameters_of, settings_of
from lash_es.runtime.model_sources import Dummy, Functions, ModelSource, Vendor
from lash_es.runtime.providers import DeltaSink, ModelCallFailed, UnknownModel

if TYPE_CHECKING:
    from pydantic_ai import messages as theirs
    from pydantic_ai.models import Model
    from pydantic_ai.models.function import FunctionDef, StreamFunctionDef

__all__ = [
    "MESSAGE_CHARS_MAX",
    "MODELS_INSTALL",
    "RETRIES_MAX",
    "PydanticProvider",
    "function_provider",
    "provider",
]

RETRIES_MAX: Final = 2
"""
How often a vendor's client may repeat one request. It does so only while nothing of the answer has
arrived (refused connection, 408, 409, 429, 5xx), so no text is ever streamed twice, and it honours
``Retry-After``, which we could not do better. The runtime repeats no model call of its own:
whatever comes back is recorded.
"""

_MODEL_ID: Final = re.compile(r"[^\s\x00-\x1f\x7f]{1,256}")


@define(kw_only=True, eq=False)
class PydanticProvider:
    """A ``Provider`` over ``pydantic_ai``; made by ``provider`` or ``function_provider``."""

    kind: str
    retries_max: int = RETRIES_MAX
    _source: ModelSource = field(alias="source", repr=False)

    def check(self, model_id: str) -> None:
        """Make the model: that takes the library, a known vendor, a sane name and a key."""
        self._model(model_id)

    async def request(self, request: ModelRequest, on_delta: DeltaSink) -> ModelReply:
        """Stream one answer; see ``Provider.request``."""
        failure: ModelCallFailed
        try:
            response = await _streamed(
                self._model(request.model), request, on_delta, self.retries_max
            )
            return reply_of(response, request, is_estimated=self._source.usage_is_estimated)
        except LashError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a client library raises is recorded
            failure = failure_of(error)
        # Raised out here, so that the error it came of is not even its ``__context__``.
        raise failure

    async def aclose(self) -> None:
        """Close the connections of this provider's client."""
        await self._source.aclose()

    def _model(self, model_id: str) -> "Model":
        if not _MODEL_ID.fullmatch(model_id):
            raise UnknownModel(
                provider=self.kind,
                model_id=model_id[:256],
                reason="a name has 1 to 256 characters, no blanks",
            )
        refusal: LashError
        try:
            return self._source.model(model_id)
        except Exception as error:  # noqa: BLE001 - every vendor's client refuses in its own way
            refusal = refusal_of(error, self.kind, model_id)
        raise refusal


def provider(kind: str, *, retries_max: int = RETRIES_MAX) -> PydanticProvider:
    """
    Make the provider of a vendor by the name that ``pydantic_ai`` knows it by.

    Keys, and addresses that differ from the vendor's own, come from the environment. ``openai``
    speaks the Responses API, ``openai-chat`` the older Chat Completions API, which is what most
    compatible servers speak; ``test`` is a dummy that needs neither key nor network.
    """
    source = Dummy() if kind == "test" else Vendor(kind=kind)
    return PydanticProvider(kind=kind, retries_max=retries_max, source=source)


def function_provider(
    stream_function: "StreamFunctionDef", function: "FunctionDef", *, kind: str = "offline"
) -> PydanticProvider:
    """
    Make a provider whose models are two functions of the transcript.

    Only the streaming one is called here; the library wants the other for requests without a
    stream.
    """
    source = Functions(stream_function=stream_function, function=function)
    return PydanticProvider(kind=kind, source=source)


async def _streamed(
    model: "Model", request: ModelRequest, on_delta: DeltaSink, retries_max: int
) -> "theirs.ModelResponse":
    from pydantic_ai.direct import model_request_stream

    stream = model_request_stream(
        model,
        history_of(request),
        model_settings=settings_of(model, request.settings, retries_max),
        model_request_parameters=parameters_of(request),
    )
    async with stream as events:
        async for event in events:
            if delta := delta_of(event):
                on_delta(delta)
        return events.get()
