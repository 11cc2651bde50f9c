"""
Goal: as ``tests/clocks/test_frozen.py``, on PostgreSQL, whose clock tells the time of leases.

Method: the server's clock is set by an hour while the owner is stopped, and the owner's own clock
is an hour off the other way.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tests.faketime import library
from tests.frozen.processes import SCENES
from tests.frozen.scene import HOUR_S, play, problems, right_of
from tests.growth.grounds import Schema
from tests.postgres.faketime import faked_server
from tests.postgres.postgres_server import Database


def test_an_owner_that_wakes_after_a_takeover_has_lost_whatever_the_clocks_say(
    database: Database, tmp_path: Path
) -> None:
    library()
    with faked_server() as one, faked_server() as other, ThreadPoolExecutor(3) as pool:
        playing = [pool.submit(play, Schema(database), _folder(tmp_path, 0))]
        for server, jump_s in ((one, HOUR_S), (other, -HOUR_S)):
            ground, folder = Schema(server.database()), _folder(tmp_path, jump_s)
            jump = partial(server.set_clock, jump_s)
            playing.append(pool.submit(play, ground, folder, ahead_s=-jump_s, meanwhile=jump))
        for each in playing:
            seen = each.result()
            assert [problems(seen[scene], right_of(scene)) for scene in SCENES] == [[], []]


def _folder(parent: Path, jump_s: int) -> Path:
    folder = parent / str(jump_s)
    folder.mkdir()
    return folder
