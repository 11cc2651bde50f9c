"""
How many facts a second are read, checked and folded, and what of that is which part?

``python -m benchmarks.fold [DATE]`` measures, and writes ``results/fold-parts-DATE.json``; without
a date it is today's, in UTC.

1. *load*: a long session from memory and from a SQLite file, as it is opened without a snapshot.
2. *parts*: its chain, its events by reader and by cattrs, and its fold, each alone.
3. *constructors*: a session's and a turn's own, against their makers.
4. *append*: what is computed before a commit, one fact at a time.
"""

import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import attrs
from attrs import frozen

from benchmarks.facts import BODY, SESSION, recorded
from benchmarks.measuring import (
    Result,
    chunked,
    interleaved,
    machine,
    ratio,
    summaries,
    write,
)
from lash_es.codec.records import (
    Record,
    chain_digest,
    decode_event,
    decode_header,
    read_event,
)
from lash_es.codec.streams import StreamId
from lash_es.core.events import Event
from lash_es.core.evolve import evolve
from lash_es.core.ids import AppendId
from lash_es.core.makers import maker
from lash_es.core.state import NOT_OPENED, Open, State
from lash_es.core.turns import OpenTurn
from lash_es.log.appends import Appended
from lash_es.log.encoding import Folded, encode_append, nothing_folded
from lash_es.log.loading import refold
from lash_es.log.port import Store
from lash_es.log.stores.memory import MemoryStore
from lash_es.log.stores.sqlite import SQLiteStore

FACTS: Final = 20_000
FACTS_PER_PIECE: Final = 200
ROUNDS: Final = 10
LOADS: Final = 10
STREAM: Final = StreamId("default", SESSION)
APPEND_ID: Final = AppendId("append-0123456789abcdef")


@frozen
class Stretch:
    """Facts as they are stored, and the stream before them."""

    before: Folded
    events: Sequence[Event]
    records: Sequence[Record]


def stretches(events: Sequence[Event]) -> Iterator[Stretch]:
    folded = nothing_folded(STREAM)
    for piece in chunked(events, FACTS_PER_PIECE):
        append, later = encode_append(folded, piece, (BODY,), APPEND_ID)
        yield Stretch(folded, piece, append.records)
        folded = later


# The parts, each alone


def chained(stretch: Stretch) -> bytes:
    before = stretch.before.digest
    for record in stretch.records:
        before = chain_digest(before, record.header)
    return before


def read(stretch: Stretch) -> list[Event]:
    return [read_event(STREAM, record) for record in stretch.records]


def read_by_cattrs(stretch: Stretch) -> list[Event]:
    return [decode_event(decode_header(STREAM, record)) for record in stretch.records]


def folded(stretch: Stretch) -> State:
    state = stretch.before.state
    for event in stretch.events:
        state = evolve(state, event)
    return state


def appended(stretch: Stretch) -> Folded:
    before = stretch.before
    for event in stretch.events:
        _, before = encode_append(before, (event,), (BODY,), APPEND_ID)
    return before


def measured(pieces: Sequence[Stretch], variants: Mapping[str, Callable[[Any], object]]) -> Result:
    return summaries(interleaved(pieces, FACTS_PER_PIECE, variants, rounds=ROUNDS))


def measure_readers(pieces: Sequence[Stretch]) -> Result:
    for piece in pieces:
        if read(piece) != read_by_cattrs(piece):
            raise ValueError("the paths differ")
    both = interleaved(
        pieces, FACTS_PER_PIECE, {"cattrs": read_by_cattrs, "reader": read}, rounds=ROUNDS
    )
    return {"per_fact": summaries(both), "ratio": ratio(both, "cattrs", "reader")}


# Loading


def filled(store: Store, pieces: Sequence[Stretch]) -> Store:
    for piece in pieces:
        append, _ = encode_append(piece.before, piece.events, (BODY,), APPEND_ID)
        if not isinstance(store.append([append]), Appended):
            raise TypeError("expected an append to an empty store to succeed")
    return store


def measure_load(pieces: Sequence[Stretch]) -> Result:
    facts = FACTS_PER_PIECE * len(pieces)
    with tempfile.TemporaryDirectory() as folder:
        stores: Mapping[str, Store] = {
            "memory": filled(MemoryStore(), pieces),
            "sqlite": filled(SQLiteStore.open(Path(folder) / "log.db", create=True), pieces),
        }
        works = {
            name: lambda _, store=store: refold(store, STREAM) for name, store in stores.items()
        }
        times = interleaved([None], facts, works, rounds=LOADS)
        for store in stores.values():
            store.close()
    fastest = {name: round(1e6 / min(samples.us)) for name, samples in times.items()}
    return {"facts": facts, "per_fact": summaries(times), "facts_per_s_at_best": fastest}


# Constructors


def measure_constructors(pieces: Sequence[Stretch]) -> Result:
    sessions = [piece.before.state for piece in pieces if isinstance(piece.before.state, Open)]
    turns = [each.turn for each in sessions if isinstance(each.turn, OpenTurn)]
    return {
        kind.__name__: _constructed(kind, values)
        for kind, values in ((Open, sessions), (OpenTurn, turns))
    }


def _constructed(kind: type, values: Sequence[Any]) -> Result:
    make: Any = maker(kind)
    first, second, *others = (field.name for field in attrs.fields(kind))
    if all(field.kw_only for field in attrs.fields(kind)):
        named, places = "{0}=v.{0}, {1}=v.{1}", (first, second)
    else:
        named, places = "v.{0}, v.{1}", (first, second)
    arguments = ", ".join([named.format(*places), *(f"{name}=v.{name}" for name in others)])
    works = {
        name: eval(f"lambda values: [make({arguments}) for v in values]", {"make": each})
        for name, each in (("class", kind), ("maker", make))
    }
    both = interleaved([values] * 20, len(values), works, rounds=ROUNDS)
    return {"per_value": summaries(both), "ratio": ratio(both, "class", "maker")}


def main(arguments: Sequence[str]) -> None:
    date = arguments[0] if arguments else datetime.now(UTC).date().isoformat()
    pieces = list(stretches(recorded(FACTS)[:FACTS]))
    if pieces[0].before.state != NOT_OPENED:
        raise ValueError("expected the beginning of a session")
    records = [record for piece in pieces for record in piece.records]
    result: Result = {
        "question": "facts read, checked and folded, and what of that is which part",
        "date": date,
        "command": "python -m benchmarks.fold",
        "machine": machine(),
        "header_bytes_mean": round(sum(len(each.header) for each in records) / len(records)),
        "load": measure_load(pieces),
        "parts_per_fact": measured(
            pieces, {"chain": chained, "read": read, "fold": folded, "append": appended}
        ),
        "readers": measure_readers(pieces),
        "constructors": measure_constructors(pieces),
    }
    path = write("fold-parts", date, result)
    print(path.read_text("utf-8"))


if __name__ == "__main__":
    main(sys.argv[1:])
