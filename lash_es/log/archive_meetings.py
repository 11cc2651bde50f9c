"""
Where an archived stream meets the one in a store: there both have to be the same, or one follows
the other.
"""

from attrs import frozen

from lash_es.codec.records import Record, chain_digest
from lash_es.codec.streams import StreamId
from lash_es.core.ids import Position
from lash_es.log.archive_lines import StreamLine
from lash_es.log.port import Store, StreamHead
from lash_es.log.retaining import StreamDiffers


@frozen(kw_only=True)
class Meeting:
    """
    The archived fact at ``position`` must have ``digest``, or be followed by ``follower``; without
    a position nothing is left to compare.
    """

    position: Position | None = None
    digest: bytes = b""
    follower: Record | None = None

    def require_same(self, stream: StreamId, record: Record) -> None:
        """
        Compare an archived fact, if it is the one.

        Raises:
            StreamDiffers: the store holds another one there.
        """
        if record.position != self.position:
            return
        if self.follower is None:
            if record.digest != self.digest:
                raise differs(stream, record.position, "another fact is there")
        elif chain_digest(record.digest, self.follower.header) != self.follower.digest:
            raise differs(stream, record.position, "what is there does not follow it")


def meet(store: Store, stream: StreamId, line: StreamLine) -> Meeting:
    """
    Find where both meet.

    Raises:
        StreamDiffers: they are another one's, or there is a gap between them.
    """
    head = store.head(stream)
    if line.is_whole:
        return Meeting() if head is None else _meet_whole(store, head, line)
    if head is None or head.oldest > line.end:
        reason = "what follows the archive is not there: that has to be restored first"
        raise differs(stream, Position(line.end), reason)
    if head.oldest <= line.first:
        return _there(store, head, line)
    (follower,) = store.read(stream, head.oldest, 1)
    return Meeting(position=Position(head.oldest - 1), follower=follower)


def _meet_whole(store: Store, head: StreamHead, line: StreamLine) -> Meeting:
    if head.version >= line.end:
        return _there(store, head, line)
    if head.version > line.first:
        return Meeting(position=Position(head.version - 1), digest=head.digest)
    if head.version < line.first or head.digest != bytes.fromhex(line.before):
        raise differs(head.stream, Position(head.version), "the archive does not follow it")
    return Meeting()


def _there(store: Store, head: StreamHead, line: StreamLine) -> Meeting:
    """Compare the last fact of an archive all of which is there."""
    last = Position(line.end - 1)
    found = [each.digest for each in store.read(head.stream, last, 1) if each.position == last]
    if found != [bytes.fromhex(line.digest)]:
        raise differs(head.stream, last, "another fact is there, or none any more")
    return Meeting()


def differs(stream: StreamId, position: Position, reason: str) -> StreamDiffers:
    """Say where a store holds something else."""
    return StreamDiffers(session_id=stream.session_id, position=position, reason=reason)
