"""
Goal: conditions say what they say, and a text that is none is refused at its column.

Method: a table of conditions on one state and one fact; texts that are no conditions; and random
texts, of which none may do anything else than be refused or be read.
"""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash_es.core.errors import LashError
from lash_es.core.state import NOT_OPENED
from lash_es.timetravel.expressions import CHARS_MAX, Condition, MalformedCondition
from lash_es.timetravel.paths import UnknownPath
from tests.core.effort import effort
from tests.core.examples import ASKING, OPENED
from tests.timetravel.test_history import history_of

STATE = history_of(*ASKING).state
EVENT = ASKING[-1]


def holds(text: str) -> bool:
    return Condition.parse(text).holds(STATE, EVENT)


@pytest.mark.parametrize(
    "text",
    [
        "lease.generation == 1",
        "lease.generation != 2",
        "lease.generation < 2 and lease.generation <= 1",
        "lease.generation > 0 and lease.generation >= 1",
        "  lease.generation==1  ",
        'turn.kind == "open_turn"',
        'turn.turn_id == "t1" and session_id == "s1"',
        '"t1" in turn.turn_id',
        "turn.effects",
        'turn.effects."t1/1".attempt == 1',
        "turn.effects.t1/1.attempt == 1",
        "count(turn.effects) == 1",
        "count(turn.turn_id) == 2",
        "count(lease.generation) == 0",
        "count(trim) == 0",
        "trim == none",
        "turn.results.7 == none",
        "not turn.results.7",
        "not trim",
        "is_parked == false",
        "is_parked != true",
        "not is_parked",
        "not not turn",
        "false or lease.generation == 1",
        "true or false and false",
        "not (true and false)",
        "((lease.generation == 1))",
        'event.name == "effect.requested"',
        'event.effect_id == "t1/1"',
        'event.request.kind == "model_call"',
        "event.input_id == none",
        '"a" < "b"',
        "-1 < 0",
        r'"\"" == "\u0022"',
        'not "a" < 1',
        "not true > 0",
        "not trim < 1",
        "1 != true",
        "0 != false",
        "not 1 in 1",
        'not 1 in "1"',
        "lease == lease",
    ],
)
def test_a_condition_that_is_so(text: str) -> None:
    assert holds(text)
    assert not holds(f"not ({text})")


def test_in_finds_keys_and_items() -> None:
    assert not holds('"t9" in turn.effects')
    assert holds('"t1/1" in turn.effects')
    assert holds('not "t1/1" in turn.nodes')


def test_what_is_asked_of_a_session_that_is_not_opened_is_nothing() -> None:
    condition = Condition.parse('lease == none and kind == "not_opened"')

    assert condition.holds(NOT_OPENED, OPENED)


@pytest.mark.parametrize(
    ("text", "column", "expected"),
    [
        ("", 1, "a path or a value"),
        ("lease ==", 9, "a path or a value"),
        ("lease == ==", 10, "a path or a value"),
        ("lease = 1", 7, "a name or a value"),
        ("lease; version", 6, "a name or a value"),
        ("(lease", 7, "')'"),
        ("lease)", 6, "'and', 'or' or the end"),
        ("lease version", 7, "'and', 'or' or the end"),
        ("count(3)", 7, "a path"),
        ("count(lease", 12, "')'"),
        ('turn == "open', 9, "a name or a value"),
        (r'turn == "\q"', 9, "a number or a text"),
        ("version == 007", 12, "a number or a text"),
        ("version + 1", 9, "a name or a value"),
        ("not " * 50 + "lease", 165, "at most 40 levels"),
        ("(" * 50 + "lease" + ")" * 50, 42, "at most 40 levels"),
        ("version " * 400, 2_000, "2000 letters at most"),
    ],
)
def test_a_text_that_is_no_condition_is_refused_at_its_column(
    text: str, column: int, expected: str
) -> None:
    with pytest.raises(MalformedCondition) as refused:
        Condition.parse(text)

    assert (refused.value.column, refused.value.expected[: len(expected)]) == (column, expected)
    assert f"at column {column}, expected {expected}" in refused.value.summary()
    assert len(refused.value.text) <= CHARS_MAX


@pytest.mark.parametrize(
    "text",
    [
        "leese.generation == 1",
        "event.naem == 1",
        "__import__",
        'event.__class__.__mro__ == "x"',
        "lease.__class__ == 1",
        "and",
    ],
)
def test_a_condition_with_an_unknown_path_is_refused(text: str) -> None:
    with pytest.raises(UnknownPath):
        Condition.parse(text)


def test_any_text_is_read_or_refused() -> None:
    met: Counter[str] = Counter()
    words = st.sampled_from(
        ["lease", "version", "1", '"a"', "==", "<", "in", "and", "or", "not", "(", ")", "count("]
    )

    @effort(400)
    @given(st.one_of(st.text(), st.lists(words, max_size=9).map(" ".join)))
    def check(text: str) -> None:
        try:
            condition = Condition.parse(text)
        except LashError:
            met["refused"] += 1
        else:
            assert condition.holds(STATE, EVENT) in {True, False}
            met["read"] += 1

    check()
    assert min(met["read"], met["refused"]) > 0, met
