"""Tokens, on the wire."""

from attrs import frozen

from lash_es.core.messages import TokenUsage
from lash_es.remote.constraints import Name, Signed


@frozen(kw_only=True)
class RemoteUsage:
    """Tokens by bucket, as ``TokenUsage``."""

    input_tokens: Signed
    output_tokens: Signed
    cache_read_input_tokens: Signed
    cache_write_input_tokens: Signed
    reasoning_output_tokens: Signed


@frozen(kw_only=True)
class RemoteTokenLedgerEntry:
    """Tokens of one source on one model."""

    source: Name
    model: Name
    usage: RemoteUsage


def remote_usage(usage: TokenUsage) -> RemoteUsage:
    """Write tokens for the wire."""
    return RemoteUsage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_input_tokens=usage.cache_read_input_tokens,
        cache_write_input_tokens=usage.cache_write_input_tokens,
        reasoning_output_tokens=usage.reasoning_output_tokens,
    )


def usage_from_remote(usage: RemoteUsage) -> TokenUsage:
    """Read tokens from the wire."""
    return TokenUsage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_input_tokens=usage.cache_read_input_tokens,
        cache_write_input_tokens=usage.cache_write_input_tokens,
        reasoning_output_tokens=usage.reasoning_output_tokens,
    )
