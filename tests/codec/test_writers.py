"""Goal: whatever is written fast is, byte for byte, what cattrs writes; the rest is left to it."""

import json
from collections import Counter
from copy import copy

import attrs
import pytest
from attrs import AttrsInstance, frozen
from hypothesis import given
from hypothesis import strategies as st

from lash_es.codec import shapes
from lash_es.codec.canonical import canonical_bytes
from lash_es.codec.errors import UnencodableValue
from lash_es.codec.shapes import to_plain
from lash_es.codec.wire_names import BODY_TYPES
from lash_es.codec.writers import NotWritten, Writer, writer
from lash_es.core.bodies import Commitment
from lash_es.core.events import LeaseRenewed, SessionParked, TurnInputEnqueued
from lash_es.core.ids import Generation, InputId
from lash_es.core.ingress import NEXT_TURN, ActiveTurn
from lash_es.core.known import InputEntry, SourceKeyEntry, TurnEntry
from lash_es.core.messages import (
    EffectFailure,
    ImageItem,
    ModelReply,
    Role,
    ToolOutput,
    TurnInput,
)
from tests.codec.strategies import values
from tests.codec.test_records import EVENTS
from tests.core.effort import effort

KINDS: list[type[AttrsInstance]] = [
    *EVENTS,
    *(SourceKeyEntry, InputEntry, TurnEntry, TurnInput, ModelReply, ToolOutput, EffectFailure),
]
ANY = st.one_of([values(kind) for kind in KINDS])
ODD: tuple[object, ...] = (
    None,
    True,
    1,
    -(2**53),
    2**70,
    1.5,
    "x",
    "\ud800",
    (),
    [],
    [1],
    ("x",),
    b"x",
    {},
    Role.USER,
)


def by_cattrs(value: object) -> bytes | str:
    """Write through cattrs; if it refuses, say how."""
    try:
        return canonical_bytes(shapes._CONVERTER.unstructure(value), "value")
    except (UnencodableValue, AttributeError, LookupError, TypeError, ValueError) as refusal:
        return repr(refusal)


def by_writer(value: object, write: Writer) -> bytes | str | None:
    """Write fast; none if that is left to cattrs."""
    try:
        return canonical_bytes(write(value), "value")
    except NotWritten:
        return None
    except UnencodableValue as refusal:
        return repr(refusal)


def disagreement(value: object, write: Writer) -> str | None:
    """Say how a writer writes something else than cattrs."""
    fast, slow = by_writer(value, write), by_cattrs(value)
    return None if fast in (None, slow) else f"wrote {fast!r}, expected {slow!r}"


def altered(value: object, **fields: object) -> object:
    """Replace fields by whatever, as no type checker would allow."""
    changed = copy(value)
    for name, field in fields.items():
        object.__setattr__(changed, name, field)
    return changed


@effort(150)
@given(value=ANY)
def test_what_is_written_fast_is_what_cattrs_writes(value: object) -> None:
    assert disagreement(value, writer(type(value), None)) is None


@pytest.mark.parametrize("kind", EVENTS)
@effort(4)
@given(data=st.data())
def test_every_event_is_written_fast(kind: type[AttrsInstance], data: st.DataObject) -> None:
    event = data.draw(values(kind))

    assert by_writer(event, writer(kind, None)) == by_cattrs(event)


def test_odd_values_are_written_as_ever_or_left_to_cattrs() -> None:
    seen: Counter[str] = Counter()

    @effort(80)
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        value = data.draw(ANY)
        field = data.draw(st.sampled_from(attrs.fields(type(value))))
        alike = [each for each in ODD if type(each) is type(getattr(value, field.name))]
        odd = altered(value, **{field.name: data.draw(st.sampled_from([*ODD, *alike * 9]))})
        fast = by_writer(odd, writer(type(odd), None))
        assert disagreement(odd, writer(type(odd), None)) is None
        seen["left" if fast is None else type(fast).__name__] += 1

    check()
    assert min(seen["left"], seen["bytes"]) > 0, seen


@pytest.mark.parametrize("number", [True, 1.5, None, "1"])
def test_a_number_that_is_none_is_refused_by_cattrs(number: int) -> None:
    event = LeaseRenewed(at_ms=1, generation=Generation(1), ttl_ms=number)

    assert by_writer(event, writer(LeaseRenewed, None)) is None
    with pytest.raises(UnencodableValue, match="expected an integer"):
        to_plain(event)


@frozen(kw_only=True)
class Further(Commitment):
    """A commitment with a field more: cattrs writes what the event's type names."""

    more: str


def test_a_subclass_and_a_stranger_in_a_union_are_left_to_cattrs() -> None:
    event = TurnInputEnqueued(
        at_ms=1,
        input_id=InputId("i"),
        sequence=1,
        source_key=None,
        ingress=NEXT_TURN,
        bodies=(Further(digest="d", bytes_count=1, media_type="m", more="x"),),
    )
    stranger = altered(event, ingress=Role.USER, bodies=())

    assert by_writer(event, writer(TurnInputEnqueued, None)) is None
    assert "more" not in json.dumps(to_plain(event))
    assert by_writer(stranger, writer(TurnInputEnqueued, None)) is None
    assert by_writer(Role.USER, writer(Role, None)) is None
    assert by_writer(ActiveTurn, writer(SessionParked, None)) is None


@pytest.mark.parametrize(
    "content", [TurnInput(items=(ImageItem(media_type="image/png", data=b"0"),))]
)
def test_bytes_are_left_to_cattrs(content: TurnInput) -> None:
    assert by_writer(content, writer(type(content), None)) is None
    assert json.loads(by_cattrs(content)) == to_plain(content)


def test_every_body_has_a_writer() -> None:
    assert all(callable(writer(kind, None)) for kind in BODY_TYPES)


def test_a_writer_that_writes_something_else_is_caught() -> None:
    event = SessionParked(at_ms=1)

    assert disagreement(event, lambda _: {"at_ms": 2}) is not None
    assert disagreement(SessionParked(at_ms=2**70), lambda _: {"at_ms": 1}) is not None
