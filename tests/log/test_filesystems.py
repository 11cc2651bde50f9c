"""A SQLite log is on a disk of this machine, unless its host says that it knows better."""

from pathlib import Path

import pytest

from lash_es.log.errors import StoreUnavailable
from lash_es.log.stores import filesystems
from lash_es.log.stores.filesystems import MOUNTS, filesystem_of
from lash_es.log.stores.sqlite import SQLiteStore

TOLD = """\
21 1 254:0 / / rw,relatime - ext4 /dev/vda rw
22 21 0:20 / /mnt rw shared:1 - tmpfs tmpfs rw
23 22 0:30 / /mnt/far\\040away rw shared:2 master:1 - nfs4 server:/export rw
24 22 0:31 / /mnt/twice rw - cifs //server/share rw
25 24 0:32 / /mnt/twice rw - ext4 /dev/vdb rw
26 22 0:33 / /mnt/home rw - fuse.sshfs me@server: rw
"""


@pytest.fixture
def mounts(tmp_path: Path) -> Path:
    made = tmp_path / "mountinfo"
    made.write_text(TOLD)
    return made


@pytest.mark.parametrize(
    ("directory", "kind"),
    [
        ("/", "ext4"),
        ("/mnt", "tmpfs"),
        ("/mnt/far away/logs", "nfs4"),
        ("/mnt/far", "tmpfs"),
        ("/mnt/twice", "ext4"),
        ("/mnt/home/x/y", "fuse.sshfs"),
    ],
)
def test_the_deepest_and_latest_mount_counts(mounts: Path, directory: str, kind: str) -> None:
    assert filesystem_of(Path(directory), mounts) == kind


def test_a_path_through_a_link_is_where_the_link_leads(mounts: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/mnt/far away")

    assert filesystem_of(tmp_path / "link" / "logs", mounts) == "nfs4"


def test_where_nobody_tells_nothing_is_refused(tmp_path: Path) -> None:
    assert filesystem_of(tmp_path, tmp_path / "missing") is None
    (tmp_path / "empty").touch()
    assert filesystem_of(tmp_path, tmp_path / "empty") is None


@pytest.mark.parametrize("create", [True, False])
def test_a_log_over_a_network_is_refused_unless_asked_for(
    mounts: Path, monkeypatch: pytest.MonkeyPatch, create: bool
) -> None:
    place = mounts.parent
    SQLiteStore.open(place / "log.db", create=True).close()
    mounts.write_text(f"{TOLD}27 21 0:34 / {place} rw - nfs server:/x rw\n")
    monkeypatch.setattr(filesystems, "MOUNTS", mounts)

    with pytest.raises(StoreUnavailable, match=r"network file system \(nfs\)"):
        SQLiteStore.open(place / "log.db", create=create)
    SQLiteStore.open(place / "log.db", create=create, allow_network_filesystem=True).close()


def test_this_machine_tells_where_its_temporary_files_are(tmp_path: Path) -> None:
    assert (filesystem_of(tmp_path) is not None) is MOUNTS.exists()
