"""
Which blobs nobody names any more, and away with them: marked from every root, then swept.

1. List a stretch of blobs, each with its token.
2. Ask every root what it names.
3. Delete what was not named, is older than the grace, and has the token that was listed.

An append that names a blob writes it, too, and that changes its token. So a blob that is named
after step 2 has another token in step 3, whatever any clock says; and one that is named before,
was marked. The grace is for an append whose outcome is still unknown.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeAlias

from attrs import frozen

from lash_es.log.blobs import FIRST_ADDRESS, Address, Blobs, KeptBlob
from lash_es.log.port import Store

GRACE_MS: Final = 3_600_000
BLOBS_PER_STRETCH: Final = 16_384
"""How many blobs are judged at once: each stretch costs a look at every root."""
NAMES_PER_PAGE: Final = 1_024
BLOBS_PER_DELETE: Final = 256

Roots: TypeAlias = Callable[[], Iterable[Address]]
"""Lists every address that something names; asked once for each stretch."""


@frozen(kw_only=True)
class Swept:
    """
    What a sweep came to. ``roots_count`` are the addresses that were named, in the last stretch;
    ``retained_count`` the blobs that are still there.
    """

    roots_count: int
    retained_count: int
    deleted_count: int


class TableBlobs:
    """The blobs that are kept in a store's own table."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def page(self, after: Address, blobs_max: int) -> tuple[KeptBlob, ...]:
        """List blobs: one that an append is about to name is in the same transaction."""
        return self._store.read_blob_page(after, blobs_max)

    def delete(self, kept: Sequence[KeptBlob]) -> int:
        """Delete those whose token is unchanged."""
        return self._store.delete_blobs(kept)


def body_roots(store: Store) -> Roots:
    """Name what bodies of all streams name."""

    def names() -> Iterator[Address]:
        after = FIRST_ADDRESS
        while page := store.read_blob_names(after, NAMES_PER_PAGE):
            yield from page
            after = page[-1]

    return names


def sweep(
    blobs: Blobs,
    roots: Sequence[Roots],
    *,
    now_ms: int,
    grace_ms: int = GRACE_MS,
    blobs_per_stretch: int = BLOBS_PER_STRETCH,
) -> Swept:
    """
    Delete the blobs that no root names. Every log that names blobs of this place must be a root.

    Cost: a page and every root once per 16 384 blobs, one transaction per 256 deleted.
    """
    roots_count = listed_count = deleted_count = 0
    after = FIRST_ADDRESS
    while stretch := blobs.page(after, blobs_per_stretch):
        named = {address for each in roots for address in each()}
        roots_count = len(named)
        listed_count += len(stretch)
        loose = [
            kept
            for kept in stretch
            if kept.address not in named and kept.at_ms < now_ms - grace_ms
        ]
        deleted_count += _delete(blobs, loose)
        after = stretch[-1].address
    return Swept(
        roots_count=roots_count,
        retained_count=listed_count - deleted_count,
        deleted_count=deleted_count,
    )


def _delete(blobs: Blobs, loose: Sequence[KeptBlob]) -> int:
    firsts = range(0, len(loose), BLOBS_PER_DELETE)
    return sum(blobs.delete(loose[first : first + BLOBS_PER_DELETE]) for first in firsts)
