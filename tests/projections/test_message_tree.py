"""The tree of messages: who follows whom, and which of them are active."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from lash_es.core.ids import NodeId
from lash_es.projections.message_tree import TreeMessage, message_tree
from tests.core.effort import effort

A, B, C, D = (NodeId(name) for name in "abcd")


def test_a_branch_has_two_children_and_only_one_of_them_is_active() -> None:
    assert message_tree([(A, None), (B, A), (C, A), (D, None)], C) == (
        TreeMessage(node_id=A, parent_node_id=None, child_node_ids=(B, C), is_active=True),
        TreeMessage(node_id=B, parent_node_id=A, child_node_ids=(), is_active=False),
        TreeMessage(node_id=C, parent_node_id=A, child_node_ids=(), is_active=True),
        TreeMessage(node_id=D, parent_node_id=None, child_node_ids=(), is_active=False),
    )


def test_without_a_leaf_nothing_is_active_and_without_messages_there_is_no_tree() -> None:
    assert message_tree([], None) == ()
    assert [each.is_active for each in message_tree([(A, None)], None)] == [False]


def test_a_message_whose_parent_is_not_given_stands_at_the_root() -> None:
    (only,) = message_tree([(B, A)], B)

    assert (only.parent_node_id, only.is_active, only.child_node_ids) == (A, True, ())


def test_a_circle_ends() -> None:
    assert [each.is_active for each in message_tree([(A, B), (B, A)], A)] == [True, True]


@effort(60)
@given(choices=st.lists(st.integers(0, 9), max_size=12), last=st.integers(0, 12))
def test_every_message_is_in_its_parents_children(choices: Sequence[int], last: int) -> None:
    parents: list[tuple[NodeId, NodeId | None]] = []
    for number, choice in enumerate(choices):
        parent = NodeId(str(choice)) if choice < number else None
        parents.append((NodeId(str(number)), parent))
    leaf = NodeId(str(last % len(parents))) if parents else None
    tree = {each.node_id: each for each in message_tree(parents, leaf)}

    assert [(each.node_id, each.parent_node_id) for each in tree.values()] == parents
    for node_id, parent in parents:
        if parent is not None:
            assert tree[parent].child_node_ids.count(node_id) == 1
    walked = set()
    while leaf is not None:
        walked.add(leaf)
        leaf = tree[leaf].parent_node_id
    assert {each.node_id for each in tree.values() if each.is_active} == walked
