"""Every event to a header and back: canonical, chained, and nothing in it that cannot be read."""

import hashlib
import json

import attrs
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from lash_es.codec.errors import (
    StoredDataError,
    UndecodableValue,
    UnencodableValue,
    WrittenByNewerVersion,
)
from lash_es.codec.records import (
    GENESIS,
    Caused,
    Record,
    chain_digest,
    decode_event,
    decode_header,
    encode_records,
    has_bodies,
)
from lash_es.codec.streams import StreamId
from lash_es.codec.upcast import Plain, upcast
from lash_es.codec.wire_names import BODY_TYPES, EVENT_CLASSES, EVENT_NAMES, UNION_TAGS
from lash_es.core.events import Event, LeaseRenewed, SessionParked
from lash_es.core.ids import AppendId, Generation, Position, SessionId
from tests.codec.strategies import INTEGERS, TEXTS, values
from tests.core.effort import effort

STREAM = StreamId("default", SessionId("s1"))
EVENTS = sorted(EVENT_NAMES, key=lambda kind: kind.__name__)
ANY_EVENT = st.one_of([values(kind) for kind in EVENTS])


def encoded(event: Event, position: int = 0, cause: Position | None = None) -> Record:
    """Encode one event."""
    facts = [Caused(event=event, cause=cause)]
    (record,) = encode_records(STREAM, Position(position), GENESIS, AppendId("append"), facts)
    return record


@pytest.mark.parametrize("kind", EVENTS)
@effort(60)
@given(data=st.data())
def test_every_event_survives_the_round_trip(kind: type[Event], data: st.DataObject) -> None:
    event = data.draw(values(kind))
    cause = data.draw(st.none() | INTEGERS.map(Position))
    record = encoded(event, 7, cause)
    header = decode_header(STREAM, record)

    assert decode_event(header) == event
    assert (header.position, header.cause, header.append_id) == (7, cause, "append")
    assert (header.name, header.schema_version) == EVENT_NAMES[kind]
    assert header.recorded_at_ms == event.at_ms
    assert header.generation == getattr(event, "generation", None)
    assert header.bodies == getattr(event, "bodies", ())


@effort(60)
@given(event=ANY_EVENT, append_id=TEXTS, session_id=TEXTS)
def test_a_header_is_canonical_json_without_floats(
    event: Event, append_id: str, session_id: str
) -> None:
    stream = StreamId("default", SessionId(session_id))
    facts = [Caused(event=event, cause=None)]
    (record,) = encode_records(stream, Position(0), GENESIS, AppendId(append_id), facts)

    def refuse(text: str) -> object:
        raise AssertionError(text)

    plain = json.loads(record.header, parse_float=refuse, parse_constant=refuse)
    assert rfc8785.dumps(plain) == record.header
    assert list(plain) == sorted(plain)
    assert "at_ms" not in plain["data"]
    assert "generation" not in plain["data"]
    assert "bodies" not in plain["data"]


@effort(60)
@given(events=st.lists(ANY_EVENT, max_size=4), first=st.integers(0, 2**40))
def test_records_are_chained_by_their_bytes(events: list[Event], first: int) -> None:
    facts = [Caused(event=event, cause=None) for event in events]
    records = encode_records(STREAM, Position(first), b"before" * 5, AppendId("a"), facts)
    before = b"before" * 5

    assert [record.position for record in records] == list(range(first, first + len(events)))
    for record in records:
        assert record.digest == hashlib.sha256(b"lash-es/1" + before + record.header).digest()
        assert record.digest == chain_digest(before, record.header)
        assert record.stored == record.digest + record.header
        before = record.digest


# What cannot be stored


@pytest.mark.parametrize("number", [2**53, -(2**53), 2**70, 1.5, True, None, "1"])
def test_a_number_that_is_no_small_integer_is_refused(number: int) -> None:
    for event in (
        LeaseRenewed(at_ms=number, generation=Generation(1), ttl_ms=1),
        LeaseRenewed(at_ms=1, generation=Generation(number), ttl_ms=1),
    ):
        with pytest.raises(UnencodableValue):
            encoded(event)


def test_the_largest_integers_are_stored() -> None:
    for number in (2**53 - 1, -(2**53) + 1):
        event = SessionParked(at_ms=number)
        assert decode_event(decode_header(STREAM, encoded(event))) == event


def test_a_lone_surrogate_is_refused() -> None:
    facts = [Caused(event=SessionParked(at_ms=1), cause=None)]

    with pytest.raises(UnencodableValue, match=r"session\.parked at position 3") as caught:
        encode_records(STREAM, Position(3), GENESIS, AppendId("lone \ud800"), facts)
    assert "cannot be stored" in caught.value.summary()


# What cannot be read


@pytest.mark.parametrize("header", [b"", b"[]", b"null", b"{", b'"text"', b"{}", b"\xff"])
def test_what_is_no_header_is_corrupt(header: bytes) -> None:
    record = attrs.evolve(encoded(SessionParked(at_ms=1)), header=header)

    with pytest.raises(StoredDataError) as caught:
        decode_header(STREAM, record)
    assert "position 0" in caught.value.summary()


@pytest.mark.parametrize("key", ["append", "at", "bodies", "cause", "data", "gen", "v"])
def test_every_part_of_a_header_is_needed(key: str) -> None:
    record = encoded(SessionParked(at_ms=1))
    plain = json.loads(record.header)
    del plain[key]

    with pytest.raises(StoredDataError):
        decode_header(STREAM, attrs.evolve(record, header=json.dumps(plain).encode()))


def test_an_event_that_is_not_known_is_newer() -> None:
    header = decode_header(STREAM, encoded(SessionParked(at_ms=1)))

    for changed in (
        attrs.evolve(header, name="session.dissolved"),
        attrs.evolve(header, schema_version=2),
    ):
        with pytest.raises(WrittenByNewerVersion):
            decode_event(changed)


# Older versions


def test_older_payloads_are_brought_up_one_version_at_a_time() -> None:
    def count(plain: Plain) -> Plain:
        return {"n": str(plain["n"]) + "!"}

    def rename(plain: Plain) -> Plain:
        return {"count": plain["n"]}

    steps = {("x", 1): count, ("x", 2): count, ("x", 3): rename, ("y", 1): rename}

    assert upcast("x", 2, {"n": 1}, current=4, steps=steps) == {"count": "1!"}
    assert upcast("x", 1, {"n": 1}, current=4, steps=steps) == {"count": "1!!"}
    assert upcast("x", 4, {"n": 1}, current=4, steps=steps) == {"n": 1}
    with pytest.raises(UndecodableValue, match="no release wrote that version"):
        upcast("x", 0, {"n": 1}, current=4, steps=steps)


# Names


def test_every_event_has_a_name_of_its_own() -> None:
    names = [name for name, _ in EVENT_NAMES.values()]

    assert len(set(names)) == len(names) == len(EVENT_CLASSES)
    assert {name for name, _ in BODY_TYPES.values()}.isdisjoint(names)
    assert {kind for kind in EVENT_NAMES if has_bodies(kind)} == {
        kind for kind in EVENT_NAMES if "bodies" in attrs.fields_dict(kind)
    }
    assert set(UNION_TAGS).isdisjoint(EVENT_NAMES)
