"""What was written of inputs after format 2 is read for ever, and is written so today."""

import base64
import json

from lash_es.codec.records import Record, decode_event, decode_header
from lash_es.codec.trims import decode_trim_content, encode_trim_content
from lash_es.codec.wire_names import EVENT_CLASSES
from lash_es.core.evolve import evolve
from lash_es.core.ids import Position
from lash_es.core.state import NOT_OPENED, Open, State
from lash_es.core.trims import KeptState
from lash_es.core.turns import OpenTurn
from tests.codec import golden_inputs
from tests.codec.golden_inputs import STREAM


def _records() -> list[Record]:
    stored = [
        (line, base64.b64decode(str(line["stored"])))
        for line in golden_inputs.lines()
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


def test_golden_records_of_inputs_decode_and_can_be_folded() -> None:
    state: State = NOT_OPENED
    for record in _records():
        event = decode_event(decode_header(STREAM, record))
        assert type(event) is EVENT_CLASSES[record.name]
        state = evolve(state, event)
    assert golden_inputs.names() <= {record.name for record in _records()}


def test_a_golden_state_in_mid_turn_decodes_and_encodes_to_the_same_bytes() -> None:
    (line,) = (line for line in golden_inputs.lines() if "body" in line)
    stored = base64.b64decode(str(line["stored"]))
    content = decode_trim_content(stored, str(line["body"]))
    again = encode_trim_content(content, golden_inputs.SALT)

    assert (again.content, again.media_type) == (stored, line["body"])
    assert isinstance(content, KeptState)
    assert isinstance(content.state, Open)
    assert isinstance(content.state.turn, OpenTurn)
    assert content.state.turn.delivered_ids == ("i1",)


def test_the_same_life_of_inputs_is_written_today() -> None:
    records, kept = golden_inputs.life()
    today = [*(record.stored for record in records), kept.content]

    assert today == [base64.b64decode(str(line["stored"])) for line in golden_inputs.lines()]


def test_a_state_of_version_1_was_told_nothing_and_counted_nothing() -> None:
    (line,) = (line for line in golden_inputs.lines() if "body" in line)
    plain = json.loads(base64.b64decode(str(line["stored"])))
    del plain["turn"]["delivered_ids"], plain["inputs"]["settled_count"]
    del plain["inputs"]["pruned_below"]
    content = decode_trim_content(json.dumps(plain).encode(), "lash/kept-state;v=1")

    assert isinstance(content, KeptState)
    assert isinstance(content.state, Open)
    assert isinstance(content.state.turn, OpenTurn)
    assert content.state.turn.delivered_ids == ()
    inputs = content.state.inputs
    assert (inputs.settled_count, inputs.pruned_below) == (0, 0)
