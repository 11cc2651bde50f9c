"""A trim is the same through the layer that seals, in every way there is."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lash_es.codec.streams import StreamId
from lash_es.log.appends import StoredBody
from lash_es.log.archive_files import ArchiveRefused
from lash_es.log.archiving import export_streams
from lash_es.log.blobs import Blob
from lash_es.log.port import Store
from lash_es.log.restoring import restore
from lash_es.log.sealed import SealedStore
from lash_es.log.sealed_bodies import seal_body
from lash_es.log.stores.memory import MemoryStore
from lash_es.log.stores.sqlite import SQLiteStore
from tests.log.sealed_stores import WAYS
from tests.log.sealed_trims import BELOW, a_trim_through_the_seal, pages_lie_open_and_words_do_not
from tests.log.tapes import STREAM
from tests.log.trims import over, trimming

SEALING_WAYS = ("encrypted", "blobs", "all")
"""Those that seal every body, however short."""


@pytest.fixture(params=["memory", "sqlite"])
def make_inner(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Store]]:
    made: list[Store] = []

    def make() -> Store:
        store: Store = MemoryStore()
        if request.param == "sqlite":
            store = SQLiteStore.open(tmp_path / f"{len(made)}.db", create=True)
        made.append(store)
        return store

    yield make
    for store in made:
        store.close()


@pytest.mark.parametrize("way", SEALING_WAYS)
def test_a_sealed_log_is_trimmed_moved_and_checked_without_its_key(
    make_inner: Callable[[], Store], way: str, tmp_path: Path
) -> None:
    a_trim_through_the_seal(make_inner, way, tmp_path)


class SealsItsPages(SealedStore):
    """A layer that seals everything, also what is folded from."""

    def _sealed_body(
        self, stream: StreamId, body: StoredBody, given: object
    ) -> tuple[StoredBody, Blob | None]:
        del given
        return seal_body(WAYS["encrypted"], stream, body)


def test_pages_that_were_sealed_would_be_seen_and_no_archive_of_them_is_taken(
    tmp_path: Path,
) -> None:
    store = SealsItsPages(MemoryStore(), WAYS["encrypted"])
    over(store)
    trimming(store).trim(STREAM, BELOW)
    with pytest.raises(AssertionError):
        pages_lie_open_and_words_do_not(store)
    export_streams(store, [STREAM], tmp_path / "whole.gz")
    with pytest.raises(ArchiveRefused, match="a body of a trim is sealed"):
        restore(MemoryStore(), tmp_path / "whole.gz")
