"""The messages of a session as a tree: each with the one it follows and those that follow it."""

from collections.abc import Iterable, Mapping

from attrs import frozen

from lash_es.core.ids import NodeId


@frozen(kw_only=True)
class TreeMessage:
    """A message in the tree; ``is_active``: it is on the path from the root to the leaf."""

    node_id: NodeId
    parent_node_id: NodeId | None
    child_node_ids: tuple[NodeId, ...]
    is_active: bool


def message_tree(
    parents: Iterable[tuple[NodeId, NodeId | None]], leaf: NodeId | None
) -> tuple[TreeMessage, ...]:
    """
    Make the tree of messages that are given with their parents, in that order.

    Parents come before their children; a message of a parent that is not given is a root.
    """
    parent_of = dict(parents)
    children: dict[NodeId, list[NodeId]] = {node_id: [] for node_id in parent_of}
    for node_id, parent in parent_of.items():
        if parent is not None and parent in children:
            children[parent].append(node_id)
    active = _path(parent_of, leaf)
    return tuple(
        TreeMessage(
            node_id=node_id,
            parent_node_id=parent,
            child_node_ids=tuple(children[node_id]),
            is_active=node_id in active,
        )
        for node_id, parent in parent_of.items()
    )


def _path(parent_of: Mapping[NodeId, NodeId | None], leaf: NodeId | None) -> frozenset[NodeId]:
    path: set[NodeId] = set()
    # Whoever has been there has come round in a circle, which no log holds.
    while leaf is not None and leaf not in path:
        path.add(leaf)
        leaf = parent_of.get(leaf)
    return frozenset(path)
