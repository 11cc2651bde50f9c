"""
What must hold after a death, and after somebody has gone on: each rule answers with witnesses.

Compared are rows, folded by code of our own (``ledgers.py``), what the processes told over their
pipes, and what an undisturbed life came to.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from attrs import frozen

from tests.crash.ledgers import Fact, Ledger, Tale, tell_tale, unsound
from tests.crash.processes import DONE, Line

RENEWED: Final = "lease.renewed"


@frozen(kw_only=True)
class Lives:
    """A script's first life, what it left behind, its second life, and what is there then."""

    first: Sequence[Line]
    left: Ledger
    again: Sequence[Line]
    final: Ledger


def wrong(lives: Lives, calm: Lives, *, has_other_ids: bool = False) -> list[str]:
    """
    Say what should not be so; ``calm`` was not disturbed.

    What is decided again, or in another order, has other ids: then only the names of the facts
    are compared; and not whether an owner was silent for so long that it renewed its lease, since
    the clock of a script does not wait for a statement that is on a thread.

    1. What is left is sound, the beginning of what would have been, and holds what was
       acknowledged, once.
    2. The product sees in it what we see.
    3. In the end it is sound, nothing that was left is changed, every input is settled once, every
       effect has one outcome, what was settled was not asked for again, and the same was said.
    """
    return [
        *(line[1] for line in (*lives.first, *lives.again) if line[0] == "raised"),
        *unsound(lives.left),
        *_other_beginning(lives.left, calm.left, has_other_ids=has_other_ids),
        *_not_kept(lives.first, lives.left),
        *_seen_otherwise(lives.again, lives.left),
        *unsound(lives.final),
        *_changed(lives.left, lives.final),
        *_not_kept(lives.first, lives.final),
        *_unsettled(lives.final),
        *_asked_otherwise(lives),
        *_ended_otherwise(lives, calm),
    ]


def _other_beginning(left: Ledger, calm: Ledger, *, has_other_ids: bool) -> list[str]:
    found: list[str] = []
    for stream, facts in left.facts.items():
        expected = calm.facts.get(stream, ())
        if has_other_ids:
            is_same = _begins(_names(facts), _names(expected))
        else:
            is_same = _begins(facts, expected)
        if not is_same:
            found.append(f"{stream}: its {len(facts)} facts do not begin what would have been")
        elif not has_other_ids and not _is_whole(facts, calm.facts[stream]):
            found.append(f"{stream}: of its last append only a part is left")
    return found


def _begins(left: Sequence[object], expected: Sequence[object]) -> bool:
    return list(left) == list(expected[: len(left)])


def _names(facts: Sequence[Fact]) -> list[str]:
    return [fact.name for fact in facts if fact.name != RENEWED]


def _is_whole(facts: Sequence[Fact], expected: Sequence[Fact]) -> bool:
    """Tell whether the append of the last fact goes no further; an empty stream has none."""
    rest = expected[len(facts) : len(facts) + 1]
    return not facts or not rest or facts[-1].header["append"] != rest[0].header["append"]


def _changed(left: Ledger, final: Ledger) -> list[str]:
    return [
        f"{stream}: its {len(facts)} facts do not begin what is there in the end"
        for stream, facts in left.facts.items()
        if list(facts) != list(final.facts.get(stream, ()))[: len(facts)]
    ]


def _not_kept(told: Iterable[Line], ledger: Ledger) -> list[str]:
    """Look for what was acknowledged: by its field there is one, without one as many as told."""
    acked = Counter(line[1:] for line in told if line[0] == "acked")
    found: list[str] = []
    for (session_id, version, name, field, value), times in acked.items():
        facts = ledger.facts.get(f"default/{session_id}", ())
        if len(facts) < int(version):
            found.append(f"{session_id}: version {version} was told, {len(facts)} facts are left")
        same = [fact for fact in facts if fact.name == name]
        if field:
            same = [fact for fact in same if fact.header["data"][field] == value]
        if len(same) < (1 if field else times) or (field and len(same) > 1):
            found.append(f"{session_id}: {name} {value} was acknowledged, {len(same)} are left")
    return found


def _seen_otherwise(told: Iterable[Line], ledger: Ledger) -> list[str]:
    """Compare the state that the product has folded with our own fold of the rows."""
    found = [line[1] for line in told if line[0] == "unsound"]
    seen = {line[1]: line[2:] for line in told if line[0] == "state"}
    expected = {
        stream: _state(tell_tale(facts), len(facts))
        for stream, facts in ledger.facts.items()
        if tell_tale(facts).status != "deleted"
    }
    if seen != expected:
        found.append(f"the state is {seen}, the facts say {expected}")
    return found


def _state(tale: Tale, version: int) -> Line:
    booked = f"{tale.booked['input_tokens']} {tale.booked['output_tokens']}"
    return str(version), str(tale.revision), json.dumps(sorted(tale.waiting)), booked


def _unsettled(ledger: Ledger) -> list[str]:
    """Look for what is open, or was closed twice, and for tokens that nobody has booked."""
    found: list[str] = []
    for stream, facts in ledger.facts.items():
        tale = tell_tale(facts)
        for what, due, done in (
            ("input", Counter({*tale.enqueued}), tale.settled),
            ("effect", Counter({*tale.requested}), tale.answered),
            ("turn", Counter({*tale.turns}), tale.turns),
        ):
            if due != done:
                found.append(f"{stream}: {what}s due {dict(due)}, settled {dict(done)}")
        keys = [key for key in tale.enqueued.values() if key is not None]
        if len(keys) != len({*keys}):
            found.append(f"{stream}: a source key was taken twice: {keys}")
        if tale.replies != tale.booked:
            found.append(f"{stream}: used {dict(tale.replies)}, booked {dict(tale.booked)}")
    return found


def _asked_otherwise(lives: Lives) -> list[str]:
    """What was settled was asked for, and is not again; all the rest is asked for once."""
    found: list[str] = []
    first, again = _asked(lives.first), _asked(lives.again)
    settled, due = Counter[str](), Counter[str]()
    for stream, facts in lives.final.facts.items():
        before = tell_tale(lives.left.facts.get(stream, ()))
        after = tell_tale(facts)
        settled += before.labels(before.answered)
        due += after.labels(after.requested) - before.labels(before.answered)
    for label in sorted({*first, *again, *settled, *due}):
        if first[label] < settled[label]:
            found.append(f"{label} has {settled[label]} outcomes, asked {first[label]} times")
        if again[label] != due[label]:
            found.append(f"{label} was due {due[label]} times, asked again {again[label]} times")
    return found


def _asked(told: Iterable[Line]) -> Counter[str]:
    return Counter(line[1] for line in told if line[0] == "asked")


def _ended_otherwise(lives: Lives, calm: Lives) -> list[str]:
    """Compare with the life that was not disturbed, but for minted ids and times."""
    found: list[str] = []
    if DONE not in lives.again:
        found.append("the second process did not come to its end")
    for what in ("said", "settled", "turns"):
        here, there = _ending(lives, what), _ending(calm, what)
        if here != there:
            found.append(f"{what}: {here}, undisturbed {there}")
    return found


def _ending(lives: Lives, what: str) -> Mapping[str, object]:
    if what == "said":
        return {line[1]: line[2] for line in lives.again if line[0] == "said"}
    tales = {stream: tell_tale(facts) for stream, facts in lives.final.facts.items()}
    if what == "turns":
        return {stream: dict(tale.turns) for stream, tale in tales.items()}
    by_key: dict[str, object] = defaultdict(list)
    for stream, tale in tales.items():
        keys = sorted(str(key) for key in tale.enqueued.values())
        by_key[stream] = (keys, tale.revision, tale.status)
    return by_key
