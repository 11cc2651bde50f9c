"""
Whether what the clients were told can have been: the receipts against the version order of facts.

Every receipt names the number of facts that it was decided on. That number is its place in one
order of everything that was asked, and the order is right if

1. it keeps to real time: who asked after another was answered was not answered on an older log,
   and nobody was answered on facts that nobody had asked for yet;
2. the receipts account for every fact, each for its own: no place is claimed twice or by none;
3. a session that does these things one after the other, in this order, says the same each time.
The
   session is the naive model of ``tests/core/naive.py``, which shares no code with the core.

That is linearizability, with the order as its witness: a search for one is not needed, since the
log says which it was. Source: Herlihy and Wing; that a history can be checked in linear time when
the order of versions is known is Elle's idea.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any, Final, TypeAlias

from tests.concurrency.entries import NAIVE_LIMITS, Entry
from tests.core.naive import NOTHING, NaiveSession

Answer: TypeAlias = tuple[str, Any]
"""The names of the facts, or of the error; and the receipt."""


def problems(entries: Iterable[Entry], facts: Mapping[str, Sequence[str]]) -> list[str]:
    """
    Say what cannot have been, at most one thing a session and rule: the first.

    Args:
        entries: what all clients wrote down, in any order.
        facts: the names of the facts of each session, the first of which nobody asked for.
    """
    by_session: dict[str, list[Entry]] = {session: [] for session in facts}
    for entry in entries:
        by_session[entry.session].append(entry)
    found: list[str] = []
    for session, mine in by_session.items():
        found += [*_too_old(mine)][:1] + [*_too_new(mine)][:1]
        found += [*_not_as_the_model(session, mine, facts[session])][:1]
    return found


def _too_old(entries: Sequence[Entry]) -> Iterable[str]:
    """Find answers on a log that was older than one that somebody had been told of before."""
    answered = sorted(entries, key=lambda entry: entry.ended_ns)
    ends_ns = [entry.ended_ns for entry in answered]
    newest = list(accumulate(answered, _newer))
    for entry in entries:
        before = bisect_left(ends_ns, entry.began_ns)
        if before and entry.version < newest[before - 1].after:
            yield f"stale: {entry}; but before it was asked {newest[before - 1]}"


def _newer(one: Entry, other: Entry) -> Entry:
    return other if other.after > one.after else one


def _too_new(entries: Sequence[Entry]) -> Iterable[str]:
    """Find answers on facts that were asked for only later."""
    began_ns = {n: e.began_ns for e in entries for n in range(e.version + 1, e.after + 1)}
    for entry in entries:
        if began_ns.get(entry.version, 0) > entry.ended_ns:
            yield f"ahead of time: {entry}"


def _not_as_the_model(
    session: str, entries: Iterable[Entry], facts: Sequence[str]
) -> Iterable[str]:
    """Ask the model everything in the order of versions: first what recorded nothing."""
    model = NaiveSession(NAIVE_LIMITS)
    model.opened(0, session, {"provider": "offline", "model": "m1", "max_turns": None})
    for entry in sorted(entries, key=lambda e: (e.version, bool(e.facts), e.began_ns)):
        if entry.version < model.facts:
            yield f"two answers for one place: {entry}, where the model is at {model.facts}"
        if entry.version > model.facts:
            yield f"nobody was told of the facts from {model.facts} on: next {entry}"
        if tuple(facts[entry.version : entry.after]) != entry.facts:
            yield f"the log has {facts[entry.version : entry.after]} where {entry}"
        expected = _asked(model, entry)
        if (entry.said, entry.told) != expected:
            yield f"{entry}; expected {expected}"
    if model.facts != len(facts):
        yield f"nobody was told of the facts from {model.facts} on, of {len(facts)}"


def _asked(model: NaiveSession, entry: Entry) -> Answer:
    said, told = ASKS[entry.asked](model, entry)
    return said, None if said.startswith("!") else told


def _fence(entry: Entry) -> tuple[str, str, int]:
    owner, token, generation = entry.words["fence"]
    return owner, token, generation


def _enqueue(model: NaiveSession, entry: Entry) -> Answer:
    words = entry.words
    name, key = words["name"], words["key"]
    said = model.enqueued(entry.now_ms, name, key, ("next",), words["text"])
    if said.startswith("!"):
        return said, None
    named = name if said != NOTHING else model.named_by(key)
    found = model.inputs[named]
    return said, [named, found.number, found.status]


def _cancel(model: NaiveSession, entry: Entry) -> Answer:
    name = entry.words["name"]
    found = model.inputs.get(name)
    was = "" if found is None or found.forgotten else found.status
    said = model.cancelled(entry.now_ms, name)
    if said != NOTHING:
        return said, "Cancelled"
    ends = {
        "": "NotFound",
        "waiting": "AlreadyClaimed",
        "cancelled": "AlreadyCancelled",
        "completed": "AlreadyCompleted",
        "failed": "AlreadyCompleted",
    }
    return said, ends[was]


def _look(model: NaiveSession, entry: Entry) -> Answer:
    return NOTHING, [n for n in model.waiting() if not model._is_held(entry.now_ms, n)]


def _claim(model: NaiveSession, entry: Entry) -> Answer:
    words = entry.words
    said = model.claimed(entry.now_ms, _fence(entry), words["token"], words["most"])
    held = {n: e for n, e in model.waiting().items() if e.claim and e.claim[1] == words["token"]}
    return said, _held(held)


def _held(held: Mapping[str, Any]) -> list[Any] | None:
    if not held:
        return None
    first = next(iter(held.values()))
    return [*first.claim, first.claims, list(held)]


def _complete(model: NaiveSession, entry: Entry) -> Answer:
    words, fence = entry.words, _fence(entry)
    claim, token = words["claim"]
    started = model.started(entry.now_ms, fence, words["turn"], None, (claim, token))
    if started.startswith("!"):
        return started, None
    said = model.commit(entry.now_ms, fence, words["turn"], ran_into_limit=False, done=[])
    return f"{started}, {said}", len(model.committed)


def _acquire(model: NaiveSession, entry: Entry) -> Answer:
    words = entry.words
    said = model.acquired(entry.now_ms, words["owner"], words["token"], words["ttl_ms"])
    assert model.holder is not None
    if said == NOTHING:
        return said, ["busy", model.holder[0]]
    return said, ["mine", model.holder[1], model.generation, said == "LeaseAcquired"]


def _queue(model: NaiveSession, entry: Entry) -> Answer:
    words = entry.words
    name, key = words["name"], words["key"]
    said = model.queued(entry.now_ms, name, key, ("wake", words["slot"], "early", "a", 0))
    if said.startswith("!"):
        return said, None
    if said == NOTHING:
        named = [n for n, b in model.batches.items() if b.key == key and not b.forgotten]
        name = named[0]
    return said, [name, model.batches[name].number, model.batches[name].status]


def _claim_work(model: NaiveSession, entry: Entry) -> Answer:
    words = entry.words
    token, most = words["token"], words["most"]
    said = model.work_claimed(entry.now_ms, _fence(entry), token, "idle", most)
    held = {n: b for n, b in model.working().items() if b.claim and b.claim[1] == token}
    return said, _held(held)


def _complete_work(model: NaiveSession, entry: Entry) -> Answer:
    claim, token, batches = entry.words["done"]
    return model.work_done(entry.now_ms, _fence(entry), [(claim, token, tuple(batches))]), None


def _told_nothing(ask: Callable[[NaiveSession, Entry], str]) -> Callable[..., Answer]:
    return lambda model, entry: (ask(model, entry), None)


ASKS: Final[Mapping[str, Callable[[NaiveSession, Entry], Answer]]] = {
    "enqueue": _enqueue,
    "cancel": _cancel,
    "look": _look,
    "claim": _claim,
    "complete": _complete,
    "acquire": _acquire,
    "queue": _queue,
    "claim work": _claim_work,
    "complete work": _complete_work,
    "abandon": _told_nothing(lambda m, e: m.abandoned(e.now_ms, *e.words["claim"])),
    "abandon work": _told_nothing(lambda m, e: m.work_abandoned(e.now_ms, *e.words["claim"])),
    "cancel work": _told_nothing(lambda m, e: m.work_cancelled(e.now_ms, e.words["name"])),
    "maintain": _told_nothing(lambda m, e: m.maintained(e.now_ms)),
    "renew": _told_nothing(lambda m, e: m.renewed(e.now_ms, _fence(e), e.words["ttl_ms"])),
    "release": _told_nothing(lambda m, e: m.released(e.now_ms, _fence(e))),
}
