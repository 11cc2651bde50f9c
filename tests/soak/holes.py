"""
Activity that a follower did not get: each piece has to be in a gap that it was told of before it
went past. A naive model: all places that were ever given to activity, and all that were lost.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeAlias

from attrs import define, field

from tests.soak.ledgers import Line

Place: TypeAlias = tuple[int, int]
"""Version and sequence; a fact is at sequence 0."""

_END: Final[Line] = ["end", "", 0, 2**62, 0]


@define
class Written:
    """What was written of a session's activity; what was lost is a place without content."""

    places: dict[Place, str | None] = field(factory=dict)
    doubtful: set[str] = field(factory=set)
    wrong: list[str] = field(factory=list)

    def add(self, place: Place, payload: str | None) -> None:
        """Take note of a place; no place is given twice."""
        if place in self.places:
            self.wrong.append(f"{place} was given twice")
        self.places[place] = payload

    def last(self, version: int) -> int:
        """Return the last sequence after a fact."""
        return max((seq for at, seq in self.places if at == version), default=0)


def silent_holes(did: Iterable[Line], saw: Iterable[Line]) -> Iterator[str]:
    """Say what was missed and not told, what came twice or out of order, what nobody wrote."""
    sessions = written(did)
    followers: dict[tuple[str, int], list[Line]] = defaultdict(list)
    for line in saw:
        followers[str(line[1]), int(line[2])].append(line)
    for session, each in sessions.items():
        yield from (f"{session}: {wrong}" for wrong in each.wrong)
        yield from (f"{session}: {wrong}" for wrong in _unaccounted(each))
    for (session, process), lines in followers.items():
        for wrong in _followed(sessions.get(session, Written()), lines):
            yield f"{session} as {process} followed it: {wrong}"


def written(did: Iterable[Line]) -> Mapping[str, Written]:
    """Put together what all processes wrote; a loss takes the place in front of what told it."""
    sessions: dict[str, Written] = defaultdict(Written)
    pending: set[tuple[str, int]] = set()
    told_by_facts: list[tuple[str, int]] = []
    for line in did:
        session = str(line[1])
        match line:
            case ["lose", _, int(process)]:
                pending.add((session, process))
            case ["doubt", _, str(name)]:
                sessions[session].doubtful.add(name)
            case ["fact", _, _, int(first), _, int(process), _]:
                told_by_facts += [(session, first)] * ((session, process) in pending and first > 0)
                pending.discard((session, process))
            case ["activity", _, _, _, _, _, int(process)]:
                _add(sessions[session], line, is_after_loss=(session, process) in pending)
                pending.discard((session, process))
            case _:
                pass
    for session, version in told_by_facts:
        here = sessions[session]
        here.add((version, here.last(version) + 1), None)
    return sessions


def _add(written: Written, line: Line, *, is_after_loss: bool) -> None:
    version, last, name, count = int(line[2]), int(line[3]), str(line[4]), int(line[5])
    if is_after_loss:
        written.add((version, last - count), None)
    for number in range(count):
        written.add((version, last - count + 1 + number), f"{name}#{number}")


def _unaccounted(written: Written) -> Iterator[str]:
    if written.doubtful:
        return
    for version in {version for version, _ in written.places}:
        given = sorted(seq for at, seq in written.places if at == version)
        if given != list(range(1, len(given) + 1)):
            yield f"activity after version {version} is numbered {given}"


def _followed(written: Written, lines: Iterable[Line]) -> Iterator[str]:
    places = deque(sorted(written.places))
    cursor, told = (0, 0), (0, 0)
    for line in (*lines, _END):
        place = (int(line[3]), 0 if line[0] == "saw" else int(line[4]))
        if line[0] == "gap":
            told = max(told, place)
            continue
        if place <= cursor:
            yield f"{place} came after {cursor}"
            continue
        cursor = place
        while places and places[0] < place:
            missed = places.popleft()
            if missed > told:
                yield f"{missed} was missed, and nobody said so"
        if line[0] == "heard":
            yield from _heard(written, place, str(line[5]))
            if places and places[0] == place:
                places.popleft()


def _heard(written: Written, place: Place, payload: str) -> Iterator[str]:
    name, _, _ = payload.partition("#")
    if written.places.get(place) != payload and name not in written.doubtful:
        yield f"{place} came as {payload}, and is {written.places.get(place)}"
