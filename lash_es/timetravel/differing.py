"""
What is different between two states: by structure, a path for each difference.

Source: ``git diff``, of values in place of lines. What is only there on one side is told once, at
the highest path where it is, and not again for each of its parts.
"""

from collections.abc import Iterator

from attrs import frozen

from lash_es.core.state import State
from lash_es.timetravel.paths import MISSING, Plain, StatePath, plain


@frozen(kw_only=True)
class Difference:
    """Where two states are different, and the plain values there; ``MISSING`` is none."""

    path: StatePath
    before: Plain
    after: Plain


def differences(before: State, after: State) -> tuple[Difference, ...]:
    """
    List where a state is different from another, in the order of its fields.

    Cost: the size of both.
    """
    return tuple(_differences(StatePath(()), plain(before), plain(after)))


def _differences(path: StatePath, before: Plain, after: Plain) -> Iterator[Difference]:
    if isinstance(before, dict) and isinstance(after, dict) and _are_alike(before, after):
        for key in {**before, **after}:
            below = StatePath((*path.segments, key))
            yield from _differences(below, before.get(key, MISSING), after.get(key, MISSING))
    elif isinstance(before, list) and isinstance(after, list):
        for place in range(max(len(before), len(after))):
            below = StatePath((*path.segments, str(place)))
            yield from _differences(below, _at(before, place), _at(after, place))
    elif before != after:
        yield Difference(path=path, before=before, after=after)


def _are_alike(before: dict[str, Plain], after: dict[str, Plain]) -> bool:
    """Tell whether both are the same member of a union; two others have no parts to compare."""
    return before.get("kind") == after.get("kind")


def _at(items: list[Plain], place: int) -> Plain:
    return items[place] if place < len(items) else MISSING
