"""The questions: each through the library, with what it read and folded, and how long it took."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import attrs
from attrs import Factory, define, frozen

from lash_es.codec.records import Record
from lash_es.codec.streams import StreamId
from lash_es.core.ids import Position, Version
from lash_es.core.state import State
from lash_es.log import loading, snapshotting
from lash_es.log.loading import Fact
from lash_es.log.stores.sqlite import SQLiteStore
from lash_es.timetravel import past as pasts
from lash_es.timetravel.bisecting import Judgement, first_where, turned
from lash_es.timetravel.blaming import blame, watch
from lash_es.timetravel.comparing import compare
from lash_es.timetravel.differing import differences
from lash_es.timetravel.expressions import Condition
from lash_es.timetravel.linting import lint
from lash_es.timetravel.moments import version_at_ms, versions_of_turn
from lash_es.timetravel.past import StoredHistory
from lash_es.timetravel.paths import StatePath
from lash_es.timetravel.refolding import refold
from lash_es.timetravel.supposing import Drop, what_if
from lash_es.timetravel.testcases import minimal_case

PART: Final = 20_000
"""How many facts are asked about where every one of them costs a query, or a try."""


class CountingStore(SQLiteStore):
    """Counts the records that it hands out."""

    records_count = 0

    def read(self, stream: StreamId, first: Position, records_max: int) -> tuple[Record, ...]:
        found = super().read(stream, first, records_max)
        self.records_count += len(found)
        return found


@define
class Folds:
    """Counts the facts that are folded for a question."""

    count: int = 0

    def __call__(self, state: State, fact: Fact) -> State:
        self.count += 1
        return loading.step(state, fact)

    @contextmanager
    def watching(self) -> Iterator[None]:
        before = snapshotting.step, pasts.step  # type: ignore[attr-defined]
        snapshotting.step = pasts.step = self  # type: ignore[attr-defined]
        try:
            yield
        finally:
            snapshotting.step, pasts.step = before  # type: ignore[attr-defined]


@frozen(kw_only=True)
class Answer:
    """What a question cost."""

    question: str
    folded: int
    read: int
    seconds: float
    said: str


@define
class Asking:
    """A session, and what was asked of it."""

    store: CountingStore
    past: StoredHistory
    answers: list[Answer] = Factory(list[Answer])

    def ask(self, question: str, answer: Callable[[], object]) -> Answer:
        """Ask once; returns what it cost."""
        folds, before = Folds(), self.store.records_count
        began = time.perf_counter()
        with folds.watching():
            said = str(answer())[:60]
        seconds = round(time.perf_counter() - began, 3)
        read = self.store.records_count - before
        self.answers.append(
            Answer(question=question, folded=folds.count, read=read, seconds=seconds, said=said)
        )
        return self.answers[-1]


def points(asking: Asking) -> Iterator[Answer]:
    """Ask what has to cost the same in a session of any length."""
    past, version = asking.past, asking.past.version
    places = {f"{tenth}0 %": version * tenth // 10 for tenth in (1, 5, 9)} | {"the end": version}
    for name, place in places.items():
        yield asking.ask(f"show at {name}", lambda place=place: past.state_at(place).version)  # type: ignore[misc,union-attr]
        for path in ("turn.kind", "head.revision", "lease.holder.expires_at_ms"):
            parsed = StatePath.parse(path)
            yield asking.ask(
                f"blame {path} at {name}",
                lambda parsed=parsed, place=place: _position(past, parsed, place),  # type: ignore[misc]
            )
    half, later = version // 2, version // 2 + version // 10
    yield asking.ask("diff", lambda: len(differences(past.state_at(half), past.state_at(later))))
    yield asking.ask("blame policy", lambda: _position(past, StatePath.parse("policy"), version))
    yield asking.ask("a time", lambda: version_at_ms(past, version // 12))
    yield asking.ask("a turn", lambda: versions_of_turn(past, "t7"))
    yield asking.ask("whatif of the last ten", lambda: _supposed(past, version - 10))


def _position(past: StoredHistory, path: StatePath, version: int) -> Position | None:
    change = blame(past, path, version).change
    return None if change is None else change.position


def _supposed(past: StoredHistory, position: int) -> int:
    return len(what_if(past, [Drop(position=Position(position))]).illegal)


def searches(asking: Asking) -> Iterator[Answer]:
    """Ask what halves, or goes through everything."""
    past, version = asking.past, asking.past.version
    middle = version * 7 // 10

    def judge(at: Version, _: State) -> Judgement:
        return Judgement.BAD if at > middle else Judgement.GOOD

    part = attrs.evolve(past, version=Version(min(PART, version)))
    late = Condition.parse(f"version > {version * 9 // 10}")
    failed = Condition.parse('event.name == "turn.ended"')
    questions: Mapping[str, Callable[[], object]] = {
        "bisect --run": lambda: turned(past, judge).position,
        "bisect --when, at 90 %": lambda: getattr(first_where(past, late), "position", None),
        "watch lease.generation": lambda: sum(
            1 for _ in watch(past, StatePath.parse("lease.generation"))
        ),
        "watch head.revision": lambda: sum(
            1 for _ in watch(past, StatePath.parse("head.revision"))
        ),
        "lint": lambda: sum(1 for _ in lint(past.facts())),
        "refold": lambda: refold(past).compared_count,
        f"compare, of the first {part.version:,}": lambda: compare(part, part).same_count,
        "testcase": lambda: len(minimal_case(part, failed).facts),
    }
    for question, answer in questions.items():
        yield asking.ask(question, answer)
