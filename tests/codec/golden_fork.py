"""
The golden file of a fork, written by ``python -m tests.codec.golden_fork``.

As ``golden.py``: written once, read for ever. It is one record, the first of its stream.
"""

import base64
import json
from pathlib import Path

from lash_es.codec.records import Caused, Record, encode_records
from lash_es.codec.streams import StreamId
from lash_es.core.ids import AppendId, Position
from tests.core.test_forks import CHILD, FORKED_FACT

FILE = Path(__file__).parents[1] / "golden" / "records-fork.jsonl"
STREAM = StreamId("default", CHILD)
BEFORE = bytes(range(32))


def record() -> Record:
    """Encode it as today."""
    facts = [Caused(event=FORKED_FACT, cause=None)]
    here = Position(FORKED_FACT.below)
    (made,) = encode_records(STREAM, here, BEFORE, AppendId("fork"), facts)
    return made


if __name__ == "__main__":
    stored = base64.b64encode(record().stored).decode()
    line = {"record": record().name, "position": record().position, "stored": stored}
    FILE.write_text(json.dumps(line) + "\n", "ascii")
