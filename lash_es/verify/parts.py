"""
The parts of a world, and worlds of which some parts are hidden.

A rule of the core reads little of a state: what a claim of queued work comes to depends on the
lease and on the work, whatever was said to the session. Nobody has to say so: a world is made with
parts that are hidden, and whoever looks at one is told to ask again with that part shown. What
was found out without looking at a part is true whatever the part is, since all that is asked is a
pure function of the world. A part that is only handed on, from a state to the next, is not looked
at.

Source: the recorded reads of incremental computation (Adapton, Salsa), here by refusal.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, Final, NoReturn, TypeAlias, cast

import attrs

from lash_es.core.ids import SessionId, Version
from lash_es.core.state import Open
from lash_es.verify.worlds import World


class Part(IntEnum):
    """What a world is taken apart into."""

    CLOCK = 0
    LEASE = 1
    CREW = 2
    SPENT = 3
    HEAD = 4
    PARKED = 5
    TURN = 6
    INPUTS = 7
    WORK = 8


Values: TypeAlias = tuple[object, ...]
"""The fields of a part, in the order of ``FIELDS``."""

NOW_MS: Final = 1_000_000
"""The time of every world that was put together from parts: times are relative to it."""

VERSION: Final = Version(1_000)
"""
Its version, but for a session that was only just opened: positions that came before are renamed to
small numbers.
"""

_NO_PART: Final = frozenset({"session_id", "opened_at_ms"})
_OF_STATE: Final = {
    "version": Part.CLOCK,
    "at_ms": Part.CLOCK,
    "lease": Part.LEASE,
    "is_parked": Part.PARKED,
    "inputs": Part.INPUTS,
    "turn": Part.TURN,
    "work": Part.WORK,
}
_OF_WORLD: Final = {
    "actors": Part.CREW,
    "crashes": Part.SPENT,
    "jumps": Part.SPENT,
    "setbacks": Part.SPENT,
    "said": Part.INPUTS,
    "inputs": Part.INPUTS,
    "taken": Part.TURN,
    "turns": Part.TURN,
    "drawn": Part.HEAD,
    "done": Part.WORK,
    "batches": Part.WORK,
}
IN_STATE: Final[dict[Part, tuple[str, ...]]] = {
    part: tuple(
        field.name
        for field in attrs.fields(Open)
        # A field that is new belongs to the head until it is said here where it belongs.
        if field.name not in _NO_PART and _OF_STATE.get(field.name, Part.HEAD) is part
    )
    for part in Part
}
IN_WORLD: Final[dict[Part, tuple[str, ...]]] = {
    part: tuple(name for name, its_part in _OF_WORLD.items() if its_part is part) for part in Part
}


class Looked(Exception):
    """Somebody looked at a part that was hidden."""

    def __init__(self, part: Part) -> None:
        super().__init__(part)
        self.part = part


def _looked(self: object, *_: object) -> NoReturn:
    raise Looked(object.__getattribute__(self, "_part"))


class Hidden:
    """What stands in the place of a part: it can be handed on, and everything else is looking."""

    __slots__ = ("_part",)

    def __init__(self, part: Part) -> None:
        object.__setattr__(self, "_part", part)

    __getattribute__ = _looked
    __setattr__ = _looked
    __eq__ = _looked
    __ne__ = _looked
    __lt__ = _looked
    __le__ = _looked
    __gt__ = _looked
    __ge__ = _looked
    __hash__ = _looked
    __bool__ = _looked
    __len__ = _looked
    __iter__ = _looked
    __contains__ = _looked
    __getitem__ = _looked
    __add__ = _looked
    __radd__ = _looked
    __sub__ = _looked
    __rsub__ = _looked
    __repr__ = _looked


HIDDEN: Final = tuple(Hidden(part) for part in Part)
_SHOWN_LENGTHS: Final = tuple(len(IN_STATE[part]) + len(IN_WORLD[part]) for part in Part)
_VEILS: Final = tuple((HIDDEN[part],) * _SHOWN_LENGTHS[part] for part in Part)


def values_of(world: World, part: Part) -> Values:
    """Return the fields of a part of an open world."""
    state = cast("Open", world.state)
    return (
        *(getattr(state, name) for name in IN_STATE[part]),
        *(getattr(world, name) for name in IN_WORLD[part]),
    )


def is_hidden(values: Values, part: Part) -> bool:
    """
    Tell whether a part was handed on as it was.

    Raises:
        Looked: some of it was replaced, so that the rest has to be shown.
    """
    hidden = HIDDEN[part]
    count = sum(value is hidden for value in values)
    if count == len(values):
        return True
    if count:
        raise Looked(part)
    return False


def put_together(like: World, parts: Sequence[Values | None]) -> World:
    """
    Make an open world of parts, those that are missing hidden.

    ``like`` gives what is the same for all worlds of a search.
    """
    of_state: dict[str, Any] = {}
    of_world: dict[str, Any] = {}
    for part in Part:
        values = parts[part]
        shown = _VEILS[part] if values is None else values
        split = len(IN_STATE[part])
        of_state.update(zip(IN_STATE[part], shown[:split], strict=True))
        of_world.update(zip(IN_WORLD[part], shown[split:], strict=True))
    state = Open(session_id=SESSION, opened_at_ms=0, **of_state)
    return World(
        state=state, now_ms=NOW_MS, limits=like.limits, reducers=like.reducers, **of_world
    )


SESSION: Final = SessionId("s1")
