"""
Peers: other people's libraries that can do a unit of work, each in a file of its own.

A peer is imported when it is measured, and only if it is installed; its name is reported
otherwise. ``pip install lash-es[bench]`` installs them all.
"""

import importlib
import importlib.util
from collections.abc import Mapping
from typing import Final

from attrs import frozen

from benchmarks.contests import Contender
from benchmarks.places import StoreKind

_FILES: Final = (
    "eventsourcing_app",
    "eventsourcing_recorder",
    "openai_agents",
    "langgraph",
    "google_adk",
    "dbos",
    "huey",
    "persist_queue",
    "litequeue",
    "procrastinate",
)


@frozen(kw_only=True)
class Peer:
    """What a library can do: contenders by unit of work and store. ``modules`` are imported."""

    name: str
    modules: tuple[str, ...]
    contenders: Mapping[tuple[str, StoreKind], tuple[Contender, ...]]

    @property
    def is_installed(self) -> bool:
        """Tell whether every module is found; none is imported for that but parents."""
        return all(map(_is_found, self.modules))


def _is_found(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def peers() -> tuple[Peer, ...]:
    """Return all peers, installed or not."""
    found = []
    for name in _FILES:
        peer = importlib.import_module(f"benchmarks.peers.{name}").PEER
        assert isinstance(peer, Peer)
        found.append(peer)
    return tuple(found)


def contenders(unit: str, kind: StoreKind) -> tuple[tuple[Contender, ...], tuple[str, ...]]:
    """Return the contenders of a unit of work, and the names of those that are not installed."""
    able = [peer for peer in peers() if (unit, kind) in peer.contenders]
    return (
        tuple(each for peer in able if peer.is_installed for each in peer.contenders[unit, kind]),
        tuple(peer.name for peer in able if not peer.is_installed),
    )
