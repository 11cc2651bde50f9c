"""What was written in record format 2 is read for ever; the newest is written that way today."""

import base64
import hashlib
import json
from pathlib import Path
from typing import get_args

import pytest

from lash_es.codec.records import Caused, Record, decode_event, decode_header, encode_records
from lash_es.codec.trims import TrimContent, decode_trim_content, encode_trim_content
from lash_es.codec.wire_names import BODY_TYPES, EVENT_CLASSES, EVENT_NAMES
from lash_es.core.events import Event
from lash_es.core.fork_events import SessionForked
from lash_es.core.graph_events import LeafMoved, SessionBegunAnew
from lash_es.core.ids import Position
from lash_es.core.trims import BodyPage, CommitPage, IndexPage, KeptState
from lash_es.core.work_events import WorkEvent
from tests.codec import golden_2, golden_3, golden_graph, golden_inputs
from tests.log.tapes import STREAM

SINCE_3: set[type[Event]] = {LeafMoved, SessionBegunAnew}
"""Events that the older files do not have."""

every_file = pytest.mark.parametrize(
    "file", [golden_2.FILE, golden_3.FILE], ids=lambda file: file.stem
)


def _records(file: Path) -> list[Record]:
    stored = [
        (line, base64.b64decode(str(line["stored"])))
        for line in golden_2.lines(file)
        if "record" in line
    ]
    return [
        Record(
            position=Position(int(line["position"])),
            name=str(line["record"]),
            digest=each[:32],
            header=each[32:],
        )
        for line, each in stored
    ]


@every_file
def test_golden_records_decode_and_encode_to_the_same_bytes(file: Path) -> None:
    before = bytes(32)
    for record in _records(file):
        assert record.digest == hashlib.sha256(b"lash-es/1" + before + record.header).digest()
        header = decode_header(STREAM, record)
        event = decode_event(header)
        facts = [Caused(event=event, cause=header.cause)]

        assert type(event) is EVENT_CLASSES[record.name]
        assert encode_records(STREAM, record.position, before, header.append_id, facts) == (
            record,
        )
        before = record.digest


@every_file
def test_golden_bodies_of_trims_decode_and_encode_to_the_same_bytes(file: Path) -> None:
    found: list[TrimContent] = []
    for line in golden_2.lines(file):
        if "body" in line:
            salt = base64.b64decode(str(line["salt"]))
            stored = base64.b64decode(str(line["stored"]))
            found.append(decode_trim_content(stored, str(line["body"])))
            again = encode_trim_content(found[-1], salt)
            # What an older version leaves out has its default, and is written from now on.
            assert decode_trim_content(again.content, again.media_type) == found[-1]
            if line["body"] == again.media_type:
                assert again.content == stored

    assert {type(content) for content in found} == {KeptState, IndexPage, CommitPage, BodyPage}
    states = [type(each.state).__name__ for each in found if isinstance(each, KeptState)]
    assert states == ["Open", "Open", "Deleted"]


@every_file
def test_golden_trims_commit_to_their_bodies(file: Path) -> None:
    committed = {
        record.position: [body["digest"] for body in json.loads(record.header)["bodies"]]
        for record in _records(file)
        if record.name == "history.trimmed"
    }
    stored: dict[int, list[str]] = {position: [] for position in committed}
    for line in golden_2.lines(file):
        if "body" in line:
            parts = (base64.b64decode(str(line[part])) for part in ("salt", "stored"))
            digest = hashlib.sha256(b"".join(parts)).hexdigest()
            stored[int(line["position"])].append(digest)

    assert stored == committed
    assert len(stored) == 3


@every_file
def test_the_golden_file_holds_every_event(file: Path) -> None:
    later = {SessionForked, *get_args(WorkEvent), *(SINCE_3 if file == golden_2.FILE else ())}
    expected = {name for kind, (name, _) in EVENT_NAMES.items() if kind not in later}
    expected -= golden_inputs.names() | golden_graph.names()

    assert {record.name for record in _records(file)} == expected


def test_the_same_life_is_written_today() -> None:
    today = [record.stored for record, _ in golden_2.life()]

    assert today == [record.stored for record in _records(golden_3.FILE)]


def test_the_newest_golden_file_holds_the_newest_bodies() -> None:
    kinds = (KeptState, IndexPage, CommitPage, BodyPage)
    newest = {"{};v={}".format(*BODY_TYPES[kind]) for kind in kinds}

    assert {line["body"] for line in golden_2.lines(golden_3.FILE) if "body" in line} == newest
