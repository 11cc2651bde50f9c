"""``SessionBuilder``: what one session is opened with. A value: each setter returns a new one."""

from collections.abc import Awaitable, Callable, Generator
from types import TracebackType
from typing import Any, Self, TypeAlias, TypeVar

import attrs
from attrs import field, frozen

from lash_es.core.ids import SessionId
from lash_es.core.owners import LeaseOwner
from lash_es.core.policy import ModelSpec, SessionPolicy
from lash_es.runtime.providers import Provider
from lash_es.session.arguments import as_max_turns, as_model_spec
from lash_es.session.inheriting import INHERIT, Inherit
from lash_es.session.session import LashSession

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


SessionOpener: TypeAlias = Callable[
    [SessionId, SessionSpec, Provider | None, LeaseOwner | None], Awaitable[LashSession]
]


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

    def open(self) -> Opening:
        """
        Create the session, or open what is there; the host's policy wins, the recorded provider
        stays.

        Raises (when awaited):
            SessionDeleted: the id is used up.
            CorruptHistory: the log is damaged, at the position it names.
        """
        return Opening(
            lambda: self._opener(self._session_id, self._spec, self._provider, self._owner)
        )

    def __await__(self) -> Generator[Any, None, LashSession]:
        return self.open().__await__()


def _chosen(wanted: _T | Inherit, base: _T) -> _T:
    return base if isinstance(wanted, Inherit) else wanted
