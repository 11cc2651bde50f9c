"""
How hard the random tests try.

In CI they try the same cases every time, so that a change is judged by itself and not by its luck.
``LASH_ES_EXAMPLES=5000`` tries that many new ones instead; Hypothesis prints what replays a
failure.
"""

import os
from typing import Final

from hypothesis import HealthCheck, Phase, settings

EXAMPLES: Final = os.environ.get("LASH_ES_EXAMPLES")


def effort(examples_max: int, steps_max: int = 50) -> settings:
    """Say how many examples are tried, each of so many steps."""
    return settings(
        max_examples=int(EXAMPLES) if EXAMPLES else examples_max,
        stateful_step_count=steps_max,
        derandomize=EXAMPLES is None,
        # A busy machine is not a bug: counts are bounded here, times are for benchmarks.
        deadline=None,
        # Explaining takes longer than shrinking, and a short history explains itself.
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        print_blob=True,
    )
