"""
Which test shows each sharp edge of the specification: the wanted behaviour, where it departs.

One entry a line, ordered by number: the file under ``tests`` and how the test's name begins.
"""

from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).parents[1]

EDGES: Final[dict[str, str]] = {
    "39": "scenarios/test_input.py::test_input_05",
    "40": "scenarios/test_input.py::test_input_02_changed",
    "41": "scenarios/test_input.py::test_input_02_changed",
    "42": "scenarios/test_input.py::test_input_02_what_is_compared",
    "43": "scenarios/test_input.py::test_input_23",
    "44": "scenarios/test_input.py::test_input_10",
    "45": "scenarios/test_input.py::test_input_33_a",
    "46": "core/test_steering.py::test_a_commit_completes_what_was_delivered_and_defers",
    "47": "scenarios/test_input.py::test_input_19",
    "48": "scenarios/test_input.py::test_input_18",
    "49": "core/test_cancels.py::test_an_anchor_may_be_settled_and_so_may_what_follows_it",
    "50": "scenarios/test_input.py::test_edge_50",
    "51": "scenarios/test_input.py::test_input_08",
    "52": "scenarios/test_input.py::test_input_13",
    "54": "core/test_steering.py::test_a_model_call_brings_in_what_was_accepted_as_one_message",
    "71": "scenarios/test_lease.py::test_lease_01",
    "72": "scenarios/test_lease.py::test_lease_07",
    "73": "scenarios/test_lease.py::test_lease_20",
    "74": "scenarios/test_lease.py::test_lease_09",
    "75": "scenarios/test_lease.py::test_lease_16",
    "76": "session/test_leases.py::test_an_owner_that_cannot_renew_stops",
    "77h": "scenarios/test_input.py::test_input_06",
    "111": "scenarios/test_lease.py::test_edge_111_a_fence_that_differs_in_anything_is_refused",
}


def test_every_edge_names_a_test_that_exists() -> None:
    missing = []
    for edge, named in EDGES.items():
        path, _, name = named.partition("::")
        source = TESTS / path
        if not source.is_file() or f"def {name}" not in source.read_text("utf-8"):
            missing.append(f"{edge}: {named}")
    assert not missing
