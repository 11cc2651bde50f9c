"""
Goal: the fast path reads exactly what the path through cattrs reads, and nothing that it refuses.

The fast path is asked alone here, since ``read_event`` would hide by its fallback what a reader
leaves to the other.
"""

import json
from collections import Counter
from collections.abc import Callable

import attrs
import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from lash_es.codec import mirrors
from lash_es.codec.errors import StoredDataError
from lash_es.codec.mirrors import NOT_READ
from lash_es.codec.readers import reader
from lash_es.codec.records import Record, decode_event, decode_header, read_event
from lash_es.codec.wire_names import EVENT_NAMES
from lash_es.core.events import Event, LeaseRenewed, SessionParked
from lash_es.core.ids import Generation
from tests.codec.strategies import INTEGERS, TEXTS, values
from tests.codec.test_records import EVENTS, STREAM, encoded
from tests.core.effort import effort

BY_TYPE = st.sampled_from(
    [None, True, False, 0, -1, 1.0, 1.5, 2**53, 2**63, 2**64, "", "x", "1", [], [1], {}, {"x": 1}]
)

LIKE = {int: INTEGERS, str: TEXTS, bool: st.booleans()}
PIECES = (
    *(b"", b" ", b"\t", b"\x0c", b"\\u0061", b"\\ud800", b"\xff", b"\xed\xa0\x80", b"\x00"),
    *(b"-", b"0", b"9" * 20, b"1e2", b".0", b"true", b"null", b'"', b",", b'"kind":"reply",'),
    *(b"NaN", b"{", b"]", b"\\n", b"\\/", b"\x7f"),
)


def by_reader(record: Record) -> Event | None:
    """Read by the fast path alone; none if it leaves the record to the other."""
    read = reader(record.name)
    assert read is not None
    try:
        return read(record.header, STREAM.namespace, STREAM.session_id, record.position)
    except NOT_READ:
        return None


def by_cattrs(record: Record) -> Event | StoredDataError:
    """Read by the path that knows what is wrong."""
    try:
        return decode_event(decode_header(STREAM, record))
    except StoredDataError as refusal:
        return refusal


def disagreement(record: Record, read: Callable[[Record], Event | None] = by_reader) -> str | None:
    """Say how a reader is laxer than cattrs, or reads something else."""
    fast, slow = read(record), by_cattrs(record)
    if fast is None or (type(fast) is type(slow) and repr(fast) == repr(slow) and fast == slow):
        return None
    return f"read as {fast!r}, expected {slow!r}"


@pytest.mark.parametrize("kind", EVENTS)
@effort(25)
@given(data=st.data())
def test_what_is_written_today_is_read_fast(kind: type[Event], data: st.DataObject) -> None:
    event = data.draw(values(kind))
    record = encoded(event, 7)

    assert by_reader(record) == event == by_cattrs(record) == read_event(STREAM, record)


def places(plain: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """List where there is something in a JSON value."""
    found = [path]
    if isinstance(plain, dict):
        for key, value in plain.items():
            found.extend(places(value, (*path, key)))
    if isinstance(plain, list):
        for number, value in enumerate(plain):
            found.extend(places(value, (*path, number)))
    return found


def mutated(plain: object, path: tuple[str | int, ...], data: st.DataObject) -> object:
    """Change what is at a place: another value, one thing more, one thing less."""
    if not path:
        return data.draw(BY_TYPE)
    *way, last = path
    holder = plain
    for step in way:
        holder = holder[step]  # type: ignore[index]
    match data.draw(st.sampled_from(["replace", "replace", "remove", "add"])):
        case "replace":
            kind = type(holder[last])  # type: ignore[index]
            holder[last] = data.draw(LIKE.get(kind, BY_TYPE) | BY_TYPE)  # type: ignore[index]
        case "remove":
            del holder[last]  # type: ignore[attr-defined]
        case _ if isinstance(holder, dict):
            holder[data.draw(st.sampled_from(["extra", "kind", "at_ms"]))] = data.draw(BY_TYPE)
        case _:
            holder.append(data.draw(BY_TYPE))  # type: ignore[attr-defined]
    return plain


def test_a_changed_value_is_never_read_when_cattrs_refuses_it() -> None:
    seen: Counter[str] = Counter()

    @effort(120)
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        record = encoded(data.draw(st.one_of([values(kind) for kind in EVENTS])), 7)
        plain = json.loads(record.header)
        changed = mutated(plain, data.draw(st.sampled_from(places(plain))), data)
        header = json.dumps(changed, sort_keys=True).encode()
        altered = attrs.evolve(record, header=header)

        assert disagreement(altered) is None
        seen[
            "refused by both" if isinstance(by_cattrs(altered), StoredDataError) else "taken"
        ] += 1
        seen["read fast"] += by_reader(altered) is not None

    check()
    assert min(seen["refused by both"], seen["taken"], seen["read fast"]) > 0, seen


def test_changed_bytes_are_never_read_when_cattrs_refuses_them() -> None:
    seen: Counter[bool] = Counter()
    pieces = st.sampled_from(PIECES)

    @effort(120)
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        record = encoded(data.draw(st.one_of([values(kind) for kind in EVENTS])), 7)
        place = data.draw(st.integers(0, len(record.header)))
        after = record.header[place + data.draw(st.integers(0, 2)) :]
        header = record.header[:place] + data.draw(pieces) + after

        altered = attrs.evolve(record, header=header)
        assert disagreement(altered) is None
        seen[by_reader(altered) is None] += 1

    check()
    assert min(seen[True], seen[False]) > 0, seen


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"pos":7', b'"pos":8'),
        (b'"ns":"default"', b'"ns":"another"'),
        (b'"session":"s1"', b'"session":"s2"'),
        (b'"v":1', b'"v":2'),
        (b'"v":1', b'"v":0'),
        (b'"name":"lease.renewed"', b'"name":"lease.released"'),
        (b'"gen":1', b'"gen":null'),
        (b'"ttl_ms":5', b'"ttl_ms":true'),
        (b'"ttl_ms":5', b'"ttl_ms":5.0'),
        (b'"ttl_ms":5', b'"ttl_ms":"5"'),
        (b'"ttl_ms":5', b'"ttl_ms":5,"more":1'),
        (b'"append":"append"', b'"append":"\\ud800"'),
    ],
)
def test_what_no_reader_takes_is_left_to_the_path_that_names_it(old: bytes, new: bytes) -> None:
    record = encoded(LeaseRenewed(at_ms=1, generation=Generation(1), ttl_ms=5), 7)
    altered = attrs.evolve(record, header=record.header.replace(old, new))
    expected = by_cattrs(altered)

    assert altered != record
    assert by_reader(altered) is None
    assert isinstance(expected, StoredDataError)
    with pytest.raises(type(expected)) as caught:
        read_event(STREAM, altered)
    assert caught.value.summary() == expected.summary()


def test_what_only_cattrs_takes_is_read_all_the_same() -> None:
    record = encoded(SessionParked(at_ms=1), 7)
    commitment = b'{"bytes_count":1,"digest":"d","media_type":"m"}'
    header = record.header.replace(b'"bodies":[]', b'"bodies":[' + commitment + b"]")
    altered = attrs.evolve(record, header=header)

    assert by_reader(altered) is None
    assert read_event(STREAM, altered) == SessionParked(at_ms=1)


def test_a_name_that_nobody_wrote_has_no_reader() -> None:
    assert reader("session.dissolved") is None
    assert all(reader(name) is not None for name, _ in EVENT_NAMES.values())


def test_a_type_that_no_header_holds_is_refused_when_its_reader_is_made() -> None:
    @frozen(kw_only=True)
    class Odd:
        ratio: float

    with pytest.raises(TypeError, match="mirrors hold no"):
        mirrors.mirror(Odd)


def test_a_reader_that_is_too_lax_is_caught() -> None:
    event = LeaseRenewed(at_ms=1, generation=Generation(1), ttl_ms=1)
    record = encoded(event, 7)
    altered = attrs.evolve(record, header=record.header.replace(b'"ttl_ms":1', b'"ttl_ms":true'))

    assert disagreement(altered, lambda _: event) is not None
    assert disagreement(record, lambda _: attrs.evolve(event, ttl_ms=True)) is not None
