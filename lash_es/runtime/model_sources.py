"""
Where models come from: a vendor's client, two functions, or the library's own dummy.

Each source imports ``pydantic_ai`` when it makes its first model.
"""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from attrs import define, field, frozen

if TYPE_CHECKING:
    from pydantic_ai import messages as theirs
    from pydantic_ai.models import Model
    from pydantic_ai.models.function import (
        AgentInfo,
        BuiltinToolCallsReturns,
        DeltaThinkingCalls,
        DeltaToolCalls,
        FunctionDef,
        StreamFunctionDef,
    )
    from pydantic_ai.providers import Provider as Client

    StreamedItem: TypeAlias = str | DeltaToolCalls | DeltaThinkingCalls | BuiltinToolCallsReturns


class ModelSource(Protocol):
    """Makes ``pydantic_ai`` models by name."""

    @property
    def usage_is_estimated(self) -> bool:
        """Tell whether tokens are guessed here, since nobody counts them."""
        ...

    def model(self, model_id: str) -> "Model":
        """Make the model, or raise whatever the library raises."""
        ...

    async def aclose(self) -> None:
        """Give connections back."""
        ...


@define(kw_only=True)
class Vendor:
    """The models of one vendor, over one client."""

    kind: str
    usage_is_estimated: bool = False
    _client: "Client[Any] | None" = field(default=None, init=False)

    def model(self, model_id: str) -> "Model":
        """Make it over the one client, which is made with the first."""
        from pydantic_ai.models import infer_model
        from pydantic_ai.providers import infer_provider

        client = self._client = self._client or infer_provider(self.kind)
        return infer_model(f"{self.kind}:{model_id}", provider_factory=lambda _: client)

    async def aclose(self) -> None:
        """Close the client, if there is one; the next model makes a new one."""
        client, self._client = self._client, None
        if client is not None:
            async with client:
                """Leaving a client closes its connections; who wants to leave has to enter."""


@frozen(kw_only=True)
class Functions:
    """Models that are two functions: ``FunctionModel`` needs one for each way of asking."""

    stream_function: "StreamFunctionDef"
    function: "FunctionDef"
    usage_is_estimated: bool = True

    def model(self, model_id: str) -> "Model":
        """Make it of the two functions."""
        from pydantic_ai.models.function import FunctionModel

        return FunctionModel(self.function, stream_function=self._stream, model_name=model_id)

    async def _stream(
        self, messages: "list[theirs.ModelMessage]", info: "AgentInfo"
    ) -> "AsyncIterator[StreamedItem]":
        answer = self.stream_function(messages, info)
        is_silent = True
        try:
            async for item in answer:
                is_silent = False
                yield item
            if is_silent:
                # ``FunctionModel`` calls that a bug; for us it is a model that answers nothing.
                yield ""
        finally:
            if close := getattr(answer, "aclose", None):
                await close()

    async def aclose(self) -> None:
        """Nothing is open."""


@frozen(kw_only=True)
class Dummy:
    """The library's own dummy: it calls every tool once and then says what came of it."""

    usage_is_estimated: bool = True

    def model(self, model_id: str) -> "Model":
        """Make the dummy under this name."""
        from pydantic_ai.models.test import TestModel

        return TestModel(model_name=model_id)

    async def aclose(self) -> None:
        """Nothing is open."""
