"""
Goal: whatever happens to the disk, a host hears of it by type, and nothing acknowledged is lost.

A disk without room, a file or directory that may not be written, a lock that another process
holds for longer than a lease, a log that was torn. When the disk is well again, the same process
goes on, or another one does.
"""

import os
import random
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from attrs import evolve

from lash_es import LashSession, OnTakeover, RuntimeFault, SQLiteStore, Tool
from lash_es.log.errors import StorageError, StoreBusy, StoreFull
from lash_es.timetravel.verifying import verify_session
from tests.crash.processes import Tell, lived
from tests.crash.torn import Run, make_run, wrong_after_cut, wrong_after_flip
from tests.session.host import host, run, texts
from tests.session.scripted import ScriptedProvider, call, calls, remembering, says
from tests.session.stores import names, stream
from tests.session.virtual_time import VirtualTime

TTL_MS = 30_000
SAMPLES = 40
SEED = int(os.environ.get("LASH_ES_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)


def rerun(tool: Callable[..., object]) -> Tool:
    """Let a tool run again when its answer was not recorded."""
    return Tool.of(tool, on_takeover=OnTakeover.RERUN)


def sound(path: Path) -> list[str]:
    """Check the file and the session whole, and name its facts."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    with closing(SQLiteStore.open(path, create=False)) as store:
        assert verify_session(store, stream()).is_sound
        return names(store)


async def enqueued(session: LashSession, texts_max: int) -> tuple[int, Exception | None]:
    """Enqueue large inputs until that fails; returns how many were acknowledged."""
    for number in range(texts_max):
        try:
            await session.enqueue("x" * 5_000).id(f"{number}")
        except Exception as error:  # noqa: BLE001 - the caller says which it expects
            return number, error
    return texts_max, None


# No room


def test_a_full_disk_is_said_and_when_there_is_room_again_the_same_handle_goes_on(
    tmp_path: Path,
) -> None:
    path = tmp_path / "log.db"

    async def scene() -> None:
        store = SQLiteStore.open(path, create=True)
        writer = store._connections._sqlite_writer
        async with host(store, remembering(says("done"))) as core:
            session = await core.session("s")
            (pages,) = writer.execute("PRAGMA page_count").fetchone()
            writer.execute(f"PRAGMA max_page_count = {pages + 20}")
            acknowledged, error = await enqueued(session, 100)
            assert isinstance(error, StoreFull)
            assert 0 < acknowledged < 20
            assert len(await session.pending_turn_inputs()) == acknowledged
            # A turn cannot be accepted either, and says so in the runtime's words.
            with pytest.raises(RuntimeFault, match="no room left"):
                await session.turn("go").turn_id("t")
            writer.execute("PRAGMA max_page_count = 1000000")
            assert await enqueued(session, acknowledged + 2) == (acknowledged + 2, None)
            assert (await session.turn("go").turn_id("t")).result.is_success

    run(scene())
    assert sound(path).count("TurnInputEnqueued") >= 3


def _without_room(path: Path, tell: Tell) -> None:
    """Live in a process whose files may not grow any more, and then may again."""
    time, asked = VirtualTime(), list[str]()

    async def look() -> str:
        tell(("asked",))
        asked.append("look")
        if len(asked) > 1:
            return "seen"
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        size = path.with_name(f"{path.name}-wal").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        return "seen"

    async def scene() -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        provider = remembering(calls(call("a", "look")), says("done"))
        async with host(
            SQLiteStore.open(path, create=True), provider, rerun(look), time=time
        ) as core:
            session = await core.session("s")
            await session.enqueue("kept").id("k")
            try:
                await session.turn("go").turn_id("t")
            except RuntimeFault as fault:
                tell(("turn", fault.code))
            try:
                await session.enqueue("lost")
            except Exception as error:  # noqa: BLE001 - its type is what is told
                tell(("enqueue", type(error).__name__))
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
            await session.enqueue("found").id("f")
            time.jump(TTL_MS)
            result = (await session.turn("go").turn_id("t")).result
            tell(("again", str(result.is_success), str(result.takeovers)))

    run(scene())


def test_a_turn_whose_disk_is_full_is_gone_on_with_when_there_is_room(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    told = lived(lambda tell: _without_room(path, tell))

    # What the tool has returned was not recorded, so it was asked for again.
    assert told == [
        ("asked",),
        ("turn", "store_commit_failed"),
        ("enqueue", "AppendUnresolved"),
        ("asked",),
        ("again", "True", "1"),
        ("done",),
    ]
    found = sound(path)
    assert found.count("TurnInputEnqueued") == 2
    assert found.count("TurnCommitted") == 1


# A lock


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let another process hold the write lock."""
    script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('BEGIN IMMEDIATE')"
    script += "; print('locked', flush=True); sys.stdin.read()"
    words = (sys.executable, "-S", "-c", script, str(path))
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"locked\n"
        yield
        assert process.stdin is not None
        process.stdin.close()


def test_who_cannot_renew_stops_and_is_not_robbed_before_the_lease_has_run_out(
    tmp_path: Path,
) -> None:
    path, time, asked = tmp_path / "log.db", VirtualTime(), list[str]()
    lock = locked(path)

    async def look(name: str) -> str:
        asked.append(name)
        if asked == ["a"]:
            lock.__enter__()
            await time.advance(TTL_MS // 3)  # The renewal is due, and cannot be written.
        return f"saw {name}"

    def store() -> SQLiteStore:
        return SQLiteStore.open(path, create=True, busy_wait_ms=20)

    def steps() -> ScriptedProvider:
        return remembering(
            calls(call("a", "look", {"name": "a"})),
            calls(call("b", "look", {"name": "b"})),
            says("seen"),
        )

    async def scene() -> None:
        async with (
            host(store(), steps(), rerun(look), time=time) as core,
            host(store(), steps(), rerun(look), time=time) as other,
        ):
            session, rival = await core.session("s"), await other.session("s")
            with pytest.raises(RuntimeFault) as lost:
                await session.turn("go").turn_id("t")
            assert lost.value.code in {"session_execution_lease_lost", "store_commit_failed"}
            assert asked == ["a"]
            with pytest.raises(StoreBusy):
                await rival.enqueue("me too")
            lock.__exit__(None, None, None)
            # The lease holds: it was taken when the turn was accepted, and is a third spent.
            with pytest.raises(RuntimeFault) as busy:
                await rival.turn("go").turn_id("t")
            assert busy.value.code == "session_execution_busy"
            time.jump(TTL_MS)
            assert (await rival.turn("go").turn_id("t")).result.takeovers == 1
            assert asked == ["a", "a", "b"]
            assert (await texts(rival))[-1] == ("assistant", "seen")

    run(scene())
    assert sound(path).count("TurnCommitted") == 1


# No right to write


@pytest.mark.parametrize(("folder_mode", "is_read"), [(0o777, True), (0o555, False)])
def test_without_the_right_to_write_the_log_says_so_and_loses_nothing(
    folder_mode: int, is_read: bool
) -> None:
    folder = Path(tempfile.mkdtemp())
    path = folder / "log.db"

    def life(tell: Tell) -> None:
        if os.getuid() == 0:  # Whom no mode keeps out.
            os.setgid(65_534)
            os.setuid(65_534)

        async def scene() -> None:
            try:
                async with host(SQLiteStore.open(path, create=False)) as core:
                    session = await core.session("s")
                    tell(("read", str(len(await session.pending_turn_inputs()))))
                    await session.enqueue("more")
            except StorageError as error:
                tell((type(error).__name__,))

        run(scene())

    async def enqueue(text: str) -> None:
        async with host(SQLiteStore.open(path, create=True)) as core:
            await (await core.session("s")).enqueue(text)

    try:
        run(enqueue("first"))
        path.chmod(0o444)
        folder.chmod(folder_mode)
        told = lived(life)
        folder.chmod(0o755)
        path.chmod(0o644)
        run(enqueue("second"))
        assert told == [*([("read", "1")] * is_read), ("StoreReadOnly",), ("done",)]
        assert sound(path) == ["SessionOpened", "TurnInputEnqueued", "TurnInputEnqueued"]
    finally:
        shutil.rmtree(folder)


# A torn log


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run(tmp_path_factory.mktemp("finished"))


def test_a_log_that_is_cut_off_anywhere_holds_what_was_acknowledged_before(
    finished: Run, tmp_path: Path
) -> None:
    chance = random.Random(SEED)
    edges = [size + by for size in finished.sizes[-3:] for by in (-1, 0, 1)]
    places = [*edges, *chance.sample(finished.last_frames, SAMPLES)]
    for size in places:
        assert not wrong_after_cut(tmp_path, finished, size), f"LASH_ES_TEST_SEED={SEED}"


def test_a_log_with_another_byte_anywhere_holds_what_was_acknowledged_before(
    finished: Run, tmp_path: Path
) -> None:
    chance = random.Random(SEED)
    for place in chance.sample(finished.last_frames, SAMPLES):
        bits = chance.randrange(1, 256)
        assert not wrong_after_flip(tmp_path, finished, place, bits), f"LASH_ES_TEST_SEED={SEED}"


def test_a_commit_that_was_torn_and_is_there_all_the_same_would_be_noticed(
    finished: Run, tmp_path: Path
) -> None:
    # As if the last but one append had been acknowledged, and is not there.
    acknowledged = evolve(finished, sizes=(*finished.sizes[:-1], finished.sizes[-2]))
    assert wrong_after_cut(tmp_path, acknowledged, finished.sizes[-2])
    # As if there had been other facts at that moment.
    other = evolve(finished, moments=((), *finished.moments[1:-2], (), ()))
    assert wrong_after_cut(tmp_path, other, finished.sizes[-2])
