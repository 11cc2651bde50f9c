"""The benchmark of full sessions asks every command, and says which takes too long."""

import json
from pathlib import Path

import pytest

from benchmarks.limits import figures, main, over_with_encoding, too_slow
from benchmarks.long_sessions import Size
from benchmarks.measuring import RESULTS


def test_every_command_is_asked_of_a_session_with_so_much_open() -> None:
    found = figures(Size(rounds=2, inputs=3, batches=3), repeats=3)

    assert len(found) > 40
    assert all(each["rules_us"] > 0 for each in found.values())
    assert found["commit"]["encoding_us"] > 0
    assert found["acquire what is another's"]["encoding_us"] == 0


def test_what_takes_too_long_is_named() -> None:
    quick = {"rules_us": 999.0, "encoding_us": 0.9}
    long = {"rules_us": 999.0, "encoding_us": 1.0}
    slow = {"rules_us": 1_000.0, "encoding_us": 0.0}
    found = {"quick": quick, "long": long, "slow": slow}

    assert too_slow(found) == ["slow"]
    assert over_with_encoding(found) == ["long", "slow"]


def test_the_committed_run_was_quick_enough() -> None:
    kept = json.loads(max(RESULTS.glob("limits-*.json")).read_text("utf-8"))

    assert kept["open inputs and batches"] == [998, 998]
    assert kept["too slow"] == []


def test_a_run_writes_its_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = Size(rounds=1, inputs=1, batches=1)
    for name, value in (("FULL", small), ("NEARLY_EMPTY", small), ("REPEATS", 2)):
        monkeypatch.setattr(f"benchmarks.limits.{name}", value)
    monkeypatch.setattr("benchmarks.measuring.RESULTS", tmp_path)

    assert main(["2026-01-01"]) == 0
    assert "too slow: none" in capsys.readouterr().out
    assert (tmp_path / "limits-2026-01-01.json").is_file()
