"""
What would a session's fold and its headers cost otherwise: a table for ``evolve``'s match, msgspec
for cattrs?

``python -m benchmarks.fold [DATE]`` measures and writes ``results/fold-DATE.json``; without a date
it is today's, in UTC.

1. *fold*: the shipped ``evolve`` against a dictionary from event class to the very same leaves.
2. *headers*: the shipped path (cattrs and orjson) against msgspec onto the same attrs classes,
   wherever msgspec can: a union of two attrs classes it refuses, and there cattrs goes on.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from types import ModuleType
from typing import Any, Final

from attrs import frozen

from benchmarks.facts import SESSION, recorded
from benchmarks.measuring import (
    Result,
    chunked,
    interleaved,
    machine,
    ratio,
    summaries,
    write,
)
from lash_es.codec.canonical import canonical_bytes
from lash_es.codec.records import (
    GENESIS,
    Caused,
    Header,
    Record,
    _header_bytes,
    _StoredHeader,
    decode_event,
    decode_header,
    encode_records,
    has_bodies,
)
from lash_es.codec.shapes import from_plain, to_plain
from lash_es.codec.streams import StreamId
from lash_es.codec.wire_names import EVENT_CLASSES, EVENT_NAMES
from lash_es.core import inputs, leases, turns
from lash_es.core.causes import cause
from lash_es.core.events import (
    EffectRequested,
    EffectSettled,
    Event,
    LeaseAcquired,
    LeaseReleased,
    LeaseRenewed,
    SessionConfigured,
    SessionOpened,
    SessionParked,
    SessionTombstoned,
    TurnCommitted,
    TurnContinued,
    TurnEnded,
    TurnInputCancelled,
    TurnInputClaimAbandoned,
    TurnInputEnqueued,
    TurnInputsClaimed,
    TurnStarted,
)
from lash_es.core.evolve import (
    _bodies_of,
    _committed,
    _deleted,
    _ended,
    _next,
    _owned,
    _turn,
    evolve,
)
from lash_es.core.ids import AppendId, Position
from lash_es.core.state import NOT_OPENED, Open, State

FACTS: Final = 20_000
FACTS_PER_PIECE: Final = 200
ROUNDS: Final = 10
STREAM: Final = StreamId("default", SESSION)
APPEND_ID: Final = AppendId("append-0123456789abcdef")

# A table in place of the match

Leaf = Callable[[Open, Any, Position], State]
TABLE: Final[Mapping[type[Event], Leaf]] = {
    EffectRequested: lambda s, e, here: _owned(s, e, turn=turns.requested(_turn(s, e), e, here)),
    EffectSettled: lambda s, e, here: _owned(s, e, turn=turns.settled(_turn(s, e), e, here)),
    TurnInputEnqueued: lambda s, e, here: _next(
        s, e.at_ms, inputs=inputs.enqueued(s.inputs, e, here)
    ),
    LeaseAcquired: lambda s, e, here: _next(s, e.at_ms, lease=leases.acquired(s.lease, e, here)),
    LeaseReleased: lambda s, e, here: _next(s, e.at_ms, lease=leases.released(s.lease, e, here)),
    TurnStarted: lambda s, e, here: _owned(
        s, e, turn=turns.started(e, here, s.policy, _bodies_of(s, e))
    ),
    TurnCommitted: lambda s, e, _: _committed(s, e, _turn(s, e)),
    TurnInputsClaimed: lambda s, e, _: _owned(s, e, inputs=inputs.claimed(s.inputs, e)),
    LeaseRenewed: lambda s, e, here: _next(s, e.at_ms, lease=leases.renewed(s.lease, e, here)),
    TurnContinued: lambda s, e, here: _owned(s, e, turn=turns.continued(_turn(s, e), e, here)),
    TurnEnded: lambda s, e, _: _ended(s, e, _turn(s, e)),
    TurnInputCancelled: lambda s, e, _: _next(s, e.at_ms, inputs=inputs.cancelled(s.inputs, e)),
    TurnInputClaimAbandoned: lambda s, e, _: _next(
        s, e.at_ms, inputs=inputs.abandoned(s.inputs, e)
    ),
    SessionConfigured: lambda s, e, _: _next(s, e.at_ms, policy=e.policy),
    SessionParked: lambda s, e, _: _next(s, e.at_ms, is_parked=True),
    SessionTombstoned: lambda s, e, _: _deleted(s, e),
}


def evolve_by_table(state: State, event: Event) -> State:
    if isinstance(state, Open) and not isinstance(event, SessionOpened):
        return TABLE[type(event)](state, event, Position(state.version))
    return evolve(state, event)  # The first fact, and what is refused.


@frozen
class Stretch:
    """Facts, and the state that they are applied to."""

    before: State
    events: Sequence[Event]


def fold_with(step: Callable[[State, Event], State]) -> Callable[[Stretch], State]:
    def fold(stretch: Stretch) -> State:
        state = stretch.before
        for event in stretch.events:
            state = step(state, event)
        return state

    return fold


def measure_fold(events: Sequence[Event]) -> Result:
    pieces = list(stretches(events))
    variants = {"match": fold_with(evolve), "table": fold_with(evolve_by_table)}
    require_same(variants, pieces)
    measured = interleaved(pieces, FACTS_PER_PIECE, variants, rounds=ROUNDS)
    return {
        "facts": len(events),
        "facts_per_sample": FACTS_PER_PIECE,
        "per_fact": summaries(measured),
        "ratio": ratio(measured, "match", "table"),
    }


def stretches(events: Sequence[Event]) -> Iterator[Stretch]:
    state: State = NOT_OPENED
    for piece in chunked(events, FACTS_PER_PIECE):
        yield Stretch(state, piece)
        for event in piece:
            state = evolve(state, event)


# msgspec in place of cattrs

_Encode = Callable[[Sequence[tuple[Caused, Position]]], list[bytes]]
_Decode = Callable[[Sequence[Record]], list[Event]]


class WithMsgspec:
    """The shipped header paths, line by line, with msgspec wherever it can."""

    def __init__(self, msgspec: ModuleType) -> None:
        self._convert = msgspec.convert
        self._to_builtins = msgspec.to_builtins
        self._decode = msgspec.json.Decoder(_StoredHeader).decode
        self.can = frozenset(kind for kind in EVENT_NAMES if _is_decodable(msgspec, kind))

    def encode(self, caused: Caused, position: Position) -> bytes:
        event = caused.event
        name, schema_version = EVENT_NAMES[type(event)]
        data = self._to_builtins(event) if type(event) in self.can else to_plain(event)
        plain = {
            "append": APPEND_ID,
            "at": data.pop("at_ms"),
            "bodies": data.pop("bodies", []),
            "cause": caused.cause,
            "data": data,
            "gen": data.pop("generation", None),
            "name": name,
            "ns": STREAM.namespace,
            "pos": position,
            "session": STREAM.session_id,
            "v": schema_version,
        }
        return canonical_bytes(plain, name)

    def decode(self, record: Record) -> Event:
        stored = self._decode(record.header)
        found = (stored.ns, stored.session, stored.pos, stored.name)
        if found != (STREAM.namespace, STREAM.session_id, record.position, record.name):
            raise ValueError(found)
        header = Header(
            stream=STREAM,
            position=stored.pos,
            name=stored.name,
            schema_version=stored.v,
            recorded_at_ms=stored.at,
            append_id=stored.append,
            cause=stored.cause,
            generation=stored.gen,
            bodies=stored.bodies,
            data=stored.data,
        )
        return self._event(header)

    def _event(self, header: Header) -> Event:
        event_class = EVENT_CLASSES[header.name]
        data = dict(header.data)
        data["at_ms"] = header.recorded_at_ms
        if header.generation is not None:
            data["generation"] = header.generation
        if has_bodies(event_class):
            data["bodies"] = [to_plain(body) for body in header.bodies]
        if event_class in self.can:
            converted: Event = self._convert(data, event_class)
            return converted
        return from_plain(data, event_class, header.name)


def _is_decodable(msgspec: ModuleType, kind: type[Event]) -> bool:
    try:
        msgspec.json.Decoder(kind)
    except TypeError:
        return False
    return True


def measure_headers(events: Sequence[Event]) -> Result:
    if importlib.util.find_spec("msgspec") is None:
        return {"skipped": "msgspec is not installed"}
    other = WithMsgspec(importlib.import_module("msgspec"))
    facts = list(caused(events))
    records = encode_records(STREAM, Position(0), GENESIS, APPEND_ID, facts)
    numbered = [(fact, Position(position)) for position, fact in enumerate(facts)]
    can = [isinstance(event, tuple(other.can)) for event in events]
    return {
        "classes_msgspec_can_decode": sorted(EVENT_NAMES[kind][0] for kind in other.can),
        "share_of_facts": round(sum(can) / len(can), 3),
        "caveat": "msgspec takes unknown keys of an attrs class without a word; cattrs refuses",
        "all_facts": {
            "encode": _measured(_encoders(other), numbered),
            "decode": _measured(_decoders(other), records),
        },
        "facts_msgspec_can_decode": {
            "encode": _measured(_encoders(other), _only(numbered, can)),
            "decode": _measured(_decoders(other), _only(records, can)),
        },
    }


def _encoders(other: WithMsgspec) -> Mapping[str, _Encode]:
    return {
        "cattrs": lambda piece: [_header_bytes(STREAM, at, APPEND_ID, fact) for fact, at in piece],
        "msgspec": lambda piece: [other.encode(fact, at) for fact, at in piece],
    }


def _decoders(other: WithMsgspec) -> Mapping[str, _Decode]:
    return {
        "cattrs": lambda piece: [decode_event(decode_header(STREAM, record)) for record in piece],
        "msgspec": lambda piece: [other.decode(record) for record in piece],
    }


def _only(items: Sequence[Any], wanted: Sequence[bool]) -> list[Any]:
    return [item for item, is_wanted in zip(items, wanted, strict=True) if is_wanted]


def _measured(variants: Mapping[str, Callable[[Any], object]], items: Sequence[Any]) -> Result:
    pieces = list(chunked(items, FACTS_PER_PIECE))
    require_same(variants, pieces)
    measured = interleaved(pieces, FACTS_PER_PIECE, variants, rounds=ROUNDS)
    return {"per_fact": summaries(measured), "ratio": ratio(measured, "cattrs", "msgspec")}


def caused(events: Sequence[Event]) -> Iterator[Caused]:
    state: State = NOT_OPENED
    for event in events:
        yield Caused(event=event, cause=cause(state, event))
        state = evolve(state, event)


def require_same(variants: Mapping[str, Callable[[Any], object]], pieces: Sequence[Any]) -> None:
    """Refuse to compare what does not come to the same."""
    for piece in pieces:
        first, *others = (work(piece) for work in variants.values())
        if any(other != first for other in others):
            raise ValueError(f"{' and '.join(variants)} differ")


def main(arguments: Sequence[str]) -> None:
    date = arguments[0] if arguments else datetime.now(UTC).date().isoformat()
    events = recorded(FACTS)[:FACTS]
    result: Result = {
        "question": "evolve by match or by table; headers by cattrs or by msgspec",
        "date": date,
        "command": "python -m benchmarks.fold",
        "machine": machine(),
        "fold": measure_fold(events),
        "headers": measure_headers(events),
    }
    path = write("fold", date, result)
    print(path.read_text("utf-8"))


if __name__ == "__main__":
    main(sys.argv[1:])
