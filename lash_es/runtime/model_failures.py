"""
What went wrong, in our terms: a stable code, whether to try again, and words without a secret.

Errors of clients quote what they sent, and vendors quote keys, so nothing of either is repeated
unscrubbed, and what is made here has no cause.
"""

import os
import re
from collections.abc import Mapping
from typing import Final, cast

from lash_es.core.errors import LashError
from lash_es.runtime.model_replies import UnusableResponse
from lash_es.runtime.providers import (
    MissingCredentials,
    ModelCallFailed,
    ModelsExtraMissing,
    UnknownModel,
)

MESSAGE_CHARS_MAX: Final = 600
"""How much of a vendor's own words a failure repeats."""

MODELS_INSTALL: Final = "pip install 'lash-es[models]'"

_VARIABLE: Final = re.compile(r"`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)`")
_INSTALL: Final = re.compile(r"`(pip install [^`]+)`")
_SECRET_NAME: Final = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)
_SECRET_CHARS_MIN: Final = 6
_SECRET: Final = re.compile(
    r"(?i:\b(?:bearer|basic)\s+[^\s'\",]+)|\b(?:sk|pk|rk|gsk|xai|key)[-_][\w*.-]{6,}|\bAIza[\w-]{20,}"
)


def refusal_of(error: Exception, kind: str, model_id: str) -> LashError:
    """Say in our terms why a model could not even be made."""
    said = str(error)
    if isinstance(error, ImportError):
        install = _INSTALL.search(said)
        return ModelsExtraMissing(
            missing=error.name or f"the client of {kind}",
            install=install[1] if install else MODELS_INSTALL,
        )
    variables = tuple(dict.fromkeys(_VARIABLE.findall(said)))
    if (variables or "credentials" in said) and not said.startswith("Unknown"):
        return MissingCredentials(provider=kind, variables=variables)
    return UnknownModel(provider=kind, model_id=model_id, reason=_scrubbed(said))


def failure_of(error: Exception) -> ModelCallFailed:
    """Say in our terms why there is no whole answer."""
    code, retryable = _verdict(error)
    return ModelCallFailed(code=code, message=_words(error, code), retryable=retryable)


def _verdict(error: Exception) -> tuple[str, bool]:
    """Find the stable code of a failure, and whether the same call may work later."""
    from pydantic_ai import exceptions as known

    if isinstance(error, UnusableResponse):
        return error.code, error.retryable
    # The first that fits: a more specific class stands before the one it is derived from.
    verdicts: tuple[tuple[type[Exception], str, bool], ...] = (
        (known.ModelContextWindowExceededError, "context_overflow", False),
        (known.ModelAuthenticationError, "authentication", False),
        (known.ModelNotFoundError, "model_not_found", False),
        (known.ModelQuotaExceededError, "quota_exceeded", False),
        (known.ModelRateLimitError, "rate_limited", True),
        (known.ModelUnavailableError, "provider_unavailable", True),
        (known.ModelServerError, "provider_unavailable", True),
        (known.ModelTimeoutError, "timeout", True),
        (known.ModelRequestTimeout, "timeout", True),
        (known.ModelConnectionError, "connection", True),
        (known.ModelRequestRejectedError, "invalid_request", False),
        (known.ContentFilterError, "content_filter", False),
        (known.UnexpectedModelBehavior, "invalid_response", True),
        (known.UserError, "invalid_request", False),
        (TimeoutError, "timeout", True),
        (OSError, "connection", True),
    )
    for kind, code, retryable in verdicts:
        if isinstance(error, kind):
            return code, retryable
    if isinstance(error, known.ModelHTTPError):
        return _status_verdict(error.status_code)
    if isinstance(error, known.ModelAPIError):
        # What the client could not parse, it raises from the parser's error.
        is_garbled = isinstance(error.__cause__, ValueError)
        return ("invalid_response", True) if is_garbled else ("provider_error", False)
    return _transport_verdict(error)


def _status_verdict(status: int) -> tuple[str, bool]:
    """Judge a status that the library puts into no category."""
    if status in {408, 504}:
        return "timeout", True
    return ("provider_unavailable", True) if status >= 500 else ("invalid_request", False)


def _transport_verdict(error: Exception) -> tuple[str, bool]:
    """Judge what a client let through, by name: which HTTP library it uses is its business."""
    names = [f"{kind.__module__}.{kind.__name__}" for kind in type(error).__mro__]
    if not any(name.startswith(("httpx", "httpcore")) for name in names):
        return "unexpected", False
    return ("timeout", True) if any("Timeout" in name for name in names) else ("connection", True)


def _words(error: Exception, code: str) -> str:
    """
    Tell a person what happened, without anything that could be a secret.

    A vendor that refuses a key likes to quote it, shortened in a way that no pattern catches:
    there the words are ours.
    """
    if code == "authentication":
        return f"the provider refused the credentials ({_status_words(error)})"
    if isinstance(error, UnusableResponse):
        return error.said
    if code == "unexpected":
        return _scrubbed(f"{type(error).__name__}: {error}")
    said = _body_message(getattr(error, "body", None)) or getattr(error, "message", None)
    suggested = getattr(error, "suggested_model_id", None)
    hint = f" Did you mean {suggested!r}?" if suggested else ""
    return _scrubbed(f"{_status_words(error)}: {said or str(error) or 'no details'}{hint}")


def _status_words(error: Exception) -> str:
    status = getattr(error, "status_code", None)
    return type(error).__name__ if status is None else f"HTTP {status}"


def _body_message(body: object) -> str | None:
    """Find the sentence in a vendor's error body, which most wrap in one object, some in two."""
    for _ in range(2):
        if not isinstance(body, Mapping):
            return None
        fields = cast("Mapping[str, object]", body)
        if isinstance(said := fields.get("message"), str):
            return said
        body = fields.get("error")
    return None


def _scrubbed(text: str) -> str:
    """Blank out what is a secret in this process's environment or looks like one; bounded."""
    for name, value in os.environ.items():
        secret = value.strip()
        if _SECRET_NAME.search(name) and len(secret) >= _SECRET_CHARS_MIN:
            text = text.replace(secret, "***")
    return _SECRET.sub("***", text)[:MESSAGE_CHARS_MAX]
