"""
What a simulated run is made of: a pure function of a seed, its profile and this file's version.

A workload is a list of disturbances with their times, small enough to be printed and to be made
smaller: a run without one of them is a run, too.
"""

from enum import Enum
from random import Random
from typing import Final

from attrs import frozen

WORKLOADS_VERSION: Final = 2
"""Raised with every change after which the same seed makes another workload."""


class Verb(Enum):
    """What a disturbance does."""

    ENQUEUE = "enqueue"
    INTO_TURN = "into_turn"
    RESEND = "resend"
    CANCEL = "cancel"
    DIRECT = "direct"
    WAKE = "wake"
    WAKE_AGAIN = "wake_again"
    CANCEL_WORK = "cancel_work"
    COMMAND = "command"
    FRAME = "frame"
    APPEND = "append"
    HIDE = "hide"
    MAINTAIN = "maintain"
    CRASH = "crash"
    CRASH_BEFORE_WRITE = "crash_before_write"
    CRASH_AFTER_WRITE = "crash_after_write"
    LOSE_ANSWER = "lose_answer"
    LOSE_APPEND = "lose_append"
    FREEZE = "freeze"
    JUMP = "jump"


@frozen(kw_only=True)
class Disturbance:
    """Something that comes from outside, ``at_ms`` after the begin; ``number`` is its detail."""

    at_ms: int
    verb: Verb
    session: int
    worker: int
    number: int


@frozen(kw_only=True)
class Profile:
    """How large a run is, and of how much time."""

    name: str
    sessions: int
    workers: int
    disturbances: int
    lasts_ms: int


PROFILES: Final = {
    "fast": Profile(name="fast", sessions=2, workers=2, disturbances=44, lasts_ms=160_000),
    "full": Profile(name="full", sessions=3, workers=3, disturbances=144, lasts_ms=900_000),
}
JUMPS_MS: Final = (-3_600_000, -1_000, 31_000, 3_600_000)
_FAULTS: Final = (
    Verb.DIRECT,
    Verb.CRASH,
    Verb.CRASH,
    Verb.CRASH_BEFORE_WRITE,
    Verb.CRASH_AFTER_WRITE,
    Verb.LOSE_ANSWER,
    Verb.LOSE_APPEND,
    *(Verb.FREEZE,) * 6,
    Verb.JUMP,
    Verb.JUMP,
)
_INPUTS: Final = (*(Verb.ENQUEUE,) * 4, *(Verb.INTO_TURN,) * 3, Verb.RESEND, *(Verb.CANCEL,) * 2)
_WORK: Final = (*(Verb.WAKE,) * 5, *(Verb.COMMAND,) * 2, Verb.WAKE_AGAIN, Verb.CANCEL_WORK)
_GRAPH: Final = (Verb.FRAME, Verb.APPEND, *(Verb.HIDE,) * 3, *(Verb.MAINTAIN,) * 2)


@frozen(kw_only=True)
class Workload:
    """A seed and what it makes happen."""

    seed: int
    profile: Profile
    disturbances: tuple[Disturbance, ...]


def profile_of(name: str) -> Profile:
    """
    Find a profile.

    Raises:
        ValueError: there is none of this name.
    """
    if name not in PROFILES:
        raise ValueError(f"no profile {name!r}: there are {', '.join(sorted(PROFILES))}")
    return PROFILES[name]


def workload(seed: int, profile: Profile) -> Workload:
    """Make a workload."""
    draw = Random(f"{WORKLOADS_VERSION}:{seed}")  # noqa: S311 - it is to come again
    verbs = (*_INPUTS, *_WORK, *_GRAPH, *_FAULTS)
    made = [
        Disturbance(
            at_ms=draw.randrange(profile.lasts_ms),
            verb=draw.choice(verbs),
            session=draw.randrange(profile.sessions),
            worker=draw.randrange(profile.workers),
            number=draw.randrange(1_000),
        )
        for _ in range(profile.disturbances)
    ]
    # Every session has something to do, whatever else was drawn.
    first = [
        Disturbance(at_ms=at_ms, verb=Verb.ENQUEUE, session=session, worker=0, number=0)
        for session in range(profile.sessions)
        for at_ms in (0, profile.lasts_ms // 2)
    ]
    made = sorted((*first, *made), key=lambda each: each.at_ms)
    return Workload(seed=seed, profile=profile, disturbances=tuple(made))


def shard(seeds: range, index: int, of: int) -> range:
    """Return the seeds of one of several shards, counted from 1: together they are all, once."""
    if not 1 <= index <= of:
        raise ValueError(f"shard {index} of {of}")
    return seeds[index - 1 :: of]
