"""
Goal: an owner that is stopped in mid-turn (SIGSTOP) and wakes after another has taken its turn
over and committed it learns that it lost, starts no effect and commits nothing.

Method: two real processes on one SQLite file; also with the owner's clock an hour off, both ways.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import attrs
import pytest

from tests.faketime import library
from tests.frozen.processes import SCENES, process
from tests.frozen.scene import (
    HOUR_S,
    LOST,
    RIGHT,
    Evidence,
    facts_of,
    play,
    problems,
    right_of,
    stop,
    wake,
)
from tests.growth.grounds import File
from tests.session.clocked import said_by

ALL_RIGHT: Final = Evidence(
    told=LOST, answered="rival", started={}, version=len(RIGHT), facts=RIGHT, damages=()
)


def test_an_owner_that_wakes_after_a_takeover_has_lost_whatever_its_clock_says(
    tmp_path: Path,
) -> None:
    def played(ahead_s: int) -> dict[str, Evidence]:
        folder = tmp_path / str(ahead_s)
        folder.mkdir()
        return play(File(folder / "log.db"), folder, ahead_s=ahead_s)

    library()  # Found once, and not by three threads.
    with ThreadPoolExecutor(3) as pool:
        for seen in pool.map(played, (0, HOUR_S, -HOUR_S)):
            assert [problems(seen[scene], right_of(scene)) for scene in SCENES] == [[], []]


def test_an_owner_that_is_woken_in_time_goes_on_and_commits(tmp_path: Path) -> None:
    """It is being away for too long that loses a turn, and not being stopped."""
    ground = File(tmp_path / "log.db")
    with process("owner", ground, tmp_path / "notes") as owner:
        assert said_by(owner).startswith("begun")
        stop(owner.pid)
        wake(owner.pid, owner.stdin)
        assert [said_by(owner) for _ in SCENES] == [f'["{scene}", "owner"]' for scene in SCENES]
        owner.wait(20)
    for facts in facts_of(ground).values():
        assert facts.count("LeaseAcquired") == facts.count("TurnCommitted") == 1


@pytest.mark.parametrize(
    ("seen", "word"),
    [
        (attrs.evolve(ALL_RIGHT, told="owner"), "heard 'owner'"),
        (attrs.evolve(ALL_RIGHT, answered="nothing"), "heard 'nothing'"),
        (attrs.evolve(ALL_RIGHT, started={"owner: tool, in a tool": 1}), "the owner started"),
        (attrs.evolve(ALL_RIGHT, facts=(*RIGHT, "LeaseReleased")), "after it woke"),
        (attrs.evolve(ALL_RIGHT, facts=(*RIGHT[:-1], "TurnCommitted")), "the session is"),
        (attrs.evolve(ALL_RIGHT, damages=("index",)), "damaged: index"),
    ],
    ids=["not told", "no takeover", "an effect", "a fact", "a second commit", "damage"],
)
def test_what_is_not_as_it_has_to_be_is_said(seen: Evidence, word: str) -> None:
    assert problems(ALL_RIGHT, RIGHT) == []
    assert word in problems(seen, RIGHT)[0]
