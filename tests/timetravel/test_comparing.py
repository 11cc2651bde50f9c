"""
Goal: two sessions that did the same are the same, and the first thing that they did otherwise is
named, whatever was said meanwhile; and facts are picked by what they name.

Method: sessions made through the public API by scripts that differ in one place; and the tape, in
which an input is drained and another one wants into a turn.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from lash_es import ModelReply, ProsePart
from lash_es.codec.streams import StreamId
from lash_es.core.ids import SessionId
from lash_es.log.stores.memory import MemoryStore
from lash_es.log.stores.sqlite import SQLiteStore
from lash_es.timetravel.comparing import Admitted, Called, Comparison, compare, deeds
from lash_es.timetravel.filtering import FactFilter
from lash_es.timetravel.past import StoredHistory
from tests.cli.sessions import call, make_session, reply
from tests.log.tapes import STREAM, play

ASKED = "What is 2 and 3?"


def replies(said: str, *calls: str) -> list[ModelReply]:
    """A reply with calls of ``add``, and the answer."""
    asked = [call("add", arguments, f"c{place}") for place, arguments in enumerate(calls)]
    return [reply(ProsePart(text=said), *asked), reply(ProsePart(text=f"{said}, then"))]


USUAL = '{"a": 2, "b": 3}'


@contextmanager
def two(
    folder: Path, one: Sequence[ModelReply], other: Sequence[ModelReply], inputs: Sequence[str]
) -> Iterator[tuple[StoredHistory, StoredHistory]]:
    db = make_session(folder / "a.db", "one", one, queued="")
    make_session(db, "other", other, inputs=inputs, queued="only waits")
    with closing(SQLiteStore.open(db, create=False)) as store:
        yield tuple(  # type: ignore[misc]
            StoredHistory.of(store, StreamId("default", SessionId(name)))
            for name in ("one", "other")
        )


@pytest.mark.parametrize(
    ("other", "inputs", "expected"),
    [
        (replies("Well", '{"b": 3, "a":2}'), (ASKED,), None),
        (replies("Well", '{"a": 2, "b": 4}'), (ASKED,), (1, "add", '{"a": 2, "b": 4}')),
        (replies("Well", '{"a": 2'), (ASKED,), (1, "add", '{"a": 2')),
        (replies("Well", USUAL, USUAL), (ASKED,), (2, "add", USUAL)),
        ([reply(ProsePart(text="5"))], (ASKED,), (1, None, None)),
        (replies("Well", USUAL), ("What is 2 and 4?",), (0, "What is 2 and 4?", None)),
    ],
)
def test_the_first_deed_that_differs_is_named(
    tmp_path: Path,
    other: list[ModelReply],
    inputs: tuple[str, ...],
    expected: tuple[int, str | None, str | None] | None,
) -> None:
    with two(tmp_path, replies("Yes", USUAL), other, inputs) as (one, another):
        found = compare(one, another)
        assert compare(one, one) == Comparison(same_count=2, divergence=None)
    if expected is None:
        assert found == Comparison(same_count=2, divergence=None)
        return
    assert found.divergence is not None
    place, first, second = expected
    assert found.same_count == found.divergence.place == place
    match found.divergence.other:
        case Called(tool=tool, arguments=arguments):
            assert (tool, arguments) == (first, second)
        case Admitted(text=text):
            assert text == first
        case None:
            assert first is None


def test_drained_inputs_are_admitted_by_their_turn() -> None:
    past = StoredHistory.of(play(MemoryStore()).store, STREAM)

    assert [(type(deed).__name__, getattr(deed, "text", "")) for deed in deeds(past)] == [
        ("Admitted", "this is i1"),
        ("Called", ""),
        ("Called", ""),
        ("Admitted", "more"),
    ]


# Which facts

HISTORY = play(MemoryStore())


@pytest.mark.parametrize(
    ("wanted", "positions"),
    [
        (FactFilter(kind="session"), [0, 1, 26, 27]),
        (FactFilter(kind="session.parked"), [26]),
        (FactFilter(turn="t2"), [23, 24]),
        (FactFilter(turn="t1", kind="input"), [4]),
        (FactFilter(named="i1"), [2, 6, 7, 9, 10, 21]),
        (FactFilter(named="i2"), [3, 8]),
        (FactFilter(claim="tic:1:2"), [9]),
        (FactFilter(generation=2, kind="lease"), [16, 22, 25]),
        (FactFilter(kind="ses"), []),
    ],
)
def test_facts_are_picked_by_what_they_name(wanted: FactFilter, positions: list[int]) -> None:
    taken = [at for at, event in enumerate(HISTORY.events) if wanted.takes(event)]

    assert taken == positions
