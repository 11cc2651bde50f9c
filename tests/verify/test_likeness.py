"""
Goal: what is taken for alike leads to what is alike, and what a decision depends on is not.

Method: go everywhere without taking anything for alike, and compare what is alike at the end with
what a search finds that goes on from one of each.
"""

from collections import deque

import attrs
import pytest

from lash_es.core.errors import SessionDeleted
from lash_es.core.limits import Limits
from lash_es.core.state import Deleted, Open
from lash_es.verify.alphabet import ALPHABET, GRAPH, Bounds, Letter, moves
from lash_es.verify.input_letters import (
    abandons,
    cancels,
    cancels_suffix,
    claims,
    enqueues,
)
from lash_es.verify.lease_letters import acquires, reclaims, releases
from lash_es.verify.likeness import likeness
from lash_es.verify.session_letters import crashes, jumps, maintains, opens, sets_back
from lash_es.verify.turn_letters import commits, ends, starts, starts_on_work
from lash_es.verify.work_letters import abandons_work, claims_work, completes_work, enqueues_work
from lash_es.verify.worlds import Ask, ClockJump, Crash, World, begin, moved

LIMITS = Limits(drain_attempts_max=1)
BOUNDS = Bounds(inputs=2, batches=2, turns=1, source_keys=0, shapes=1, setbacks=1)
ALPHABETS: dict[str, tuple[tuple[Letter, ...], int]] = {
    "leases": ((opens, acquires, reclaims, releases, jumps, sets_back, crashes), 6),
    "inputs": ((opens, acquires, releases, enqueues, claims, abandons, maintains), 7),
    "cancels": ((opens, enqueues, cancels, cancels_suffix, maintains), 7),
    "work": ((opens, acquires, enqueues_work, claims_work, abandons_work, completes_work), 6),
    "turns": ((opens, acquires, enqueues, claims, starts, commits, ends), 6),
    "turns on work": ((opens, acquires, enqueues_work, claims_work, starts_on_work, ends), 7),
    "everything": ((*ALPHABET, *GRAPH), 3),
}
"""Letters, and how many moves deep: what is not taken for alike is soon too much."""


def everywhere(
    start: World, alphabet: tuple[Letter, ...], depth_max: int, *, is_merged: bool
) -> set[tuple[object, ...]]:
    """Go everywhere; return what is alike at the end. ``is_merged``: from one of each."""
    found = {_alike(start)}
    seen = {_name(start, is_merged=is_merged)}
    waiting = deque([(start, 0)])
    while waiting:
        world, depth = waiting.popleft()
        for move in moves(world, BOUNDS, alphabet) if depth < depth_max else ():
            after = moved(world, move).after
            name = _name(after, is_merged=is_merged)
            if name not in seen:
                seen.add(name)
                found.add(_alike(after))
                waiting.append((after, depth + 1))
    return found


def _alike(world: World) -> tuple[object, ...]:
    return likeness(world, BOUNDS.floor_ms(world))


def _name(world: World, *, is_merged: bool) -> object:
    return _alike(world) if is_merged else repr(world)


@pytest.mark.search
@pytest.mark.parametrize("name", ALPHABETS)
def test_whatever_is_alike_leads_to_what_is_alike(name: str) -> None:
    alphabet, depth_max = ALPHABETS[name]
    start = begin("alice", "bob", limits=LIMITS)

    everything = everywhere(start, alphabet, depth_max, is_merged=False)

    assert everything == everywhere(start, alphabet, depth_max, is_merged=True)
    assert len(everything) > 10


def opened(*names: str) -> World:
    start = begin(*names)
    return moved(start, next(iter(moves(start, Bounds())))).after


def asked(world: World, command: str, owner: str | None = None) -> World:
    for move in moves(world, Bounds()):
        if isinstance(move, Ask) and type(move.command).__name__ == command:
            its_owner = getattr(move.command, "owner", None)
            if owner is None or (its_owner is not None and its_owner.owner_id == owner):
                return moved(world, move).after
    raise AssertionError(command)


def test_a_lease_that_was_taken_and_released_again_is_as_good_as_released() -> None:
    once = asked(asked(opened("alice"), "AcquireLease"), "ReleaseLease")
    twice = asked(asked(once, "AcquireLease"), "ReleaseLease")

    assert likeness(once) == likeness(twice)
    # A session that was only just opened can still be described.
    assert likeness(once) != likeness(opened("alice"))


def test_owners_can_be_exchanged() -> None:
    first, second = (asked(opened("alice", "bob"), "AcquireLease", n) for n in ("alice", "bob"))

    assert likeness(first) == likeness(second)
    assert first != second


def test_what_a_decision_depends_on_is_never_alike() -> None:
    held = asked(opened("alice"), "AcquireLease")
    expired = moved(held, ClockJump(1_000)).after
    behind = moved(held, ClockJump(-500)).after
    dead = moved(held, Crash("alice")).after
    waiting = asked(held, "EnqueueTurnInput")
    queued = asked(held, "EnqueueWork")

    found = [likeness(world) for world in (held, expired, behind, dead, waiting, queued)]

    assert len(set(found)) == len(found)


def test_how_long_a_lease_is_over_counts_while_the_clock_may_be_set_back() -> None:
    held = asked(opened("alice"), "AcquireLease")
    over, long_over = (
        attrs.evolve(held, now_ms=held.now_ms + later_ms) for later_ms in (1_000, 2_000)
    )

    assert likeness(over) == likeness(long_over)
    assert likeness(over, floor_ms=-1_000) != likeness(long_over, floor_ms=-1_000)


def test_a_field_that_nobody_said_anything_about_counts() -> None:
    held = asked(opened("alice"), "AcquireLease")
    assert isinstance(held.state, Open)
    parked = attrs.evolve(held, state=attrs.evolve(held.state, is_parked=True))

    assert likeness(held) != likeness(parked)


def test_nothing_but_forgetting_is_asked_of_a_deleted_session() -> None:
    deleted = asked(opened("alice"), "DeleteSession")

    assert isinstance(deleted.state, Deleted)
    assert all(
        isinstance(moved(deleted, move).found, SessionDeleted) for move in moves(deleted, Bounds())
    )


def test_letters_stop_at_their_bounds() -> None:
    held = asked(opened("alice"), "AcquireLease")
    none = Bounds(inputs=0, batches=0, source_keys=0, crashes=0, jumps=0)

    assert not list(enqueues(held, none))
    assert not list(crashes(held, none))
    assert not list(jumps(held, none))
    assert not list(sets_back(held, none))
    assert list(jumps(held, Bounds()))
    assert list(crashes(held, Bounds()))
    assert list(sets_back(held, Bounds(setbacks=1)))
    assert not list(jumps(opened("alice"), Bounds()))
