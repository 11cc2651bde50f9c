"""Records as the library's stored events: key, position, wire name, digest and header in one."""

from collections.abc import Sequence

from eventsourcing.persistence import StoredEvent

from lash_es.codec.records import DIGEST_BYTES, Record
from lash_es.core.ids import Position
from lash_es.log.appends import StreamAppend


def stored_events(append: StreamAppend) -> Sequence[StoredEvent]:
    """Turn an append's records into rows of ``stored_events``."""
    key = append.stream.key
    return [
        StoredEvent(
            originator_id=key,
            originator_version=record.position,
            topic=record.name,
            state=record.stored,
        )
        for record in append.records
    ]


def stored_record(event: StoredEvent) -> Record:
    """Turn a row of ``stored_events`` back into a record, unchecked."""
    # A row whose state someone replaced by text must fail its digest, not this function.
    state = event.state if type(event.state) is bytes else b""
    return Record(
        position=Position(event.originator_version),
        name=event.topic,
        digest=state[:DIGEST_BYTES],
        header=state[DIGEST_BYTES:],
    )
