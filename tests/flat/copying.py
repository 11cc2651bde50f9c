"""
How much of a state an event copies: every node that was not there before, and every entry of a map
that was made anew.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import attrs


def copied(before: object, after: object) -> int:
    """Count the nodes and entries of ``after`` that are not those of ``before``."""
    old = {id(node) for node in nodes(before)}
    return sum(1 + entries(node) for node in nodes(after, old))


def nodes(root: object, known: set[int] | None = None) -> Iterator[Any]:
    """Go through the values that hold others, each once; into none that is known."""
    seen = set(known or ())
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        held = _held(node)
        if held is not None:
            yield node
            waiting += held


def _held(node: Any) -> list[Any] | None:  # noqa: ANN401 - whatever a state is made of
    if isinstance(node, Mapping):
        return [*node.values()]
    if isinstance(node, tuple):
        return [*node]
    if attrs.has(type(node)):
        return [getattr(node, field.name) for field in attrs.fields(type(node))]
    return None


def entries(node: Any) -> int:  # noqa: ANN401 - whatever a state is made of
    """Count what a copy of it copies besides itself."""
    return len(node) if isinstance(node, Mapping | tuple) else 0
