"""Who this process is, and whether another one has ended, as far as the system tells."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lash_es import LeaseOwner, LocalProcess, Opaque, this_process
from lash_es.core.owners import ProcessGone, ProcessRunning, ProcessSight, ProcessUnseen
from lash_es.runtime.liveness import look_for, sight_of

STAT = "7 (a (strange) name) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 0 0\n"


def told(folder: Path, stat: str | None) -> Path:
    """Make a folder in which the system tells of process 7."""
    (folder / "self").mkdir()
    if stat is not None:
        (folder / "7").mkdir()
        (folder / "7" / "stat").write_text(stat, "ascii")
    return folder


@pytest.mark.parametrize(
    ("stat", "sight"),
    [
        (STAT, ProcessRunning(4711)),
        (None, ProcessGone()),
        ("7 (cut off) S 1", ProcessUnseen()),
        (STAT.replace("4711", "soon"), ProcessUnseen()),
    ],
    ids=["running", "gone", "cut off", "no number"],
)
def test_what_the_system_tells_of_a_process(
    tmp_path: Path, stat: str | None, sight: ProcessSight
) -> None:
    assert look_for(7, told(tmp_path, stat)) == sight


def test_a_file_that_cannot_be_read_tells_nothing(tmp_path: Path) -> None:
    (told(tmp_path, None) / "7" / "stat").mkdir(parents=True)
    assert look_for(7, tmp_path) == ProcessUnseen()


def test_where_the_system_tells_nothing_nobody_is_dead_and_this_process_is_opaque(
    tmp_path: Path,
) -> None:
    assert look_for(7, tmp_path) == ProcessUnseen()
    assert this_process(tmp_path) == Opaque()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems tell nothing of processes")
def test_this_process_is_seen_running_and_one_that_was_killed_is_gone() -> None:
    me = this_process()
    assert isinstance(me, LocalProcess)
    assert me.pid == os.getpid()
    mine = LeaseOwner(owner_id="me", incarnation_id="1", liveness=me)
    assert sight_of(mine) == ProcessRunning(me.process_start)
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with other:
        assert isinstance(look_for(other.pid), ProcessRunning)
        other.kill()
        other.wait()
        assert look_for(other.pid) == ProcessGone()


def test_of_an_opaque_holder_nothing_is_seen() -> None:
    assert sight_of(LeaseOwner(owner_id="o", incarnation_id="1")) == ProcessUnseen()
