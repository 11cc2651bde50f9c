"""
Given these facts, when this is asked, then that is recorded, or refused, or nothing happens.

::

    cancel = CancelTurnInput(now_ms=3, input_id=HI)
    given(OPENED, HELLO).when(cancel).then(TurnInputCancelled(at_ms=3, input_id=HI))
    given(OPENED, HELLO).when(other_content).refused(SourceKeyConflict(...))
    given(OPENED).when(cancel).nothing_happened()

1. Errors compare by type and fields, never by identity or wording.
2. Every ``when`` also checks laws that no single rule states: the same question gets the same
   answer, ``evolve`` accepts what ``decide`` records, and deciding leaves the state alone.
3. What a specification does not say of the index is computed from its facts, as a store would.

Source: Emmett's ``given(events).when(command).then(events)``, with its ``thenThrows`` and
``thenNothingHappened``.
"""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

import attrs
from attrs import field, frozen

from lash_es.core.bodies import BodyRef, NewBody
from lash_es.core.commands import Command, new_bodies
from lash_es.core.decide import decide
from lash_es.core.errors import CommandRejected, ImpossibleEvent, LashError
from lash_es.core.events import Event, commitments
from lash_es.core.evolve import evolve, fold
from lash_es.core.ids import Position
from lash_es.core.index import index_rows
from lash_es.core.known import IndexEntry, IndexKey, Known, follows, names
from lash_es.core.limits import Limits
from lash_es.core.state import NOT_OPENED, State

_Events: TypeAlias = tuple[Event, ...]


class NotAsSpecified(AssertionError):
    """The code does something else than a specification says; the message shows both."""


def given(
    *events: Event,
    known: Known | None = None,
    bodies: Iterable[NewBody] = (),
    limits: Limits | None = None,
) -> "Given":
    """
    Begin a specification with the facts of a stream, oldest first; none: nothing was opened.

    Args:
        *events: what happened. Facts that cannot follow each other raise ``ImpossibleEvent``.
        known: what the index says. Left out: what these facts wrote into it.
        bodies: contents that the facts commit to, for rules that compare contents. A body that is
            left out counts as erased. Ignored if ``known`` is given.
        limits: other bounds than ``known``'s, or than the defaults.

    """
    state = fold(events)
    index = known
    if index is None:
        index = Known(entries=_written(NOT_OPENED, events), salts=_salts(events, bodies))
    if limits is not None:
        index = attrs.evolve(index, limits=limits)
    return Given(events=events, state=state, known=index, is_looked_up=known is None)


@frozen(kw_only=True)
class Given:
    """
    Facts, and the state that they fold to.

    ``is_looked_up``: ``known`` is the whole index, and a command gets of it what it names.
    """

    events: _Events
    state: State
    known: Known
    is_looked_up: bool = field(repr=False)

    def when(self, command: Command) -> "Decision":
        """Ask, and check the laws that hold for every question."""
        known = _answer(self.known, command) if self.is_looked_up else self.known
        found = _decided(self.state, command, known)
        _require_deterministic(self.state, command, known, found)
        _require_untouched(self, command)
        after = self.state if isinstance(found, CommandRejected) else _accepted(self, found)
        return Decision(given=self, command=command, known=known, found=found, state=after)


@frozen(kw_only=True)
class Decision:
    """
    What a command came to: facts, in order, or a refusal.

    ``state`` is the state after it, or the one before it if nothing was recorded; ``known`` is
    what the decision was made with.
    """

    given: Given
    command: Command
    known: Known
    found: _Events | CommandRejected
    state: State

    @property
    def events(self) -> _Events:
        """The recorded facts; none of a refusal."""
        return () if isinstance(self.found, CommandRejected) else self.found

    @property
    def afterwards(self) -> Given:
        """What there is to go on from: the facts so far, and the contents that they commit to."""
        before = self.given
        events = before.events + self.events
        rows = _written(before.state, self.events)
        salts = _salts(events, new_bodies(self.command), start=len(before.events))
        known = attrs.evolve(
            before.known,
            entries={**before.known.entries, **rows},
            salts={**before.known.salts, **salts},
        )
        return attrs.evolve(before, events=events, state=self.state, known=known)

    def when(self, command: Command) -> "Decision":
        """Go on with the story: ask the next thing of what this one has led to."""
        return self.afterwards.when(command)

    def then(self, *expected: Event) -> "Decision":
        """Expect exactly these facts, in this order."""
        if self.found != expected:
            raise self._other_than(expected)
        return self

    def refused(self, expected: CommandRejected) -> "Decision":
        """Expect a refusal of this type with these fields."""
        if not is_same_error(self.found, expected):
            raise self._other_than(expected)
        return self

    def nothing_happened(self) -> "Decision":
        """Expect that the command was taken and recorded nothing."""
        return self.then()

    def _other_than(self, expected: _Events | CommandRejected) -> NotAsSpecified:
        return NotAsSpecified(
            f"given:    {_shown(self.given.events)}\n"
            f"asked:    {self.command!r}\n"
            f"found:    {_shown(self.found)}\n"
            f"expected: {_shown(expected)}"
        )


def is_same_error(found: object, expected: LashError) -> bool:
    """Tell whether both are the same error: same class, same fields."""
    return type(found) is type(expected) and _fields(found) == expected.fields


def _fields(error: object) -> Mapping[str, object] | None:
    return error.fields if isinstance(error, LashError) else None


def _shown(found: _Events | CommandRejected) -> str:
    if isinstance(found, CommandRejected):
        return f"refused, {found!r}"
    if not found:
        return "nothing"
    return "\n          ".join(repr(event) for event in found)


# What a store would have said


def _written(state: State, events: _Events) -> dict[IndexKey, IndexEntry]:
    rows: dict[IndexKey, IndexEntry] = {}
    for event in events:
        rows.update(index_rows(state, event))
        state = evolve(state, event)
    return rows


def _salts(events: _Events, bodies: Iterable[NewBody], start: int = 0) -> Mapping[BodyRef, bytes]:
    """Find the salt of every body that facts from ``start`` on commit to."""
    salt_of = {body.commitment: body.salt for body in bodies}
    return {
        BodyRef(position=Position(start + index), ordinal=ordinal): salt_of[commitment]
        for index, event in enumerate(events[start:])
        for ordinal, commitment in enumerate(commitments(event))
        if commitment in salt_of
    }


def _answer(index: Known, command: Command) -> Known:
    """Look up what the command names and what that leads to, and nothing else."""
    named = names(command)
    led_to = tuple(
        key for name in named if name in index.entries for key in follows(index.entries[name])
    )
    entries = {key: index.entries[key] for key in (*named, *led_to) if key in index.entries}
    return attrs.evolve(index, entries=entries)


# Laws


def _decided(state: State, command: Command, known: Known) -> _Events | CommandRejected:
    try:
        return decide(state, command, known)
    except CommandRejected as refusal:
        return refusal


def _require_deterministic(
    state: State, command: Command, known: Known, first: _Events | CommandRejected
) -> None:
    second = _decided(state, command, known)
    if second == first:
        return
    if isinstance(first, CommandRejected) and is_same_error(second, first):
        return
    raise NotAsSpecified(
        "the same question got two answers\n"
        f"asked:    {command!r}\n"
        f"found:    {_shown(first)}\n"
        f"then:     {_shown(second)}"
    )


def _require_untouched(before: Given, command: Command) -> None:
    """Compare with a state folded anew: a decision that reached into the old one is seen."""
    anew = fold(before.events)
    if anew != before.state:
        raise NotAsSpecified(
            "a decision changed the state\n"
            f"asked:    {command!r}\n"
            f"found:    {before.state!r}\n"
            f"expected: {anew!r}"
        )


def _accepted(before: Given, events: _Events) -> State:
    try:
        return fold(events, before.state)
    except ImpossibleEvent as refusal:
        raise NotAsSpecified(
            "what was decided cannot be applied\n"
            f"given:    {_shown(before.events)}\n"
            f"decided:  {_shown(events)}\n"
            f"found:    {refusal}"
        ) from refusal
