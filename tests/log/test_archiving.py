"""What goes is on the disk before it goes; an archive brings back what it holds, or nothing."""

from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest

from lash_es.codec.streams import StreamId
from lash_es.core.commands import CancelTurnInput, DeleteSession, EnqueueTurnInput
from lash_es.core.errors import HistoryTrimmedBelow
from lash_es.core.events import body_ref
from lash_es.core.ids import InputId, Position, SessionId, Version
from lash_es.core.ingress import NextTurn
from lash_es.core.messages import TurnInput
from lash_es.core.retention import Pin
from lash_es.core.state import Open
from lash_es.log.archive_files import ArchiveRefused
from lash_es.log.archiving import FolderArchive, all_streams, export_streams
from lash_es.log.contents import read_content, read_nodes
from lash_es.log.errors import StoreUnavailable
from lash_es.log.loading import load, refold
from lash_es.log.port import Store
from lash_es.log.reindexing import compare_index
from lash_es.log.restoring import restore
from lash_es.log.sealed import SealedStore
from lash_es.log.sealing import AtRest
from lash_es.log.stores.memory import MemoryStore
from lash_es.log.stores.sqlite import SQLiteStore
from tests.log.conformance import everything
from tests.log.tapes import I3, STREAM, Player, said
from tests.log.trims import lived, living, over, trimming

OTHER = StreamId("default", SessionId("other"))


@pytest.fixture(params=["memory", "sqlite", "sealed"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Store]]:
    made: list[Store] = []

    def make() -> Store:
        store: Store = MemoryStore()
        if request.param == "sqlite":
            store = SQLiteStore.open(tmp_path / f"{len(made)}.db", create=True)
        if request.param == "sealed":
            store = SealedStore(MemoryStore(), AtRest(body_inline_max=20))
        made.append(store)
        return store

    yield make
    for store in made:
        store.close()


@pytest.fixture
def store(make_store: Callable[[], Store]) -> Store:
    return make_store()


# What a trim lets go of


def test_facts_that_went_are_put_back_and_are_the_same(store: Store, tmp_path: Path) -> None:
    player = over(store)
    records = tuple(record for append in player.appends for record in append.records)
    refs = [body.ref for append in player.appends for body in append.bodies]
    bodies = store.read_bodies(STREAM, refs)
    for below in (4, 9, 20):
        trimming(store, FolderArchive(tmp_path)).trim(STREAM, Version(below))
    archives = sorted(tmp_path.glob("*.jsonl.gz"), key=lambda path: int(path.name.split("-")[2]))
    assert len(archives) == 3

    for path in reversed(archives):
        restored = restore(store, path)
        assert (restored.streams_count, restored.pins_count) == (1, 0)

    head = store.head(STREAM)
    assert head is not None
    assert head.oldest == 0
    assert store.read(STREAM, Position(0), 28) == records
    assert store.read_bodies(STREAM, refs) == bodies
    assert refold(store, STREAM) == load(store, STREAM)
    assert read_content(store, STREAM, body_ref(Position(3)), TurnInput).items


def test_a_restored_session_is_trimmed_again_by_the_same_call(
    store: Store, tmp_path: Path
) -> None:
    over(store)
    trimming(store, FolderArchive(tmp_path)).trim(STREAM, Version(9))
    (archive,) = tmp_path.glob("*.gz")
    assert restore(store, archive).facts_count == 9
    assert restore(store, archive).facts_count == 0

    done = trimming(store).trim(STREAM, Version(9))
    assert (done.is_new, done.removed.facts_count) == (False, 9)
    with pytest.raises(HistoryTrimmedBelow):
        read_content(store, STREAM, body_ref(Position(3)), TurnInput)


def test_an_archive_that_does_not_reach_what_is_kept_is_refused(
    store: Store, tmp_path: Path
) -> None:
    over(store)
    for below in (4, 9):
        trimming(store, FolderArchive(tmp_path)).trim(STREAM, Version(below))
    (first,) = tmp_path.glob("*-0-4.jsonl.gz")
    with pytest.raises(ArchiveRefused, match="restored first") as caught:
        restore(store, first)
    assert caught.value.line == 2


def test_an_archive_of_another_stream_s_facts_is_refused(
    store: Store, make_store: Callable[[], Store], tmp_path: Path
) -> None:
    over(store)
    trimming(store, FolderArchive(tmp_path)).trim(STREAM, Version(9))
    (archive,) = tmp_path.glob("*.gz")
    another = make_store()
    lived(another).send(CancelTurnInput(now_ms=2_901, input_id=InputId("i3")))
    for below, reason in ((0, "none any more|another fact"), (9, "does not follow")):
        if below:
            trimming(another).trim(STREAM, Version(below))
        before = everything(another, STREAM)
        with pytest.raises(ArchiveRefused, match=reason):
            restore(another, _of_another_life(archive, make_store, tmp_path))
        assert everything(another, STREAM) == before
    with pytest.raises(ArchiveRefused, match="restored first"):
        restore(make_store(), archive)


def _of_another_life(archive: Path, make_store: Callable[[], Store], tmp_path: Path) -> Path:
    """Archive the same positions of a session that went another way."""
    del archive
    folder = tmp_path / f"another-{len(list(tmp_path.iterdir()))}"
    folder.mkdir()
    store = make_store()
    player = Player(store)
    for number, command in enumerate(living()):
        later = attrs.evolve(command, now_ms=command.now_ms + 1) if number > 2 else command
        player.send(later)
    player.send(CancelTurnInput(now_ms=2_900, input_id=I3))
    trimming(store, FolderArchive(folder)).trim(STREAM, Version(9))
    (made,) = folder.glob("*.gz")
    return made


def test_the_same_trim_writes_the_same_bytes(
    make_store: Callable[[], Store], tmp_path: Path
) -> None:
    archives: list[bytes] = []
    for name in ("a", "b"):
        store = make_store()
        over(store)
        folder = tmp_path / f"archive-{name}"
        folder.mkdir()
        trimming(store, FolderArchive(folder)).trim(STREAM, Version(9))
        (archive,) = folder.iterdir()
        archives.append(archive.read_bytes())
    assert archives[0] == archives[1]


def test_an_archive_that_cannot_be_written_leaves_nothing_and_deletes_nothing(
    store: Store, tmp_path: Path
) -> None:
    over(store)
    with pytest.raises(FileNotFoundError):
        trimming(store, FolderArchive(tmp_path / "nowhere")).trim(STREAM, Version(9))
    head = store.head(STREAM)
    assert head is not None
    assert head.oldest == 0


# Whole streams


@pytest.mark.parametrize("belows", [(), (4,), (22,), (9, 28), (29,)])
def test_a_stream_arrives_as_it_was(
    make_store: Callable[[], Store], tmp_path: Path, belows: tuple[int, ...]
) -> None:
    source, target = make_store(), make_store()
    over(source)
    for below in belows:
        trimming(source, page_bytes_max=300).trim(STREAM, Version(min(below, 28)))
    source.pin(STREAM, Pin(name="audit", version=Version(28)), at_ms=1)
    path = tmp_path / "export.jsonl.gz"
    export_streams(source, [STREAM], path)

    done = restore(target, path)

    state = load(source, STREAM).state
    assert isinstance(state, Open)
    leaf = state.head.leaf
    *expected, _ = everything(source, STREAM)
    *found, _ = everything(target, STREAM)
    assert found == expected
    assert refold(target, STREAM) == refold(source, STREAM)
    assert read_nodes(target, STREAM, leaf) == read_nodes(source, STREAM, leaf)
    assert compare_index(target, STREAM).different == ()
    assert target.pins(STREAM) == source.pins(STREAM)
    assert (done.streams_count, done.pins_count) == (1, 1)
    again = restore(target, path)
    assert (again.facts_count, again.pins_count) == (0, 0)


def test_a_whole_namespace_is_exported_and_exports_are_the_same_bytes(
    make_store: Callable[[], Store], tmp_path: Path
) -> None:
    source, target = make_store(), make_store()
    over(source)
    over(source, OTHER)
    over(source, StreamId("another", SessionId("s")))
    seen: list[None] = []
    first, second = tmp_path / "1.gz", tmp_path / "2.gz"
    export_streams(source, all_streams(source, "default"), first, lambda: seen.append(None))
    export_streams(source, all_streams(source, "default"), second)

    assert first.read_bytes() == second.read_bytes()
    assert len(seen) == 56
    assert restore(target, first).facts_count == 56
    assert list(all_streams(target, "default")) == [OTHER, STREAM]
    assert list(all_streams(target, "another")) == []


def test_an_import_that_was_cut_off_goes_on(
    make_store: Callable[[], Store], tmp_path: Path
) -> None:
    source, target = make_store(), make_store()
    over(source)
    path = tmp_path / "early.gz"
    export_streams(source, [STREAM], path)
    restore(target, path)
    player = Player(source)
    player.folded = load(source, STREAM)
    for number in range(300):
        player.send(
            EnqueueTurnInput(
                now_ms=2_950,
                input_id=InputId(f"n{number}"),
                source_key=f"k{number}",
                ingress=NextTurn(),
                body=said(f"never mind {number}"),
            )
        )
    late = tmp_path / "late.gz"
    export_streams(source, [STREAM], late)

    assert restore(target, late).facts_count == 300
    assert everything(target, STREAM)[:3] == everything(source, STREAM)[:3]
    assert restore(target, path).facts_count == 0


def test_a_stream_that_went_another_way_is_refused_before_anything_is_written(
    make_store: Callable[[], Store], tmp_path: Path
) -> None:
    source, target = make_store(), make_store()
    over(source)
    over(source, OTHER)
    lived(target).send(DeleteSession(now_ms=2_900))
    before = everything(target, STREAM)
    path = tmp_path / "export.gz"
    export_streams(source, [OTHER, STREAM], path)

    with pytest.raises(ArchiveRefused, match="another fact is there"):
        restore(target, path)
    assert everything(target, STREAM) == before
    assert target.head(OTHER) is None


def test_a_stream_that_went_another_way_early_is_refused(
    make_store: Callable[[], Store], tmp_path: Path
) -> None:
    source, target = make_store(), make_store()
    over(source)
    path = tmp_path / "export.gz"
    export_streams(source, [STREAM], path)
    player = Player(target)
    for number, command in zip(range(9), living(), strict=False):
        player.send(attrs.evolve(command, now_ms=command.now_ms + number))

    before = everything(target, STREAM)
    with pytest.raises(ArchiveRefused, match="position 8: another fact is there"):
        restore(target, path)
    assert everything(target, STREAM) == before


@pytest.mark.parametrize(("facts_count", "is_refused"), [(9, False), (8, True), (10, False)])
def test_a_trimmed_stream_arrives_behind_the_facts_that_it_follows(
    make_store: Callable[[], Store], tmp_path: Path, facts_count: int, is_refused: bool
) -> None:
    source, target = make_store(), make_store()
    over(source)
    trimming(source, page_bytes_max=300).trim(STREAM, Version(9))
    path = tmp_path / "export.gz"
    export_streams(source, [STREAM], path)
    player = Player(target)
    for _, command in zip(range(facts_count), living(), strict=False):
        player.send(command)

    if is_refused:
        with pytest.raises(ArchiveRefused, match="does not follow it"):
            restore(target, path)
    else:
        assert restore(target, path).facts_count == 29 - facts_count
        assert refold(target, STREAM) == refold(source, STREAM)
        assert compare_index(target, STREAM).different == ()


def test_bodies_that_an_earlier_trim_had_kept_are_archived_when_they_go(
    store: Store, tmp_path: Path
) -> None:
    player = over(store)
    trimming(store).trim(STREAM)
    player.folded = load(store, STREAM)
    player.send(DeleteSession(now_ms=4_000))
    trimming(store, FolderArchive(tmp_path)).trim(STREAM)
    (archive,) = tmp_path.glob("*.gz")
    assert store.read_bodies(STREAM, [body_ref(Position(12))]) == {}

    assert restore(store, archive).facts_count == 2
    assert list(store.read_bodies(STREAM, [body_ref(Position(12))])) == [body_ref(Position(12))]


def test_what_does_not_exist_is_not_exported(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "export.gz"
    with pytest.raises(StoreUnavailable, match="no session"):
        export_streams(store, [STREAM], path)
    assert list(tmp_path.glob("*.gz")) == []
    assert list(tmp_path.glob(".*unfinished")) == []
