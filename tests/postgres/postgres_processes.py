"""What other processes do in the tests of PostgreSQL; each function is the life of one."""

import asyncio
import random

from lash_es.codec.streams import StreamId
from lash_es.core.ids import SessionId, Version
from lash_es.log.appends import ActivityAppended, Appended, Conflict
from lash_es.log.log import StoreLog
from lash_es.log.pages import Offset
from lash_es.log.subscribing import Item
from tests.log.conformance import A, add_activity, an_append, row, stored_body
from tests.log.following import followed, write_and_prune
from tests.postgres.postgres_server import Database

STREAMS = tuple(StreamId("default", SessionId(f"s{number}")) for number in range(12))


def open_and_append(database: Database, number: int) -> str:
    """Open a database that may not exist yet, and append to a stream of one's own."""
    store = database.store()
    stream = StreamId("default", SessionId(f"s{number}"))
    result = store.append([an_append(stream, 0)])
    store.close()
    return type(result).__name__


def race(database: Database, number: int, appends_count: int) -> list[int]:
    """Append to one stream against others, activity in between; returns the versions won."""
    store = database.store(create=False)
    won: list[int] = []
    while len(won) < appends_count:
        head = store.head(A)
        version = 0 if head is None else head.version
        text = f"by {number}"
        body, index = (stored_body(version, text),), (row("k", text), row(str(version), text))
        result = store.append([an_append(A, version, text=text, bodies=body, index=index)])
        if isinstance(result, Appended):
            won.append(version)
            add_activity(store, version + 1, text.encode())
        else:
            assert isinstance(result, Conflict)
            assert result.found > version
    store.close()
    return won


def stream_activity(database: Database, activities_count: int) -> list[tuple[int, int]]:
    """Add activity to one stream while others add facts; returns the places it got."""
    store = database.store(create=False)
    got: list[tuple[int, int]] = []
    while len(got) < activities_count:
        head = store.head(A)
        version = Version(0) if head is None else head.version
        result = add_activity(store, version, b"x")
        if isinstance(result, ActivityAppended):
            got.append((result.version, result.seq))
    store.close()
    return got


def append_groups(database: Database, seed: int, groups_count: int) -> list[tuple[str, int]]:
    """Append groups of batches to shared streams; returns the positions that were acknowledged."""
    store, chance = database.store(create=False), random.Random(seed)
    versions = dict.fromkeys(STREAMS, 0)
    acknowledged: list[tuple[str, int]] = []
    for _ in range(groups_count):
        streams = chance.sample(STREAMS, 6)
        batches = [
            [an_append(stream, versions[stream], text=str(seed)) for stream in part]
            for part in (streams[:1], streams[1:2], streams[2:4], streams[4:])
        ]
        for batch, result in zip(batches, store.append_each(batches), strict=True):
            if isinstance(result, Appended):
                acknowledged += [(each.stream.key, each.expected_version) for each in batch]
                versions.update({each.stream: each.version for each in batch})
            else:
                assert isinstance(result, Conflict)
                assert result.found != result.expected
                versions[result.stream] = result.found
    store.close()
    return acknowledged


def follow(database: Database, facts_count: int) -> list[Item]:
    """Follow one stream that others write, until so many facts have come."""

    async def follow_it() -> list[Item]:
        log = StoreLog(database.store(create=False), lambda: 1)
        items = await followed(log, facts_count)
        await log.aclose()
        return items

    return asyncio.run(follow_it())


def write_and_prune_one(database: Database, facts_count: int) -> list[Offset]:
    """Write what the others follow; returns the offsets of all activity."""
    store = database.store(create=False)
    offsets = write_and_prune(store, facts_count)
    store.close()
    return offsets
