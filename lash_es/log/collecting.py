"""
What a store can do without: snapshots that a newer one supersedes, and blobs that nobody names.

No fact is touched, so whatever was there can still be folded.
"""

from collections.abc import Iterator
from typing import Final

from attrs import frozen

from lash_es.codec.streams import StreamId
from lash_es.core.enclosures import AttachmentEntry
from lash_es.core.ids import AttachmentId
from lash_es.core.known import IndexKey, IndexKind
from lash_es.log.encoding import decode_index_entry
from lash_es.log.port import Store, StreamHead
from lash_es.log.sweeping import GRACE_MS, TableBlobs, body_roots, sweep

HEADS_PER_PAGE: Final = 256
DELETED: Final = "deleted"
"""What a head row says of a session that is over."""
ROWS_PER_PAGE: Final = 256


@frozen(kw_only=True)
class Collected:
    """
    What was let go of. A snapshot counts as a blob, and a session that has one as a root, beside
    the addresses that bodies name.
    """

    root_count: int
    retained_blob_count: int
    deleted_blob_count: int


def collect(store: Store, namespace: str, *, now_ms: int, grace_ms: int = GRACE_MS) -> Collected:
    """
    Delete superseded snapshots of every session of a namespace, and the blobs of the store that no
    body names. A blob younger than ``grace_ms`` stays.

    Cost: a transaction for each session; what ``sweep`` costs.
    """
    forgotten = [store.forget_snapshots(head.stream) for head in _heads(store, namespace)]
    swept = sweep(TableBlobs(store), [body_roots(store)], now_ms=now_ms, grace_ms=grace_ms)
    return Collected(
        root_count=sum(each.retained_count > 0 for each in forgotten) + swept.roots_count,
        retained_blob_count=sum(each.retained_count for each in forgotten) + swept.retained_count,
        deleted_blob_count=sum(each.deleted_count for each in forgotten) + swept.deleted_count,
    )


def read_references(store: Store, namespace: str) -> dict[StreamId, tuple[AttachmentId, ...]]:
    """
    List what each session of a namespace holds, intents included; a deleted one holds nothing.

    Cost: a page of heads for 256 sessions, and their rows.
    """
    found = {
        head.stream: tuple(_held(store, head.stream))
        for head in _heads(store, namespace)
        if head.status != DELETED
    }
    return {stream: held for stream, held in found.items() if held}


def _heads(store: Store, namespace: str) -> Iterator[StreamHead]:
    after = ""
    while heads := store.heads(namespace, after=after, heads_max=HEADS_PER_PAGE):
        yield from heads
        after = heads[-1].stream.key


def _held(store: Store, stream: StreamId) -> Iterator[AttachmentId]:
    after = IndexKey(IndexKind.ATTACHMENT, "")
    while rows := store.read_index_page(stream, after, ROWS_PER_PAGE):
        for row in rows:
            entry = decode_index_entry(row.key, row.value)
            if not isinstance(entry, AttachmentEntry):
                return
            if entry.is_held:
                yield entry.attachment.attachment_id
        after = rows[-1].key
