"""The judge of a rolling restart finds what is lost, doubled, and of nobody."""

import pytest

from tests.rolling.judging import Found, lost_or_doubled

SENT = {"s": ["a", "b", "c"]}


def test_what_is_there_once_is_fine() -> None:
    assert lost_or_doubled(SENT, {"s": Found(["a", "b"], ["c"])}) == []
    assert lost_or_doubled(SENT, {"s": Found(["a\nb"], ["c"])}) == []


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        ({"s": Found(["a"], ["c"])}, "s: b is there 0 times"),
        ({"s": Found(["a", "b", "a"], ["c"])}, "s: a is there 2 times"),
        ({"s": Found(["a", "b", "c"], ["c"])}, "s: c is there 2 times"),
        ({"s": Found(["a", "b", "c", "d"], [])}, "s: nobody sent d"),
    ],
)
def test_a_planted_fault_is_found(found: dict[str, Found], problem: str) -> None:
    assert lost_or_doubled(SENT, found) == [problem]


def test_a_session_that_is_gone_is_found() -> None:
    assert len(lost_or_doubled(SENT, {})) == 3
