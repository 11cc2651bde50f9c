"""
What is stored, read with plain SQL and folded by a few lines of our own.

Nothing here imports the package: what it says of a log is a second opinion. A ledger is made of
rows as they are stored; a ``Tale`` is what they say happened in one session.
"""

import hashlib
import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from attrs import Factory, define, frozen

_DIGEST_BYTES: Final = 32
_FACTS: Final = """
    SELECT originator_id, originator_version, topic, state FROM stored_events
     ORDER BY originator_id, originator_version
"""
_TABLES: Final = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
_HEADS: Final = "SELECT stream, version, digest, generation, status FROM lash_es_heads"


@frozen
class Fact:
    """A row of ``stored_events``."""

    position: int
    name: str
    stored: bytes

    @property
    def header(self) -> Any:  # noqa: ANN401 - it is JSON
        return json.loads(self.stored[_DIGEST_BYTES:])


@frozen
class Head:
    """A head row."""

    version: int
    digest: bytes
    generation: int
    status: str


@frozen(kw_only=True)
class Ledger:
    """All streams of a database."""

    facts: Mapping[str, Sequence[Fact]]
    heads: Mapping[str, Head]
    problems: tuple[str, ...] = ()
    fingerprint: str = ""
    """A digest of every row of every table; empty where that was not asked for."""

    @property
    def facts_count(self) -> int:
        return sum(len(facts) for facts in self.facts.values())


def ledger_of(
    facts: Iterable[tuple[Any, ...]],
    heads: Iterable[tuple[Any, ...]],
    problems: tuple[str, ...] = (),
    fingerprint: str = "",
) -> Ledger:
    """Put rows together."""
    by_stream: dict[str, list[Fact]] = defaultdict(list)
    for stream, position, name, stored in facts:
        by_stream[stream].append(Fact(position, name, bytes(stored)))
    return Ledger(
        facts=by_stream,
        heads={
            stream: Head(version, bytes(digest), generation, status)
            for stream, version, digest, generation, status in heads
        },
        problems=problems,
        fingerprint=fingerprint,
    )


def read_sqlite(path: Path) -> Ledger:
    """Read a file as another program would, and let SQLite check it whole."""
    if not path.exists():
        return ledger_of((), ())
    # Not closed by the last one, a file keeps its log, as the process that died has left it.
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        verdict = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
        problems = tuple(each for each in verdict if each != "ok")
        tables = [row[0] for row in connection.execute(_TABLES)]
        if "lash_es_heads" not in tables:
            return ledger_of((), (), problems, str(tables))
        seen = hashlib.sha256()
        for table in tables:
            seen.update(
                f"{table}{connection.execute(f'SELECT * FROM {table}').fetchall()}".encode()
            )
        return ledger_of(
            connection.execute(_FACTS), connection.execute(_HEADS), problems, seen.hexdigest()
        )


def read_by(sql: Callable[[str], Iterable[tuple[Any, ...]]]) -> Ledger:
    """Read a database of another kind with the same statements."""
    return ledger_of(sql(_FACTS), sql(_HEADS))


@define
class Tale:
    """What happened in one session, as its facts have it."""

    enqueued: dict[str, str | None] = Factory(dict)
    """Input id to source key."""
    settled: Counter[str] = Factory(Counter)
    """How often each input was completed, cancelled, or failed for good."""
    requested: dict[str, str] = Factory(dict)
    """Effect id to what is asked of whom."""
    answered: Counter[str] = Factory(Counter)
    turns: Counter[str] = Factory(Counter)
    """How often each turn was committed or ended."""
    replies: Counter[str] = Factory(Counter)
    """Tokens of all recorded replies."""
    booked: Counter[str] = Factory(Counter)
    """Tokens of all turns that are over."""
    revision: int = 0
    generation: int = 0
    status: str = "not opened"
    replies_committed: int = 0
    replies_open: int = 0

    @property
    def waiting(self) -> set[str]:
        """Inputs that nothing has settled."""
        return {*self.enqueued} - {*self.settled}

    @property
    def in_flight(self) -> set[str]:
        """Effects without an outcome."""
        return {*self.requested} - {*self.answered}

    def labels(self, effect_ids: Iterable[str]) -> Counter[str]:
        """Count what was asked for, by what a provider or a tool would say of it."""
        return Counter(self.requested[effect_id] for effect_id in effect_ids)


def tell_tale(facts: Sequence[Fact]) -> Tale:
    """Fold the facts of a session."""
    tale = Tale()
    for fact in facts:
        header = fact.header
        if header["gen"] is not None:
            tale.generation = max(tale.generation, header["gen"])
        _status(tale, fact.name)
        _HAPPENED.get(fact.name, _nothing)(tale, header["data"])
    return tale


def _status(tale: Tale, name: str) -> None:
    if name == "session.tombstoned":
        tale.status = "deleted"
    elif tale.status != "deleted":
        tale.status = "parked" if name == "session.parked" else "open"


def _nothing(tale: Tale, data: Any) -> None:  # noqa: ANN401
    """Other facts say nothing of what is counted here."""


def _enqueued(tale: Tale, data: Any) -> None:  # noqa: ANN401
    tale.enqueued[data["input_id"]] = data["source_key"]


def _cancelled(tale: Tale, data: Any) -> None:  # noqa: ANN401
    tale.settled[data["input_id"]] += 1


def _requested(tale: Tale, data: Any) -> None:  # noqa: ANN401
    request = data["request"]
    is_model = request["kind"] == "model_call"
    said = tale.replies_committed + tale.replies_open
    tale.requested[data["effect_id"]] = (
        f"model {said}" if is_model else f"tool {request['call_id']}"
    )


def _answered(tale: Tale, data: Any) -> None:  # noqa: ANN401
    tale.answered[data["effect_id"]] += 1
    if data["outcome"]["kind"] == "model_replied":
        tale.replies_open += 1
        tale.replies.update(data["outcome"]["usage"])


def _committed(tale: Tale, data: Any) -> None:  # noqa: ANN401
    _over(tale, data)
    tale.revision = data["revision"]
    tale.settled.update(data["completed_input_ids"])
    tale.replies_committed += tale.replies_open
    tale.replies_open = 0


def _ended(tale: Tale, data: Any) -> None:  # noqa: ANN401
    _over(tale, data)
    tale.settled.update(data["failed_input_ids"])
    tale.replies_open = 0


def _over(tale: Tale, data: Any) -> None:  # noqa: ANN401
    tale.turns[data["turn_id"]] += 1
    tale.booked.update(data["usage"])


_HAPPENED: Final[Mapping[str, Callable[[Tale, Any], None]]] = {
    "input.enqueued": _enqueued,
    "input.cancelled": _cancelled,
    "effect.requested": _requested,
    "effect.settled": _answered,
    "turn.committed": _committed,
    "turn.ended": _ended,
}


def unsound(ledger: Ledger) -> list[str]:
    """Say what is not dense, not chained, or not what the head row says."""
    found = list(ledger.problems)
    if ledger.heads.keys() != {*ledger.facts}:
        found.append(f"heads of {sorted(ledger.heads)}, facts of {sorted(ledger.facts)}")
    for stream, facts in ledger.facts.items():
        before = bytes(_DIGEST_BYTES)
        for number, fact in enumerate(facts):
            header = fact.stored[_DIGEST_BYTES:]
            before = hashlib.sha256(b"lash-es/1" + before + header).digest()
            if fact.position != number or fact.stored[:_DIGEST_BYTES] != before:
                found.append(f"{stream}: position {fact.position} does not follow {number - 1}")
                break
        tale = tell_tale(facts)
        expected = Head(len(facts), before, tale.generation, tale.status)
        if stream in ledger.heads and ledger.heads[stream] != expected:
            found.append(f"{stream}: head {ledger.heads[stream]}, facts say {expected}")
    return found
