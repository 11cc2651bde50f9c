"""The short form on SQLite: processes that race, follow and lose activity, and the verdict."""

from pathlib import Path

from tests.soak.__main__ import counted
from tests.soak.judging import verdict
from tests.soak.plans import Plan
from tests.soak.running import InFile, soak


def test_processes_on_one_file_lose_double_and_hide_nothing(tmp_path: Path) -> None:
    plan = Plan(
        ground=InFile(tmp_path / "log.db"),
        processes=3,
        sessions=6,
        seconds=1.5,
        pause_ms_max=20,
        seed=1,
        slow_s=0.3,
    )
    evidence = soak(plan, tmp_path)
    counts = counted(evidence)

    assert verdict(evidence) == []
    assert counts["sessions"] == 18
    assert min(counts["appends refused"], counts["gaps told"], counts["losses of activity"]) > 0
