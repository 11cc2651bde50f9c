"""Slice: the graph. What each of its facts leaves behind, and which rows it makes."""

import attrs

from lash_es.core.descriptions import UNDESCRIBED, Birth, Description, described
from lash_es.core.descriptions import SessionDescribed as Described
from lash_es.core.events import Event
from lash_es.core.evolve import fold
from lash_es.core.frames import Frame, Graph, initial_frame_id
from lash_es.core.graph_events import (
    FrameOpened,
    NodesAppended,
    NodesForgotten,
    NodesTombstoned,
)
from lash_es.core.ids import FrameId, Generation, NodeId, Position
from lash_es.core.index import index_rows
from lash_es.core.known import AppendEntry, IndexKey, IndexKind, TombstoneEntry
from lash_es.core.policy import ModelSpec
from lash_es.core.state import Open
from tests.core.examples import LEASED, SESSION

G1 = Generation(1)
F1 = FrameId("f1")
HIDDEN, LATER = NodeId("a:n1"), NodeId("a:n2")
OPENED = FrameOpened(
    at_ms=60,
    generation=G1,
    frame_id=F1,
    previous_frame_id=initial_frame_id(SESSION),
    reason="a task",
    parent=None,
    nodes=(),
    bodies=(),
)
FRAME = Frame(
    frame_id=F1,
    previous_frame_id=initial_frame_id(SESSION),
    reason="a task",
    position=Position(2),
)
HIDES = NodesTombstoned(at_ms=61, node_ids=(HIDDEN, LATER))
FORGETS = NodesForgotten(at_ms=62, nodes_count=2)
HIDES_MORE = NodesTombstoned(at_ms=63, node_ids=(NodeId("a:n3"),))


def graph(*events: Event) -> Graph:
    state = fold((*LEASED, *events))
    assert isinstance(state, Open)
    return state.graph


def test_hiding_and_forgetting_are_counted_and_the_frame_stays() -> None:
    assert graph(OPENED) == Graph(frame=FRAME, hidden_count=0, forgotten_count=0)
    assert graph(OPENED, HIDES) == Graph(frame=FRAME, hidden_count=2, forgotten_count=0)
    forgotten = graph(OPENED, HIDES, FORGETS)
    assert forgotten == Graph(frame=FRAME, hidden_count=2, forgotten_count=2)
    more = graph(OPENED, HIDES, FORGETS, HIDES_MORE)
    assert more == Graph(frame=FRAME, hidden_count=3, forgotten_count=2)
    again = graph(OPENED, HIDES, FORGETS, HIDES_MORE, attrs.evolve(FORGETS, nodes_count=1))
    assert again == Graph(frame=FRAME, hidden_count=3, forgotten_count=3)


def test_another_frame_leaves_what_is_hidden_as_it_was() -> None:
    found = graph(HIDES, FORGETS, HIDES_MORE, OPENED)

    assert found == Graph(
        frame=attrs.evolve(FRAME, position=Position(5)), hidden_count=3, forgotten_count=2
    )


def test_messages_that_are_put_or_hidden_have_rows() -> None:
    appends = NodesAppended(at_ms=60, generation=G1, name="n", parent=None, nodes=(), bodies=())

    assert index_rows(fold(LEASED), appends) == (
        (IndexKey(IndexKind.APPEND, "n"), AppendEntry(name="n", appended=Position(2))),
    )
    assert index_rows(fold(LEASED), HIDES) == tuple(
        (
            IndexKey(IndexKind.TOMBSTONE, each),
            TombstoneEntry(node_id=each, tombstoned=Position(2)),
        )
        for each in (HIDDEN, LATER)
    )


def test_a_description_leaves_the_first_model() -> None:
    birth = Birth(description=UNDESCRIBED, model=ModelSpec(model_id="m1"))
    said = Description(name="A child")

    assert described(birth, Described(at_ms=1, description=said)) == attrs.evolve(
        birth, description=said
    )
