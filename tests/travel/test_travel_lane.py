"""The questions of the long lane, asked of a short session, and a question that folds too much."""

import json
from pathlib import Path

import pytest

from lash_es.log import snapshots
from lash_es.log.snapshots import FACTS_PER_MILESTONE
from tests.travel.__main__ import main

FACTS = 1_500


def kept(folder: Path) -> dict[str, object]:
    (path,) = folder.iterdir()
    found = json.loads(path.read_text())
    assert isinstance(found, dict)
    return found


def test_every_question_has_its_answer_and_point_questions_fold_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "FACTS_PER_MILESTONE", 256)

    assert main(["--facts", str(FACTS), "--to", str(tmp_path)]) == 0
    found = kept(tmp_path)
    said = {each["question"]: each["said"] for each in found["answers"]}  # type: ignore[attr-defined]
    assert found["facts"] == FACTS
    assert said["show at the end"] == str(FACTS)
    assert said["blame policy"] == "0"
    assert said["bisect --run"] == str(FACTS * 7 // 10)
    assert said["bisect --when, at 90 %"] == str(FACTS * 9 // 10)
    assert said["watch lease.generation"] == "2"
    assert said["lint"] == "0"
    assert said["testcase"] != "0"


def test_a_session_without_snapshots_that_stay_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "FACTS_PER_MILESTONE", 10**9)
    from tests.travel import __main__ as lane

    monkeypatch.setattr(lane, "STRETCHES_MAX", 0)

    assert main(["--facts", "700", "--to", str(tmp_path)]) == 1
    assert "show at 10 %" in kept(tmp_path)["wrong"]  # type: ignore[operator]
    assert FACTS_PER_MILESTONE == 4_096
