"""
On which file system a directory is, as Linux tells it.

SQLite's write-ahead log needs shared memory and locks that all its users see alike; over a network
there is neither, and a log would be damaged in silence. So the types that are known to be remote
are refused. Elsewhere than on Linux nobody tells, and nothing is refused.
"""

import re
from pathlib import Path
from typing import Final

from lash_es.log.errors import StoreUnavailable

MOUNTS: Final = Path("/proc/self/mountinfo")
NETWORK: Final = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ncpfs", "ceph", "lustre", "gpfs"),
        *("fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.s3fs", "fuse.rclone", "fuse.davfs2"),
    }
)
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")


def filesystem_of(directory: Path, mounts: Path | None = None) -> str | None:
    """
    Return the type of the file system that a directory is on; none if nobody tells.

    The deepest mount holds the directory; of two on one place the later one hides the other.
    """
    try:
        place = f"{directory.resolve()}/"
        lines = (mounts or MOUNTS).read_text("utf-8", errors="surrogateescape").splitlines()
    except (OSError, ValueError):  # A name with a NUL is no place at all.
        return None
    found: tuple[int, str] | None = None
    for line in lines:
        mount, _, kind = line.partition(" - ")
        # As texts: a path object for each mount was a quarter of opening a log.
        point = _ESCAPED.sub(_unescaped, mount.split(" ")[4]).rstrip("/") + "/"
        if place.startswith(point) and (found is None or len(point) >= found[0]):
            found = (len(point), kind.split(" ")[0])
    return None if found is None else found[1]


def _unescaped(found: re.Match[str]) -> str:
    return chr(int(found[1], 8))


def require_local(path: Path) -> None:
    """
    Refuse a database file on a network file system.

    Raises:
        StoreUnavailable: it would be on one.
    """
    kind = filesystem_of(path.parent)
    if kind in NETWORK:
        reason = f"it is on a network file system ({kind}), where SQLite's locks do not hold"
        raise StoreUnavailable(where=str(path), reason=reason)
