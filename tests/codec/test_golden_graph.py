"""What was written of frames, added messages and tombstones is read for ever."""

import base64
import hashlib

import attrs

from lash_es.codec.records import Caused, Record, decode_event, decode_header, encode_records
from lash_es.codec.snapshots import decode_snapshot, encode_snapshot
from lash_es.codec.wire_names import EVENT_CLASSES
from lash_es.core.frames import PLAIN_GRAPH
from lash_es.core.ids import Position
from lash_es.core.state import Open
from lash_es.log.encoding import decode_index_entry, encode_index_row
from tests.codec import golden_graph


def _records() -> list[Record]:
    return [
        Record(
            position=Position(int(line["position"])),
            name=str(line["record"]),
            digest=stored[:32],
            header=stored[32:],
        )
        for line in golden_graph.lines()
        for stored in (base64.b64decode(str(line["stored"])),)
    ]


def test_golden_records_decode_and_encode_to_the_same_bytes() -> None:
    stream, before = golden_graph.STREAM, bytes(32)
    for record in _records():
        assert record.digest == hashlib.sha256(b"lash-es/1" + before + record.header).digest()
        header = decode_header(stream, record)
        event = decode_event(header)
        facts = [Caused(event=event, cause=header.cause)]

        assert type(event) is EVENT_CLASSES[record.name]
        assert encode_records(stream, record.position, before, header.append_id, facts) == (
            record,
        )
        before = record.digest


def test_the_golden_file_holds_every_event_of_its_kind() -> None:
    assert {record.name for record in _records()} >= golden_graph.names()


def test_the_same_life_is_written_today() -> None:
    written = [record for append in golden_graph.life().appends for record in append.records]

    assert written == _records()


def test_its_index_entries_are_read_as_they_were_written() -> None:
    entries = golden_graph.life().entries
    kinds = {key.kind.value for key in entries}

    assert kinds >= {"frame", "append", "tombstone"}
    for key, entry in entries.items():
        assert decode_index_entry(key, encode_index_row(key, entry).value) == entry


def test_a_state_in_a_frame_is_kept_whole_and_one_without_as_it_was_before() -> None:
    folded = golden_graph.life().folded
    assert isinstance(folded.state, Open)
    assert folded.state.graph.frame is not None

    kept = encode_snapshot(folded.state, folded.digest)

    assert b'"graph":{' in kept
    assert decode_snapshot(kept, folded.digest) == folded.state
    plain = attrs.evolve(folded.state, graph=PLAIN_GRAPH)
    assert b'"graph"' not in encode_snapshot(plain, folded.digest)
    assert decode_snapshot(encode_snapshot(plain, folded.digest), folded.digest) == plain
