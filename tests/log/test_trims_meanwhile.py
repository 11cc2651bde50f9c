"""A trim at any moment of a reading is not corruption; a trim that is no trim is."""

from collections.abc import Callable, Mapping, Sequence

import pytest

from lash_es.codec.errors import CorruptBody, CorruptHistory
from lash_es.codec.records import Record, chain_digest
from lash_es.codec.streams import StreamId
from lash_es.codec.trims import encode_trim_content
from lash_es.core.bodies import BodyRef, NewBody
from lash_es.core.commands import CancelTurnInput, EnqueueTurnInput
from lash_es.core.errors import HistoryTrimmedBelow
from lash_es.core.events import HistoryTrimmed
from lash_es.core.ids import AppendId, InputId, NodeId, Position, Version
from lash_es.core.ingress import NextTurn
from lash_es.core.messages import Role
from lash_es.core.state import Open
from lash_es.core.transcripts import Node, TurnLimitNotice
from lash_es.core.trims import BodyPage, KeptState
from lash_es.log.appends import StoredBody
from lash_es.log.contents import read_nodes
from lash_es.log.encoding import encode_append
from lash_es.log.gathering import named_bodies
from lash_es.log.loading import load, refold
from lash_es.log.retaining import Removal
from lash_es.log.stores.memory import MemoryStore
from lash_es.log.trims import KeptHistory, from_kept
from lash_es.timetravel.history import read_history
from lash_es.timetravel.verifying import verify_session
from tests.log.tapes import STREAM, said
from tests.log.trims import over, trimming

SALT = b"sixteen bytes ok"


class Disturbed(MemoryStore):
    """Lets something happen before one of its reads."""

    def __init__(self) -> None:
        super().__init__()
        self.countdown = -1
        self.happen: Callable[[], object] = lambda: None

    def _count(self) -> None:
        self.countdown -= 1
        if self.countdown == 0:
            self.happen()

    def read(self, stream: StreamId, first: Position, records_max: int) -> tuple[Record, ...]:
        self._count()
        return super().read(stream, first, records_max)

    def read_bodies(
        self, stream: StreamId, refs: Sequence[BodyRef]
    ) -> Mapping[BodyRef, StoredBody]:
        self._count()
        return super().read_bodies(stream, refs)


def _disturbed(moment: int, *, trimmed_before: bool) -> Disturbed:
    """Make a session that is trimmed, for a first or a second time, at a moment to come."""
    store = Disturbed()
    player = over(store)
    for number in range(140):
        player.send(
            EnqueueTurnInput(
                now_ms=2_950,
                input_id=InputId(f"n{number}"),
                source_key=None,
                ingress=NextTurn(),
                body=said("never mind"),
            )
        )
        player.send(CancelTurnInput(now_ms=2_951, input_id=InputId(f"n{number}")))
    if trimmed_before:
        trimming(store).trim(STREAM, Version(200))
    store.happen = lambda: trimming(store).trim(STREAM)
    store.countdown = moment
    return store


READINGS: dict[str, Callable[[Disturbed], object]] = {
    "refold": lambda store: refold(store, STREAM).version >= 308,
    "verify": lambda store: verify_session(store, STREAM).is_sound,
    "history": lambda store: read_history(store, STREAM).version >= 308,
    "index": lambda store: len(from_kept(store, STREAM, KeptHistory.entries) or {"": 0}) > 0,
    "nodes": lambda store: len(_nodes(store)) == 4,
}


def _nodes(store: Disturbed) -> tuple[object, ...]:
    state = load(store, STREAM).state
    assert isinstance(state, Open)
    return read_nodes(store, STREAM, state.head.leaf)


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("trimmed_before", [False, True])
def test_a_trim_at_any_moment_of_a_reading_is_not_corruption(
    reading: str, trimmed_before: bool
) -> None:
    for moment in range(1, 11):
        store = _disturbed(moment, trimmed_before=trimmed_before)
        assert READINGS[reading](store), (reading, moment)


def test_a_trimmed_history_is_read_from_its_trim_on() -> None:
    store = _disturbed(-1, trimmed_before=True)
    history = read_history(store, STREAM)

    assert (history.oldest, history.version) == (200, 309)
    assert history.state == load(store, STREAM).state
    assert history.as_of(200).entries == ()
    assert history.as_of(250).with_(*history.since(250)) == history
    assert next(iter(history.positions()))[0] == 200
    for ask in (lambda: history.as_of(199), lambda: history.since(0)):
        with pytest.raises(HistoryTrimmedBelow) as caught:
            ask()
        assert caught.value.oldest == 200


def test_verify_says_what_it_could_check_and_checks_what_was_kept() -> None:
    store = _disturbed(-1, trimmed_before=True)
    verdict = verify_session(store, STREAM)
    assert (verdict.problems, verdict.oldest, verdict.version) == ((), 200, 309)

    kept = from_kept(store, STREAM, KeptHistory.bodies)
    assert kept
    ref = min(kept, key=lambda ref: ref.position)
    store._streams[STREAM.key].bodies.pop(ref)
    (problem,) = verify_session(store, STREAM).problems
    assert (problem.check, problem.position) == ("bodies", ref.position)


# Trims that are none


def _trim_by_hand(
    *bodies: NewBody, digest: str | None = None, below: int = 3, removes: bool = True
) -> MemoryStore:
    """Record a trim as no rule would, and let the facts go."""
    store = Disturbed()
    player = over(store)
    before = player.appends[below - 1].digest.hex()
    event = HistoryTrimmed(
        at_ms=3_000,
        below=Version(below),
        digest=before if digest is None else digest,
        bodies=tuple(body.commitment for body in bodies),
    )
    append, _ = encode_append(player.folded, [event], bodies, AppendId("by hand"))
    store.append([append])
    if removes:
        removal = Removal(stream=STREAM, below=Version(below), trim=Position(28), bodies=())
        store.remove_facts(removal)
    return store


def _state(below: int = 3) -> NewBody:
    """Encode the state that a trim of the tape has to keep."""
    store = MemoryStore()
    player = over(store)
    history = read_history(store, STREAM).as_of(below)
    del player
    assert isinstance(history.state, Open)
    return encode_trim_content(KeptState(state=history.state), SALT)


OTHER = NewBody(content=b"{}", salt=SALT, media_type="text/plain")


def test_a_trim_by_hand_that_is_right_is_read() -> None:
    assert refold(_trim_by_hand(_state()), STREAM).version == 29


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (_trim_by_hand, CorruptHistory, "no state"),
        (lambda: _trim_by_hand(OTHER), CorruptBody, "holds no state"),
        (lambda: _trim_by_hand(_state(4)), CorruptBody, "no state of version 3"),
        (lambda: _trim_by_hand(_state(), digest="xyz"), CorruptBody, "holds no state"),
        (lambda: _trim_by_hand(_state(), digest="00" * 32), CorruptHistory, "does not match"),
        (
            lambda: _trim_by_hand(encode_trim_content(BodyPage(bodies=()), SALT)),
            CorruptBody,
            "no state of version",
        ),
    ],
    ids=["no body", "no page", "another state", "no digest", "another digest", "another page"],
)
def test_a_trim_that_keeps_no_state_cannot_be_begun_at(
    make: Callable[[], MemoryStore], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        refold(make(), STREAM)


def test_a_page_that_is_none_is_refused() -> None:
    page = NewBody(content=b"{}", salt=SALT, media_type="lash/kept-bodies;v=9")
    store = _trim_by_hand(_state(), page)
    with pytest.raises(CorruptBody, match="expected a body of a trim"):
        from_kept(store, STREAM, KeptHistory.bodies)


class Shifty(Disturbed):
    """Shows another trim to whoever looks at it alone."""

    def read(self, stream: StreamId, first: Position, records_max: int) -> tuple[Record, ...]:
        records = super().read(stream, first, records_max)
        if records_max > 1 or first != 28:
            return records
        header = records[0].header.replace(b"by hand", b"by feet")
        digest = chain_digest(b"anything", header)
        return (Record(position=first, name=records[0].name, digest=digest, header=header),)


def test_a_trim_that_is_another_one_in_its_turn_is_corrupt() -> None:
    honest = _trim_by_hand(_state())
    store = Shifty()
    store._streams, store._recorder = honest._streams, honest._recorder
    with pytest.raises(CorruptHistory, match="not the trim that reading began at"):
        refold(store, STREAM)


def test_a_notice_of_the_runtime_names_no_body() -> None:
    source = TurnLimitNotice(model_calls_max=3)
    notice = Node(node_id=NodeId("t1:m1"), role=Role.USER, source=source)
    assert list(named_bodies([notice])) == []
