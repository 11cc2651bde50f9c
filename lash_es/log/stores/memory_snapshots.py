"""Snapshots in memory: which of them is read, and which go when another one comes."""

from collections.abc import Iterable

import attrs

from lash_es.core.ids import Version
from lash_es.log.appends import StoredSnapshot


def newest(snapshots: Iterable[StoredSnapshot], version_max: Version) -> StoredSnapshot | None:
    """Return the newest of at most that version."""
    fitting = (each for each in snapshots if each.version <= version_max)
    return max(fitting, key=lambda each: each.version, default=None)


def replaced(
    snapshots: Iterable[StoredSnapshot], new: StoredSnapshot
) -> tuple[StoredSnapshot, ...]:
    """Add one, without all but the newest one before it; what is kept stays."""
    every = tuple(snapshots)
    passing = (each for each in every if not each.is_kept)
    before = newest(passing, Version(new.version - 1))
    return kept((each for each in every if each.is_kept or each is before), new)


def unsuperseded(snapshots: Iterable[StoredSnapshot]) -> tuple[StoredSnapshot, ...]:
    """Leave the newest, and what was asked for."""
    every = tuple(snapshots)
    last = max((each.version for each in every), default=Version(0))
    return tuple(each for each in every if each.is_kept or each.version == last)


def kept(snapshots: Iterable[StoredSnapshot], new: StoredSnapshot) -> tuple[StoredSnapshot, ...]:
    """Add one in place of one of its version, which may have been asked for."""
    every = tuple(snapshots)
    is_kept = any(each.is_kept for each in (*every, new) if each.version == new.version)
    others = (each for each in every if each.version != new.version)
    return (*others, attrs.evolve(new, is_kept=is_kept))
