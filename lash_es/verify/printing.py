"""Histories as the text of a test: what to paste into a test file, and to put right there."""

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Final, cast

import attrs

from lash_es.core.commands import new_bodies
from lash_es.core.errors import CommandRejected, ImpossibleEvent, LashError
from lash_es.core.events import Event
from lash_es.core.limits import DEFAULT_LIMITS
from lash_es.verify.worlds import Ask, Move, Transition, World, moved

WIDTH: Final = 99


def as_test(rule: str, because: str, start: World, history: Sequence[Move]) -> str:
    """
    Print a history as a test: given its facts, when its last question is asked, then what was
    found is found again.

    It passes for as long as the code does the same; whoever repairs it puts in what is right.
    """
    facts, last, world = _replayed(start, history)
    bodies = {
        body.commitment: body
        for move in history
        if isinstance(move, Ask)
        for body in new_bodies(move.command)
    }
    parts = [_source(fact, 8) + "," for fact in facts]
    if bodies:
        parts.append(f"bodies={_source(tuple(bodies.values()), 8)},")
    if world.limits != DEFAULT_LIMITS:
        parts.append(f"limits={_source(world.limits, 8)},")
    lines = [
        f"def test_{_name(rule)}() -> None:",
        f'    """Broken: {rule}; {because}."""'.replace("\\", "/"),
        "    story = given(",
        *(f"        {part}" for part in parts),
        "    )",
        *_asked(history, last),
    ]
    body = "\n".join(lines)
    imports = _imports((*facts, *bodies.values(), world.limits, history, last))
    return f"{imports}\n\n\n{body}\n"


def _replayed(
    start: World, history: Sequence[Move]
) -> tuple[tuple[Event, ...], Transition | None, World]:
    """Make the moves again; the last one may be one that cannot be applied."""
    facts: list[Event] = []
    world, last = start, None
    for index, move in enumerate(history):
        try:
            last = moved(world, move)
        except ImpossibleEvent:
            return tuple(facts), None, world
        if index < len(history) - 1:
            facts += last.events
        world = last.after
    return tuple(facts), last, world


def _asked(history: Sequence[Move], last: Transition | None) -> Iterator[str]:
    move = history[-1] if history else None
    if not isinstance(move, Ask):
        yield f"    assert story.events, {str(move)!r}"
        return
    yield f"    found = story.when({_source(move.command, 4)})"
    if last is None:
        yield "    found.nothing_happened()"
    elif isinstance(last.found, CommandRejected):
        yield f"    found.refused({_source(last.found, 4)})"
    else:
        facts = "".join(f"\n        {_source(fact, 8)}," for fact in last.found)
        yield f"    found.then({facts}\n    )" if facts else "    found.nothing_happened()"


def _name(rule: str) -> str:
    return re.sub(r"\W+", "_", rule).strip("_").lower()


def _source(value: object, indent: int) -> str:
    """Write a value as what makes it, over several lines if one is too short."""
    short = _inline(value)
    if len(short) + indent + 8 <= WIDTH or not attrs.has(type(value)):
        return short
    inner = "".join(
        f"\n{' ' * (indent + 4)}{name}={_source(each, indent + 4)},"
        for name, each in _fields(value).items()
    )
    return f"{type(value).__name__}({inner}\n{' ' * indent})"


def _inline(value: object) -> str:
    if isinstance(value, Enum):
        return f"{type(value).__name__}.{value.name}"
    if isinstance(value, tuple):
        parts = cast("tuple[object, ...]", value)
        inner = ", ".join(map(_inline, parts))
        return f"({inner},)" if len(parts) == 1 else f"({inner})"
    if not attrs.has(type(value)):
        return repr(value)
    inner = ", ".join(f"{name}={_inline(each)}" for name, each in _fields(value).items())
    return f"{type(value).__name__}({inner})"


def _fields(value: object) -> Mapping[str, object]:
    """List what a value is made from, without what it would be anyway."""
    if isinstance(value, LashError):
        return value.fields
    kind = type(value)
    assert attrs.has(kind)
    found: dict[str, object] = {}
    for each in attrs.fields(kind):
        given = getattr(value, each.name)
        if each.init and (each.default is attrs.NOTHING or given != each.default):
            found[each.alias or each.name] = given
    return found


def _imports(values: object) -> str:
    found = {"from lash_es.verify.spec import given"}
    found |= {f"from {kind.__module__} import {kind.__name__}" for kind in _kinds(values)}
    return "\n".join(sorted(line for line in found if "worlds" not in line))


def _kinds(value: object) -> Iterator[type]:
    """List the classes that a value is made of."""
    if isinstance(value, Enum):
        yield type(value)
    elif isinstance(value, tuple | list):
        for item in cast("Sequence[object]", value):
            yield from _kinds(item)
    elif isinstance(value, Transition):
        yield from _kinds((value.move, value.found))
    elif attrs.has(type(value)):
        yield type(value)
        yield from _kinds(tuple(_fields(value).values()))
