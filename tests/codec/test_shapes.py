"""Plain values to attrs values and back: what is not exactly what it promises to be is refused."""

from typing import cast

import pytest
from hypothesis import given

from lash_es.codec.errors import UndecodableValue, UnencodableValue
from lash_es.codec.shapes import from_plain, to_plain
from lash_es.core.events import TurnInputClaimAbandoned
from lash_es.core.known import IndexEntry, InputEntry, SourceKeyEntry, TurnEntry
from lash_es.core.messages import InputItem, ProsePart, TurnInput
from tests.codec.strategies import values
from tests.core.effort import effort

GOOD: dict[str, object] = {"at_ms": 1, "claim_id": "c", "input_ids": ["a", "b"]}


def test_a_good_value_is_read() -> None:
    event = from_plain(GOOD, TurnInputClaimAbandoned, "x")

    assert (event.at_ms, event.claim_id, event.input_ids) == (1, "c", ("a", "b"))


@pytest.mark.parametrize(
    "change",
    [
        {"at_ms": "1"},
        {"at_ms": 1.0},
        {"at_ms": True},
        {"at_ms": None},
        {"claim_id": 7},
        {"claim_id": None},
        {"claim_id": b"c"},
        {"input_ids": "ab"},
        {"input_ids": {"a": 1}},
        {"input_ids": ["a", 1]},
        {"input_ids": None},
        {"more": 1},
    ],
)
def test_a_value_of_another_type_is_refused_and_not_converted(change: dict[str, object]) -> None:
    with pytest.raises(UndecodableValue) as caught:
        from_plain(GOOD | change, TurnInputClaimAbandoned, "the claim")
    assert caught.value.summary().startswith("the claim cannot be read: ")


def test_a_missing_value_is_refused() -> None:
    for key in GOOD:
        plain = {name: value for name, value in GOOD.items() if name != key}
        with pytest.raises(UndecodableValue, match=key):
            from_plain(plain, TurnInputClaimAbandoned, "x")


@effort(60)
@given(entry=values(SourceKeyEntry) | values(InputEntry) | values(TurnEntry))
def test_index_entries_survive_the_round_trip(entry: IndexEntry) -> None:
    plain = to_plain(entry)

    assert from_plain(plain, type(entry), "entry") == entry


TEXT: dict[str, object] = {"kind": "text", "text": "hello"}


@pytest.mark.parametrize(
    "item",
    [
        list(TEXT.items()),  # A dict takes pairs, and so would we.
        {"text": "hello"},
        TEXT | {"kind": "prose"},  # A member of another union.
        TEXT | {"kind": ["text"]},
        TEXT | {"more": 1},
        "text",
        None,
    ],
)
def test_what_is_no_member_of_a_union_is_refused(item: object) -> None:
    assert from_plain({"items": [TEXT]}, TurnInput, "x") == TurnInput.of_text("hello")
    with pytest.raises(UndecodableValue):
        from_plain({"items": [item]}, TurnInput, "x")


def test_what_is_read_is_left_as_it_was() -> None:
    plain = {"items": [dict(TEXT)]}

    from_plain(plain, TurnInput, "x")

    assert plain == {"items": [TEXT]}


def test_a_value_of_another_union_is_not_written() -> None:
    item = cast("InputItem", ProsePart(text="hello"))

    with pytest.raises(UnencodableValue):
        to_plain(TurnInput(items=(item,)))
