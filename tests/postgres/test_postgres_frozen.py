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
from tests.frozen.scene import HOUR_S, Evidence, play, problems, right_of
from tests.growth.grounds import Schema
from tests.postgres.faketime import faked_server
from tests.postgres.postgres_server import Database


def test_an_owner_that_wakes_after_a_takeover_has_lost(database: Database, tmp_path: Path) -> None:
    _require_lost(play(Schema(database), tmp_path))


def test_so_it_has_whatever_its_clock_and_the_servers_say(tmp_path: Path) -> None:
    library()
    with faked_server() as one, faked_server() as other, ThreadPoolExecutor(2) as pool:
        playing = []
        for server, jump_s in ((one, HOUR_S), (other, -HOUR_S)):
            folder = tmp_path / str(jump_s)
            folder.mkdir()
            playing.append(
                pool.submit(
                    play,
                    Schema(server.database()),
                    folder,
                    ahead_s=-jump_s,
                    meanwhile=partial(server.set_clock, jump_s),
                )
            )
        for each in playing:
            _require_lost(each.result())


def _require_lost(seen: dict[str, Evidence]) -> None:
    assert [problems(seen[scene], right_of(scene)) for scene in SCENES] == [[], []]
