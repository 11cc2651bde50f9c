"""
When two worlds are alike: what differs in them is only how things are called or numbered.

A search by states ends because of this. Acquire and release a lease: the generation is higher, the
version is higher, the token is another one, and yet nothing else can happen from there than could
before. Each part of a world is renamed by itself, to a value that has the same shape:

1. **Names** (claims, tokens, positions, hashes) are only ever compared for equality: they become
   the order in which they turn up.
2. **Generations** are this one or an older one; **times** are relative to the clock, and what is
   over is over by as much as the clock may still be set back.
3. **Fixed** is what no decision reads: it is there for whoever looks, or to make a name fresh.
   A version is the first one or any other.
4. What was settled is forgotten or remembered, and of what is counted there is any or none.
5. **Owners**: who holds the lease comes first, and lives or is dead; the others are alike.
6. Everything else counts as it is. A field that is new counts as it is until it is said here what
   it is; so forgetting one makes a search longer, never wrong.

That 1 to 5 are true is checked by tests: whatever is alike leads to what is alike.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Final, TypeAlias, cast, get_args, get_type_hints

import attrs
from attrs import evolve as with_changes
from attrs import frozen

from lash_es.core.batches import NEVER_MERGE, BatchStatus, DeliveryPolicy, SlotPolicy
from lash_es.core.bodies import BodyRef
from lash_es.core.heads import Ledger
from lash_es.core.ids import Generation, Position, Revision
from lash_es.core.ingress import NEXT_TURN
from lash_es.core.inputs import Inputs
from lash_es.core.known import BatchEntry, InputEntry
from lash_es.core.leases import Lease
from lash_es.core.messages import NO_TOKENS, TokenUsage
from lash_es.core.outcomes import InputStatus
from lash_es.core.state import Open
from lash_es.core.transcripts import FromInputs, FromWork
from lash_es.core.work import Work
from lash_es.verify.parts import NOW_MS, VERSION, Part, Values, values_of
from lash_es.verify.worlds import Actor, Index, World

GENERATION: Final = Generation(2)
OLDER: Final = Generation(1)
FORGOTTEN, REMEMBERED = Position(1), Position(2)
_FIRST_NAME: Final = 10
_NAMES: Final = {"ClaimId": "x", "token": "c", "commit_hash": "h", "Position": ""}
_TIMES: Final = frozenset({"expires_at_ms", "available_at_ms", "at_ms"})
_NOWHERE: Final = BodyRef(position=Position(0), ordinal=0)
_SOME_TOKENS: Final = TokenUsage(input_tokens=1)
_FIXED: Final[Mapping[str, object]] = {
    "claimed_at_ms": 0,
    "enqueued_at_ms": 0,
    "started_at_ms": 0,
    "claims_count": 0,
    "attempt": 1,
    "last": Position(0),
    "turn_index": 0,
    "last_usage": NO_TOKENS,
    "Revision": Revision(0),
    "Lease.position": None,
    "PendingInput.submitted": NEXT_TURN,
    "FromReply.body": _NOWHERE,
    "InputEntry.source_key": None,
    "InputEntry.ingress": NEXT_TURN,
    "InputEntry.body": _NOWHERE,
    "InputEntry.status": InputStatus.COMPLETED,
    "BatchEntry.source_key": None,
    "BatchEntry.delivery": DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
    "BatchEntry.slot": SlotPolicy.JOIN,
    "BatchEntry.merge_key": NEVER_MERGE,
    "BatchEntry.available_at_ms": 0,
    "BatchEntry.kinds": (),
    "BatchEntry.enqueued": Position(0),
    "BatchEntry.status": BatchStatus.COMPLETED,
}
_AS_IT_IS: Final = frozenset(
    {"Inputs.pruned_below", "Work.pruned_below", "InputEntry.settled", "BatchEntry.finished"}
)

Column: TypeAlias = tuple[str, str, str, str]
"""A field, the name of its argument, and the kinds of the texts and of the numbers in it."""


@frozen(cache_hash=True)
class Frame:
    """
    By what the numbers of a world are judged: the generation of its lease, its clock, and by how
    much that may still be set back (0 or less).
    """

    generation: Generation
    now_ms: int
    floor_ms: int = 0


def likeness(world: World, floor_ms: int = 0) -> tuple[Hashable, ...]:
    """Return what is the same for all worlds that are like this one."""
    if not isinstance(world.state, Open):
        return (type(world.state).__name__,)
    frame = Frame(generation=world.state.lease.generation, now_ms=world.now_ms, floor_ms=floor_ms)
    return tuple(key_of(world, part, frame) for part in Part)


def renamed(world: World, part: Part, frame: Frame) -> Values:
    """Return a part of an open world under the names that it has in all worlds like this one."""
    return _Names(frame).values(world, part)


def key_of(world: World, part: Part, frame: Frame) -> Hashable:
    """Return the same as ``renamed`` as nested tuples, to be looked up."""
    return _Keys(frame).values(world, part)


# What is said of a part before it is renamed


def _crew(lease: Lease, actors: Iterable[Actor]) -> tuple[Actor, ...]:
    """Tell only whether the holder lives: it is the first, and its next incarnation if not."""
    count = len(tuple(actors))
    holder = lease.holder
    is_dead = holder is not None and all(actor.owner != holder.owner for actor in actors)
    return tuple(
        Actor(name=f"actor{place}", pid=place, boots=2 if is_dead and place == 1 else 1)
        for place in range(1, count + 1)
    )


def _lease(values: Values) -> Values:
    (lease,) = cast("tuple[Lease]", values)
    holder = lease.holder
    if holder is not None:
        first = Actor(name="actor1", pid=1)
        holder = with_changes(holder, owner=first.owner)
    return (with_changes(lease, holder=holder),)


def _turn(values: Values) -> Values:
    turn, taken, *rest = cast("tuple[object, Index, object]", values)
    return (turn, dict(_in_order(taken)), *rest)


def _inputs(values: Values) -> Values:
    inputs, said, *rest = cast("tuple[Inputs, Index, object]", values)
    below = inputs.pruned_below
    entries = {
        key: with_changes(entry, settled=FORGOTTEN if entry.settled < below else REMEMBERED)
        if isinstance(entry, InputEntry)
        else entry
        for key, entry in _in_order(said)
    }
    some = min(1, inputs.settled_count)
    inputs = with_changes(inputs, pruned_below=REMEMBERED, settled_count=some)
    return (inputs, entries, *rest)


def _work(values: Values) -> Values:
    work, done, *rest = cast("tuple[Work, Index, object]", values)
    below = work.pruned_below
    entries = {
        key: with_changes(entry, finished=FORGOTTEN if entry.finished < below else REMEMBERED)
        if isinstance(entry, BatchEntry)
        else entry
        for key, entry in _in_order(done)
    }
    some = min(1, work.finished_count)
    work = with_changes(work, pruned_below=REMEMBERED, finished_count=some)
    return (work, entries, *rest)


def _in_order(index: Index) -> Iterable[tuple[Any, Any]]:
    return sorted(index.items(), key=lambda row: (row[0].kind.value, row[0].key))


def _head(values: Values) -> Values:
    """Of tokens it counts who used any; the index comes last."""
    *rest, drawn = values
    ledgers = (
        Ledger(rows=MappingProxyType(dict.fromkeys(each.rows, _SOME_TOKENS)))
        if isinstance(each, Ledger)
        else each
        for each in rest
    )
    return (*ledgers, dict(_in_order(cast("Index", drawn))))


_BEFORE: Final[Mapping[Part, Callable[[Values], Values]]] = {
    Part.LEASE: _lease,
    Part.TURN: _turn,
    Part.INPUTS: _inputs,
    Part.WORK: _work,
    Part.HEAD: _head,
}


class _Names:
    """Names in the order in which they turn up, kind by kind."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._seen: dict[tuple[str, object], object] = {}
        self._counts: dict[str, int] = {}

    def values(self, world: World, part: Part) -> Values:
        """Rename the fields of a part."""
        values = values_of(world, part)
        if part is Part.CREW:
            values = (_crew(cast("Open", world.state).lease, world.actors),)
        elif part is Part.CLOCK:
            version, at_ms = cast("tuple[int, int]", values)
            values = (1 if version == 1 else VERSION, self.time(at_ms))
        elif part in _BEFORE:
            values = _BEFORE[part](values)
        return tuple([self.value(each, "", "") for each in values])

    def value(self, value: object, text: str, number: str) -> object:
        """Rename what is in a value; its texts and numbers are of these kinds."""
        kind = type(value)
        if kind is str:
            return self._name(text, value) if text in _NAMES else value
        if kind is int:
            return self._number(cast("int", value), number)
        if hasattr(kind, "__attrs_attrs__"):
            return self._fields(value, kind)
        if kind is tuple:
            parts = cast("tuple[object, ...]", value)
            return tuple([self.value(each, text, number) for each in parts])
        if isinstance(value, Mapping):
            items = cast("Mapping[object, object]", value).items()
            return self._mapping(
                [(self.value(k, text, number), self.value(v, text, number)) for k, v in items]
            )
        return value

    def _mapping(self, items: list[tuple[object, object]]) -> object:
        return MappingProxyType(dict(items))

    def time(self, time_ms: int) -> int:
        """Say a time by the clock that all worlds have."""
        return NOW_MS + max(time_ms - self._frame.now_ms, self._frame.floor_ms)

    def _number(self, value: int, kind: str) -> object:
        if kind == "Position":
            return self._name(kind, value)
        if kind == "Generation":
            return GENERATION if value == self._frame.generation else OLDER
        return self.time(value) if kind == "time" else value

    def _name(self, kind: str, value: object) -> object:
        found = self._seen.get((kind, value))
        if found is None:
            count = self._counts[kind] = self._counts.get(kind, 0) + 1
            prefix = _NAMES[kind]
            found = f"{prefix}{count}" if prefix else Position(_FIRST_NAME + count)
            self._seen[(kind, value)] = found
        return found

    def _fields(self, value: object, kind: type) -> object:
        if isinstance(value, FromInputs | FromWork):
            # A node only points at contents: no decision looks where they are.
            value = with_changes(value, bodies=tuple(_NOWHERE for _ in value.bodies))
        changed = {
            argument: self.value(getattr(value, name), text, number)
            for name, argument, text, number in _columns(kind)
        }
        return kind(**_fixed(kind), **changed)


class _Keys(_Names):
    """The same, without making values: what is fixed does not count."""

    def _mapping(self, items: list[tuple[object, object]]) -> object:
        return tuple(items)

    def _fields(self, value: object, kind: type) -> object:
        if isinstance(value, FromInputs | FromWork):
            return (kind, len(value.bodies))
        return (
            kind,
            *[
                self.value(getattr(value, name), text, number)
                for name, _, text, number in _columns(kind)
            ],
        )


@cache
def _fixed(kind: type) -> Mapping[str, object]:
    found: dict[str, object] = {}
    for field in attrs.fields(cast("Any", kind)):
        is_fixed, value = _fixed_value(kind, field.name)
        if is_fixed:
            found[field.alias] = value
    return found


def _fixed_value(kind: type, name: str) -> tuple[bool, object]:
    own = f"{kind.__name__}.{name}"
    by_type = "Revision" if _kinds(kind, name)[1] == "Revision" else name
    for key in (own, by_type):
        if key in _FIXED:
            return True, _FIXED[key]
    return False, None


@cache
def _columns(kind: type) -> tuple[Column, ...]:
    """List the fields of a class that count, and what their values are."""
    return tuple(
        (field.name, field.alias or field.name, *_kinds(kind, field.name))
        for field in attrs.fields(cast("Any", kind))
        if not _fixed_value(kind, field.name)[0]
    )


@cache
def _kinds(kind: type, name: str) -> tuple[str, str]:
    """Say of what kind texts and numbers in a field are: by its name, or by its type's."""
    if f"{kind.__name__}.{name}" in _AS_IT_IS:
        return "", ""
    if name in _TIMES:
        return "", "time"
    if name in _NAMES:
        return name, ""
    new_types = list(_new_types(get_type_hints(kind)[name]))
    text = next((n for n, base in new_types if base is str and n in _NAMES), "")
    number = next((n for n, base in new_types if base is int), "")
    return text, number


def _new_types(annotation: object) -> Iterable[tuple[str, object]]:
    base = getattr(annotation, "__supertype__", None)
    if base is not None:
        yield getattr(annotation, "__name__", ""), base
    for part in get_args(annotation):
        yield from _new_types(part)
