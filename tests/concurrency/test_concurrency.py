"""
Goal: whatever many processes ask the same sessions at once, each is told what a session would have
said that did these things one after the other, in the order of its facts.

Method: real processes on one SQLite file write down what they asked and were told; the receipts
are replayed on the naive model at the versions that they name (``replaying.py``). On PostgreSQL:
``tests/postgres/test_postgres_concurrency.py``; longer: ``python -m tests.concurrency``.
"""

import json
from pathlib import Path

import attrs
import pytest

from tests.concurrency.__main__ import RESULTS, STORES, main
from tests.concurrency.entries import Entry
from tests.concurrency.lying import Flattering, Stale
from tests.concurrency.replaying import problems
from tests.concurrency.running import run, run_until_rare
from tests.growth.grounds import File


def test_what_processes_are_told_is_what_one_after_the_other_would_say(tmp_path: Path) -> None:
    wrong, never = run_until_rare(lambda seed: File(tmp_path / f"{seed}.db"), clients=5, steps=120)

    assert (wrong, never) == ((), [])


def test_a_store_that_answers_a_stale_receipt_is_caught(tmp_path: Path) -> None:
    found = run(File(tmp_path / "log.db"), clients=3, steps=100, seed=2, distortions={0: Stale})

    assert any(each.startswith("stale: client 0") for each in found.wrong)


def test_a_store_that_calls_a_lost_race_won_is_caught(tmp_path: Path) -> None:
    found = run(
        File(tmp_path / "log.db"), clients=3, steps=100, seed=3, distortions={0: Flattering}
    )

    assert any("client 0" in each for each in found.wrong)


def test_the_long_form_judges_and_keeps_what_it_found(tmp_path: Path) -> None:
    words = ["--clients=2", "--steps=10", "--store=sqlite", "--to", str(tmp_path)]

    assert main(words) == 1  # It proves too little, and says so.
    (kept,) = tmp_path.glob("concurrency-sqlite-*.json")
    assert '"wrong": []' in kept.read_text("utf-8")


@pytest.mark.parametrize("store", STORES)
def test_the_committed_long_run_found_nothing_wrong_and_everything_rare(store: str) -> None:
    kept = json.loads(max(RESULTS.glob(f"concurrency-{store}-*.json")).read_text("utf-8"))

    assert (kept["wrong"], kept["never happened"]) == ([], [])
    assert (kept["clients"], kept["receipts"]) == (8, 12_000)


# The judge, by hand

FACTS = {"one": ["SessionOpened", "TurnInputEnqueued", "TurnInputCancelled"]}
SENT = Entry(
    session="one",
    client=1,
    asked="enqueue",
    now_ms=5,
    words={"name": "i1", "key": None, "text": "hello"},
    began_ns=10,
    ended_ns=20,
    version=1,
    facts=("TurnInputEnqueued",),
    refused="",
    told=["i1", 1, "waiting"],
    tries=1,
)
CANCELLED = Entry(
    session="one",
    client=2,
    asked="cancel",
    now_ms=6,
    words={"name": "i1"},
    began_ns=30,
    ended_ns=40,
    version=2,
    facts=("TurnInputCancelled",),
    refused="",
    told="Cancelled",
    tries=1,
)
LOOKED = attrs.evolve(
    CANCELLED, asked="look", words={}, facts=(), told=[], version=3, began_ns=50, ended_ns=60
)
RIGHT = (SENT, CANCELLED, LOOKED)


def test_receipts_that_can_have_been_are_fine_in_any_order() -> None:
    assert problems(RIGHT, FACTS) == []
    assert problems(RIGHT[::-1], FACTS) == []


@pytest.mark.parametrize(
    ("entries", "word"),
    [
        ((*RIGHT[:2], attrs.evolve(LOOKED, version=2, told=["i1"])), "stale"),
        ((*RIGHT[:2], attrs.evolve(LOOKED, told=["i1"])), "expected ('-', [])"),
        ((*RIGHT[:2], attrs.evolve(LOOKED, began_ns=1, ended_ns=5)), "ahead of time"),
        ((SENT, LOOKED), "nobody was told of the facts from 2 on"),
        (RIGHT[:1], "nobody was told of the facts from 2 on, of 3"),
        ((SENT, *RIGHT), "two answers for one place"),
        ((attrs.evolve(SENT, told=["i1", 2, "waiting"]), *RIGHT[1:]), "'waiting']"),
        ((SENT, attrs.evolve(CANCELLED, told="NotFound"), LOOKED), "'Cancelled'"),
        ((attrs.evolve(SENT, facts=("WorkEnqueued",)), *RIGHT[1:]), "the log has"),
        ((attrs.evolve(SENT, refused="LookupError", facts=()), *RIGHT[1:]), "!LookupError"),
    ],
)
def test_receipts_that_cannot_have_been_are_named(entries: tuple[Entry, ...], word: str) -> None:
    assert any(word in each for each in problems(entries, FACTS))
