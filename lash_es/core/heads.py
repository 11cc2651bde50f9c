"""Slice: the head of the history (revision, leaf, turn index) and the usage ledger."""

from collections.abc import Mapping
from types import MappingProxyType

import attrs
from attrs import frozen

from lash_es.core.errors import impossible
from lash_es.core.events import TurnCommitted, TurnEnded
from lash_es.core.graph_events import FrameOpened, LeafMoved, NodesAppended
from lash_es.core.ids import NodeId, Position, Revision
from lash_es.core.makers import maker
from lash_es.core.maps import with_entry
from lash_es.core.messages import NO_TOKENS, TokenUsage


@frozen(kw_only=True)
class Leaf:
    """The last message of the history, and the commit that holds it."""

    node_id: NodeId
    commit: Position


@frozen(kw_only=True)
class Head:
    """
    Where the history stands. ``revision`` counts commits; ``last_usage`` is of the last turn that
    used tokens.
    """

    revision: Revision
    turn_index: int
    leaf: Leaf | None
    last_usage: TokenUsage


@frozen(order=True)
class UsageKey:
    """A row of the ledger: who used the tokens (``turn``), and on which model."""

    source: str
    model: str


@frozen(kw_only=True)
class Ledger:
    """
    Tokens used, summed by source and model, in the order of first use.

    Ended turns count: the tokens were spent.
    """

    rows: Mapping[UsageKey, TokenUsage]


_head = maker(Head)
_leaf = maker(Leaf)

NO_HISTORY = Head(revision=Revision(0), turn_index=0, leaf=None, last_usage=NO_TOKENS)
NO_USAGE = Ledger(rows=MappingProxyType({}))
TURN_SOURCE = "turn"


def committed(head: Head, event: TurnCommitted, position: Position) -> Head:
    """One revision more, with the turn's last message as the leaf."""
    leaf_commit = None if head.leaf is None else head.leaf.commit
    if event.revision != head.revision + 1 or event.parent != leaf_commit or not event.nodes:
        raise impossible(event, found=(head.revision, leaf_commit), expected="the next revision")
    return _head(
        revision=event.revision,
        turn_index=event.turn_index,
        leaf=_leaf(node_id=event.nodes[-1].node_id, commit=position),
        last_usage=event.usage if event.usage != NO_TOKENS else head.last_usage,
    )


def moved(head: Head, event: LeafMoved, position: Position) -> Head:
    """Another message is the leaf: the fact that says so stands for its commit, up to there."""
    nodes = event.nodes
    leaf = _leaf(node_id=nodes[-1].node_id, commit=position) if nodes else None
    return attrs.evolve(head, leaf=leaf)


def appended(head: Head, event: FrameOpened | NodesAppended, position: Position) -> Head:
    """The last message that was put behind the leaf is the leaf; without any, nothing changes."""
    leaf_commit = None if head.leaf is None else head.leaf.commit
    if event.parent != leaf_commit:
        raise impossible(event, found=leaf_commit, expected=event.parent)
    if not event.nodes:
        return head
    return attrs.evolve(head, leaf=_leaf(node_id=event.nodes[-1].node_id, commit=position))


def begun_anew(head: Head) -> Head:
    """Nothing of the history is on the active path; commits go on being counted."""
    return _head(revision=head.revision, turn_index=0, leaf=None, last_usage=NO_TOKENS)


def used(ledger: Ledger, event: TurnCommitted | TurnEnded, model: str) -> Ledger:
    """Add the turn's tokens to the row of its model; a row with any non-zero bucket is kept."""
    if event.usage == NO_TOKENS:
        return ledger
    key = UsageKey(TURN_SOURCE, model)
    total = ledger.rows.get(key, NO_TOKENS) + event.usage
    return Ledger(rows=with_entry(ledger.rows, key, total))
