"""
What would have been, had facts not happened, or others: a fold of the edited past.

1. Positions stay: what is dropped leaves a hole, and what is inserted stands in front of the fact
   at its position and has none of its own. So what later facts point at is where it was.
2. An event that cannot follow any more is listed with the reason, and leaves a hole, too.
3. Nothing is written, and nothing runs: what a model would have said, nobody knows.

Source: Redux DevTools, which skips and reorders actions, since its reducers are pure as well.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import ClassVar, TypeAlias, cast

import attrs
from attrs import define, frozen

from lash_es.codec.canonical import canonical_bytes, plain_values
from lash_es.codec.errors import UndecodableValue
from lash_es.codec.shapes import from_plain, to_plain
from lash_es.codec.wire_names import EVENT_CLASSES, EVENT_NAMES
from lash_es.core.errors import ImpossibleEvent, LashError
from lash_es.core.events import Event
from lash_es.core.evolve import evolve
from lash_es.core.ids import Position, Version
from lash_es.core.state import NotOpened, Open, State
from lash_es.timetravel.past import Past


@frozen(kw_only=True)
class Drop:
    """The fact at a position did not happen."""

    position: Position


@frozen(kw_only=True)
class Replace:
    """Another event happened in place of the fact at a position."""

    position: Position
    event: Event


@frozen(kw_only=True)
class Insert:
    """An event happened right in front of the fact at a position, or after the last one."""

    position: Position
    event: Event


Edit: TypeAlias = Drop | Replace | Insert


@frozen(kw_only=True)
class Illegal:
    """An event that could not follow any more, and why."""

    position: Position
    event: Event
    reason: str
    is_inserted: bool = False


@frozen(kw_only=True)
class Supposed:
    """How it would have been: the state now, and as it is; the events that became illegal."""

    state: State
    actual: State
    illegal: tuple[Illegal, ...]
    facts_count: int

    @property
    def is_as_it_was(self) -> bool:
        """Tell whether nothing would be different."""
        return self.state == self.actual and not self.illegal


@define(kw_only=True)
class ImpossibleEdit(LashError):
    """An edit names a position or a field that is not there, or makes no event."""

    position: Position
    reason: str
    terminal_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        return f"cannot edit position {self.position}: {self.reason}"


def what_if(past: Past, edits: Sequence[Edit], version: int | None = None) -> Supposed:
    """
    Fold a past as it would have been.

    Args:
        past: whose.
        edits: what is otherwise; inserts at one position follow each other in this order.
        version: up to which version; none for now.

    Raises:
        ImpossibleEdit: there is no fact to edit at a position, or two edits of one.
        VersionOutOfRange, HistoryTrimmedBelow: as ``Past.state_at``.

    Cost: folds from the first edit on.
    """
    end = past.version if version is None else version
    plan = _Plan.of(edits, past.oldest, end)
    first = min(plan.positions, default=end)
    actual = state = past.state_at(first)
    illegal: list[Illegal] = []
    for step in past.steps(first, end):
        actual = step.state
        state = plan.applied(state, step.position, step.event, illegal)
    state = plan.inserted(state, Position(end), illegal)
    return Supposed(
        state=state, actual=actual, illegal=tuple(illegal), facts_count=max(0, end - first)
    )


@frozen(kw_only=True)
class _Plan:
    """The edits, by position."""

    others: Mapping[Position, Drop | Replace]
    inserts: Mapping[Position, tuple[Event, ...]]

    @classmethod
    def of(cls, edits: Sequence[Edit], oldest: int, end: int) -> "_Plan":
        others: dict[Position, Drop | Replace] = {}
        inserts: dict[Position, tuple[Event, ...]] = {}
        for edit in edits:
            last = end if isinstance(edit, Insert) else end - 1
            if not oldest <= edit.position <= last:
                reason = f"there is none, they are {oldest} to {end - 1}"
                raise ImpossibleEdit(position=edit.position, reason=reason)
            if isinstance(edit, Insert):
                here = inserts.get(edit.position, ())
                inserts[edit.position] = (*here, edit.event)
            elif edit.position in others:
                raise ImpossibleEdit(position=edit.position, reason="it is edited twice")
            else:
                others[edit.position] = edit
        return cls(others=others, inserts=inserts)

    @property
    def positions(self) -> Iterable[Position]:
        return (*self.others, *self.inserts)

    def applied(
        self, state: State, position: Position, event: Event, illegal: list[Illegal]
    ) -> State:
        """Apply what happens at a position: what is inserted, then the fact or another one."""
        state = self.inserted(state, position, illegal)
        edit = self.others.get(position)
        if isinstance(edit, Drop):
            return at_version(state, position + 1)
        return follow(state, position, event if edit is None else edit.event, illegal)

    def inserted(self, state: State, position: Position, illegal: list[Illegal]) -> State:
        """Apply what is inserted in front of a position."""
        for event in self.inserts.get(position, ()):
            after = follow(state, position, event, illegal, is_inserted=True)
            state = at_version(after, position)
        return state


def follow(
    state: State,
    position: Position,
    event: Event,
    illegal: list[Illegal],
    *,
    is_inserted: bool = False,
) -> State:
    """Apply an event at its position; one that cannot be there is noted, and leaves a hole."""
    try:
        after = evolve(state, event)
    except ImpossibleEvent as cause:
        reason = cause.summary()
        illegal.append(
            Illegal(position=position, event=event, reason=reason, is_inserted=is_inserted)
        )
        return at_version(state, position + 1)
    return at_version(after, position + 1)


def at_version(state: State, version: int) -> State:
    """Give a state the version that it has in the past as it is."""
    if isinstance(state, NotOpened) or state.version == version:
        return state
    return attrs.evolve(state, version=Version(version))


# Events, edited and made


def edited(event: Event, position: Position, changes: Mapping[str, object]) -> Event:
    """
    Return an event with other values in some of its fields, as they are stored.

    Args:
        event: the event.
        position: where it is, for the error.
        changes: values by the names of fields, with dots between for what is inside of them.

    Raises:
        ImpossibleEdit: there is no such field, or it cannot hold that.
    """
    stored = stored_fields(event)
    for path, value in changes.items():
        _put(stored, path.split("."), value, position)
    return _event(type(event), stored, position)


def stored_fields(event: Event) -> dict[str, object]:
    """Return the fields of an event as JSON has them."""
    name = EVENT_NAMES[type(event)][0]
    return plain_values(canonical_bytes(to_plain(event), name), name)


def made(name: str, position: Position, data: Mapping[str, object], before: State) -> Event:
    """
    Make an event from its wire name and its fields, as they are stored. Time and generation are
    those of the state in front of it, unless they are given.

    Raises:
        ImpossibleEdit: there is no such name, or a field is missing or cannot hold that.
    """
    kind = EVENT_CLASSES.get(name)
    if kind is None:
        known = ", ".join(sorted(EVENT_CLASSES))
        raise ImpossibleEdit(position=position, reason=f"no event {name!r}; there are {known}")
    stored: dict[str, object] = {"at_ms": 0 if isinstance(before, NotOpened) else before.at_ms}
    if "generation" in attrs.fields_dict(kind) and isinstance(before, Open):
        stored["generation"] = before.lease.generation
    if "bodies" in attrs.fields_dict(kind):
        stored["bodies"] = []
    return _event(kind, stored | dict(data), position)


def _event(kind: type[Event], stored: Mapping[str, object], position: Position) -> Event:
    name = EVENT_NAMES[kind][0]
    try:
        return from_plain(stored, kind, name)
    except UndecodableValue as cause:
        raise ImpossibleEdit(position=position, reason=cause.summary()) from cause


def _put(stored: object, names: list[str], value: object, position: Position) -> None:
    *inner, last = names
    for name in inner:
        stored = _inside(stored, name, position)
    _inside(stored, last, position)  # What is not there cannot be put in place of.
    if isinstance(stored, list):
        cast("list[object]", stored)[int(last)] = value
    else:
        cast("dict[str, object]", stored)[last] = value


def _inside(stored: object, name: str, position: Position) -> object:
    holder = stored
    if isinstance(stored, dict):
        fields = cast("dict[str, object]", stored)
        if name in fields:
            return fields[name]
    elif isinstance(stored, list):
        items = cast("list[object]", stored)
        if name.isdecimal() and int(name) < len(items):
            return items[int(name)]
    raise _no_field(name, position, holder)


def _no_field(name: str, position: Position, stored: object) -> ImpossibleEdit:
    there = ", ".join(cast("dict[str, object]", stored)) if isinstance(stored, dict) else "none"
    return ImpossibleEdit(position=position, reason=f"no field {name!r}; there are {there}")


def events_at(past: Past, position: int) -> Iterator[tuple[Event, State]]:
    """Tell the fact at a position, and the state in front of it; nothing after the last."""
    before = past.state_at(position)
    for step in past.steps(position, position + 1):
        yield step.event, before
