"""What was written in record format 1 is read for ever, and is written the same way today."""

import base64
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

from lash_es.codec.contents import Content, decode_content, encode_content
from lash_es.codec.records import Caused, Record, decode_event, decode_header, encode_records
from lash_es.codec.streams import StreamId
from lash_es.codec.wire_names import BODY_TYPES, EVENT_CLASSES, EVENT_NAMES
from lash_es.core.batches import WorkItem
from lash_es.core.descriptions import SessionDescribed
from lash_es.core.events import HistoryTrimmed
from lash_es.core.fork_events import SessionForked
from lash_es.core.graph_events import GraphEvent
from lash_es.core.ids import Position, SessionId
from lash_es.core.work_events import WorkEvent
from tests.codec import golden, golden_inputs

ROOT = Path(__file__).parents[2]
BODY_CLASSES: dict[str, type[Content]] = {BODY_TYPES[kind][0]: kind for kind in get_args(Content)}


def _records() -> list[tuple[StreamId, Record]]:
    found: list[tuple[StreamId, Record]] = []
    for line in golden.lines():
        if "record" in line:
            stored = base64.b64decode(str(line["stored"]))
            record = Record(
                position=Position(int(line["position"])),
                name=str(line["record"]),
                digest=stored[:32],
                header=stored[32:],
            )
            stream = StreamId(str(line["namespace"]), SessionId(str(line["session"])))
            found.append((stream, record))
    return found


def test_golden_records_form_a_chain() -> None:
    before = bytes(32)
    for _, record in _records():
        before = hashlib.sha256(b"lash-es/1" + before + record.header).digest()
        assert record.digest == before


def test_golden_records_decode_and_encode_to_the_same_bytes() -> None:
    before = bytes(32)
    for stream, record in _records():
        header = decode_header(stream, record)
        event = decode_event(header)
        facts = [Caused(event=event, cause=header.cause)]
        again = encode_records(stream, record.position, before, header.append_id, facts)
        plain = json.loads(record.header)

        assert type(event) is EVENT_CLASSES[record.name]
        assert again == (record,)
        assert (header.recorded_at_ms, header.cause, header.generation) == (
            plain["at"],
            plain["cause"],
            plain["gen"],
        )
        before = record.digest


def test_golden_bodies_decode_and_encode_to_the_same_bytes() -> None:
    found: list[Content] = []
    for line in golden.lines():
        if "body" in line:
            stored, media_type = base64.b64decode(str(line["stored"])), str(line["body"])
            content = decode_content(
                stored, media_type, BODY_CLASSES[media_type.split(";", maxsplit=1)[0]]
            )
            again = encode_content(content, b"")
            assert (again.content, again.media_type) == (stored, media_type)
            found.append(content)

    assert tuple(found) == golden.CONTENTS


def test_the_golden_file_holds_every_event_and_body() -> None:
    # The others have golden files of their own.
    later = {
        HistoryTrimmed,
        SessionDescribed,
        SessionForked,
        *get_args(GraphEvent),
        *get_args(WorkEvent),
    }
    events = {name for kind, (name, _) in EVENT_NAMES.items() if kind not in later}
    events -= golden_inputs.names()
    assert {record.name for _, record in _records()} == events
    bodies = {str(line["body"]) for line in golden.lines() if "body" in line}
    contents = (BODY_TYPES[kind] for kind in get_args(Content) if kind not in get_args(WorkItem))
    assert bodies == {f"{name};v={version}" for name, version in contents}


def test_the_golden_file_is_ascii_in_one_line_each() -> None:
    assert golden.FILE.read_bytes().endswith(b"\n")
    assert golden.FILE.read_bytes().isascii()


def test_the_same_commands_make_the_same_bytes_whatever_the_hash_seed() -> None:
    code = (
        "from tests.log.tapes import play; from lash_es.log.stores.memory import MemoryStore; "
        "print(play(MemoryStore()).folded.digest.hex())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("0", "4711")
    }

    assert digests == {_records()[-1][1].digest.hex()}
