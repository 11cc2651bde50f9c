"""Counting what is folded, and a log with many snapshots that stay."""

import pytest

from lash_es.log import loading, snapshots, snapshotting
from lash_es.timetravel import past as pasts
from tests.timetravel.pasts import Folds


@pytest.fixture
def folds(monkeypatch: pytest.MonkeyPatch) -> Folds:
    """Count the facts that are folded."""
    made = Folds(loading.step)
    monkeypatch.setattr(snapshotting, "step", made)
    monkeypatch.setattr(pasts, "step", made)
    return made


@pytest.fixture
def near_milestones(monkeypatch: pytest.MonkeyPatch) -> int:
    """Let snapshots stay more often, so that a short log has many."""
    monkeypatch.setattr(snapshots, "FACTS_PER_MILESTONE", 256)
    return 256
