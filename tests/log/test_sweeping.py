"""A sweep takes what nobody names, never what somebody is about to name: in table and folder."""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import attrs
import pytest

from lash_es.core.ids import Position
from lash_es.log.activities import DEFAULT_WINDOW
from lash_es.log.appends import Appended
from lash_es.log.blobs import FIRST_ADDRESS, Address, Blob, KeptBlob
from lash_es.log.errors import StoreFailed, StoreUnavailable
from lash_es.log.loading import RECORDS_PER_PAGE
from lash_es.log.sealed import SealedStore
from lash_es.log.sealing_errors import SealBroken
from lash_es.log.stores.directory_blobs import DirectoryBlobs
from lash_es.log.stores.folders import blob_folder
from lash_es.log.stores.memory import MemoryStore
from lash_es.log.stores.sqlite import SQLiteStore
from lash_es.log.sweeping import Swept, TableBlobs, body_roots, sweep
from tests.log.conformance import A, B, an_append, refused, stored_body
from tests.log.sealed_stores import body_of, sealed

ROOT = Path(__file__).parents[2]
SOON = 10**15
"""Milliseconds: long after any file of these tests was written."""


class Place:
    """A store that seals, with its blobs in a table or in a folder."""

    def __init__(self, kind: str, tmp_path: Path) -> None:
        self.folder = tmp_path / "blobs" if kind == "folder" else None
        self.inner = MemoryStore()
        self.store = sealed(self.inner, "blobs", self.folder)
        opened = None if self.folder is None else DirectoryBlobs.open(self.folder, create=False)
        self.blobs = opened or TableBlobs(self.inner)

    def say(self, stream_text: str, version: int, text: str) -> None:
        stream = {"A": A, "B": B}[stream_text]
        body = stored_body(version, text)
        result = self.store.append([an_append(stream, version, bodies=(body,))])
        assert isinstance(result, Appended)

    def forget(self) -> None:
        """Lose every body, as an erasure would."""
        for kept in self.inner._streams.values():
            kept.bodies.clear()

    def sweep(self, *more: Callable[[], Iterable[Address]], now_ms: int = SOON) -> Swept:
        return sweep(self.blobs, [body_roots(self.inner), *more], now_ms=now_ms)


@pytest.fixture(params=["table", "folder"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    made = Place(request.param, tmp_path)
    yield made
    made.store.close()
    made.store.close()


def _swept(roots: int, retained: int, deleted: int) -> Swept:
    return Swept(roots_count=roots, retained_count=retained, deleted_count=deleted)


def test_a_sweep_counts_and_the_second_one_deletes_nothing(place: Place) -> None:
    place.say("A", 0, "one")
    place.forget()
    place.say("A", 1, "two")
    place.say("B", 0, "two")

    assert place.sweep() == _swept(1, 1, 1)
    assert place.sweep() == _swept(1, 1, 0)
    assert body_of(place.store, 1) == stored_body(1, "two")


def test_the_same_salted_text_is_kept_once_and_as_long_as_anyone_names_it(place: Place) -> None:
    place.say("A", 0, "shared")
    place.say("B", 0, "shared")
    place.inner._streams[A.key].bodies.clear()

    assert place.sweep() == _swept(1, 1, 0)
    place.forget()
    assert place.sweep() == _swept(0, 0, 1)


def test_what_is_younger_than_the_grace_is_left(place: Place) -> None:
    place.say("A", 0, "one")
    place.forget()
    (kept,) = place.blobs.page(FIRST_ADDRESS, 9)

    for now_ms in (0, kept.at_ms, kept.at_ms + 3_600_000):
        assert place.sweep(now_ms=now_ms) == _swept(0, 1, 0)
    assert place.sweep(now_ms=kept.at_ms + 3_600_001) == _swept(0, 0, 1)


def test_whatever_else_names_a_blob_is_a_root(place: Place) -> None:
    place.say("A", 0, "in a trim")
    (kept,) = place.blobs.page(FIRST_ADDRESS, 9)
    place.forget()

    assert place.sweep(lambda: [kept.address]) == _swept(1, 1, 0)
    assert place.sweep() == _swept(0, 0, 1)


def test_a_blob_that_is_named_after_the_marking_is_not_taken(place: Place) -> None:
    place.say("A", 0, "in use again")
    place.forget()

    def named_too_late() -> Iterable[Address]:
        place.say("B", 0, "in use again")
        return ()

    assert place.sweep(named_too_late) == _swept(0, 1, 0)
    assert body_of_b(place) == stored_body(0, "in use again")


def body_of_b(place: Place) -> object:
    (found,) = place.store.read_bodies(B, [stored_body(0, "").ref]).values()
    return found


class KeepsItsToken(DirectoryBlobs):
    """A folder that does not notice that a blob is written again."""

    def _touched(self, name: str) -> bool:
        return (Path(self._where) / name).exists()


def test_a_folder_that_keeps_its_tokens_is_caught(tmp_path: Path) -> None:
    place = Place("folder", tmp_path)
    faulty = KeepsItsToken.open(tmp_path / "blobs", create=False)
    place.store = SealedStore(place.inner, place.store._at_rest, faulty)

    with pytest.raises(AssertionError):
        test_a_blob_that_is_named_after_the_marking_is_not_taken(place)


def test_many_blobs_are_judged_in_stretches(place: Place) -> None:
    for version in range(9):
        place.say("A", version, f"{version}")
        if version == 5:
            place.forget()

    swept = sweep(place.blobs, [body_roots(place.inner)], now_ms=SOON, blobs_per_stretch=2)
    assert swept == _swept(3, 3, 6)


# A fork


def test_a_fork_shares_blobs_as_they_lie(place: Place) -> None:
    """Bodies are copied sealed: nothing is opened, and the blob is written again, not anew."""
    place.say("A", 0, "said before the fork")
    (ref,) = place.inner._streams[A.key].bodies
    lain = place.inner.read_bodies(A, [ref])[ref]
    (before,) = place.blobs.page(FIRST_ADDRESS, 9)
    place.store.append([an_append(B, 0, bodies=(lain,))])
    (after,) = place.blobs.page(FIRST_ADDRESS, 9)

    assert body_of_b(place) == stored_body(0, "said before the fork")
    assert after.address == before.address
    assert after.token != before.token
    lost = attrs.evolve(lain, content=bytes(32), ref=attrs.evolve(ref, position=Position(1)))
    error = refused(SealBroken, lambda: place.store.append([an_append(B, 1, bodies=(lost,))]))
    assert "missing" in error.reason


def test_a_log_that_moved_to_a_folder_still_reads_its_table(tmp_path: Path) -> None:
    inner = MemoryStore()
    sealed(inner, "all").append([an_append(A, 0, bodies=(stored_body(0, "in the table"),))])
    store = sealed(inner, "all", tmp_path / "blobs")
    store.append([an_append(A, 1, bodies=(stored_body(1, "in the folder"),))])

    assert body_of(store, 0) == stored_body(0, "in the table")
    assert body_of(store, 1) == stored_body(1, "in the folder")
    refused(SealBroken, lambda: body_of(sealed(inner, "all"), 1))


def test_what_is_not_sealed_passes_through(place: Place) -> None:
    store = place.store
    store.announce([A])
    with closing(store.changes()):
        assert store.clock() is None
    assert store.waits_for is place.inner.waits_for
    assert store.trim_activity(A, DEFAULT_WINDOW, 1) == 0
    assert store.inner is place.inner
    assert store.where == place.inner.where
    assert store.statistics() == place.inner.statistics()


# Killed


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _child(call: str) -> "subprocess.Popen[str]":
    code = f"from tests.log.sealed_stores import *\n{call}"
    command = [sys.executable, "-c", code]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_a_crash_between_blob_and_facts_leaves_a_file_that_is_swept(tmp_path: Path) -> None:
    folder = tmp_path / "blobs"
    with _child(f"die_between_blob_and_facts({str(folder)!r})") as child:
        assert child.wait() == -signal.SIGKILL
    with closing(DirectoryBlobs.open(folder, create=False)) as blobs:
        assert len(blobs.page(FIRST_ADDRESS, 9)) == 1
        assert sweep(blobs, [body_roots(MemoryStore())], now_ms=SOON) == _swept(0, 0, 1)
        assert _names(folder) == ["lock"]


@pytest.mark.parametrize("kind", ["folder", "table"])
def test_after_a_kill_every_body_that_was_acknowledged_is_there(tmp_path: Path, kind: str) -> None:
    database, folder = tmp_path / "log.db", tmp_path / "blobs"
    call = f"die_in_the_middle_of_many({str(database)!r}, {str(folder)!r}, {kind!r})"
    acknowledged = 0
    with _child(call) as child:
        assert child.stdout is not None
        for line in child.stdout:
            acknowledged = int(line)
            if acknowledged == 12:
                child.kill()
    assert acknowledged >= 12
    inner = SQLiteStore.open(database, create=False)
    store = sealed(inner, "all", folder if kind == "folder" else None)
    head = store.head(A)
    assert head is not None
    assert acknowledged < head.version < RECORDS_PER_PAGE
    blobs = DirectoryBlobs.open(folder, create=True) if kind == "folder" else TableBlobs(inner)
    swept = sweep(blobs, [body_roots(inner)], now_ms=SOON)
    assert swept.retained_count == head.version
    for version in range(head.version):
        assert body_of(store, version) == stored_body(version, f"{version} " * 2_000)
    store.close()


# A folder, and what else may lie in it


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[DirectoryBlobs]:
    made = DirectoryBlobs.open(tmp_path / "a" / "b", create=True)
    yield made
    made.close()


BLOB = Blob.of(b"content")
NAME = BLOB.address.hex()


def test_no_sweep_begins_while_blobs_are_held(folder: DirectoryBlobs) -> None:
    lock = Path(folder._where) / "lock"
    with folder.holding([BLOB]), lock.open() as file:
        with pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        other = DirectoryBlobs.open(folder._where, create=False)
        with closing(other), other.holding([Blob.of(b"beside it")]):
            pass
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert len(folder.page(FIRST_ADDRESS, 9)) == 2


def test_files_are_for_their_owner_alone(folder: DirectoryBlobs) -> None:
    with folder.holding([BLOB]):
        pass

    where = Path(folder._where)
    modes = [path.stat().st_mode & 0o777 for path in (where, where / NAME, where / "lock")]
    assert modes == [0o700, 0o600, 0o600]


def test_files_and_folder_are_brought_to_the_disk_before_the_facts(
    folder: DirectoryBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, rename = os.fsync, os.rename

    def synced(file: int) -> None:
        done.append("folder" if file == folder._folder else "file")
        fsync(file)

    def renamed(source: str, target: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        done.append("rename")
        rename(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "rename", renamed)
    with folder.holding([BLOB]):
        done.append("facts")
    with folder.holding([BLOB]):
        done.append("facts")

    assert done == ["file", "rename", "folder", "facts", "file", "folder", "facts"]


def _link(where: Path) -> None:
    secret = where.parent / "secret"
    secret.write_bytes(b"secret")
    (where / NAME).symlink_to(secret)


def _folder(where: Path) -> None:
    (where / NAME).mkdir()


def _pipe(where: Path) -> None:
    os.mkfifo(where / NAME)


def _dangling_link(where: Path) -> None:
    (where / NAME).symlink_to(where / "nothing")


HOSTILE: Sequence[Callable[[Path], object]] = (_link, _folder, _pipe, _dangling_link)


@pytest.mark.parametrize("plant", HOSTILE)
def test_what_is_no_file_is_neither_read_nor_written_nor_deleted(
    folder: DirectoryBlobs, plant: Callable[[Path], object]
) -> None:
    where = Path(folder._where)
    plant(where)

    refused(StoreFailed, lambda: folder.read([BLOB.address]))
    refused(StoreFailed, lambda: folder.holding([BLOB]).__enter__())
    listed = folder.page(FIRST_ADDRESS, 9)
    assert folder.delete(listed) == 0
    assert os.path.lexists(where / NAME)


def test_strangers_are_left_alone(folder: DirectoryBlobs) -> None:
    where = Path(folder._where)
    names = ["README", NAME.upper(), NAME + "0", f"{NAME}.new", ".hidden", "\u00e9"]
    for name in names:
        (where / name).write_bytes(b"x")

    assert folder.page(FIRST_ADDRESS, 9) == ()
    assert sweep(folder, [], now_ms=SOON) == _swept(0, 0, 0)
    assert set(names) <= set(_names(where))


def test_half_written_files_go_when_they_are_old(folder: DirectoryBlobs) -> None:
    where = Path(folder._where)
    old, young = (where / f"{NAME}.{digit * 16}.new" for digit in "01")
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    folder.page(BLOB.address, 9)
    assert old.exists()
    folder.page(FIRST_ADDRESS, 9)

    assert not old.exists()
    assert young.exists()


def test_a_file_that_cannot_be_written_leaves_nothing(
    folder: DirectoryBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", full)

    error = refused(StoreFailed, lambda: folder.holding([BLOB]).__enter__())
    assert "No space left" in error.summary()
    assert _names(Path(folder._where)) == ["lock"]


def test_a_file_that_is_too_large_is_not_read(
    folder: DirectoryBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    with folder.holding([BLOB]):
        pass
    monkeypatch.setattr("lash_es.log.stores.directory_blobs.FILE_BYTES_MAX", 3)

    refused(StoreFailed, lambda: folder.read([BLOB.address]))


def test_a_blob_that_went_meanwhile_is_not_counted(folder: DirectoryBlobs) -> None:
    gone = KeptBlob(address=BLOB.address, token=1, at_ms=1)

    assert folder.delete([gone]) == 0
    assert dict(folder.read([BLOB.address])) == {}


def test_a_folder_that_is_not_there_is_not_made_unasked(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    refused(StoreUnavailable, lambda: DirectoryBlobs.open(tmp_path / "none", create=False))
    refused(StoreUnavailable, lambda: DirectoryBlobs.open(tmp_path / "file", create=True))
    refused(StoreUnavailable, lambda: DirectoryBlobs.open("nul\0", create=True))


def test_a_folder_that_was_closed_says_so(folder: DirectoryBlobs) -> None:
    folder.close()

    refused(StoreFailed, lambda: folder.read([BLOB.address]))
    refused(StoreFailed, lambda: folder.page(FIRST_ADDRESS, 1))


def test_where_files_cannot_be_locked_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(blob_folder(tmp_path, create=True)) as opened:
        assert isinstance(opened, DirectoryBlobs)
    monkeypatch.delitem(sys.modules, "lash_es.log.stores.directory_blobs")
    monkeypatch.setitem(sys.modules, "fcntl", None)

    error = refused(StoreUnavailable, lambda: blob_folder(tmp_path))
    assert "needs fcntl" in error.summary()
