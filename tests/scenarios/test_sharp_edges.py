"""
Which test shows each sharp edge of the specification: the wanted behaviour, where it departs.

One entry a line, ordered by number: the file under ``tests`` and how the test's name begins.
"""

from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).parents[1]

EDGES: Final[dict[str, str]] = {
    "71": "scenarios/test_lease.py::test_lease_01",
    "72": "scenarios/test_lease.py::test_lease_07",
    "73": "scenarios/test_lease.py::test_lease_20",
    "74": "scenarios/test_lease.py::test_lease_09",
    "75": "scenarios/test_lease.py::test_lease_16",
    "76": "session/test_leases.py::test_an_owner_that_cannot_renew_stops",
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
