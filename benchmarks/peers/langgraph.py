"""LangGraph: a graph of one node and a checkpointer; ``update_state`` is nearest to a queue."""

import importlib
import sqlite3
import types
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, contextmanager
from typing import Annotated, Any, Final

import psycopg

from benchmarks.contests import Contender
from benchmarks.load import Json, turn, user_input
from benchmarks.peers import Peer
from benchmarks.places import Setting, StoreKind
from benchmarks.timing import Work

_TYPES: Final = {"user": "human", "assistant": "ai", "tool": "tool"}
_FILL_CHUNKS: Final = 50


def _messages(messages: list[Json]) -> list[Json]:
    return [
        {key: value for key, value in message.items() if key != "role"}
        | {"type": _TYPES[message["role"]]}
        for message in messages
    ]


def _thread(name: object) -> Json:
    return {"configurable": {"thread_id": str(name)}}


def _full_state() -> Any:  # noqa: ANN401 - not installed here
    return importlib.import_module("langgraph.graph").MessagesState


def _delta_state() -> Any:  # noqa: ANN401 - not installed here
    channels = importlib.import_module("langgraph.channels")
    # Its own documentation imports this name.
    reducer = vars(importlib.import_module("langgraph.graph.message"))["_messages_delta_reducer"]
    hints = {"messages": Annotated[list, channels.DeltaChannel(reducer)]}

    def body(namespace: dict[str, Any]) -> None:
        namespace["__annotations__"] = hints

    return types.new_class("DeltaState", (dict,), exec_body=body)


def _graph(schema: Any, saver: Any) -> Any:  # noqa: ANN401 - not installed here
    graphs = importlib.import_module("langgraph.graph")
    numbers = iter(range(10**9))

    def node(_: Any) -> Json:  # noqa: ANN401 - the state is the library's
        return {"messages": _messages(turn(10**7 + next(numbers))[1:])}

    builder = graphs.StateGraph(schema)
    builder.add_node("agent", node)
    builder.add_edge(graphs.START, "agent")
    builder.add_edge("agent", graphs.END)
    return builder.compile(checkpointer=saver)


@contextmanager
def _saver(setting: Setting) -> Any:  # noqa: ANN401 - not installed here
    if setting.kind is StoreKind.SQLITE:
        module = importlib.import_module("langgraph.checkpoint.sqlite")
        connection = sqlite3.connect(setting.file, check_same_thread=False)
        yield module.SqliteSaver(connection)
        connection.close()
        return
    module = importlib.import_module("langgraph.checkpoint.postgres")
    rows = psycopg.rows.dict_row
    with psycopg.connect(
        setting.where, autocommit=True, prepare_threshold=0, row_factory=rows
    ) as connected:
        saver = module.PostgresSaver(connected)
        saver.setup()
        yield saver


@asynccontextmanager
async def _inputs(setting: Setting) -> AsyncIterator[Work]:
    with _saver(setting) as saver:
        graph = _graph(_full_state(), saver)

        async def work(number: int) -> None:
            said = _messages([_as_message(number)])
            graph.update_state(_thread(1), {"messages": said}, as_node="__start__")

        yield work


def _as_message(number: int) -> Json:
    said = user_input(number)
    return {"role": "user", "content": said["content"], "id": said["id"]}


@asynccontextmanager
async def _inputs_of_many(setting: Setting) -> AsyncIterator[Work]:
    if setting.tasks == 1:
        async with _inputs(setting) as alone:
            yield alone
        return
    module = importlib.import_module("langgraph.checkpoint.sqlite.aio")
    async with module.AsyncSqliteSaver.from_conn_string(str(setting.file)) as saver:
        graph = _graph(_full_state(), saver)

        async def work(number: int) -> None:
            said = _messages([_as_message(number)])
            thread = _thread(number % setting.sessions)
            await graph.aupdate_state(thread, {"messages": said}, as_node="__start__")

        yield work


def _contender(name: str, schema: Callable[[], Any], *, is_delta: bool = False) -> Contender:
    async def fill(setting: Setting) -> None:
        said = [m for n in range(setting.history) for m in _messages(turn(n))]
        # A delta channel writes a snapshot now and then; at once it would write only one.
        chunk = max(4, len(said) // _FILL_CHUNKS) if is_delta else max(4, len(said))
        with _saver(setting) as saver:
            graph = _graph(schema(), saver)
            for first in range(0, len(said), chunk):
                part = {"messages": said[first : first + chunk]}
                graph.update_state(_thread("s"), part, as_node="agent")

    @asynccontextmanager
    async def prepare(setting: Setting) -> AsyncIterator[Work]:
        with _saver(setting) as saver:
            graph = _graph(schema(), saver)

            async def work(number: int) -> None:
                asked = _messages(turn(10**8 + number)[:1])
                graph.invoke({"messages": asked}, _thread("s"))

            yield work

    return Contender(name=name, prepare=prepare, fill=fill, note="WAL/FULL or PG")


def _reading(turns: Contender) -> Contender:
    @asynccontextmanager
    async def prepare(setting: Setting) -> AsyncIterator[Work]:
        with _saver(setting) as saver:
            graph = _graph(_full_state(), saver)

            async def work(_: int) -> None:
                graph.get_state(_thread("s"))

            yield work

    return Contender(name=turns.name, prepare=prepare, fill=turns.fill)


_FULL: Final = _contender("LangGraph", _full_state)
_DELTA: Final = _contender("LangGraph DeltaChannel", _delta_state, is_delta=True)
_UPDATES: Final = Contender(name="LangGraph", prepare=_inputs_of_many, note="update_state")

PEER: Final = Peer(
    name="LangGraph",
    modules=("langgraph.graph", "langgraph.checkpoint.sqlite", "langgraph.checkpoint.postgres"),
    contenders={
        ("w1", StoreKind.SQLITE): (_UPDATES,),
        ("w1/alone", StoreKind.POSTGRES): (_UPDATES,),
        ("w3", StoreKind.SQLITE): (_FULL, _DELTA),
        ("w3", StoreKind.POSTGRES): (_FULL,),
        ("w4", StoreKind.SQLITE): (_reading(_FULL),),
        ("w4", StoreKind.POSTGRES): (_reading(_FULL),),
    },
)
