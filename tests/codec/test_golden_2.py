"""What was written in record format 2 is read for ever, and is written the same way today."""

import base64
import hashlib
import json

from lash_es.codec.records import Caused, Record, decode_event, decode_header, encode_records
from lash_es.codec.trims import TrimContent, decode_trim_content, encode_trim_content
from lash_es.codec.wire_names import EVENT_CLASSES, EVENT_NAMES
from lash_es.core.ids import Position
from lash_es.core.trims import BodyPage, CommitPage, IndexPage, KeptState
from tests.codec import golden_2, golden_inputs
from tests.log.tapes import STREAM


def _records() -> list[Record]:
    stored = [
        (line, base64.b64decode(str(line["stored"])))
        for line in golden_2.lines()
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


def test_golden_records_decode_and_encode_to_the_same_bytes() -> None:
    before = bytes(32)
    for record in _records():
        assert record.digest == hashlib.sha256(b"lash-es/1" + before + record.header).digest()
        header = decode_header(STREAM, record)
        event = decode_event(header)
        facts = [Caused(event=event, cause=header.cause)]

        assert type(event) is EVENT_CLASSES[record.name]
        assert encode_records(STREAM, record.position, before, header.append_id, facts) == (
            record,
        )
        before = record.digest


def test_golden_bodies_of_trims_decode_and_encode_to_the_same_bytes() -> None:
    found: list[TrimContent] = []
    for line in golden_2.lines():
        if "body" in line:
            salt = base64.b64decode(str(line["salt"]))
            stored = base64.b64decode(str(line["stored"]))
            found.append(decode_trim_content(stored, str(line["body"])))
            again = encode_trim_content(found[-1], salt)
            if not isinstance(found[-1], KeptState):  # States have more to say by now.
                assert (again.content, again.media_type) == (stored, line["body"])

    assert {type(content) for content in found} == {KeptState, IndexPage, CommitPage, BodyPage}
    states = [type(each.state).__name__ for each in found if isinstance(each, KeptState)]
    assert states == ["Open", "Open", "Deleted"]


def test_golden_trims_commit_to_their_bodies() -> None:
    committed = {
        record.position: [body["digest"] for body in json.loads(record.header)["bodies"]]
        for record in _records()
        if record.name == "history.trimmed"
    }
    stored: dict[int, list[str]] = {position: [] for position in committed}
    for line in golden_2.lines():
        if "body" in line:
            parts = (base64.b64decode(str(line[part])) for part in ("salt", "stored"))
            digest = hashlib.sha256(b"".join(parts)).hexdigest()
            stored[int(line["position"])].append(digest)

    assert stored == committed
    assert len(stored) == 3


def test_the_golden_file_holds_every_event() -> None:
    events = {name for name, _ in EVENT_NAMES.values()}
    events -= golden_inputs.names()
    assert {record.name for record in _records()} == events


def test_the_same_life_is_written_today() -> None:
    today = [record.name for record, _ in golden_2.life()]

    # Their names: what a trim commits to holds a state, and those have more to say by now.
    assert today == [record.name for record in _records()]
