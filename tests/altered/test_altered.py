"""
Goal: a test that would not notice if what it expects were another is found.

Method: the alterer is given tests that notice, and tests that cannot fail. That twenty tests of
the project notice is shown by ``python -m tests.altered``.
"""

import ast
import json
from pathlib import Path
from random import Random

import pytest

from tests.altered.__main__ import RESULTS
from tests.altered.altering import alterations, named
from tests.altered.judging import green, why_red
from tests.altered.sampling import Test, altered, everything, places, sample

SOURCE = """
import pytest

def test_that_notices():
    assert 1 + 1 == 2

def test_that_cannot_fail():
    for number in ():
        assert number == 3

def test_that_cannot_be_read():
    assert undefined == 4
"""


def alterations_of(body: str) -> list[tuple[str, str]]:
    tree = ast.parse(f"def test():\n    {body}\n")
    return [(each.before, each.after) for each in alterations(named(tree, "test"))]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("assert f() == 3", [("3", "4")]),
        ("assert 'a' in text", [("'a'", "'a (altered)'")]),
        ("assert done is True", [("True", "False")]),
        ("assert f(1)[0] == [g(2), (3, {'k': 4})]", [("3", "4"), ("4", "5")]),
        ("assert found == Row(5, name='n')", [("'n'", "'n (altered)'"), ("5", "6")]),
        ("assert found is None", [("found is None", "found is not None")]),
        ("assert found is not None", [("found is not None", "found is None")]),
        ("assert found == None", [("found == None", "found != None")]),
        ("assert again == first", [("first", "(first, 'altered')")]),
        ("assert found.state is Status.OPEN", [("Status.OPEN", "(Status.OPEN, 'altered')")]),
        (
            "assert name not in names",
            [("assert name not in names", "assert not name not in names")],
        ),
        (
            "assert name in ('a', 'b')",
            [("assert name in ('a', 'b')", "assert not name in ('a', 'b')")],
        ),
        ("assert 'a' not in b", [("assert 'a' not in b", "assert not 'a' not in b")]),
        ("assert a == 1 and b == 2", [("1", "2"), ("2", "3")]),
        ("assert not a == 1", [("assert not a == 1", "assert not not a == 1")]),
        (
            "assert not [x for x in y if x == 1]",
            [("assert not [x for x in y if x == 1]", "assert not not [x for x in y if x == 1]")],
        ),
        ("assert text.is_fine", [("assert text.is_fine", "assert not text.is_fine")]),
        ("assert len(x) > 2", [("assert len(x) > 2", "assert not len(x) > 2")]),
        ("given(A).when(b).then(C(at_ms=3))", [("3", "4")]),
        ("given(A).when(b).refused(Full(allowed=1))", [("1", "2")]),
        ("given(A).when(b).then(c)", [("then(...)", "nothing_happened()")]),
        ("given(A).when(b).refused(error)", [("refused(...)", "nothing_happened()")]),
        ("given(A).when(b).nothing_happened()", [("nothing_happened(...)", "then(None)")]),
        ("with pytest.raises(Full): f(3)", [("raises(Full)", "raises(ZeroDivisionError)")]),
        ("f(3)", []),
    ],
)
def test_what_is_expected_is_found_and_altered(body: str, found: list[tuple[str, str]]) -> None:
    assert alterations_of(body) == found


def test_an_alteration_is_in_one_place_and_still_python() -> None:
    tree = ast.parse("def test():\n    assert f() == [1, 2]\n    assert g() is None\n")
    places_found = alterations(named(tree, "test"))
    places_found[1].do()
    assert ast.unparse(tree).splitlines()[1:] == [
        "    assert f() == [1, 3]",
        "    assert g() is None",
    ]


def test_a_test_that_is_not_there_is_said() -> None:
    with pytest.raises(LookupError, match="no test 'other'"):
        named(ast.parse(SOURCE), "other")


def test_every_test_that_may_be_sampled_expects_something() -> None:
    tests = everything()

    assert len(tests) > 100
    assert [str(test) for test in tests if not places(test)[1]] == []


def test_the_same_seed_samples_the_same() -> None:
    one, other, another = sample(5, 1), sample(5, 1), sample(5, 2)

    assert [each.source for each in one] == [each.source for each in other]
    assert [each.test for each in one] != [each.test for each in another]


def test_a_literal_is_altered_rather_than_an_assertion_turned_round(tmp_path: Path) -> None:
    source = "def test_it():\n    assert a\n    assert b == 3\n    assert c\n"
    (tmp_path / "test_it.py").write_text(source, "utf-8")
    found = [altered(Test("test_it.py", "test_it"), Random(n), tmp_path) for n in range(9)]

    assert {each.alteration.after for each in found} == {"4"}


def test_a_test_that_cannot_fail_is_found(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    file = tmp_path / "tests" / "test_it.py"
    file.write_text(SOURCE, "utf-8")
    notices, cannot = (
        Test("test_it.py", f"test_that_{word}") for word in ("notices", "cannot_fail")
    )
    unread = Test("test_it.py", "test_that_cannot_be_read")

    assert "NameError" in green(tmp_path, [notices, cannot, unread])
    chance = Random(0)
    assert "assert" in why_red(tmp_path, altered(notices, chance, tmp_path / "tests"))
    assert why_red(tmp_path, altered(cannot, chance, tmp_path / "tests")) == ""
    assert file.read_text("utf-8") == SOURCE


def test_the_committed_sample_went_red() -> None:
    kept = json.loads(max(RESULTS.glob("altered-*.json")).read_text("utf-8"))

    assert kept["stayed green"] == []
    assert kept["unaltered"] == "green"
    assert len(kept["altered"]) == 20
