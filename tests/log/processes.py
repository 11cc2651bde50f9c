"""What other processes do in these tests; each function is the whole life of one."""

import os
import resource
import sys
from pathlib import Path

from lash_es.codec.contents import encode_content
from lash_es.codec.streams import StreamId
from lash_es.core.commands import EnqueueTurnInput, OpenSession, new_bodies
from lash_es.core.decide import decide
from lash_es.core.ids import AppendId, InputId, Position, SessionId
from lash_es.core.ingress import NextTurn
from lash_es.core.known import Known
from lash_es.core.limits import Limits
from lash_es.core.messages import TurnInput
from lash_es.log.appends import Appended, Conflict, StreamAppend
from lash_es.log.encoding import Folded, encode_append
from lash_es.log.errors import StorageError
from lash_es.log.loading import load
from lash_es.log.port import Store
from lash_es.log.stores.sqlite import SQLiteStore
from tests.log.conformance import A, B, an_append
from tests.log.tapes import POLICY

STREAM = StreamId("default", SessionId("shared"))


def open_and_append(path: str, number: int) -> str:
    """Open a database that may not exist yet, and append to a stream of one's own."""
    store = SQLiteStore.open(path, create=True)
    stream = StreamId("default", SessionId(f"s{number}"))
    result = store.append([an_append(stream, 0)])
    store.close()
    return type(result).__name__


def race(path: str, number: int, appends_count: int) -> list[int]:
    """Append to one stream against others; returns the versions won."""
    store = SQLiteStore.open(path, create=False)
    won: list[int] = []
    while len(won) < appends_count:
        head = store.head(A)
        version = 0 if head is None else head.version
        result = store.append([an_append(A, version, text=f"by {number}")])
        if isinstance(result, Appended):
            won.append(version)
        else:
            assert isinstance(result, Conflict)
            assert result.found > version
    store.close()
    return won


def enqueue(store: Store, folded: Folded, number: int) -> Folded:
    """Append one input, or first the session's birth."""
    append, after = one_more(folded, number)
    assert isinstance(store.append([append]), Appended)
    return after


def one_more(folded: Folded, number: int) -> tuple[StreamAppend, Folded]:
    """Encode one input, or first the session's birth."""
    command = (
        OpenSession(now_ms=1, session_id=STREAM.session_id, policy=POLICY)
        if folded.version == 0
        else EnqueueTurnInput(
            now_ms=1 + number,
            input_id=InputId(f"i{number}"),
            source_key=f"key/{number}",
            ingress=NextTurn(),
            body=encode_content(TurnInput.of_text("x" * (number % 300)), b"salt" * 4),
        )
    )
    events = decide(folded.state, command, Known(limits=Limits(inputs_pending_max=10**6)))
    return encode_append(folded, events, new_bodies(command), AppendId(f"a{number}"))


def append_until_killed(path: str) -> None:
    """Append without end, and print each version after its commit."""
    store = SQLiteStore.open(path, create=True)
    folded = load(store, STREAM)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for number in range(folded.version, 10**6):
        folded = enqueue(store, folded, number)
        os.write(1, f"{folded.version}\n".encode())


def append_without_rights(path: str) -> list[str]:
    """Drop the rights that root has, then read and append; returns what happened."""
    if os.getuid() == 0:
        os.setgid(65_534)
        os.setuid(65_534)
    try:
        store = SQLiteStore.open(path, create=False)
    except StorageError as error:
        return [type(error).__name__]
    happened = [str(len(store.read(A, Position(0), 9)))]
    try:
        store.append([an_append(A, 1)])
    except StorageError as error:
        happened.append(type(error).__name__)
    store.close()
    return happened


def append_with_a_small_file_limit(path: str) -> list[str]:
    """Let no file grow, append, then let them grow and append again; returns what happened."""
    store = SQLiteStore.open(path, create=True)
    store.append([an_append(A, 0)])
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = Path(f"{path}-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    results = store.append_each([[an_append(A, 1)], [an_append(B, 0)]])
    failed = "+".join(type(result).__name__ for result in results)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    version = str(len(store.read(A, Position(0), 9)))
    again = type(store.append([an_append(A, 1)])).__name__
    store.close()
    return [failed, version, again]


if __name__ == "__main__":
    append_until_killed(sys.argv[1])
