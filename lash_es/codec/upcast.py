"""
What older stored shapes become: one pure step per version, applied in order until the shape is
today's.

A step is keyed by wire name and the version it reads. Where only fields came in that have a
default, it is ``_with_defaults``: what reads the payload fills them in. A name or version that is
newer than today's is ``WrittenByNewerVersion``, not corrupt.
"""

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias, cast

from lash_es.codec.errors import UndecodableValue

Plain: TypeAlias = dict[str, object]
Step: TypeAlias = Callable[[Plain], Plain]


def _with_defaults(plain: Plain) -> Plain:
    return plain


def _kept_state_2(plain: Plain) -> Plain:
    """
    Version 2 knows which inputs a turn was told while it ran, and how many were settled. Nothing
    was delivered or pruned before; what was settled before is not counted.
    """
    turn, inputs = _object(plain, "turn"), _object(plain, "inputs")
    more = dict(plain)
    if inputs is not None:
        more["inputs"] = {**inputs, "settled_count": 0, "pruned_below": 0}
    if turn is not None and turn.get("kind") == "open_turn":
        more["turn"] = {**turn, "delivered_ids": []}
    return more


def _object(plain: Plain, name: str) -> Plain | None:
    value = plain.get(name)
    # JSON's objects have texts for keys, which no type says.
    return cast("Plain", value) if isinstance(value, dict) else None


STEPS: Final[Mapping[tuple[str, int], Step]] = {
    ("lash/kept-state", 1): _kept_state_2,
    ("lash/kept-index", 1): _with_defaults,
}


def upcast(
    name: str,
    version: int,
    plain: Plain,
    *,
    current: int,
    steps: Mapping[tuple[str, int], Step] = STEPS,
) -> Plain:
    """
    Bring a payload from its stored version to the current one.

    Raises:
        UndecodableValue: there was never such a version.
    """
    for step_version in range(version, current):
        step = steps.get((name, step_version))
        if step is None:
            raise UndecodableValue(
                what=f"{name} version {step_version}", reason="no release wrote that version"
            )
        plain = step(plain)
    return plain
