"""
What judges a mutant without any example: the random machine and the explorer.

They are those of ``tests/core`` and ``tests/verify``, with the same seeds and bounds as in ci. A
failure is not made small: that it fails is all that is asked. Nor is it asked whether everything
rare happened: a change that makes something rarer is not told apart by that.
"""

from typing import Final

from hypothesis import Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test as run_machine

from tests.core.effort import effort
from tests.core.test_session_machine import SessionMachine
from tests.verify.test_explore import test_a_small_space_is_exhausted_and_nothing_is_broken

BATCHES: Final = 2

__all__ = ["test_a_small_space_is_exhausted_and_nothing_is_broken"]


def test_the_random_machine() -> None:
    for batch in range(BATCHES):
        seed(batch)(SessionMachine)
        run_machine(
            SessionMachine,
            settings=settings(effort(examples_max=30, steps_max=60), phases=[Phase.generate]),
        )
