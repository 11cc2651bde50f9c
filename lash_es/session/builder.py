"""``SessionBuilder``: what one session is opened with. A value: each setter returns a new one."""

from collections.abc import Awaitable, Callable, Generator
from types import TracebackType
from typing import Any, Self, TypeAlias, TypeVar

import attrs
from attrs import field, frozen

from lash_es.core.descriptions import UNDESCRIBED, Description
from lash_es.core.ids import SessionId
from lash_es.core.owners import LeaseOwner
from lash_es.core.policy import ModelSpec, SessionPolicy
from lash_es.runtime.providers import Provider
from lash_es.session.arguments import as_max_turns, as_model_spec
from lash_es.session.exporting import RuntimeSessionState
from lash_es.session.inheriting import INHERIT, Inherit
from lash_es.session.session import LashSession
from lash_es.session.session_stores import SessionStore

_T = TypeVar("_T")


@frozen(kw_only=True)
class SessionSpec:
    """
    An overlay on the core's policy; each field that is set wins.

    ``max_turns=None`` clears it.
    """

    model: ModelSpec | Inherit = INHERIT
    provider_id: str | Inherit = INHERIT
    max_turns: int | Inherit | None = INHERIT
    instructions: str | Inherit = INHERIT

    def resolved(self, base: SessionPolicy) -> SessionPolicy:
        """Lay the spec over a policy."""
        return SessionPolicy(
            provider_id=_chosen(self.provider_id, base.provider_id),
            model=_chosen(self.model, base.model),
            max_turns=base.max_turns if isinstance(self.max_turns, Inherit) else self.max_turns,
            instructions=_chosen(self.instructions, base.instructions),
        )


_INHERIT_ALL = SessionSpec()


@frozen(kw_only=True)
class SessionDescription:
    """All that a session is opened with."""

    session_id: SessionId
    spec: SessionSpec
    provider: Provider | None
    owner: LeaseOwner | None
    store: SessionStore | None
    is_fresh: bool
    state: RuntimeSessionState | None
    description: Description = UNDESCRIBED


SessionOpener: TypeAlias = Callable[[SessionDescription], Awaitable[LashSession]]


class Opening:
    """
    A session about to be opened: await it, or use it as ``async with``, which closes it at the
    end.
    """

    def __init__(self, opener: Callable[[], Awaitable[LashSession]]) -> None:
        self._opener = opener
        self._session: LashSession | None = None

    def __await__(self) -> Generator[Any, None, LashSession]:
        return self._opener().__await__()

    async def __aenter__(self) -> LashSession:
        self._session = await self._opener()
        return self._session

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.__aexit__(kind, error, trace)


@frozen(kw_only=True)
class SessionBuilder:
    """Collects what a session is opened with; made by ``LashCore.session``."""

    _opener: SessionOpener = field(repr=False, alias="opener")
    _session_id: SessionId = field(alias="session_id")
    _spec: SessionSpec = field(default=_INHERIT_ALL, alias="spec")
    _provider: Provider | None = field(default=None, alias="provider")
    _owner: LeaseOwner | None = field(default=None, alias="owner")
    _store: SessionStore | None = field(default=None, repr=False, alias="store")
    _description: Description = field(default=UNDESCRIBED, alias="description")

    def session_spec(self, spec: SessionSpec) -> Self:
        """Replace the whole overlay, a provider id set before included; a live provider stays."""
        return attrs.evolve(self, spec=spec)

    def provider(self, provider: Provider) -> Self:
        """Use this live provider, and record its kind."""
        spec = attrs.evolve(self._spec, provider_id=provider.kind)
        return attrs.evolve(self, provider=provider, spec=spec)

    def model(self, model: ModelSpec | str) -> Self:
        """Use this model."""
        return attrs.evolve(self, spec=attrs.evolve(self._spec, model=as_model_spec(model)))

    def max_turns(self, max_turns: int | None) -> Self:
        """Bound the model calls of a turn; none clears the core's bound."""
        return attrs.evolve(self, spec=attrs.evolve(self._spec, max_turns=as_max_turns(max_turns)))

    def instructions(self, instructions: str) -> Self:
        """Replace the system prompt."""
        return attrs.evolve(self, spec=attrs.evolve(self._spec, instructions=instructions))

    def session_execution_owner(self, owner: LeaseOwner) -> Self:
        """Fix the identity under which this handle takes the lease; by default it is random."""
        return attrs.evolve(self, owner=owner)

    def described(
        self, *, name: str | None = None, cwd: str | None = None, parent: str | None = None
    ) -> Self:
        """
        Say what the session is called, where it works and whose child it is. It is the record of
        the birth: of a session that is there already nothing is changed.
        """
        parent_id = None if parent is None else SessionId(parent)
        description = Description(name=name, cwd=cwd, parent_session_id=parent_id)
        return attrs.evolve(self, description=description)

    def parent(self, parent_session_id: str) -> Self:
        """Make it the child of another session, if it is created by this."""
        parent_id = SessionId(parent_session_id)
        description = attrs.evolve(self._description, parent_session_id=parent_id)
        return attrs.evolve(self, description=description)

    def store(self, store: SessionStore) -> Self:
        """Keep the session there, and do not ask the core's store."""
        return attrs.evolve(self, store=store)

    def open(self) -> Opening:
        """
        Create the session, or open what is there; the host's policy wins, the recorded provider
        stays.

        Raises (when awaited):
            SessionDeleted: the id is used up.
            CorruptHistory: the log is damaged, at the position it names.
        """
        return self._opening(is_fresh=False)

    def open_fresh(self) -> Opening:
        """
        Create the session, or go on in it without anything that is there: an empty view, the
        host's policy and provider.

        The history stays in the log, readable as of a version before. **Pending inputs, queued
        work and the usage so far survive**: they are not part of the transcript.

        Raises (when awaited):
            BusyWithTurn: a turn is open; drive it to its end first.
            SessionDeleted, CorruptHistory: as ``open``.
        """
        return self._opening(is_fresh=True)

    def open_with_state(self, state: RuntimeSessionState) -> Opening:
        """
        Open the session where ``state`` says that it stood: its history goes on from that message.

        The host's policy wins as for ``open``, but the provider id is the one inside the state.

        Raises (when awaited):
            StoreSessionMismatch: it is another session's state; nothing was written.
            NodeNotFound: no commit of this log holds the message.
            RuntimeFault: ``session_execution_busy``: another owner holds the session, which would
                have to go on elsewhere.
            SessionDeleted, CorruptHistory: as ``open``.
        """
        return self._opening(is_fresh=False, state=state)

    def _opening(self, *, is_fresh: bool, state: RuntimeSessionState | None = None) -> Opening:
        described = SessionDescription(
            session_id=self._session_id,
            spec=self._spec,
            provider=self._provider,
            owner=self._owner,
            store=self._store,
            is_fresh=is_fresh,
            state=state,
            description=self._description,
        )
        return Opening(lambda: self._opener(described))

    def __await__(self) -> Generator[Any, None, LashSession]:
        return self.open().__await__()


def _chosen(wanted: _T | Inherit, base: _T) -> _T:
    return base if isinstance(wanted, Inherit) else wanted
