"""Reading a stream: in pages, onto an earlier fold, while others append; and reading bodies."""

from collections.abc import Callable, Mapping, Sequence

import attrs
import pytest

from lash_es.codec.contents import encode_content
from lash_es.codec.errors import CorruptBody, CorruptHistory, WrittenByNewerVersion
from lash_es.codec.records import GENESIS, Record, chain_digest, decode_header
from lash_es.codec.streams import StreamId
from lash_es.core.bodies import BodyRef
from lash_es.core.commands import EnqueueTurnInput, OpenSession
from lash_es.core.ids import InputId, Position, Version
from lash_es.core.ingress import NextTurn
from lash_es.core.messages import TurnInput
from lash_es.core.state import Deleted, NotOpened, Open
from lash_es.log.appends import AppendResult, StoredBody, StreamAppend
from lash_es.log.commitments import body_refs, require_body
from lash_es.log.contents import read_content, read_contents, read_header
from lash_es.log.encoding import nothing_folded, status
from lash_es.log.loading import (
    RECORDS_PER_PAGE,
    load,
    read_facts,
    refold,
)
from lash_es.log.port import StreamHead
from lash_es.log.stores.memory import MemoryStore
from tests.log.tapes import POLICY, SESSION, STREAM, Player, commands, play, said

FACTS_COUNT = 28


class WatchedStore(MemoryStore):
    """Counts reads, and lets something happen before one of them."""

    def __init__(self, before: Mapping[int, Callable[[], object]] | None = None) -> None:
        super().__init__()
        self.reads: list[str] = []
        self.before = dict(before or {})
        self.is_watching = False

    def _watch(self, what: str) -> None:
        if self.is_watching:
            self.before.pop(len(self.reads), lambda: None)()
            self.reads.append(what)

    def head(self, stream: StreamId) -> StreamHead | None:
        self._watch("head")
        return super().head(stream)

    def read(self, stream: StreamId, first: Position, records_max: int) -> tuple[Record, ...]:
        self._watch(f"read {first}+{records_max}")
        return super().read(stream, first, records_max)

    def append(self, appends: Sequence[StreamAppend]) -> AppendResult:
        self.is_watching, was_watching = False, self.is_watching
        try:
            return super().append(appends)
        finally:
            self.is_watching = was_watching


def _enqueue(number: int) -> EnqueueTurnInput:
    return EnqueueTurnInput(
        now_ms=20,
        input_id=InputId(f"i{number}"),
        source_key=None,
        ingress=NextTurn(),
        body=said(f"input {number}"),
    )


def _opened(store: MemoryStore, inputs_count: int) -> Player:
    player = Player(store)
    player.send(OpenSession(now_ms=10, session_id=SESSION, policy=POLICY))
    for number in range(inputs_count):
        player.send(_enqueue(number))
    return player


# Paging and catching up


def test_a_stream_that_does_not_exist_is_not_opened() -> None:
    folded = load(MemoryStore(), STREAM)

    assert folded == nothing_folded(STREAM)
    assert (folded.version, folded.digest, status(folded.state)) == (0, GENESIS, "not opened")


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_a_stream_is_read_in_pages(extra: int) -> None:
    store = WatchedStore()
    player = _opened(store, RECORDS_PER_PAGE - 1 + extra)
    store.is_watching = True

    assert refold(store, STREAM) == player.folded
    end = RECORDS_PER_PAGE + extra
    pages = ["read 0+256", "read 256+256"] if extra > 0 else ["read 0+256"]
    assert store.reads == ["head", *pages, f"read {end}+1"]


def test_what_came_later_is_folded_onto_what_was_folded_before() -> None:
    store = WatchedStore()
    player = _opened(store, 2)
    early = load(store, STREAM)
    player.send(_enqueue(7))
    store.is_watching = True

    assert load(store, STREAM, early) == player.folded
    assert store.reads == ["head", "read 3+256", "read 4+1"]
    assert load(store, STREAM, player.folded) == player.folded


def test_facts_are_read_from_any_place_with_the_digest_before_it() -> None:
    store = MemoryStore()
    player = play(store)
    facts = tuple(read_facts(store, STREAM))
    later = tuple(read_facts(store, STREAM, Position(20), facts[19].digest))

    assert [fact.event for fact in facts] == player.events
    assert later == facts[20:]
    with pytest.raises(CorruptHistory):
        next(read_facts(store, STREAM, Position(20), facts[18].digest))


def test_every_prefix_of_a_life_has_its_status() -> None:
    store = MemoryStore()
    player = Player(store)
    seen: list[str] = []
    for command in commands():
        player.send(command)
        head = store.head(STREAM)
        assert head is not None
        assert head.status == status(load(store, STREAM).state)
        seen.append(head.status)

    assert sorted(set(seen)) == ["deleted", "open", "parked"]
    assert isinstance(player.folded.state, Deleted)


# While others append


@pytest.mark.parametrize("moment", range(5))
def test_an_append_at_any_moment_of_a_load_is_not_corruption(moment: int) -> None:
    store = WatchedStore()
    player = _opened(store, 3)
    store.before = {moment: lambda: player.send(_enqueue(9))}
    store.is_watching = True
    folded = load(store, STREAM)

    # An append before the last look is seen; one after it is not looked for.
    assert folded.version == (5 if moment < 3 else 4)
    assert isinstance(folded.state, Open)


def test_appends_at_every_moment_end_in_a_fold_of_a_prefix() -> None:
    store = WatchedStore()
    player = _opened(store, 3)
    store.before = {n: lambda n=n: player.send(_enqueue(10 + n)) for n in range(12)}  # type: ignore[misc]
    store.is_watching = True
    folded = load(store, STREAM)

    assert folded.version == player.folded.version
    assert folded == player.folded


def test_a_record_behind_the_head_row_is_an_insertion() -> None:
    store = MemoryStore()
    player = _opened(store, 1)
    kept = store._streams[STREAM.key]
    before = kept.head
    player.send(_enqueue(2))
    kept.head = before

    with pytest.raises(CorruptHistory, match="counts only 2 facts") as caught:
        load(store, STREAM)
    assert caught.value.position == 2


def test_a_stream_that_is_shorter_than_it_was_is_refused() -> None:
    long, short = MemoryStore(), MemoryStore()
    later = _opened(long, 3).folded
    _opened(short, 1)

    with pytest.raises(CorruptHistory, match="4 facts were there before") as caught:
        load(short, STREAM, later)
    assert caught.value.position == 2


# What newer versions wrote


def _append_forged(store: MemoryStore, player: Player, change: Callable[[bytes], bytes]) -> None:
    """Append a record whose header was changed, with the digest that is right for it."""
    scratch = MemoryStore()
    copy = _opened(scratch, 0)
    append = copy.send(_enqueue(0))
    (record,) = append.records
    header = change(record.header)
    name = decode_header_name(header)
    digest = chain_digest(player.folded.digest, header)
    forged = Record(position=record.position, name=name, digest=digest, header=header)
    store.append([attrs.evolve(append, records=(forged,))])


def decode_header_name(header: bytes) -> str:
    """Find the wire name in a header without the code under test."""
    return header.split(b'"name":"')[1].split(b'"')[0].decode()


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        (b'"name":"input.enqueued"', b'"name":"input.teleported"', ("input.teleported", 1)),
        (b'"v":1', b'"v":2', ("input.enqueued", 2)),
    ],
)
def test_what_a_newer_version_wrote_is_said_and_not_called_corrupt(
    old: bytes, new: bytes, found: tuple[str, int]
) -> None:
    store = MemoryStore()
    player = _opened(store, 0)
    _append_forged(store, player, lambda header: header.replace(old, new))

    with pytest.raises(WrittenByNewerVersion) as caught:
        load(store, STREAM)
    error = caught.value
    assert (error.name, error.schema_version, error.position) == (*found, 1)
    assert "a newer version of lash_es wrote" in error.summary()


class TrimmedStore(MemoryStore):
    """Holds a stream as a newer version would leave it: what came before ``oldest`` is gone."""

    def __init__(self, oldest: int, trim_position: int) -> None:
        super().__init__()
        self.oldest = Position(oldest)
        self.trim_position = Position(trim_position)

    def head(self, stream: StreamId) -> StreamHead | None:
        head = super().head(stream)
        if head is None:
            return None
        return attrs.evolve(head, oldest=self.oldest, trim_position=self.trim_position)

    def read(self, stream: StreamId, first: Position, records_max: int) -> tuple[Record, ...]:
        records = super().read(stream, first, records_max)
        return tuple(record for record in records if record.position >= self.oldest)


def _trimmed(oldest: int, trim_position: int) -> TrimmedStore:
    store = TrimmedStore(oldest, trim_position)
    player = _opened(store, 0)
    _append_forged(store, player, lambda header: header.replace(b"input.enqueued", b"it.trimmed"))
    return store


@pytest.mark.parametrize("oldest", [0, 1])
def test_what_a_newer_version_removed_is_not_called_corrupt(oldest: int) -> None:
    with pytest.raises(WrittenByNewerVersion) as caught:
        load(_trimmed(oldest, trim_position=1), STREAM)
    assert (caught.value.name, caught.value.position) == ("it.trimmed", 1)


def test_what_was_removed_without_a_fact_that_tells_of_it_is_corrupt() -> None:
    with pytest.raises(CorruptHistory, match="a trim that is not there"):
        load(_trimmed(oldest=1, trim_position=7), STREAM)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"sequence":1', b'"sequence":"1"'),
        (b'"sequence":1', b'"sequence":1.0'),
        (b'"sequence":1', b'"sequence":true'),
        (b'"sequence":1', b'"sequence":1,"extra":1'),
        (b'"sequence":1,', b""),
        (b'"next_turn"', b'"no_such_kind"'),
        (b'"kind":"next_turn"', b'"kind":null'),
        (b'"source_key":null', b'"source_key":7'),
        (b'"bodies":[', b'"bodies":["text",'),
        (b'"gen":null', b'"gen":1'),
        (b'"v":1', b'"v":0'),
        (b'"v":1', b'"v":-1'),
        (b'"v":1', b'"v":"1"'),
        (b'"pos":1', b'"pos":2'),
        (b'"ns":"default"', b'"ns":"another"'),
        (b'"session":"taped"', b'"session":"another"'),
        (b'"at":20', b'"at":20,"more":1'),
        (b'"data":{', b'"data":[],"x":{'),
        (b"{", b"["),
        (b'"at":20', b'"at":NaN'),
    ],
)
def test_a_header_of_another_shape_is_corrupt_although_the_chain_holds(
    old: bytes, new: bytes
) -> None:
    store = MemoryStore()
    player = _opened(store, 0)

    def change(header: bytes) -> bytes:
        assert old in header
        return header.replace(old, new, 1)

    _append_forged(store, player, change)

    with pytest.raises(CorruptHistory) as caught:
        load(store, STREAM)
    assert caught.value.position == 1


def test_the_column_s_name_must_be_the_header_s() -> None:
    store = MemoryStore()
    (record,) = _opened(store, 0).appends[0].records

    with pytest.raises(CorruptHistory, match=r"session\.opened at position 0"):
        decode_header(STREAM, attrs.evolve(record, name="session.parked"))


# Bodies


def _with_body(change: Callable[[StoredBody], StoredBody | None]) -> MemoryStore:
    """Make a store with one input, whose body was changed."""
    store = MemoryStore()
    _opened(store, 1)
    bodies = store._streams[STREAM.key].bodies
    ref = BodyRef(position=Position(1), ordinal=0)
    changed = change(bodies.pop(ref))
    if changed is not None:
        bodies[ref] = changed
    return store


REF = BodyRef(position=Position(1), ordinal=0)


def test_what_was_said_is_read_back() -> None:
    store = _with_body(lambda body: body)

    assert read_content(store, STREAM, REF, TurnInput) == TurnInput.of_text("input 0")
    assert read_contents(store, STREAM, {REF: TurnInput}) == {REF: TurnInput.of_text("input 0")}
    assert body_refs(read_header(store, STREAM, Position(1))) == (REF,)
    assert body_refs(read_header(store, STREAM, Position(0))) == ()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda _: None, "it is missing"),
        (lambda body: attrs.evolve(body, content=body.content + b" "), "committed to"),
        (lambda body: attrs.evolve(body, salt=bytes(16)), "committed to"),
        (lambda body: attrs.evolve(body, media_type="lash/tool-output;v=1"), "its media type"),
    ],
    ids=["missing", "content", "salt", "media type"],
)
def test_a_body_that_is_not_what_was_committed_to_is_refused(
    change: Callable[[StoredBody], StoredBody | None], reason: str
) -> None:
    store = _with_body(change)

    with pytest.raises(CorruptBody, match=reason) as caught:
        read_content(store, STREAM, REF, TurnInput)
    assert (caught.value.position, caught.value.ordinal) == (1, 0)
    assert "position 1, body 0" in caught.value.summary()
    assert load(store, STREAM).version == 2


def test_the_salt_of_a_body_is_its_own() -> None:
    store = _with_body(lambda body: body)
    header = read_header(store, STREAM, Position(1))
    resalted = encode_content(TurnInput.of_text("input 0"), b"another salt 16B")
    stored = StoredBody(
        ref=REF, media_type=resalted.media_type, salt=resalted.salt, content=resalted.content
    )

    with pytest.raises(CorruptBody):
        require_body(header, 0, stored)


def test_the_tape_is_as_long_as_these_tests_believe() -> None:
    assert play(MemoryStore()).folded.version == Version(FACTS_COUNT)
    assert isinstance(nothing_folded(STREAM).state, NotOpened)
