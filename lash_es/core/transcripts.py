"""
Nodes of a transcript as control data: who speaks, and which recorded bodies the words are made of.

A message is never stored twice. What a person said is in the body of the fact that took it, what a
model said in the body of the fact that settled the call; a node only points there (ADR 0005).
"""

import re
from enum import Enum
from typing import Final, TypeAlias

from attrs import frozen

from lash_es.core.bodies import BodyRef
from lash_es.core.ids import CallId, NodeId, TurnId
from lash_es.core.messages import Role, ToolStatus

_ORDINAL: Final = ":m"
"""Between the id of a turn and the place of a message in it."""

_NAME: Final = re.compile(r"(.*):([mfa])[1-9][0-9]*", re.DOTALL)


class NodeOwner(Enum):
    """What a message was put on the path with, as its name says: between that and its place."""

    TURN = "m"
    FRAME = "f"
    APPEND = "a"


def name_of_node(owner: NodeOwner, name: str, ordinal: int) -> NodeId:
    """Name a message of a turn, a frame or an append, counted from 1."""
    return NodeId(f"{name}:{owner.value}{ordinal}")


def owner_of_node(node_id: NodeId) -> tuple[NodeOwner, str] | None:
    """Return what a message was put on the path with, by its name; none if it is no such name."""
    found = _NAME.fullmatch(node_id)
    return None if found is None else (NodeOwner(found[2]), found[1])


def node_name(turn_id: TurnId, ordinal: int) -> NodeId:
    """
    Name a message of a turn, counted from 1; turn ids are used once, so the name is unique in the
    session.
    """
    return NodeId(f"{turn_id}{_ORDINAL}{ordinal}")


@frozen(kw_only=True)
class FromInputs:
    """A person's words: the inputs' bodies, in order, joined by newlines."""

    bodies: tuple[BodyRef, ...]


@frozen(kw_only=True)
class FromReply:
    """A model's reply."""

    body: BodyRef


@frozen(kw_only=True)
class ResultRef:
    """What one call of a batch came to. A cancelled call has no body."""

    call_id: CallId
    tool: str
    status: ToolStatus
    body: BodyRef | None


@frozen(kw_only=True)
class FromResults:
    """The results of one batch, in the order of the calls."""

    results: tuple[ResultRef, ...]


@frozen(kw_only=True)
class FromWork:
    """What happened elsewhere, told to the session: items of turn work, in order."""

    bodies: tuple[BodyRef, ...]


@frozen(kw_only=True)
class TurnLimitNotice:
    """The runtime's remark that a turn ran into its limit of model calls."""

    model_calls_max: int


NodeSource: TypeAlias = FromInputs | FromReply | FromResults | FromWork | TurnLimitNotice


@frozen(kw_only=True)
class Node:
    """One message of the transcript."""

    node_id: NodeId
    role: Role
    source: NodeSource
