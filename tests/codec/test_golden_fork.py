"""What was written of a fork is read for ever, and is written the same way today."""

import base64
import json

from lash_es.codec.records import Record, chain_digest, decode_event, decode_header, read_event
from lash_es.core.ids import Position
from tests.codec import golden_fork
from tests.core.test_forks import FORKED_FACT


def test_the_golden_record_decodes_and_encodes_to_the_same_bytes() -> None:
    (line,) = map(json.loads, golden_fork.FILE.read_text("ascii").splitlines())
    stored = base64.b64decode(line["stored"])
    record = Record(
        position=Position(line["position"]),
        name=line["record"],
        digest=stored[:32],
        header=stored[32:],
    )

    assert record == golden_fork.record()
    assert record.digest == chain_digest(golden_fork.BEFORE, record.header)
    assert decode_event(decode_header(golden_fork.STREAM, record)) == FORKED_FACT
    assert read_event(golden_fork.STREAM, record) == FORKED_FACT
