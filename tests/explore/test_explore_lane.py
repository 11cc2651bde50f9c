"""Goal: the long search says what it did, and fails if it did not come to its end."""

import json
from pathlib import Path

import pytest

from tests.explore.__main__ import main

TINY = ["--owners=1", "--inputs=0", "--turns=0", "--source-keys=0", "--crashes=0", "--jumps=0"]


def test_a_search_is_kept_with_its_bounds_and_figures(tmp_path: Path) -> None:
    status = main([*TINY, "--to", str(tmp_path)])

    (file,) = tmp_path.iterdir()
    found = json.loads(file.read_text("utf-8"))
    queue, turn = found["spaces"]
    assert (queue["space"], turn["space"]) == ("queue", "turn")
    assert queue["frontier is empty"]
    assert queue["bounds"]["inputs"] == 0
    # Nothing, opened, held, released, deleted: what may still happen from there differs.
    assert queue["states"] == 5
    # It proves little, and says so: what is rare did not happen.
    assert "a takeover" in found["never happened"]
    assert status == 1


def test_a_search_that_was_cut_short_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--states-max=20", "--to", str(tmp_path)]) == 1
    assert '"frontier is empty": false' in capsys.readouterr().out
