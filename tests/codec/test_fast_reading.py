"""
Goal: headers and bodies are read without cattrs exactly as through it, and never laxer.

The oracle is cattrs alone; ``decode_header`` and ``decode_content`` would hide by their fallback
what a fast path leaves to it.
"""

import json
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash_es.codec import records
from lash_es.codec.canonical import plain_values
from lash_es.codec.contents import Content, decode_content, encode_content
from lash_es.codec.errors import StoredDataError
from lash_es.codec.mirrors import NOT_READ
from lash_es.codec.readers import content_reader
from lash_es.codec.records import Header, Record, decode_commitments, decode_header
from lash_es.codec.shapes import from_plain
from lash_es.codec.wire_names import BODY_TYPES
from lash_es.core.events import Event, LeaseRenewed
from lash_es.core.ids import Generation
from lash_es.core.messages import (
    EffectFailure,
    ImageItem,
    ModelReply,
    ProsePart,
    ProviderMark,
    TextItem,
    ToolOutput,
    TurnInput,
)
from tests.codec.strategies import values
from tests.codec.test_readers import PIECES, mutated, places
from tests.codec.test_records import ANY_EVENT, STREAM, encoded
from tests.core.effort import effort

KINDS: tuple[type[Content], ...] = (TurnInput, ModelReply, ToolOutput, EffectFailure)
ANY_CONTENT = st.one_of([values(kind) for kind in KINDS])
SALT = bytes(16)
Both: TypeAlias = tuple[object, object]
"""What is read fast, none if it is left to cattrs; and what cattrs reads, or why it does not."""


def headers(record: Record) -> Both:
    """Read a header both ways."""
    try:
        slow: object = records._decode_header(STREAM, record)
    except StoredDataError as refusal:
        slow = refusal
    return records._read_header(STREAM, record), slow


def contents(stored: bytes, kind: type[Content]) -> Both:
    """Read a body both ways."""
    fast: object = None
    name, _ = BODY_TYPES[kind]
    with suppress(*NOT_READ):
        fast = content_reader(name)(stored)
    try:
        return fast, from_plain(plain_values(stored, name), kind, name)
    except StoredDataError as refusal:
        return fast, refusal


def disagreement(both: Both) -> str | None:
    """Say how the fast path is laxer than cattrs, or reads something else."""
    fast, slow = both
    if fast is None or (type(fast) is type(slow) and repr(fast) == repr(slow) and fast == slow):
        return None
    return f"read as {fast!r}, expected {slow!r}"


def altered(stored: bytes, data: st.DataObject) -> bytes:
    """Change a value of a JSON text, or some of its bytes."""
    if data.draw(st.booleans()):
        plain = json.loads(stored)
        return json.dumps(mutated(plain, data.draw(st.sampled_from(places(plain))), data)).encode()
    place = data.draw(st.integers(0, len(stored)))
    after = stored[place + data.draw(st.integers(0, 2)) :]
    return stored[:place] + data.draw(st.sampled_from(PIECES)) + after


def never_laxer(both: Callable[[st.DataObject], Both]) -> None:
    """Compare both ways, and see that all cases occurred."""
    seen: Counter[str] = Counter()

    @effort(100)
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        fast, slow = both(data)
        assert disagreement((fast, slow)) is None
        seen["refused by both" if isinstance(slow, StoredDataError) else "taken"] += 1
        seen["read fast"] += fast is not None

    check()
    assert min(seen["refused by both"], seen["taken"], seen["read fast"]) > 0, seen


@effort(60)
@given(event=ANY_EVENT)
def test_a_header_that_is_written_today_is_read_fast(event: Event) -> None:
    record = encoded(event, 7)
    fast, slow = headers(record)

    assert isinstance(fast, Header)
    assert fast == slow == decode_header(STREAM, record)
    assert decode_commitments(STREAM, record) == fast.bodies


def test_an_altered_header_is_never_read_when_cattrs_refuses_it() -> None:
    def both(data: st.DataObject) -> Both:
        record = encoded(data.draw(ANY_EVENT), 7)
        return headers(attrs.evolve(record, header=altered(record.header, data)))

    never_laxer(both)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"pos":7', b'"pos":8'),
        (b'"pos":7', b'"pos":7.0'),
        (b'"at":1', b'"at":9007199254740992'),
        (b'"at":1', b'"at":99999999999999999999'),
        (b'"at":1', b'"at":true'),
        (b'"ttl_ms":5', b'"ttl_ms":"\xff"'),
        (b'"data":{"ttl_ms":5}', b'"data":[]'),
        (b'"data":{"ttl_ms":5}', b'"data":{"ttl_ms":NaN}'),
        (b'"v":1', b'"v":1,"more":1'),
    ],
)
def test_what_is_left_to_cattrs_is_answered_by_it(old: bytes, new: bytes) -> None:
    record = encoded(LeaseRenewed(at_ms=1, generation=Generation(1), ttl_ms=5), 7)
    changed = attrs.evolve(record, header=record.header.replace(old, new))
    fast, slow = headers(changed)

    assert changed != record
    assert fast is None
    if isinstance(slow, Header):
        assert decode_header(STREAM, changed) == slow
        assert decode_commitments(STREAM, changed) == slow.bodies
        return
    assert isinstance(slow, StoredDataError)
    with pytest.raises(type(slow)) as caught:
        decode_header(STREAM, changed)
    assert caught.value.summary() == slow.summary()


@pytest.mark.parametrize("kind", KINDS)
@effort(40)
@given(data=st.data())
def test_a_body_is_read_as_cattrs_reads_it(kind: type[Content], data: st.DataObject) -> None:
    content = data.draw(values(kind))
    both = contents(encode_content(content, SALT).content, kind)

    assert both[1] == content
    assert disagreement(both) is None


@pytest.mark.parametrize(
    ("content", "is_fast"),
    [
        (TurnInput.of_text("hello"), True),
        (TurnInput(items=(ImageItem(media_type="image/png", data=b"0"),)), False),
        (TurnInput(items=(TextItem(text="x"), ImageItem(media_type="m", data=b""))), False),
        (ModelReply(parts=(ProsePart(text="x", mark=ProviderMark(signature="s")),)), True),
        (ModelReply(parts=(ProsePart(text="x", mark=ProviderMark(details={})),)), False),
        (ToolOutput(text="x"), True),
        (EffectFailure(message="x"), True),
    ],
)
def test_bytes_and_free_json_are_left_to_cattrs(content: Content, *, is_fast: bool) -> None:
    body = encode_content(content, SALT)
    fast, slow = contents(body.content, type(content))

    assert fast == (content if is_fast else None)
    assert slow == decode_content(body.content, body.media_type, type(content)) == content


def test_an_altered_body_is_never_read_when_cattrs_refuses_it() -> None:
    def both(data: st.DataObject) -> Both:
        content = data.draw(ANY_CONTENT)
        return contents(altered(encode_content(content, SALT).content, data), type(content))

    never_laxer(both)


def test_a_tag_is_asked_for_where_one_class_is_known() -> None:
    fast, slow = contents(b'{"items":[{"text":"x"}]}', TurnInput)

    assert fast is None
    assert isinstance(slow, StoredDataError)


def test_a_path_that_is_too_lax_is_caught() -> None:
    refusal = contents(b'{"text":1}', ToolOutput)[1]

    assert disagreement((ToolOutput(text="1"), refusal)) is not None
    assert disagreement((ToolOutput(text="1"), ToolOutput(text="2"))) is not None
