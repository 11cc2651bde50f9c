"""
Slice: retention. What was trimmed, and from where on facts are kept.

A trim is a fact: it says in front of which version facts may go, and commits to bodies that hold
what is still needed of them (``trims.py``). The facts themselves go afterwards, piece by piece; no
decision waits for that.
"""

from attrs import frozen

from lash_es.core.errors import impossible
from lash_es.core.events import HistoryTrimmed
from lash_es.core.ids import Position, Version


@frozen(kw_only=True)
class Trim:
    """The last trim: where its fact is, and the version in front of which facts may go."""

    position: Position
    below: Version


@frozen(kw_only=True)
class Pin:
    """A named version that can be folded for as long as the pin is there."""

    name: str
    version: Version


def oldest(trim: Trim | None) -> Version:
    """Return the version in front of which facts may be gone."""
    return Version(0) if trim is None else trim.below


def trimmed(trim: Trim | None, event: HistoryTrimmed, position: Position) -> Trim:
    """The last trim is the one that counts."""
    if not oldest(trim) < event.below <= position:
        raise impossible(event, found=event.below, expected=(oldest(trim), position))
    return Trim(position=position, below=event.below)
