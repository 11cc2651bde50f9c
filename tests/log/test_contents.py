"""Reading what was said: bodies by reference, and the nodes of the active path."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import pytest

from lash_es.codec.contents import Content
from lash_es.codec.errors import CorruptBody, CorruptHistory
from lash_es.codec.records import Record
from lash_es.codec.streams import StreamId
from lash_es.core.bodies import BodyRef
from lash_es.core.commands import (
    AcquireLease,
    CancelTurnInput,
    Command,
    CommitTurn,
    ReleaseLease,
    StartTurn,
    WithInput,
)
from lash_es.core.events import TurnCommitted
from lash_es.core.heads import Leaf
from lash_es.core.ids import InputId, NodeId, Position, TurnId, Version
from lash_es.core.messages import EffectFailure, ModelReply, ToolOutput, TurnInput
from lash_es.core.outcomes import Finished
from lash_es.core.state import Open
from lash_es.log.appends import StoredBody
from lash_es.log.contents import (
    read_commits,
    read_content,
    read_contents,
    read_events,
    read_header,
    read_nodes,
)
from lash_es.log.loading import RECORDS_PER_PAGE
from lash_es.log.stores.memory import MemoryStore
from lash_es.log.stores.sqlite import SQLiteStore
from lash_es.turns.transcript import content_kinds
from tests.log.tapes import (
    BOB,
    BOBS,
    REPLY,
    REPLY_POSITION,
    STREAM,
    Player,
    commands,
    play,
    said,
)
from tests.log.trims import trimming

LATER_MS: Final = 10_000_000
FIRST: Final = Position(0)


@pytest.fixture
def player() -> Player:
    return play(MemoryStore())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The tape in a file, where it can be tampered with."""
    store = SQLiteStore.open(tmp_path / "log.db", create=True)
    play(store)
    store.close()
    return tmp_path / "log.db"


@pytest.fixture
def tampered(path: Path) -> Iterator[SQLiteStore]:
    """The tape in a file that lacks the fact at position 12."""
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM stored_events WHERE originator_version = 12")
    connection.close()
    store = SQLiteStore.open(path, create=False)
    yield store
    store.close()


def ref(position: int, ordinal: int = 0) -> BodyRef:
    return BodyRef(position=Position(position), ordinal=ordinal)


def test_a_header_is_read_by_its_position(player: Player) -> None:
    assert read_header(player.store, STREAM, FIRST).name == "session.opened"
    assert read_header(player.store, STREAM, REPLY_POSITION).name == "effect.settled"


def test_a_position_after_the_last_fact_has_no_header(player: Player) -> None:
    after = Position(len(player.events))

    with pytest.raises(CorruptHistory) as caught:
        read_header(player.store, STREAM, after)

    assert caught.value.position == after


def test_the_next_fact_does_not_stand_in_for_a_missing_one(tampered: SQLiteStore) -> None:
    with pytest.raises(CorruptHistory) as caught:
        read_header(tampered, STREAM, Position(12))

    assert caught.value.position == 12


def test_a_body_is_read_as_what_it_is(player: Player) -> None:
    assert read_content(player.store, STREAM, ref(REPLY_POSITION), ModelReply) == REPLY


def test_several_bodies_are_read_at_once_each_as_what_it_is(player: Player) -> None:
    kinds = {ref(2): TurnInput, ref(REPLY_POSITION): ModelReply}

    assert read_contents(player.store, STREAM, kinds) == {
        ref(2): TurnInput.of_text("this is i1"),
        ref(REPLY_POSITION): REPLY,
    }
    assert read_contents(player.store, STREAM, {}) == {}


def test_a_body_of_another_kind_is_corrupt(player: Player) -> None:
    with pytest.raises(CorruptBody, match="expected lash/tool-output") as caught:
        read_content(player.store, STREAM, ref(REPLY_POSITION), ToolOutput)

    assert (caught.value.position, caught.value.ordinal) == (REPLY_POSITION, 0)


def test_a_body_that_its_fact_does_not_commit_to_is_corrupt(player: Player) -> None:
    with pytest.raises(CorruptBody, match="commits to no such body"):
        read_contents(player.store, STREAM, {ref(0): EffectFailure})
    with pytest.raises(CorruptBody, match="commits to no such body"):
        read_content(player.store, STREAM, ref(REPLY_POSITION, 1), ModelReply)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ("DELETE FROM lash_es_bodies", "it is missing"),
        ("UPDATE lash_es_bodies SET content = x'00'", "not those that were committed to"),
        ("UPDATE lash_es_bodies SET content = 'text'", "not those that were committed to"),
        ("UPDATE lash_es_bodies SET salt = 'text'", "not those that were committed to"),
        ("UPDATE lash_es_bodies SET media_type = 'text/html'", "media type is not the one"),
    ],
)
def test_a_damaged_body_is_corrupt(path: Path, damage: str, reason: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(damage)
    connection.close()
    store = SQLiteStore.open(path, create=False)

    with pytest.raises(CorruptBody, match=reason):
        read_content(store, STREAM, ref(REPLY_POSITION), ModelReply)

    store.close()


# Events


def test_events_are_read_from_first_to_last_both_included(player: Player) -> None:
    found = list(read_events(player.store, STREAM, Position(3), Position(5)))

    assert found == list(enumerate(player.events))[3:6]


def test_a_stretch_is_read_across_pages() -> None:
    player = Player(MemoryStore())
    tape = commands()
    for command in (next(tape), next(tape)):
        player.send(command)
    count = RECORDS_PER_PAGE + 3
    for number in range(count):
        player.send(renewed(number))

    found = list(read_events(player.store, STREAM, Position(1), Position(count)))

    assert [position for position, _ in found] == list(range(1, count + 1))
    assert [event for _, event in found] == player.events[1 : count + 1]


def renewed(number: int) -> Command:
    """Take the lease, and then again and again."""
    return AcquireLease(now_ms=LATER_MS + number, owner=BOB, token="b-token", ttl_ms=60_000)


def test_a_stretch_that_ends_too_early_is_corrupt(player: Player) -> None:
    last = Position(len(player.events))

    with pytest.raises(CorruptHistory, match="missing") as caught:
        list(read_events(player.store, STREAM, FIRST, last))

    assert caught.value.position == last


def test_a_stretch_with_a_gap_is_corrupt_at_the_gap(tampered: SQLiteStore) -> None:
    with pytest.raises(CorruptHistory, match="missing") as caught:
        list(read_events(tampered, STREAM, Position(10), Position(12)))

    assert caught.value.position == 12


# Nodes


def test_a_session_without_a_commit_has_no_nodes(player: Player) -> None:
    assert read_nodes(player.store, STREAM, None) == ()


def test_the_nodes_of_all_commits_are_listed_oldest_first() -> None:
    player = Player(MemoryStore())
    for command in commands():
        player.send(command)
        if isinstance(player.events[-1], TurnCommitted):
            break
    for number in (5, 6):
        turn_id = TurnId(f"t{number}")
        source = WithInput(body=said(f"question {number}"))
        player.send(StartTurn(now_ms=2_500, fence=BOBS, turn_id=turn_id, source=source))
        player.send(CommitTurn(now_ms=2_500, fence=BOBS, turn_id=turn_id, outcome=Finished()))
    session = player.folded.state
    assert isinstance(session, Open)

    names = [node.node_id for node in read_nodes(player.store, STREAM, session.head.leaf)]

    assert names == ["t1:m1", "t1:m2", "t1:m3", "t1:m4", "t5:m1", "t6:m1"]


class CountingStore(MemoryStore):
    """Counts reads of records and of bodies."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[str] = []

    def read(self, stream: StreamId, first: Position, records_max: int) -> tuple[Record, ...]:
        self.reads.append("records")
        return super().read(stream, first, records_max)

    def read_bodies(
        self, stream: StreamId, refs: Sequence[BodyRef]
    ) -> Mapping[BodyRef, StoredBody]:
        self.reads.append("bodies")
        return super().read_bodies(stream, refs)


Turns: TypeAlias = tuple[CountingStore, Position]


@pytest.fixture(scope="module")
def long_session() -> Turns:
    """As many turns as a page has records, made once and only read."""
    return with_turns(RECORDS_PER_PAGE)


@pytest.fixture
def many_turns(long_session: Turns) -> Turns:
    long_session[0].reads.clear()
    return long_session


def with_turns(count: int) -> Turns:
    """The tape up to its first commit, and so many turns of two facts; with the last commit."""
    store = CountingStore()
    player = Player(store)
    for command in commands():
        player.send(command)
        if isinstance(player.events[-1], TurnCommitted):
            break
    for number in range(count):
        turn_id = TurnId(f"more-{number}")
        source = WithInput(body=said(f"question {number}"))
        player.send(StartTurn(now_ms=2_500, fence=BOBS, turn_id=turn_id, source=source))
        player.send(CommitTurn(now_ms=2_500, fence=BOBS, turn_id=turn_id, outcome=Finished()))
    last = Position(player.folded.version - 1)
    player.send(CancelTurnInput(now_ms=2_500, input_id=InputId("i3")))
    player.send(ReleaseLease(now_ms=2_500, fence=BOBS))
    store.reads.clear()
    return store, last


def test_a_long_path_is_read_in_pages_and_not_turn_by_turn(many_turns: Turns) -> None:
    store, last = many_turns

    commits = list(read_commits(store, STREAM, last))

    assert len(commits) == RECORDS_PER_PAGE + 1
    assert [each.parent for each in commits] == [*(each.position for each in commits[1:]), None]
    assert store.reads == ["records"] * 3  # The newest alone, and two pages.


def test_a_path_is_read_as_far_as_it_is_asked_for(many_turns: Turns) -> None:
    store, last = many_turns

    newest = next(read_commits(store, STREAM, last))

    assert (newest.position, newest.parent) == (last, last - 2)
    assert store.reads == ["records"]
    assert list(read_commits(store, STREAM, None)) == []
    assert store.reads == ["records"]


def test_many_bodies_are_read_in_pages_and_not_one_by_one(many_turns: Turns) -> None:
    store, last = many_turns
    kinds: dict[BodyRef, type[Content]] = {}
    for commit in read_commits(store, STREAM, last):
        for node in commit.nodes:
            kinds |= content_kinds(node)
    store.reads.clear()

    contents = read_contents(store, STREAM, kinds)

    assert contents.keys() == kinds.keys()
    assert contents[ref(last - 1)] == TurnInput.of_text(f"question {RECORDS_PER_PAGE - 1}")
    # 256 bodies of 512 facts, and then the one that is left.
    assert store.reads == ["records", "records", "bodies", "records", "bodies"]


def test_facts_far_apart_are_not_read_with_all_that_lies_between(many_turns: Turns) -> None:
    store, last = many_turns

    read_contents(store, STREAM, {ref(2): TurnInput, ref(last - 1): TurnInput})

    assert store.reads == ["records", "records", "bodies"]


def test_what_was_trimmed_is_read_in_pages_too() -> None:
    store, last = with_turns(60)
    commits = list(read_commits(store, STREAM, last))
    kinds = {
        ref: kind
        for commit in commits
        for node in commit.nodes
        for ref, kind in content_kinds(node).items()
    }
    contents = read_contents(store, STREAM, kinds)
    trimming(store, page_bytes_max=1_000_000).trim(STREAM, Version(last - 20))
    store.reads.clear()

    assert list(read_commits(store, STREAM, last)) == commits
    # The newest; a page of what is left; what is not there; and the trim, with its kept commits.
    assert store.reads == ["records"] * 4 + ["bodies"]
    store.reads.clear()
    assert read_contents(store, STREAM, kinds) == contents
    assert store.reads == ["records"] * 2 + ["bodies"] * 2


def test_a_fact_that_is_missing_between_others_is_corrupt(tampered: SQLiteStore) -> None:
    kinds = {ref(2): TurnInput, ref(12): ModelReply, ref(REPLY_POSITION): ModelReply}

    with pytest.raises(CorruptHistory, match="missing") as caught:
        read_contents(tampered, STREAM, kinds)

    assert caught.value.position == 12


def test_a_leaf_that_points_at_no_commit_is_corrupt(player: Player) -> None:
    leaf = Leaf(node_id=NodeId("t1:m1"), commit=Position(1))

    with pytest.raises(CorruptHistory, match="expected a commit") as caught:
        read_nodes(player.store, STREAM, leaf)

    assert caught.value.position == 1
