"""
Whether two sessions did the same: what was admitted, and which tools were called with what.

What a model wrote beside its calls is not compared: two runs of one agent say the same in other
words. Ids, times and owners are not either. Source: ``docker agent replay``, which compares tool
calls and never prose.
"""

import json
from collections.abc import Iterator
from itertools import zip_longest
from typing import TypeAlias

import orjson
from attrs import frozen

from lash_es.core.effects import ToolCall
from lash_es.core.events import EffectRequested, TurnCommitted, TurnStarted
from lash_es.core.ids import Position
from lash_es.core.messages import ModelReply, ToolCallPart
from lash_es.core.state import Open, State
from lash_es.core.transcripts import FromInputs, FromWork, Node
from lash_es.core.turns import OpenTurn
from lash_es.log.contents import read_content, read_contents
from lash_es.timetravel.past import Step, StoredHistory
from lash_es.turns.transcript import content_kinds, message


@frozen(kw_only=True)
class Admitted:
    """Something came into a turn from outside: its words."""

    position: Position
    text: str

    @property
    def what(self) -> object:
        """What has to be the same."""
        return ("input", self.text)


@frozen(kw_only=True)
class Called:
    """A tool was asked for; ``arguments`` are JSON with sorted keys, if they are JSON at all."""

    position: Position
    tool: str
    arguments: str

    @property
    def what(self) -> object:
        """What has to be the same."""
        return ("call", self.tool, self.arguments)


Deed: TypeAlias = Admitted | Called


@frozen(kw_only=True)
class Divergence:
    """The first place where two sessions did not do the same; one of them may have ended."""

    place: int
    one: Deed | None
    other: Deed | None


@frozen(kw_only=True)
class Comparison:
    """What comparing came to: how many deeds were the same, and the first that was not."""

    same_count: int
    divergence: Divergence | None


def compare(one: StoredHistory, other: StoredHistory) -> Comparison:
    """
    Find the first divergence of two sessions.

    Raises:
        CorruptBody, BodySealed: what was said cannot be read.

    Cost: folds both, as far as they are the same, and reads an input or a reply for each deed.
    """
    count = 0
    for left, right in zip_longest(deeds(one), deeds(other)):
        if left is None or right is None or left.what != right.what:
            found = Divergence(place=count, one=left, other=right)
            return Comparison(same_count=count, divergence=found)
        count += 1
    return Comparison(same_count=count, divergence=None)


def deeds(past: StoredHistory) -> Iterator[Deed]:
    """Tell what a session admitted and called, in order."""
    before: State = past.state_at(past.oldest)
    for step in past.steps(past.oldest, past.version):
        yield from _deeds(past, before, step)
        before = step.state


def _deeds(past: StoredHistory, before: State, step: Step) -> Iterator[Deed]:
    for node in _told(before, step):
        yield Admitted(position=step.position, text=_words(past, node))
    event = step.event
    if isinstance(event, EffectRequested) and isinstance(event.request, ToolCall):
        yield _called(past, step.position, event.request)


def _told(before: State, step: Step) -> Iterator[Node]:
    """List the messages that a fact brings into the turn from outside."""
    match step.event:
        case TurnStarted() | EffectRequested():
            nodes = _nodes(step.state)
        case TurnCommitted():
            nodes = step.event.nodes
        case _:
            return
    for node in nodes[len(_nodes(before)) :]:
        if isinstance(node.source, FromInputs | FromWork):
            yield node


def _nodes(state: State) -> tuple[Node, ...]:
    if not isinstance(state, Open) or not isinstance(state.turn, OpenTurn):
        return ()
    return state.turn.nodes


def _words(past: StoredHistory, node: Node) -> str:
    contents = read_contents(past.store, past.stream, content_kinds(node))
    parts = message(node, contents).parts
    return "\n".join(getattr(part, "text", "(an image)") for part in parts)


def _called(past: StoredHistory, position: Position, call: ToolCall) -> Called:
    reply = read_content(past.store, past.stream, call.reply, ModelReply)
    calls = [part for part in reply.parts if isinstance(part, ToolCallPart)]
    return Called(
        position=position, tool=call.tool, arguments=_canonical(calls[call.ordinal].arguments)
    )


def _canonical(arguments: str) -> str:
    """Sort the keys of arguments; what is no JSON is left as the model wrote it."""
    try:
        value = orjson.loads(arguments or "{}")
    except orjson.JSONDecodeError:
        return arguments
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
