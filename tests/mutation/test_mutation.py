"""Goal: a change that no test notices is reported, and so is a list that is out of date."""

import json

from tests.mutation.__main__ import LISTED, RESULTS, problems, read_listed, read_results

PRINTED = """
    lash_es.core.rules.leases.x_renew__mutmut_1: killed
    lash_es.core.rules.leases.x_renew__mutmut_2: survived
"""
FIRST, SECOND = (f"lash_es.core.rules.leases.x_renew__mutmut_{number}" for number in (1, 2))


def many(**changed: str) -> dict[str, str]:
    return {f"m{number}": "killed" for number in range(40)} | changed


def test_what_became_of_each_mutant_is_read() -> None:
    assert read_results(PRINTED) == {FIRST: "killed", SECOND: "survived"}


def test_a_survivor_with_a_reason_is_fine() -> None:
    listed = read_listed("# a comment\n\nm1 | no input tells them apart, since a | b\n")

    assert listed == {"m1": "no input tells them apart, since a | b"}
    assert problems(many(m1="survived"), listed) == []


def test_a_survivor_without_a_reason_is_caught() -> None:
    assert problems(many(m1="survived"), {}) == ["survived: m1 (survived)"]


def test_a_mutant_that_was_not_tried_or_ran_for_ever_counts_as_a_survivor() -> None:
    assert problems(many(m1="timeout"), {}) == ["survived: m1 (timeout)"]
    assert problems(many(m1="no tests"), {}) == ["survived: m1 (no tests)"]


def test_a_list_that_is_out_of_date_is_caught() -> None:
    assert problems(many(), {"m1": "a reason"}) == ["no longer survives: m1"]
    assert problems(many(m1="survived"), {"m1": ""}) == ["an empty reason: m1"]


def test_too_many_survivors_are_caught_though_each_has_a_reason() -> None:
    few = {f"m{number}": "survived" for number in range(3)}

    assert problems(many(**few), dict.fromkeys(few, "a reason")) == [
        "3 of 40 survived, at most 5 % may"
    ]


def test_a_run_that_mutated_nothing_is_caught() -> None:
    assert problems({}, {}) == ["nothing was mutated"]


def test_the_committed_list_can_be_read_and_the_result_has_no_more() -> None:
    assert all(read_listed(LISTED.read_text("utf-8")).values())
    newest = max(RESULTS.glob("mutation-*.json"))
    assert json.loads(newest.read_text("utf-8"))["wrong"] == []
