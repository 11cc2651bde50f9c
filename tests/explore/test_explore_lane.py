"""Goal: the long search says what it did, and fails if it did not come to its end."""

import json
from pathlib import Path

import pytest

from tests.explore.__main__ import RESULTS, main
from tests.explore.spaces import SPACES

TINY = [
    "--owners=1",
    "--inputs=0",
    "--batches=0",
    "--turns=0",
    "--source-keys=0",
    "--crashes=0",
    "--jumps=0",
]


@pytest.mark.parametrize("way", [[], ["--plain"]])
def test_a_search_is_kept_with_its_bounds_and_figures(tmp_path: Path, way: list[str]) -> None:
    status = main(
        [*TINY, *way, "--space=wide", "--space=graph", "--depth-max=5", "--to", str(tmp_path)]
    )

    (file,) = tmp_path.iterdir()
    found = json.loads(file.read_text("utf-8"))
    wide, graph = found["spaces"]
    assert (wide["space"], graph["space"]) == ("wide", "graph")
    assert wide["frontier is empty"]
    assert wide["bounds"]["inputs"] == 0
    # Nothing, opened, held, released, deleted: only what was just opened can be described.
    assert wide["states"] == 5
    assert graph["states"] > 5
    # It proves little, and says so: what is rare did not happen, and spaces are missing.
    assert "a takeover" in found["never happened"]
    assert "ParkSession" not in found["arms not taken"]
    assert "steer" in found["not searched to its end"]
    assert status == 1


def test_a_search_that_was_cut_short_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--depth-max=3", "--to", str(tmp_path)]) == 1
    assert '"frontier is empty": false' in capsys.readouterr().out


def test_the_committed_result_names_what_was_not_searched_to_its_end() -> None:
    found = json.loads(max(RESULTS.glob("*.json")).read_text("utf-8"))

    ended = {each["space"] for each in found["spaces"] if each["frontier is empty"]}
    assert ended
    assert ended | set(found["not searched to its end"]) == set(SPACES)
    assert all(each["broken"] is None for each in found["spaces"])
