"""The judge of a soak finds what is planted: in what is kept, what was answered, what was seen."""

import hashlib
from collections.abc import Callable, Sequence

import attrs
import pytest

from tests.soak.evidence import Evidence, Kept
from tests.soak.judging import not_as_fed, verdict
from tests.soak.ledgers import Line


def _facts(session: str, appends: Sequence[tuple[str, int]]) -> list[Kept]:
    facts, before = list[Kept](), bytes(32)
    for append_id, count in appends:
        for _ in range(count):
            header = f"{session} {append_id} {len(facts)}".encode()
            before = hashlib.sha256(b"lash-es/1" + before + header).digest()
            facts.append(
                Kept(
                    session=session,
                    position=len(facts),
                    append_id=append_id,
                    digest=before,
                    header=header,
                )
            )
    return facts


A = _facts("a", [("w1", 2), ("w2", 1), ("x1", 1)])
B = _facts("b", [("w3", 1)])
SAW: list[tuple[str, int, str]] = [
    (fact.session, fact.position + 1, fact.digest.hex()) for fact in (*A, *B)
]


def _saw(process: int) -> list[Line]:
    """Follow both sessions: activity after the second and the third fact, some of it pruned."""
    saw: list[Line] = [
        ["saw", session, process, version, digest] for session, version, digest in SAW
    ]
    heard: list[Line] = [
        ["heard", "a", process, 2, 1, "n1#0"],
        ["heard", "a", process, 2, 2, "n1#1"],
        ["gap", "a", process, 3, 3],
        ["heard", "a", process, 3, 4, "n3#0"],
    ]
    return [*saw[:2], *heard[:2], *saw[2:3], *heard[2:], *saw[3:]]


GOOD = Evidence(
    facts=[*A, *B],
    heads={"a": 4, "b": 1},
    did=[
        ["fact", "a", "w1", 0, 2, 0, 0],
        ["activity", "a", 2, 2, "n1", 2, 0],
        ["no", "a", "w9"],
        ["fact", "a", "w2", 2, 1, 0, 0],
        ["activity", "a", 3, 2, "n2", 2, 0],
        ["lose", "a", 0],
        ["activity", "a", 3, 4, "n3", 1, 0],
        ["fact", "b", "w3", 0, 1, 0, 0],
        ["maybe", "a", "x1"],
        ["maybe", "a", "x2"],
    ],
    saw=[*_saw(0), *_saw(1)],
    feed=[
        ["feed", "a", 0],
        ["feed", "a", 1],
        ["feed", "a", 2],
        ["feed", "b", 0],
        ["feed", "a", 3],
    ],
)


def test_a_good_soak_is_well() -> None:
    assert verdict(GOOD) == []


def without(lines: Sequence[Line], line: Line) -> list[Line]:
    """Take one line away."""
    left = list(lines)
    left.remove(line)
    return left


def swapped(lines: Sequence[Line], line: Line) -> list[Line]:
    """Let a line and the next one change places."""
    at = list(lines).index(line)
    return [*lines[:at], lines[at + 1], line, *lines[at + 2 :]]


def saw(change: Callable[[Sequence[Line], Line], list[Line]], line: Line) -> Evidence:
    return attrs.evolve(GOOD, saw=change(GOOD.saw, line))


def doubled(lines: Sequence[Line], line: Line) -> list[Line]:
    """Let a line come again at once."""
    at = list(lines).index(line)
    return [*lines[:at], line, *lines[at:]]


FACT: Line = ["saw", "a", 1, 2, A[1].digest.hex()]
HEARD: Line = ["heard", "a", 1, 2, 1, "n1#0"]
GAP: Line = ["gap", "a", 1, 3, 3]
ANSWERED: Line = ["fact", "a", "w2", 2, 1, 0, 0]
TWICE = attrs.evolve(A[2], position=4)
FAULTS = {
    "an acknowledged fact is lost at the end": attrs.evolve(GOOD, facts=[*A[:3], *B]),
    "a fact is lost in the middle": attrs.evolve(GOOD, facts=[*A[:1], *A[2:], *B]),
    "a fact is there twice": attrs.evolve(GOOD, facts=[*A, TWICE, *B], heads={"a": 5, "b": 1}),
    "a session is lost": attrs.evolve(GOOD, facts=A, heads={"a": 4}),
    "two facts changed places": attrs.evolve(
        GOOD,
        facts=[
            *A[:2],
            attrs.evolve(A[3], position=2),
            attrs.evolve(A[2], position=3),
            *B,
        ],
    ),
    "the head counts one too many": attrs.evolve(GOOD, heads={"a": 5, "b": 1}),
    "what was refused is there": attrs.evolve(
        GOOD,
        did=[["no", "a", "x1"] if line == ["maybe", "a", "x1"] else line for line in GOOD.did],
    ),
    "nobody wrote it": attrs.evolve(GOOD, did=without(GOOD.did, ANSWERED)),
    "a follower missed a fact": saw(without, FACT),
    "a follower saw a fact twice": saw(doubled, FACT),
    "a follower saw facts in another order": saw(swapped, ["saw", "a", 1, 1, A[0].digest.hex()]),
    "a follower saw another fact": saw(
        lambda lines, line: [[*line[:4], "00"] if each == line else each for each in lines], FACT
    ),
    "nobody followed a session": attrs.evolve(
        GOOD, saw=[line for line in GOOD.saw if line[1] != "b"]
    ),
    "activity was missed": saw(without, HEARD),
    "activity came twice": saw(doubled, HEARD),
    "activity came in another order": saw(swapped, HEARD),
    "a loss was not told": saw(without, GAP),
    "a loss was told too late": saw(swapped, GAP),
    "a loss left out no number": attrs.evolve(
        GOOD,
        did=[
            ["activity", "a", 3, 3, "n3", 1, 0] if line[:3] == ["activity", "a", 3] else line
            for line in without(GOOD.did, ["activity", "a", 3, 2, "n2", 2, 0])
        ],
    ),
    "a number was given twice": attrs.evolve(
        GOOD, did=[*GOOD.did, ["activity", "a", 2, 2, "n7", 1, 1]]
    ),
    "a number was given to nobody": attrs.evolve(GOOD, did=without(GOOD.did, ["lose", "a", 0])),
    "activity came that nobody wrote": saw(
        lambda lines, line: [[*line[:5], "n8#0"] if each == line else each for each in lines],
        HEARD,
    ),
    "the last activity never came": saw(without, ["heard", "a", 1, 3, 4, "n3#0"]),
    "a loss in front of a fact was not told": attrs.evolve(
        GOOD,
        did=[*GOOD.did[:3], ["lose", "a", 0], *GOOD.did[3:]],
    ),
    "the feed missed a fact": attrs.evolve(GOOD, feed=GOOD.feed[:-1]),
    "the feed gave a fact twice": attrs.evolve(GOOD, feed=[*GOOD.feed, GOOD.feed[0]]),
    "the feed turned a session round": attrs.evolve(GOOD, feed=swapped(GOOD.feed, GOOD.feed[0])),
    "the feed turned two sessions round": attrs.evolve(
        GOOD, feed=[GOOD.feed[3], *GOOD.feed[:3], *GOOD.feed[4:]]
    ),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_the_judge_catches(fault: Evidence) -> None:
    assert verdict(fault) != []


def test_what_was_in_doubt_may_be_there_or_not() -> None:
    heard: list[Line] = [["heard", "b", process, 1, 1, "n9#0"] for process in range(2)]
    there = attrs.evolve(GOOD, did=[*GOOD.did, ["doubt", "b", "n9"]], saw=[*GOOD.saw, *heard])

    assert verdict(there) == []
    assert verdict(attrs.evolve(there, did=GOOD.did)) != []


def test_a_reader_is_judged_by_its_own_lines() -> None:
    assert list(not_as_fed(GOOD, "feed")) == []
    assert len(list(not_as_fed(GOOD, "sequence"))) == 5
