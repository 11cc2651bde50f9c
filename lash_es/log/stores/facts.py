"""Records as the library's stored events: key, position, wire name, digest and header in one."""

from collections.abc import Sequence

from eventsourcing.persistence import StoredEvent

from lash_es.codec.records import DIGEST_BYTES, Record
from lash_es.core.ids import Position
from lash_es.core.makers import maker
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


_record = maker(Record)


def stored_record(event: StoredEvent) -> Record:
    """Turn one of the library's events back into a record, unchecked."""
    return row_record(event.originator_version, event.topic, event.state)


def row_record(position: int, topic: str, state: bytes) -> Record:
    """Turn a row of ``stored_events`` back into a record, unchecked."""
    # A row whose state someone replaced by text must fail its digest, not this function.
    state = state if type(state) is bytes else b""
    return _record(
        position=Position(position),
        name=topic,
        digest=state[:DIGEST_BYTES],
        header=state[DIGEST_BYTES:],
    )
