"""
The port through which the runtime calls a model, whoever is behind it.

1. ``check`` runs before a turn is accepted: it opens no connection and writes nothing.
2. ``request`` returns a whole reply or raises; what it hands to ``on_delta`` meanwhile is
   activity, never part of the record.
3. No error of this module carries a key, a header or another exception that could hold one.
"""

from collections.abc import Callable
from typing import ClassVar, Protocol, TypeAlias

from attrs import define, frozen

from lash_es.core.errors import LashError
from lash_es.core.messages import ModelReply, ModelRequest


@frozen(kw_only=True)
class ProseDelta:
    """A piece of what the model writes for the reader, as it arrives."""

    text: str


@frozen(kw_only=True)
class ReasoningDelta:
    """A piece of what the model writes for itself, as it arrives."""

    text: str


Delta: TypeAlias = ProseDelta | ReasoningDelta
DeltaSink: TypeAlias = Callable[[Delta], None]


class Provider(Protocol):
    """One vendor of models. An instance belongs to one event loop, and is closed on it."""

    @property
    def kind(self) -> str:
        """The name that is recorded as ``provider_id``, such as ``openai``."""
        ...

    def check(self, model_id: str) -> None:
        """
        Find out what can be known without the network.

        Raises:
            UnknownModel: there is no such provider, or the name can be no model's.
            MissingCredentials: the environment holds no key for it.
            ModelsExtraMissing: the client library is not installed.

        """
        ...

    async def request(self, request: ModelRequest, on_delta: DeltaSink) -> ModelReply:
        """
        Ask the model once and stream its answer; cancelling the task aborts the transport.

        Raises:
            ModelCallFailed: there is no whole answer; ``code`` and ``retryable`` say what to do.
            UnknownModel, MissingCredentials, ModelsExtraMissing: nobody called ``check`` before.

        """
        ...

    async def aclose(self) -> None:
        """Give connections back. The provider can be used again afterwards."""
        ...


@define(kw_only=True)
class UnknownModel(LashError):
    """No model can go by this name at this provider."""

    provider: str
    model_id: str
    reason: str
    terminal_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        return f"unknown model {self.model_id!r} of provider {self.provider!r}: {self.reason}"


@define(kw_only=True)
class MissingCredentials(LashError):
    """The provider needs a key that the environment does not hold."""

    provider: str
    variables: tuple[str, ...]
    terminal_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        names = " or ".join(self.variables) or "its key"
        return f"provider {self.provider!r} cannot be used: set {names} in the environment"


@define(kw_only=True)
class ModelsExtraMissing(LashError):
    """A library of the extra is not installed."""

    missing: str
    install: str
    terminal_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        return f"{self.missing} is not installed; run: {self.install}"


@define(kw_only=True)
class ModelCallFailed(LashError):
    """
    The model gave no whole answer. ``retryable``: the same call may work later.

    Codes: ``authentication``, ``connection``, ``content_filter``, ``context_overflow``,
    ``invalid_request``, ``invalid_response``, ``model_not_found``, ``provider_error``,
    ``provider_unavailable``, ``quota_exceeded``, ``rate_limited``, ``timeout``, ``unexpected``,
    ``unsupported_reply``.
    """

    code: str
    message: str
    retryable: bool

    @property
    def is_retryable(self) -> bool:
        """Whether the same call may work later."""
        return self.retryable

    def _summary(self) -> str:
        return "the model call failed"
