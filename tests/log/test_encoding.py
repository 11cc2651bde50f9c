"""From facts to an append: one pure function of the stream so far."""

import pytest
from hypothesis import given

from lash_es.codec.errors import UndecodableValue
from lash_es.core.events import SessionOpened, SessionParked, SessionTombstoned
from lash_es.core.evolve import fold
from lash_es.core.ids import AppendId, SessionId
from lash_es.core.known import (
    IndexEntry,
    IndexKey,
    IndexKind,
    InputEntry,
    SourceKeyEntry,
    TurnEntry,
)
from lash_es.core.policy import ModelSpec, SessionPolicy
from lash_es.core.state import NOT_OPENED, Deleted
from lash_es.log.encoding import (
    decode_index_entry,
    encode_append,
    encode_index_row,
    generation,
    status,
)
from lash_es.log.stores.memory import MemoryStore
from tests.codec.strategies import values
from tests.core.effort import effort
from tests.log.tapes import Player, commands, play

KINDS = {
    SourceKeyEntry: IndexKind.SOURCE_KEY,
    InputEntry: IndexKind.INPUT,
    TurnEntry: IndexKind.TURN,
}


@effort(60)
@given(entry=values(SourceKeyEntry) | values(InputEntry) | values(TurnEntry))
def test_an_index_row_is_read_back(entry: IndexEntry) -> None:
    key = IndexKey(KINDS[type(entry)], "k")
    row = encode_index_row(key, entry)

    assert row.key == key
    assert decode_index_entry(key, row.value) == entry
    for other in set(IndexKind) - {key.kind}:
        with pytest.raises(UndecodableValue, match="expected the kind"):
            decode_index_entry(IndexKey(other, "k"), row.value)


@pytest.mark.parametrize(
    "value", [b"", b"[]", b"{}", b'{"kind":"turn"}', b'{"kind":"turn","x":1}']
)
def test_an_index_row_of_another_shape_is_refused(value: bytes) -> None:
    with pytest.raises(UndecodableValue, match="index entry 'k'"):
        decode_index_entry(IndexKey(IndexKind.TURN, "k"), value)


def test_appends_of_a_life_follow_each_other() -> None:
    player = Player(MemoryStore())
    for command in commands():
        before = player.folded
        append = player.send(command)

        assert append.expected_version == before.version
        assert append.version == player.folded.version == before.version + len(append.records)
        assert append.digest == append.records[-1].digest == player.folded.digest
    assert player.events


def test_encoding_changes_nothing_and_is_the_same_twice() -> None:
    folded = play(MemoryStore()).folded
    parked = (SessionParked(at_ms=1),)
    early = Player(MemoryStore())
    early.send(next(commands()))

    assert folded == play(MemoryStore()).folded
    once = encode_append(early.folded, parked, (), AppendId("a"))
    assert encode_append(early.folded, parked, (), AppendId("a")) == once


def test_the_head_row_says_how_a_session_stands_whatever_became_of_it() -> None:
    policy = SessionPolicy(provider_id="offline", model=ModelSpec(model_id="m"))
    opened = fold([SessionOpened(at_ms=1, session_id=SessionId("s"), policy=policy)])
    parked = fold([SessionParked(at_ms=2)], opened)
    deleted = fold([SessionTombstoned(at_ms=3)], parked)
    player = Player(MemoryStore())
    generations = []
    for command in commands():
        player.send(command)
        generations.append(generation(player.folded.state))

    states = [NOT_OPENED, opened, parked, deleted]
    assert [status(state) for state in states] == ["not opened", "open", "parked", "deleted"]
    assert [generation(state) for state in states] == [0, 0, 0, 0]
    assert isinstance(player.folded.state, Deleted)
    assert generations == sorted(generations)
    assert generations[-1] > 0
