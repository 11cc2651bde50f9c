"""
Slice: the states of tools and plugins, as of the last commit that kept them.

Only the last of each is held; what was before it is in older facts until those are trimmed.
"""

from typing import Final

from attrs import frozen

from lash_es.core.bodies import BodyRef, RecordedBody
from lash_es.core.enclosures import CommitEnclosed, StateKind
from lash_es.core.ids import Position


@frozen(kw_only=True)
class RecordedState:
    """A state that a commit kept, and where its content is."""

    revision: int
    content: RecordedBody


@frozen(kw_only=True)
class States:
    """The last state of each kind; none where no commit kept one."""

    tools: RecordedState | None = None
    plugins: RecordedState | None = None

    def of(self, kind: StateKind) -> RecordedState | None:
        """Return the state of a kind."""
        return self.tools if kind is StateKind.TOOLS else self.plugins

    @property
    def contents(self) -> tuple[RecordedBody, ...]:
        """The bodies that are still needed, ordered by kind."""
        return tuple(each.content for each in (self.tools, self.plugins) if each is not None)


NO_STATES: Final = States()


def enclosed(states: States, event: CommitEnclosed, here: Position) -> States:
    """What a commit kept replaces what there was of its kind."""
    found = {
        each.kind: RecordedState(
            revision=each.revision,
            content=RecordedBody(
                ref=BodyRef(position=here, ordinal=ordinal), commitment=event.bodies[ordinal]
            ),
        )
        for ordinal, each in enumerate(event.states)
    }
    return States(
        tools=found.get(StateKind.TOOLS, states.tools),
        plugins=found.get(StateKind.PLUGINS, states.plugins),
    )
