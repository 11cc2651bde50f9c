"""
Goal: a path says where something is in a state, and one that no state can have is refused.

Method: paths of a state in which everything is open, written and read back; and the texts of
refusals.
"""

from collections.abc import Iterator

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash_es.core.heads import Ledger, UsageKey
from lash_es.core.ids import TurnId
from lash_es.core.messages import TokenUsage
from lash_es.core.state import NOT_OPENED, Open
from lash_es.timetravel.history import History
from lash_es.timetravel.paths import (
    MISSING,
    Plain,
    StatePath,
    UnknownPath,
    jsonable,
    plain,
    quoted,
    value_text,
)
from tests.core.effort import effort
from tests.core.examples import ASKING, COMMITTED, IDLE, PENDING, REPLIED
from tests.timetravel.test_history import histories, history_of


def at(path: str, state: object) -> object:
    return StatePath.parse(path).of(state)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("session_id", "s1"),
        ("kind", "open"),
        ("turn.kind", "open_turn"),
        ("turn.effects.t1/1.attempt", 1),
        ('turn.effects."t1/1".request.kind', "model_call"),
        ("turn.nodes.0.role", "user"),
        ("turn.nodes.7", MISSING),
        ("turn.effects.t1/9.attempt", MISSING),
        ("lease.generation", 1),
        ("lease.holder.owner.liveness.kind", "opaque"),
        ("trim.below", MISSING),
    ],
)
def test_a_path_leads_to_what_is_there(path: str, expected: object) -> None:
    assert plain(at(path, history_of(*ASKING).state)) == expected


def test_what_another_state_has_is_nothing_here() -> None:
    assert at("turn.effects", history_of(*IDLE).state) is MISSING
    assert at("lease", NOT_OPENED) is MISSING
    assert at("kind", NOT_OPENED) == "not_opened"
    assert at("generation", history_of(*IDLE).state) is MISSING


def test_keys_of_the_ledger_are_written_with_a_slash() -> None:
    state = history_of(*IDLE).state
    assert isinstance(state, Open)
    rows = {UsageKey("turn", 'a."b"'): TokenUsage(input_tokens=7)}
    used = attrs.evolve(state, ledger=Ledger(rows=rows))

    assert at(r'ledger.rows."turn/a.\"b\"".input_tokens', used) == 7


def test_every_place_in_a_state_has_a_path_that_leads_there() -> None:
    met: set[str] = set()

    @effort(60)
    @given(histories)
    def check(history: History) -> None:
        state = history.state
        for segments, value in places((), plain(state)):
            path = StatePath(segments)
            assert plain(StatePath.parse(str(path)).of(state)) == value
            met.add(segments[0])

    check()
    assert {"lease", "inputs", "turn", "head", "ledger"} <= met


def places(segments: tuple[str, ...], value: Plain) -> Iterator[tuple[tuple[str, ...], Plain]]:
    if segments:
        yield segments, value
    if isinstance(value, dict):
        for key, each in value.items():
            yield from places((*segments, key), each)
    elif isinstance(value, list):
        for place, each in enumerate(value):
            yield from places((*segments, str(place)), each)


@given(st.text(min_size=1))
def test_any_key_can_be_written(key: str) -> None:
    assert StatePath(("turn", "effects", key)) == StatePath.parse(f"turn.effects.{quoted(key)}")


@pytest.mark.parametrize(
    ("path", "found", "expected"),
    [
        ("", "", "expected a name"),
        ("leese", "leese", "lease, ledger"),
        ("lease.", "", "expected a name"),
        ("lease..holder", ".holder", "expected a name"),
        ("lease holder", " holder", "a dot, the end"),
        ("lease.hodler", "hodler", "generation, holder, position"),
        ("lease.generation.x", "x", "nothing further"),
        ("turn.nodes.first", "first", "a number"),
        ("inputs.pending.i1.x", "x", "attempts"),
        ('inputs.pending."i1', '"i1', "expected a name"),
        (r'inputs.pending."\q"', r'"\q"', "expected a name"),
        ("__class__", "__class__", "lease, ledger"),
        ("lease.__init__.__globals__", "__init__", "generation, holder, position"),
    ],
)
def test_a_path_that_no_state_has_is_refused(path: str, found: str, expected: str) -> None:
    with pytest.raises(UnknownPath) as refused:
        StatePath.parse(path)

    assert refused.value.found == found
    assert expected in refused.value.summary()
    assert refused.value.is_terminal


def test_values_are_written_as_json_and_what_is_missing_as_nothing() -> None:
    pending = history_of(*PENDING).state

    assert value_text(at("inputs.next_sequence", pending)) == "3"
    assert value_text(at("turn", pending)) == '{"kind": "no_turn"}'
    assert value_text(MISSING) == "nothing"
    assert jsonable(MISSING) is None
    assert jsonable(TurnId("t")) == "t"


def test_what_is_no_part_of_a_state_is_a_mistake_of_ours() -> None:
    with pytest.raises(TypeError, match="no part of a state: float"):
        plain(1.5)


def test_replies_and_commits_can_be_asked_about() -> None:
    assert at("turn.step.outcome.usage.input_tokens", history_of(*REPLIED).state) is not MISSING
    assert at("head.leaf.node_id", history_of(*COMMITTED).state) == "t1:m2"
