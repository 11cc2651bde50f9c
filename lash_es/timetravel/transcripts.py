"""The messages that a state stands on: the history up to its head, and those of its open turn."""

from lash_es.codec.streams import StreamId
from lash_es.core.messages import Message
from lash_es.core.state import Open, State
from lash_es.core.turns import OpenTurn
from lash_es.log.contents import read_contents, read_nodes
from lash_es.log.port import Store
from lash_es.turns.transcript import content_kinds, message


def read_transcript(store: Store, stream: StreamId, state: State) -> tuple[Message, ...]:
    """
    Read the messages of a state of this stream, oldest first; as of the past, those of the past.

    Raises:
        CorruptBody: a body is missing, or not what was committed to.

    Cost: a query per 256 facts, and one per 256 bodies.
    """
    if not isinstance(state, Open):
        return ()
    open_nodes = state.turn.nodes if isinstance(state.turn, OpenTurn) else ()
    nodes = (*read_nodes(store, stream, state.head.leaf), *open_nodes)
    kinds = {ref: kind for node in nodes for ref, kind in content_kinds(node).items()}
    contents = read_contents(store, stream, kinds)
    return tuple(message(node, contents) for node in nodes)
