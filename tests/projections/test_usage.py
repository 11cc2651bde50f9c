"""The usage report: what was used, three ways to sum it, one total."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

import attrs
from hypothesis import given
from hypothesis import strategies as st

from lash_es.core.events import TurnCommitted, TurnEnded
from lash_es.core.heads import NO_USAGE, Ledger, UsageKey
from lash_es.core.messages import TokenUsage
from lash_es.projections.usage import LedgerRow, SessionUsageReport, UsageRow, usage_report
from tests.core.effort import effort
from tests.turns.lives import lives
from tests.turns.worlds import World

FIVE: Final = TokenUsage(input_tokens=3, output_tokens=2, reasoning_output_tokens=1)
SEVEN: Final = TokenUsage(input_tokens=7)


def test_a_session_that_used_nothing_reports_nothing() -> None:
    assert usage_report(NO_USAGE) == SessionUsageReport(
        entry_count=0, usage=TokenUsage(), by_source=(), by_model=(), rows=()
    )


def test_names_are_sorted_and_rows_are_in_the_order_of_first_use() -> None:
    ledger = Ledger(
        rows={
            UsageKey("turn", "m2"): FIVE,
            UsageKey("compaction", "m2"): SEVEN,
            UsageKey("turn", "m1"): SEVEN,
        }
    )
    twelve = TokenUsage(input_tokens=10, output_tokens=2, reasoning_output_tokens=1)

    assert usage_report(ledger) == SessionUsageReport(
        entry_count=3,
        usage=TokenUsage(input_tokens=17, output_tokens=2, reasoning_output_tokens=1),
        by_source=(
            UsageRow(name="compaction", usage=SEVEN),
            UsageRow(name="turn", usage=twelve),
        ),
        by_model=(UsageRow(name="m1", usage=SEVEN), UsageRow(name="m2", usage=twelve)),
        rows=(
            LedgerRow(source="turn", model="m2", usage=FIVE),
            LedgerRow(source="compaction", model="m2", usage=SEVEN),
            LedgerRow(source="turn", model="m1", usage=SEVEN),
        ),
    )


def test_a_total_counts_both_caches_and_no_reasoning_twice() -> None:
    used = TokenUsage(
        input_tokens=1,
        output_tokens=20,
        cache_read_input_tokens=300,
        cache_write_input_tokens=4_000,
        reasoning_output_tokens=15,
    )

    assert usage_report(Ledger(rows={UsageKey("turn", "m"): used})).usage.total_tokens == 4_321


BUCKETS: Final = tuple(field.name for field in attrs.fields(TokenUsage))
usages = st.builds(TokenUsage, **{bucket: st.integers(0, 10**9) for bucket in BUCKETS})
names = st.sampled_from(("turn", "compaction", "m1", "m2", "Modell \N{SNOWMAN}"))
ledgers = st.dictionaries(st.builds(UsageKey, names, names), usages, max_size=12)


def buckets(entries: Iterable[TokenUsage]) -> Counter[str]:
    """Add bucket by bucket, without the code under test."""
    total: Counter[str] = Counter(dict.fromkeys(BUCKETS, 0))
    for usage in entries:
        total.update({bucket: getattr(usage, bucket) for bucket in BUCKETS})
    return total


@effort(examples_max=200)
@given(ledgers)
def test_the_three_sums_agree_with_the_total(rows: dict[UsageKey, TokenUsage]) -> None:
    report = usage_report(Ledger(rows=rows))

    total = buckets(rows.values())
    assert buckets([report.usage]) == total
    assert buckets(row.usage for row in report.rows) == total
    assert buckets(row.usage for row in report.by_model) == total
    assert buckets(row.usage for row in report.by_source) == total
    assert [row.name for row in report.by_model] == sorted({key.model for key in rows})
    assert [row.name for row in report.by_source] == sorted({key.source for key in rows})


def test_what_is_reported_is_what_the_turns_used_committed_or_not() -> None:
    happened: set[str] = set()

    @effort(examples_max=100)
    @given(lives())
    def check(world: World) -> None:
        ends = [e for e in world.events if isinstance(e, TurnCommitted | TurnEnded)]

        assert buckets([usage_report(world.session.ledger).usage]) == buckets(
            end.usage for end in ends
        )
        happened.update(type(end).__name__ for end in ends if end.usage != TokenUsage())

    check()

    assert happened == {"TurnCommitted", "TurnEnded"}
