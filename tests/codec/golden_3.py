"""
The golden file of what is written since turns have stamps: ``python -m tests.codec.golden_3``.

The life is that of ``golden_2.py``, in which the leaf is moved by now and the session begun anew.
Until a release it is written anew with every change of a state; then never again.
"""

import json
from pathlib import Path

from tests.codec.golden_2 import life_lines

FILE = Path(__file__).parents[1] / "golden" / "records-3.jsonl"

if __name__ == "__main__":
    FILE.write_text("".join(json.dumps(line) + "\n" for line in life_lines()), "ascii")
