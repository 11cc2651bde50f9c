"""Goal: the lanes of the simulation say what they ran, and leave what fails behind."""

import json
from pathlib import Path

import pytest

from lash_es.log.port import Store
from lash_es.verify.traces import Trace, run_seed
from lash_es.verify.worlds import Decide
from tests import check
from tests.sim import __main__ as lane
from tests.sim.__main__ import RESULTS, main
from tests.verify.plants import lets_stale_owners_write
from tests.verify.simulated import UNFENCED_SEED


def unfenced(seed: int, profile: str, store: Store, decide: Decide | None = None) -> Trace:
    del decide
    return run_seed(seed, profile, store, lets_stale_owners_write)


def test_seeds_are_run_and_the_result_is_kept(tmp_path: Path) -> None:
    assert (
        main(["--seeds", "4", "--shard", "2/2", "--store", "sqlite", "--to", str(tmp_path)]) == 0
    )

    (file,) = tmp_path.iterdir()
    found = json.loads(file.read_text("utf-8"))
    assert (found["seeds"], found["failed"], found["store"]) == (2, [], "sqlite")


def test_a_seed_that_fails_leaves_a_trace_and_the_line_that_replays_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lane, "run_seed", unfenced)

    assert main(["run", hex(UNFENCED_SEED), "--to", str(tmp_path)]) == 1

    assert "replay: python -m tests.check replay 0x5f\n" in capsys.readouterr().out
    (file,) = tmp_path.iterdir()
    assert file.name == "seed-0x5f.json"
    assert json.loads(file.read_text("utf-8"))["command"] == "python -m tests.check replay 0x5f"


def test_a_seed_is_replayed_by_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "0x1"]) == 0
    assert capsys.readouterr().out == "0x1 holds\n"


def test_the_commands_of_the_lanes_reach_the_simulation() -> None:
    assert check.main(["replay", "0x1"]) == 0
    assert check.main(["sim", "2", "--profile", "no-such-profile"]) == 2


def test_the_committed_results_are_of_seeds_that_hold() -> None:
    results = sorted(RESULTS.glob("sim-*.json"))

    assert {json.loads(each.read_text("utf-8"))["store"] for each in results} == {
        "memory",
        "sqlite",
    }
    assert all(json.loads(each.read_text("utf-8"))["failed"] == [] for each in results)
