"""The short form on PostgreSQL; a feed that goes by the sequence is shown to be red."""

from pathlib import Path

from tests.postgres.postgres_server import Database
from tests.soak.__main__ import counted
from tests.soak.judging import not_as_fed, verdict
from tests.soak.plans import Plan
from tests.soak.running import soak


def test_processes_on_one_server_lose_double_and_hide_nothing(
    database: Database, tmp_path: Path
) -> None:
    plan = Plan(
        ground=database,
        processes=3,
        sessions=6,
        seconds=2,
        pause_ms_max=20,
        seed=1,
        slow_s=0.3,
    )
    evidence = soak(plan, tmp_path)
    counts = counted(evidence)

    assert verdict(evidence) == []
    assert counts["sessions"] == 18
    assert counts["facts in the feed"] == counts["facts"]
    assert min(counts["appends refused"], counts["gaps told"], counts["losses of activity"]) > 0
    assert any(" missed " in each for each in not_as_fed(evidence, "sequence"))
