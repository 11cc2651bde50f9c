"""The usage report: the ledger, summed by source, by model, and by both."""

from collections.abc import Iterable

from attrs import frozen

from lash_es.core.heads import Ledger, UsageKey
from lash_es.core.messages import TokenUsage


@frozen(kw_only=True)
class UsageRow:
    """Tokens under one name."""

    name: str
    usage: TokenUsage


@frozen(kw_only=True)
class LedgerRow:
    """Tokens of one source on one model."""

    source: str
    model: str
    usage: TokenUsage


@frozen(kw_only=True)
class SessionUsageReport:
    """
    What a session has used. ``by_source`` and ``by_model`` are sorted by name; ``rows`` are in
    ledger order.

    Each of the three adds up to ``usage``.
    """

    entry_count: int
    usage: TokenUsage
    by_source: tuple[UsageRow, ...]
    by_model: tuple[UsageRow, ...]
    rows: tuple[LedgerRow, ...]


def usage_report(ledger: Ledger) -> SessionUsageReport:
    """Sum the ledger."""
    rows = tuple(
        LedgerRow(source=key.source, model=key.model, usage=usage)
        for key, usage in ledger.rows.items()
    )
    return SessionUsageReport(
        entry_count=len(rows),
        usage=sum(ledger.rows.values(), TokenUsage()),
        by_source=_summed((key.source, usage) for key, usage in _items(ledger)),
        by_model=_summed((key.model, usage) for key, usage in _items(ledger)),
        rows=rows,
    )


def _items(ledger: Ledger) -> Iterable[tuple[UsageKey, TokenUsage]]:
    return ledger.rows.items()


def _summed(entries: Iterable[tuple[str, TokenUsage]]) -> tuple[UsageRow, ...]:
    totals: dict[str, TokenUsage] = {}
    for name, usage in entries:
        totals[name] = totals.get(name, TokenUsage()) + usage
    return tuple(UsageRow(name=name, usage=totals[name]) for name in sorted(totals))
