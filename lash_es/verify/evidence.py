"""What a simulated run leaves behind to be judged, and what it promised while it ran."""

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from attrs import Factory, define, field, frozen

from lash_es.core.bodies import BodyRef
from lash_es.core.events import Event
from lash_es.core.ids import BatchId, EffectId, FrameId, InputId, NodeId, TurnId
from lash_es.core.state import State
from lash_es.verify.desks import Ledgers
from lash_es.verify.virtual_clocks import VirtualClock
from lash_es.verify.workloads import Workload

Witnesses: TypeAlias = Iterator[tuple[int, str]]
"""A session, and what is wrong there."""


@frozen(kw_only=True)
class Registered:
    """A completion that was announced when its effect began: what, how long, after what."""

    effect_id: EffectId
    family: str
    by: str
    units: int
    ready_ms: int
    predecessor: int


@frozen(kw_only=True)
class Performed:
    """An effect that was begun, and how many facts the log had then."""

    session: int
    effect_id: EffectId
    version: int
    by: str


@frozen(kw_only=True)
class Wish:
    """What a host wants of an owner: a frame opened, or a message put on the path."""

    name: str
    is_frame: bool


@define
class Promises:
    """What somebody was told, by session: each has to be so at the end."""

    inputs: dict[tuple[int, InputId], str] = Factory(dict[tuple[int, InputId], str])
    cancelled: set[tuple[int, InputId]] = Factory(set[tuple[int, InputId]])
    batches: dict[tuple[int, BatchId], str] = Factory(dict[tuple[int, BatchId], str])
    withdrawn: set[tuple[int, BatchId]] = Factory(set[tuple[int, BatchId]])
    hidden: set[tuple[int, NodeId]] = Factory(set[tuple[int, NodeId]])
    granted: list[tuple[int, Wish]] = Factory(list[tuple[int, Wish]])


@define
class Surroundings:
    """What all processes of a run share, and what was seen of them from outside."""

    seed: int
    clock: VirtualClock
    ledgers: Ledgers
    direct: dict[int, list[str]] = Factory(dict[int, list[str]])
    wishes: dict[int, list[Wish]] = Factory(dict[int, list[Wish]])
    promises: Promises = Factory(Promises)
    registered: list[Registered] = Factory(list[Registered])
    performed: list[Performed] = Factory(list[Performed])
    longest_ms: dict[TurnId, list[int]] = Factory(dict[TurnId, list[int]])
    losses: int = 0
    refusals: list[str] = Factory(list[str])

    def asked_count(self) -> int:
        """Count what was asked for and not begun: turns, frames, messages."""
        return sum(map(len, self.direct.values())) + sum(map(len, self.wishes.values()))


@frozen(kw_only=True)
class Evidence:
    """
    What a run left behind: the facts of each session, what was seen from outside, and which
    messages a reader is ``shown`` at the end.
    """

    workload: Workload
    facts: Mapping[int, tuple[Event, ...]] = field(repr=False)
    texts: Mapping[int, Mapping[BodyRef, str]] = field(repr=False)
    digests: Mapping[int, str]
    states: Mapping[int, State] = field(repr=False)
    shown: Mapping[int, tuple[NodeId, ...]] = field(repr=False)
    observed: Mapping[int, tuple[int, ...]]
    promises: Promises = field(repr=False)
    around: Surroundings = field(repr=False)


def frame_of(turn_id: TurnId) -> FrameId:
    """Name the frame that a turn ends with, if it ends with one."""
    return FrameId(f"{turn_id}/frame")
