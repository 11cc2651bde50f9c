"""A host lets old facts of a session go while others are in use, in memory and in a file."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from lash_es.log.borrowing import Borrowed, lent
from lash_es.log.log import StoreLog
from tests.session.host import run
from tests.session.stores import InMemory, Place
from tests.session.trimming import SCENES, OpenStore


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_live(
    scene: Callable[[OpenStore, Path], Awaitable[None]], place: Place, tmp_path: Path
) -> None:
    async def played() -> None:
        await scene(place.store, tmp_path / "archive")

    run(played())


def test_what_no_trim_uses_of_a_store_cannot_be_borrowed() -> None:
    async def scene() -> None:
        log = StoreLog(InMemory().store(), lambda: 1)
        with lent(log) as loan:
            store = Borrowed(loan)
            assert store.where == log.store.where
            for name in ("close", "append_each", "return_facts"):
                assert not hasattr(store, name)
        await log.aclose()

    run(scene())
