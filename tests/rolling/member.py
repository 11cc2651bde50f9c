"""
One process of the rolling restart. It runs under old code and under new code, so it uses public
names that both have, and asks for what only new code has when it is told to.

It answers each line of JSON on its input with one on its output: what came of it, or the name of
the error and what it says.
"""

import asyncio
import itertools
import json
import secrets
import sys
import time

from lash_es import (
    LashCore,
    LashSession,
    ModelReply,
    ModelRequest,
    ProsePart,
    SQLiteStore,
    TokenUsage,
)


class Echo:
    """A provider that answers at once, with the last words that it was told."""

    kind = "echo"

    def check(self, model_id: str) -> None:
        """Take any model."""

    async def request(self, request: ModelRequest, on_delta: object) -> ModelReply:
        """Echo."""
        del on_delta
        said = f"echo of {request.messages[-1].text}"
        return ModelReply(parts=(ProsePart(text=said),), usage=TokenUsage(input_tokens=1))

    async def aclose(self) -> None:
        """Have nothing to close."""


async def work(session: LashSession, op: str, key: str) -> object:
    """Do something with a session that is open."""
    match op:
        case "turn":
            await session.turn(key, turn_id=key)
        case "enqueue":
            await session.enqueue(key).id(key)
        case "drain":
            await session.queued_turn()
        case _:
            messages = await session.read_view().messages()
            waiting = await session.pending_turn_inputs()
            said = [each.text for each in messages if each.role.value == "user"]
            return {"said": said, "waiting": [str(each.source_key)[5:] for each in waiting]}
    return "done"


async def answer(core: LashCore, store: SQLiteStore, asked: dict[str, str]) -> object:
    """Do what is asked."""
    match asked["op"]:
        case "list":
            heads = store.heads("default", after="", heads_max=1_000)
            return [head.stream.session_id for head in heads]
        case "upgrade":
            from lash_es.log.formats import upgrade

            return upgrade(store).writes
        case "trim":
            return trimmed(store, asked["session"])
        case "verify":
            return problems(store, asked["session"])
        case "reindex":
            return reindexed(store, asked["session"])
        case op:
            async with core.session(asked["session"]).open() as session:
                return await work(session, op, asked.get("key", ""))


def problems(store: SQLiteStore, session_id: str) -> list[str]:
    """Check a session whole."""
    from lash_es.codec.streams import StreamId
    from lash_es.core.ids import SessionId
    from lash_es.timetravel.verifying import verify_session

    verdict = verify_session(store, StreamId("default", SessionId(session_id)))
    return [problem.reason for problem in verdict.problems]


def reindexed(store: SQLiteStore, session_id: str) -> int:
    """Write what old code knows nothing of."""
    from lash_es.codec.streams import StreamId
    from lash_es.core.ids import SessionId
    from lash_es.log.reindexing import rebuild_index

    report = rebuild_index(store, StreamId("default", SessionId(session_id)))
    return len(report.different)


def trimmed(store: SQLiteStore, session_id: str) -> int:
    """Trim a session, as far as that goes."""
    from lash_es.codec.streams import StreamId
    from lash_es.core.ids import SessionId
    from lash_es.log.removing import NoArchive
    from lash_es.log.trimming import Minted, Trimming

    tokens = itertools.count()
    minted = Minted(
        now_ms=lambda: time.time_ns() // 1_000_000,
        token=lambda: f"trim-{time.time_ns()}-{next(tokens)}",
        salt=lambda: secrets.token_bytes(16),
    )
    trimming = Trimming(store=store, archive=NoArchive(), minted=minted)
    done = trimming.trim(StreamId("default", SessionId(session_id)))
    return done.removed.facts_count


async def main(path: str) -> None:
    """Answer until the input ends."""
    store = SQLiteStore.open(path, create=True)
    loop = asyncio.get_running_loop()
    async with LashCore(model="m", provider=Echo(), store=store) as core:
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            try:
                found: dict[str, object] = {"found": await answer(core, store, json.loads(line))}
            except Exception as error:  # noqa: BLE001 - whatever it is, the driver judges it
                code = getattr(error, "code", "")
                found = {"error": type(error).__name__, "code": str(code), "says": str(error)}
            sys.stdout.write(json.dumps(found) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
