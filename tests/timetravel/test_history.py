"""
Goal: a history is a value with laws: what it was, what came since, what might have come next.

Method: the laws are tried on generated lives of a session (``tests/turns/lives.py``), on every
version of each; reading is tried on a real SQLite file that holds a session in which every kind of
fact happens.
"""

import sqlite3
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash_es.codec.errors import CorruptHistory
from lash_es.codec.streams import StreamId
from lash_es.core.errors import ImpossibleEvent
from lash_es.core.events import DrainedInputs, Event, SessionParked, TurnCommitted
from lash_es.core.evolve import evolve
from lash_es.core.ids import SessionId
from lash_es.core.messages import TokenUsage
from lash_es.core.state import NOT_OPENED, Deleted, NotOpened, Open
from lash_es.log.errors import StoreUnavailable, VersionOutOfRange
from lash_es.log.stores.memory import MemoryStore
from lash_es.log.stores.sqlite import SQLiteStore
from lash_es.timetravel.history import (
    Entry,
    History,
    open_history,
    read_history,
)
from tests.core.effort import effort
from tests.core.examples import (
    ASKING,
    CALLS_AT,
    COMMITTED,
    COMMITTED_FACT,
    E2,
    I1,
    IDLE,
    LEASED,
    OPENED,
    PENDING,
    REPLIED,
    RETURNED,
    USAGE,
    acquired,
    call,
    enqueued,
    requested,
    settled,
    started,
)
from tests.log.tapes import SESSION, STREAM, Player, play
from tests.turns.lives import lives


def history_of(*events: Event) -> History:
    return History(stream=STREAM).with_(*events)


histories = lives().map(lambda world: history_of(*world.events))


# Laws


@effort(examples_max=60)
@given(histories)
def test_what_it_was_and_what_came_since_is_what_it_is(history: History) -> None:
    for version in range(history.version + 1):
        assert history.as_of(version).with_(*history.since(version)) == history


@effort(examples_max=60)
@given(histories)
def test_its_state_at_a_version_is_the_fold_of_so_many_events(history: History) -> None:
    state = history.as_of(0).state
    assert state == NOT_OPENED
    for version, event in enumerate(history.events, start=1):
        state = evolve(state, event)
        assert history.as_of(version).state == state


@effort(examples_max=60)
@given(histories, st.integers(0, 1_000), st.integers(0, 1_000))
def test_going_back_twice_is_going_back_to_the_earlier(
    history: History, one: int, other: int
) -> None:
    later, earlier = sorted((one % (history.version + 1), other % (history.version + 1)))[::-1]

    assert history.as_of(later).as_of(earlier) == history.as_of(earlier)
    assert history.since(earlier) == history.as_of(later).since(earlier) + history.since(later)


def test_any_events_can_be_supposed_and_either_follow_or_are_impossible() -> None:
    happened: set[str] = set()

    @effort(examples_max=100)
    @given(histories, histories, st.integers(0, 1_000), st.integers(0, 1_000))
    def check(history: History, other: History, version: int, since: int) -> None:
        before = history.as_of(version % (history.version + 1))
        supposed = other.since(since % (other.version + 1))[:6]
        try:
            state = before.with_(*supposed).state
        except ImpossibleEvent:
            happened.add("impossible")
        else:
            happened.add("possible" if supposed else "nothing was supposed")
            version_now = 0 if isinstance(state, NotOpened) else state.version
            assert version_now == before.version + len(supposed)

    check()

    assert happened == {"impossible", "possible", "nothing was supposed"}


# Examples


def test_a_version_is_a_count_of_facts() -> None:
    history = history_of(*LEASED)

    assert history.version == 2
    assert history.as_of(0).events == ()
    assert history.as_of(1).events == (OPENED,)
    assert history.since(1) == (acquired(),)


@pytest.mark.parametrize("version", [-1, 3, 2**70])
def test_a_version_that_never_was_is_out_of_range(version: int) -> None:
    history = history_of(*LEASED)

    with pytest.raises(VersionOutOfRange) as as_of:
        history.as_of(version)
    with pytest.raises(VersionOutOfRange) as since:
        history.since(version)

    assert as_of.value.fields == since.value.fields
    assert as_of.value.fields == {"session_id": SESSION, "requested": version, "version": 2}
    assert as_of.value.summary() == f"session 'taped' has 2 facts, asked for version {version}"


def test_supposing_leaves_the_history_as_it_is() -> None:
    history = history_of(*IDLE)

    parked = history.with_(SessionParked(at_ms=11))

    assert (history.version, parked.version) == (1, 2)
    assert isinstance(parked.state, Open)
    assert parked.state.is_parked


@pytest.mark.parametrize(
    ("history", "supposed"),
    [
        pytest.param((), started(), id="a turn of a session that was not opened"),
        pytest.param(IDLE, OPENED, id="a second birth"),
        pytest.param(IDLE, started(), id="a turn without a lease"),
        pytest.param(LEASED, COMMITTED_FACT, id="a commit of no turn"),
        pytest.param(ASKING, started(), id="a turn within a turn"),
        pytest.param(COMMITTED, COMMITTED_FACT, id="the same commit again"),
        pytest.param(PENDING, PENDING[-1], id="the same input again"),
        pytest.param(LEASED, acquired(), id="the same generation again"),
        pytest.param(
            LEASED, attrs.evolve(enqueued(I1, 1), bodies=()), id="an input without content"
        ),
        pytest.param(
            LEASED, attrs.evolve(started(), bodies=()), id="a direct turn without an input"
        ),
        pytest.param(
            LEASED,
            attrs.evolve(started(), origin=DrainedInputs(input_ids=())),
            id="a drained turn with an input of its own",
        ),
        pytest.param(
            (*REPLIED, requested(E2, attrs.evolve(call(0, CALLS_AT), ordinal=7))),
            settled(E2, RETURNED),
            id="the result of a call that no reply asked for",
        ),
    ],
)
def test_a_supposed_event_that_cannot_follow_is_impossible(
    history: tuple[Event, ...], supposed: Event
) -> None:
    with pytest.raises(ImpossibleEvent):
        _ = history_of(*history).with_(supposed).state


def test_what_if_answers_without_running_anything() -> None:
    costly = TokenUsage(input_tokens=1_000_000)
    history = history_of(*COMMITTED)
    before, last = history.as_of(5), history.since(5)[0]
    assert isinstance(last, TurnCommitted)

    otherwise = before.with_(attrs.evolve(last, usage=costly))

    assert [total_input(each) for each in (history, otherwise)] == [USAGE.input_tokens, 1_000_000]


def total_input(history: History) -> int:
    assert isinstance(history.state, Open)
    return sum(usage.input_tokens for usage in history.state.ledger.rows.values())


def test_positions_count_from_nought() -> None:
    assert [(position, entry.event) for position, entry in history_of(*LEASED).positions()] == [
        (0, OPENED),
        (1, acquired()),
    ]


def test_a_recorded_event_equals_the_same_event_supposed() -> None:
    recorded = read_history(play(MemoryStore()).store, STREAM).entries[0]

    assert recorded == Entry(event=recorded.event)
    assert recorded.header is not None
    assert recorded.header.position == 0


# Reading


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


@pytest.fixture
def player(path: Path) -> Player:
    store = SQLiteStore.open(path, create=True)
    player = play(store)
    store.close()
    return player


def test_a_history_is_read_from_a_file(path: Path, player: Player) -> None:
    history = open_history(path, SESSION)

    assert history.events == tuple(player.events)
    assert history.state == player.folded.state
    assert isinstance(history.state, Deleted)
    assert isinstance(history.as_of(history.version - 1).state, Open)


def test_a_history_is_read_by_namespace(path: Path, player: Player) -> None:
    assert open_history(path, SESSION, namespace="other").version == 0
    assert open_history(str(path), SESSION, namespace="default").version == len(player.events)


def test_an_unknown_session_has_an_empty_history(path: Path, player: Player) -> None:
    assert open_history(path, "nobody") == History(stream=StreamId("default", SessionId("nobody")))
    assert player.events


def test_a_file_that_does_not_exist_is_not_made(path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        open_history(path, SESSION)

    assert not path.exists()


def test_a_damaged_history_is_refused_and_the_file_is_closed(path: Path, player: Player) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM stored_events WHERE originator_version = 3")
    connection.close()

    with pytest.raises(CorruptHistory) as caught:
        open_history(path, SESSION)

    assert caught.value.position == 3
    # SQLite keeps these two beside a database for as long as anyone has it open.
    assert [p for p in path.parent.iterdir() if p.name.endswith(("-wal", "-shm"))] == []
    assert player.events
