"""
What the bodies of a trim hold: all that is still needed of the facts in front of it.

1. The whole state as it was, from which folding goes on.
2. The index entries as they were: a source key, an input and a turn keep their answers.
3. The commits of the active path, with their nodes: the transcript.
4. The commitments of the bodies that those nodes name: their facts go, their rows stay.

All but the state are lists without a bound, so they come in pages of bounded size.
"""

from typing import TypeAlias

from attrs import frozen

from lash_es.core.bodies import RecordedBody
from lash_es.core.ids import Position
from lash_es.core.known import IndexEntry
from lash_es.core.state import Deleted, Open
from lash_es.core.transcripts import Node


@frozen(kw_only=True)
class KeptState:
    """The state at the trim."""

    state: Open | Deleted


@frozen(kw_only=True)
class KeptEntry:
    """An index entry under its key; what kind of key it is, the entry says."""

    key: str
    entry: IndexEntry


@frozen(kw_only=True)
class IndexPage:
    """Index entries, ordered by kind and key."""

    entries: tuple[KeptEntry, ...]


@frozen(kw_only=True)
class KeptCommit:
    """What a commit on the active path says of the transcript."""

    position: Position
    parent: Position | None
    nodes: tuple[Node, ...]


@frozen(kw_only=True)
class CommitPage:
    """Commits of the active path, oldest first."""

    commits: tuple[KeptCommit, ...]


@frozen(kw_only=True)
class BodyPage:
    """Bodies whose facts may go, ordered by position."""

    bodies: tuple[RecordedBody, ...]


TrimPage: TypeAlias = IndexPage | CommitPage | BodyPage
