"""What a rolling restart may not do: lose an input, double it, or stop who could have gone on."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from attrs import frozen


@frozen
class Found:
    """What a session holds in the end: what persons said, and what still waits."""

    said: Sequence[str]
    waiting: Sequence[str]


def lost_or_doubled(
    acknowledged: Mapping[str, Iterable[str]], found: Mapping[str, Found]
) -> list[str]:
    """Compare what was acknowledged, by session, with what is there: each exactly once."""
    problems: list[str] = []
    for session, keys in acknowledged.items():
        there = found.get(session, Found((), ()))
        counts = Counter[str]()
        for text in (*there.said, *there.waiting):
            counts.update(text.split("\n"))
        problems += [
            f"{session}: {key} is there {counts[key]} times" for key in keys if counts[key] != 1
        ]
        unknown = counts.keys() - set(keys)
        problems += [f"{session}: nobody sent {key}" for key in sorted(unknown)]
    return problems
