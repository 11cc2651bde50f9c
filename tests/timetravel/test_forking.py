"""A session of a file is forked from a notebook, with real ids and salts, sealed or not."""

from contextlib import closing
from pathlib import Path

import pytest

from lash_es.codec.streams import StreamId
from lash_es.core.ids import SessionId
from lash_es.log.forking import SessionExists
from lash_es.log.loading import load
from lash_es.log.stores.sqlite import SQLiteStore
from lash_es.timetravel.forking import fork_session
from lash_es.timetravel.transcripts import read_transcript
from lash_es.timetravel.verifying import verify_session
from tests.log.sealed_stores import sealed
from tests.log.tapes import STREAM
from tests.log.trims import lived


@pytest.mark.parametrize("is_sealed", [False, True])
def test_a_fork_needs_a_path_and_no_key(tmp_path: Path, *, is_sealed: bool) -> None:
    def opened() -> SQLiteStore:
        return SQLiteStore.open(tmp_path / "a.db", create=True)

    with closing(sealed(opened(), "all", None) if is_sealed else opened()) as store:
        lived(store)
    forked = fork_session(tmp_path / "a.db", "taped", "mine")
    earlier = fork_session(str(tmp_path / "a.db"), "taped", "earlier", 2)

    assert (forked.version, earlier.version, earlier.bodies_count) == (27, 2, 0)
    with pytest.raises(SessionExists):
        fork_session(tmp_path / "a.db", "taped", "mine")
    with closing(sealed(opened(), "all", None) if is_sealed else opened()) as store:
        said = [
            read_transcript(store, stream, load(store, stream).state)
            for stream in (STREAM, StreamId("default", SessionId("mine")))
        ]
        assert said[0] == said[1] != ()
        assert verify_session(store, StreamId("default", SessionId("mine"))).is_sound
