"""The feed of all facts, and the hints that there are more: nothing is missed or repeated."""

import select
import time
from collections.abc import Iterator

import pytest

from lash_es.codec.streams import StreamId
from lash_es.core.ids import SessionId
from lash_es.log.stores.postgres import FEED_START, FeedCursor, FeedFact, PostgresStore
from lash_es.log.stores.postgres_hints import ANY_STREAM, HINTS_PER_PAYLOAD_MAX, hint
from tests.log.conformance import A, B, an_append
from tests.postgres.postgres_server import Database

_INSERT = "INSERT INTO stored_events (originator_id, originator_version, topic, state) "


@pytest.fixture
def store(database: Database) -> Iterator[PostgresStore]:
    made = database.store()
    yield made
    made.close()


def _by_sequence(database: Database, after: int) -> list[tuple[int, str]]:
    """Follow the facts as the library's recorder does where nobody locks the table."""
    return database.sql(
        "SELECT notification_id, originator_id FROM stored_events "
        "WHERE notification_id > %s ORDER BY notification_id",
        after,
    )


def _keys(facts: tuple[FeedFact, ...]) -> list[tuple[str, int]]:
    return [(fact.stream.session_id, fact.record.position) for fact in facts]


def test_a_slow_commit_is_missed_by_sequence_and_not_by_the_feed(
    database: Database, store: PostgresStore
) -> None:
    with database.connect() as slow:
        slow.execute("BEGIN")
        slow.execute(_INSERT + "VALUES (%s, 0, 't', '')", [A.key])
        store.append([an_append(B, 0)])

        seen = _by_sequence(database, 0)
        early = store.read_feed(FEED_START, 99)
        slow.execute("COMMIT")
    seen += _by_sequence(database, seen[-1][0])

    assert [key for _, key in seen] == [B.key]  # The fact of A is missed for ever.
    assert early == ()
    assert _keys(store.read_feed(FEED_START, 99)) == [("a", 0), ("b", 0)]


def test_the_feed_is_read_in_pages(store: PostgresStore) -> None:
    store.append([an_append(A, 0, 3)])
    store.append([an_append(B, 0, 2), an_append(A, 3)])
    whole = store.read_feed(FEED_START, 99)
    paged: list[FeedFact] = []
    while page := store.read_feed(paged[-1].cursor if paged else FEED_START, 2):
        assert len(page) <= 2
        paged += page

    assert tuple(paged) == whole
    assert _keys(whole) == [("a", 0), ("a", 1), ("a", 2), ("b", 0), ("b", 1), ("a", 3)]
    assert [fact.cursor for fact in whole] == sorted({fact.cursor for fact in whole})
    assert whole[0].record == an_append(A, 0).records[0]
    assert store.read_feed(FeedCursor(2**63 - 1, 0), 9) == ()


def test_a_rolled_back_append_leaves_no_hole_that_is_waited_for(
    database: Database, store: PostgresStore
) -> None:
    with database.connect() as other:
        other.execute("BEGIN")
        other.execute(_INSERT + "VALUES (%s, 0, 't', '')", [B.key])
        other.execute("ROLLBACK")
    store.append([an_append(A, 0)])

    assert _keys(store.read_feed(FEED_START, 9)) == [("a", 0)]


# Hints


def test_a_hint_reaches_whoever_listens(database: Database, store: PostgresStore) -> None:
    other = database.store()
    listener = other.listen()
    assert listener.heard() == frozenset()

    store.notify([])
    store.notify([A, B, A])
    assert select.select([listener], [], [], 5)[0] == [listener]
    assert listener.heard(wait_s=5) == {hint(A), hint(B)}
    assert listener.heard(wait_s=0.01) == frozenset()
    listener.close()
    listener.close()
    other.close()


def test_another_schemas_hints_are_not_heard(database: Database, store: PostgresStore) -> None:
    elsewhere = Database(database.url, f"{database.schema}x")
    other = elsewhere.store()
    listener = store.listen()
    other.notify([A])
    store.notify([B])

    assert listener.heard(wait_s=5) == {hint(B)}
    listener.close()
    other.close()
    elsewhere.drop()


@pytest.mark.parametrize(
    ("count", "heard"), [(HINTS_PER_PAYLOAD_MAX, None), (HINTS_PER_PAYLOAD_MAX + 1, {ANY_STREAM})]
)
def test_too_many_streams_for_one_payload_are_any(
    store: PostgresStore, count: int, heard: set[str] | None
) -> None:
    streams = [StreamId("default", SessionId("x" * 500 + str(n))) for n in range(count)]
    listener = store.listen()
    store.notify(streams)

    assert listener.heard(wait_s=5) == (heard or {hint(stream) for stream in streams})
    listener.close()


def test_hints_that_came_while_nobody_looked_are_heard_together(store: PostgresStore) -> None:
    listener = store.listen()
    store.notify([A])
    store.notify([B])
    heard: set[str] = set()
    deadline_s = time.monotonic() + 5
    while len(heard) < 2 and time.monotonic() < deadline_s:
        heard |= listener.heard(wait_s=1)

    assert heard == {hint(A), hint(B)}
    listener.close()
