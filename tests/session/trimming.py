"""Trims of sessions that are in use: the scenes, for every store."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from attrs import define, field

from lash_es import (
    LashCore,
    NoArchive,
    SessionNotOpen,
    StoreClosed,
    TrimHeldBack,
    TrimOutOfRange,
)
from lash_es.log.loading import load, refold
from lash_es.log.port import Store
from lash_es.log.removing import Archive, Going
from lash_es.log.restoring import restore
from lash_es.timetravel.verifying import verify_session
from tests.session.host import host, texts
from tests.session.scripted import ScriptedProvider, always, says
from tests.session.stores import names, stream

OpenStore = Callable[[], Store]


@define
class SlowArchive(Archive):
    """An archive that begins to keep, and goes on when it is told to."""

    began: threading.Event = field(factory=threading.Event)
    may_go_on: threading.Event = field(factory=threading.Event)
    ended: threading.Event = field(factory=threading.Event)
    raised: BaseException | None = None
    facts_count: int = 0

    def keep(self, going: Going) -> None:
        self.began.set()
        assert self.may_go_on.wait(20)
        try:
            self.facts_count = sum(record is not None for record, _ in going.parts())
        except BaseException as error:
            self.raised = error
            raise
        finally:
            self.ended.set()


def oldest(store: Store, session_id: str = "s") -> int:
    """Say which fact is the oldest that is kept."""
    head = store.head(stream(session_id))
    assert head is not None
    return head.oldest


def files(folder: Path) -> list[Path]:
    """List what an archive wrote."""
    return sorted(folder.iterdir()) if folder.exists() else []


def talkative() -> ScriptedProvider:
    """A model that always has the same answer."""
    return ScriptedProvider(script=always(says("yes")))


async def talked(core: LashCore, turns_count: int = 2) -> None:
    """Take some turns in session ``s``."""
    async with core.session("s").open() as session:
        for number in range(turns_count):
            await session.turn(f"question {number}")


async def others_go_on_while_a_session_is_trimmed(open_store: OpenStore, folder: Path) -> None:
    """While what goes is being archived, the same session and another one append and read."""
    archive = SlowArchive()
    with closing(open_store()) as looking:
        async with host(open_store(), talkative()) as core:
            await talked(core)
            async with core.session("s").open() as session, core.session("other").open() as other:
                before = await texts(session)
                trim = asyncio.create_task(core.trim_history("s", archive=archive))
                await asyncio.to_thread(archive.began.wait, 20)
                await other.enqueue("meanwhile")
                await session.turn("question 2")
                assert names(looking)[-1] == "LeaseReleased"
                assert oldest(looking) == 0
                assert not trim.done()
                archive.may_go_on.set()

                done = await trim
                gone = done.removed.facts_count
                assert done.is_new
                assert gone == archive.facts_count == oldest(looking) > 2
                assert (await texts(session))[: len(before)] == before
                assert len(await other.pending_turn_inputs()) == 1
                assert (await session.turn("question 3")).result.assistant_message == "yes"

                again = await core.trim_history("s", archive=folder, below=gone)
                assert (again.is_new, again.removed.facts_count) == (False, 0)
                assert files(folder) == []
                more = await core.trim_history("s", archive=str(folder))
                assert more.is_new
                assert more.removed.facts_count > 0
                (part,) = files(folder)
                assert (await texts(session))[: len(before)] == before
        assert verify_session(looking, stream()).is_sound
        assert restore(looking, part).facts_count == more.removed.facts_count
        assert refold(looking, stream()) == load(looking, stream())


async def who_waits_no_more_stops_it_and_the_same_call_goes_on(
    open_store: OpenStore, folder: Path
) -> None:
    """A trim whose caller is cancelled stops at the next call of the store; nothing is lost."""
    archive = SlowArchive()
    with closing(open_store()) as looking:
        async with host(open_store(), talkative()) as core:
            await talked(core)
            trim = asyncio.create_task(core.trim_history("s", archive=archive))
            await asyncio.to_thread(archive.began.wait, 20)
            trim.cancel()
            with pytest.raises(asyncio.CancelledError):
                await trim
            archive.may_go_on.set()
            await asyncio.to_thread(archive.ended.wait, 20)
            assert isinstance(archive.raised, StoreClosed)
            assert oldest(looking) == 0
            assert names(looking)[-1] == "HistoryTrimmed"

            done = await core.trim_history("s", archive=folder)
            assert (done.is_new, done.removed.facts_count) == (False, oldest(looking))
            assert oldest(looking) > 0
            async with core.session("s").open() as session:
                assert len(await texts(session)) == 4
        assert verify_session(looking, stream()).is_sound


async def what_may_not_go_is_refused_and_nothing_is_written(
    open_store: OpenStore, folder: Path
) -> None:
    """Refusals are raised as they are decided; a deleted session may be trimmed whole."""
    with closing(open_store()) as looking:
        async with host(open_store(), talkative()) as core:
            await talked(core)
            async with core.session("s").open() as session:
                await session.enqueue("waits")
                version = session.version
            with pytest.raises(TrimHeldBack):
                await core.trim_history("s", archive=folder, below=version)
            with pytest.raises(TrimOutOfRange):
                await core.trim_history("s", archive=folder, below=version + 1)
            with pytest.raises(SessionNotOpen):
                await core.trim_history("nobody", archive=folder)
            assert names(looking)[-1] == "TurnInputEnqueued"
            assert files(folder) == []

            await core.delete_session("s")
            done = await core.trim_history("s", archive=NoArchive())
            assert done.removed.facts_count == version + 1


SCENES = (
    others_go_on_while_a_session_is_trimmed,
    who_waits_no_more_stops_it_and_the_same_call_goes_on,
    what_may_not_go_is_refused_and_nothing_is_written,
)
