"""
The vocabulary: every fact, command and entry is handled wherever all of them have to be.

Two type checkers say that a match is complete. This says what they cannot: that the unions name
every class there is, that nothing is both a fact and a command, and that all of it is plain,
frozen data.
"""

from contextlib import suppress
from types import ModuleType
from typing import get_args

import attrs
import pytest

from lash_es.core import (
    activity,
    batches,
    commands,
    descriptions,
    effects,
    events,
    fork_events,
    graph_commands,
    graph_events,
    ingress,
    known,
    messages,
    outcomes,
    owners,
    transcripts,
    turns,
    work_commands,
    work_events,
)
from lash_es.core.activity import StreamedActivity
from lash_es.core.causes import cause
from lash_es.core.commands import Command, OwnerCommand, TurnSource
from lash_es.core.decide import decide
from lash_es.core.errors import CommandRejected, ImpossibleEvent
from lash_es.core.events import (
    DirectInput,
    DrainedInputs,
    Event,
    OpenEvent,
    OwnerEvent,
    SessionOpened,
    commitments,
)
from lash_es.core.evolve import evolve, fold
from lash_es.core.known import names
from lash_es.core.work_commands import WorkSelection
from lash_es.core.work_events import DrainedWork
from tests.core.test_decision_matrix import ROWS, SCENES
from tests.core.test_forks import FORKED_FACT
from tests.core.test_laws import BATCHES_MAX, facts, sample

STATES = {name: fold(scene.history) for name, scene in SCENES.items()}


def classes_of(module: ModuleType) -> set[type]:
    return {
        value
        for value in vars(module).values()
        if isinstance(value, type) and attrs.has(value) and value.__module__ == module.__name__
    }


def test_the_union_of_facts_names_every_fact() -> None:
    defined = classes_of(events) | classes_of(graph_events) | classes_of(work_events)
    defined |= {descriptions.SessionDescribed, fork_events.SessionForked}
    assert defined == set(get_args(Event)) | {DirectInput, DrainedInputs, DrainedWork}
    assert set(get_args(Event)) == {SessionOpened, *get_args(OpenEvent)}


def test_the_union_of_commands_names_every_command() -> None:
    defined = classes_of(commands) | classes_of(work_commands) | classes_of(graph_commands)
    parts = {*get_args(TurnSource), commands.InputCompletion, *get_args(WorkSelection)}
    parts |= {graph_commands.NewNode, graph_commands.Ancestor}
    defined |= {descriptions.DescribeSession}
    assert defined == set(get_args(Command)) | parts


def test_what_only_an_owner_may_do_shows_its_fence_and_what_it_wrote_has_a_generation() -> None:
    fenced = {kind for kind in get_args(Command) if "fence" in names_of(kind)}
    generated = {kind for kind in get_args(Event) if "generation" in names_of(kind)}

    # A stale release is silent and therefore no owner's command, though it shows a fence.
    assert fenced == {*get_args(OwnerCommand), commands.ReleaseLease}
    assert generated == set(get_args(OwnerEvent))


def names_of(kind: type) -> set[str]:
    return {field.name for field in attrs.fields(kind)}


def test_every_command_brings_its_time_and_every_fact_keeps_one() -> None:
    assert {kind for kind in get_args(Command) if "now_ms" not in names_of(kind)} == set()
    assert {kind for kind in get_args(Event) if "at_ms" not in names_of(kind)} == set()


@pytest.mark.parametrize("name", STATES)
def test_every_command_is_decided_in_every_state(name: str) -> None:
    for row in ROWS.values():
        command = row(SCENES["leased"])
        names(command)
        try:
            decided = decide(STATES[name], command)
        except CommandRejected:
            continue
        assert isinstance(decided, tuple)


def test_every_fact_is_applied_or_impossible_in_every_state() -> None:
    samples: dict[type[Event], Event] = {fork_events.SessionForked: FORKED_FACT}
    for batch in range(BATCHES_MAX):
        samples |= {type(event): event for life in sample(batch) for event in facts(life)}
        if samples.keys() == set(get_args(Event)):
            break
    assert samples.keys() == set(get_args(Event))

    for state in STATES.values():
        for event in samples.values():
            commitments(event)
            cause(state, event)
            with suppress(ImpossibleEvent):
                assert evolve(state, event) != state


def test_activity_is_no_fact() -> None:
    # It is shown and pruned; nothing that is folded may depend on it.
    assert classes_of(activity) == set(get_args(StreamedActivity))
    assert not set(get_args(StreamedActivity)) & set(get_args(Event))


@pytest.mark.parametrize(
    "module",
    [
        activity,
        batches,
        commands,
        effects,
        events,
        graph_commands,
        graph_events,
        ingress,
        known,
        messages,
        outcomes,
        owners,
        transcripts,
        turns,
        work_commands,
        work_events,
    ],
    ids=lambda module: module.__name__,
)
def test_all_data_is_frozen_and_slotted(module: ModuleType) -> None:
    for kind in classes_of(module):
        assert hasattr(kind, "__slots__"), kind
        assert "__setattr__" in vars(kind), kind
