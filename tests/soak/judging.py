"""
The verdict on a soak, by code that shares nothing with the product: only what lies in the database
and what each process wrote down. A verdict is a list of sentences; an empty one is a pass.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Final, TypeAlias

from tests.soak.evidence import Evidence, Kept
from tests.soak.holes import silent_holes
from tests.soak.ledgers import Line

Follower: TypeAlias = tuple[str, int]
"""Session and process."""

_CHAIN: Final = b"lash-es/1"
SENTENCES_MAX: Final = 20
FOLLOWERS_PER_SESSION: Final = 2


def verdict(evidence: Evidence) -> list[str]:
    """Say what is wrong, at most so many sentences of each kind."""
    judges: Sequence[Callable[[Evidence], Iterable[str]]] = (
        out_of_order,
        not_as_answered,
        not_as_followed,
        silent_holes_of,
    )
    found = [list(judge(evidence))[:SENTENCES_MAX] for judge in judges]
    if evidence.feed:
        found.append(list(not_as_fed(evidence, "feed"))[:SENTENCES_MAX])
    return list(chain.from_iterable(found))


def by_session(facts: Iterable[Kept]) -> dict[str, list[Kept]]:
    """Sort facts into sessions, in the order of their positions."""
    sessions: dict[str, list[Kept]] = defaultdict(list)
    for fact in sorted(facts, key=lambda fact: (fact.session, fact.position)):
        sessions[fact.session].append(fact)
    return sessions


def out_of_order(evidence: Evidence) -> Iterator[str]:
    """Each session: positions dense from 0 to the head, each fact chained to the one before."""
    sessions = by_session(evidence.facts)
    for session in sessions.keys() | evidence.heads.keys():
        facts = sessions.get(session, [])
        positions = [fact.position for fact in facts]
        if positions != list(range(evidence.heads.get(session, -1))):
            yield f"{session}: {len(positions)} facts, head {evidence.heads.get(session)}"
        before = bytes(32)
        for fact in facts:
            if hashlib.sha256(_CHAIN + before + fact.header).digest() != fact.digest:
                yield f"{session}: the fact at {fact.position} is not chained to the one before"
            before = fact.digest


def not_as_answered(evidence: Evidence) -> Iterator[str]:
    """What was acknowledged is there once, where it was said to be; what was refused is not."""
    places: dict[tuple[str, str], list[int]] = defaultdict(list)
    for fact in evidence.facts:
        places[fact.session, fact.append_id].append(fact.position)
    asked: set[tuple[str, str]] = set()
    for line in evidence.did:
        if line[0] not in {"fact", "no", "maybe"}:
            continue
        key = (str(line[1]), str(line[2]))
        asked.add(key)
        found = sorted(places.get(key, []))
        if line[0] == "fact":
            first, count = int(line[3]), int(line[4])
            if found != list(range(first, first + count)):
                yield f"{key}: acknowledged at {first}, {count} facts; found at {found}"
        elif line[0] == "no" and found:
            yield f"{key}: refused, and found at {found}"
    yield from (f"{key}: nobody wrote it" for key in places.keys() - asked)


def not_as_followed(evidence: Evidence) -> Iterator[str]:
    """Every follower saw every fact of its session once, in order, as it lies there."""
    sessions = by_session(evidence.facts)
    seen: dict[Follower, list[tuple[int, str]]] = defaultdict(list)
    for line in evidence.saw:
        if line[0] == "saw":
            seen[str(line[1]), int(line[2])].append((int(line[3]), str(line[4])))
    for follower, facts in seen.items():
        kept = [(fact.position + 1, fact.digest.hex()) for fact in sessions[follower[0]]]
        if facts != kept:
            found = f"saw {len(facts)} facts, {len(kept)} are there"
            yield f"{follower}: {found}; {_first(facts, kept)}"
    followed = Counter(session for session, _ in seen)
    for session in sessions:
        if followed[session] != FOLLOWERS_PER_SESSION:
            yield f"{session}: {followed[session]} followers saw anything"


def _first(facts: Sequence[tuple[int, str]], kept: Sequence[tuple[int, str]]) -> str:
    at = next(
        (n for n, pair in enumerate(zip(facts, kept, strict=False)) if pair[0] != pair[1]),
        min(len(facts), len(kept)),
    )
    return f"the first difference is number {at}"


def silent_holes_of(evidence: Evidence) -> Iterator[str]:
    """Every activity that a follower did not get was told as a gap, before it went past."""
    return silent_holes(evidence.did, evidence.saw)


def not_as_fed(evidence: Evidence, reader: str) -> Iterator[str]:
    """
    A reader of all sessions got each fact once, and none in front of one that was acknowledged
    before it was asked for: within a session, and within a task that writes.
    """
    fed = [(str(line[1]), int(line[2])) for line in evidence.feed if line[0] == reader]
    there = {(fact.session, fact.position) for fact in evidence.facts}
    missed, times = there - set(fed), Counter(fed)
    yield from (f"{reader} missed {each}" for each in sorted(missed))
    yield from (
        f"{reader} gave {each} {count} times" for each, count in times.items() if count > 1
    )
    order = {each: number for number, each in enumerate(fed)}
    for before, after in _must_follow(evidence.did, there):
        if order.get(before, -1) > order.get(after, len(fed)):
            yield f"{reader} gave {after} in front of {before}"


def _must_follow(
    did: Iterable[Line], there: Iterable[tuple[str, int]]
) -> Iterator[tuple[tuple[str, int], tuple[str, int]]]:
    """List pairs of facts of which the second one was written in the knowledge of the first."""
    for session, position in there:
        if position > 0:
            yield (session, position - 1), (session, position)
    last: dict[tuple[int, int], tuple[str, int]] = {}
    for line in did:
        if line[0] == "fact":
            session, first, count = str(line[1]), int(line[3]), int(line[4])
            task = (int(line[5]), int(line[6]))
            if task in last:
                yield last[task], (session, first)
            last[task] = (session, first + count - 1)
