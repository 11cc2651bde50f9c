"""What was written of queued work is read for ever, and is written the same way today."""

import base64
import hashlib
from typing import get_args

import attrs

from lash_es.codec.contents import StoredContent, decode_content, encode_content
from lash_es.codec.records import Caused, Record, decode_event, decode_header, encode_records
from lash_es.codec.snapshots import decode_snapshot, encode_snapshot
from lash_es.codec.wire_names import BODY_TYPES, EVENT_CLASSES, EVENT_NAMES
from lash_es.core.batches import WorkItem
from lash_es.core.ids import Position
from lash_es.core.state import Open
from lash_es.core.work import NO_WORK
from lash_es.core.work_events import WorkEvent
from tests.codec import golden_work

KINDS: dict[str, type[StoredContent]] = {BODY_TYPES[kind][0]: kind for kind in get_args(WorkItem)}
WORK_NAMES = {EVENT_NAMES[kind][0] for kind in get_args(WorkEvent)}


def _records() -> list[Record]:
    found: list[Record] = []
    for line in golden_work.lines():
        if "record" in line:
            stored = base64.b64decode(str(line["stored"]))
            found.append(
                Record(
                    position=Position(int(line["position"])),
                    name=str(line["record"]),
                    digest=stored[:32],
                    header=stored[32:],
                )
            )
    return found


def test_golden_records_decode_and_encode_to_the_same_bytes() -> None:
    stream, before = golden_work.STREAM, bytes(32)
    for record in _records():
        assert record.digest == hashlib.sha256(b"lash-es/1" + before + record.header).digest()
        header = decode_header(stream, record)
        event = decode_event(header)
        facts = [Caused(event=event, cause=header.cause)]
        again = encode_records(stream, record.position, before, header.append_id, facts)

        assert type(event) is EVENT_CLASSES[record.name]
        assert again == (record,)
        before = record.digest


def test_golden_bodies_decode_and_encode_to_the_same_bytes() -> None:
    found: list[StoredContent] = []
    for line in golden_work.lines():
        if "body" in line:
            stored, media_type = base64.b64decode(str(line["stored"])), str(line["body"])
            kind = KINDS[media_type.split(";", maxsplit=1)[0]]
            found.append(decode_content(stored, media_type, kind))
            again = encode_content(found[-1], b"")
            assert (again.content, again.media_type) == (stored, media_type)

    assert tuple(found) == golden_work.CONTENTS


def test_the_golden_file_holds_every_event_and_item_of_queued_work() -> None:
    assert {record.name for record in _records()} >= WORK_NAMES
    bodies = {str(line["body"]) for line in golden_work.lines() if "body" in line}
    assert bodies == {f"{BODY_TYPES[kind][0]};v={BODY_TYPES[kind][1]}" for kind in KINDS.values()}


def test_the_same_life_is_written_today() -> None:
    written = [record for append in golden_work.life().appends for record in append.records]

    assert written == _records()


def test_a_state_with_queued_work_is_kept_whole_and_one_without_as_it_was_before() -> None:
    folded = golden_work.life().folded
    assert isinstance(folded.state, Open)
    assert folded.state.work.batches

    kept = encode_snapshot(folded.state, folded.digest)

    assert b'"work":{' in kept
    assert decode_snapshot(kept, folded.digest) == folded.state
    unworked = attrs.evolve(folded.state, work=NO_WORK)
    assert b'"work"' not in encode_snapshot(unworked, folded.digest)
    assert decode_snapshot(encode_snapshot(unworked, folded.digest), folded.digest) == unworked
