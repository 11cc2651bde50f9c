"""
Where each sharp edge of the specification is proved: its number, and the test that would go red.

Where an edge departs from the reference, the test proves what is wanted here.
"""

import importlib
import inspect

import pytest

EDGES: dict[str, str] = {
    "57": "tests.core.test_work::test_what_is_not_ready_blocks_nothing",
    "58": "tests.scenarios.test_queue::test_queue_09_a_leading_session_command_blocks_turn_work",
    "59": "tests.scenarios.test_queue::test_queue_11_after_commit_work_waits_for_idle",
    "60": "tests.core.test_work::test_an_exclusive_batch_ends_a_group",
    "61": "tests.core.test_work::test_selected_batches_lead_belong_together_and_are_in_order",
    "62": "tests.scenarios.test_queue::test_queue_47_source_keys_are_remembered_after_completion",
    "66": "tests.scenarios.test_queue::test_queue_46_waiting_for_an_unknown_batch_ends_at_once",
    "67": "tests.session.test_work::test_a_blank_key_is_refused_before_anything_is_stored",
    "77h": "tests.core.test_work::test_a_sequence_is_never_used_again",
}


@pytest.mark.parametrize("edge", EDGES)
def test_the_test_of_a_sharp_edge_exists(edge: str) -> None:
    module, _, name = EDGES[edge].partition("::")

    assert inspect.isfunction(getattr(importlib.import_module(module), name))
