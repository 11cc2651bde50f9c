"""
What can go wrong, in one closed hierarchy.

::

    LashError
    ├── CommandRejected              the caller asked for what cannot be; nothing was written
    │   ├── SessionNotOpen           no session of this id has been opened
    │   ├── SessionDeleted           the id is used up
    │   ├── StoreSessionMismatch     the stream holds another session
    │   ├── SessionExecutionLeaseExpired   the fence is not the live lease
    │   ├── SourceKeyConflict        the key is taken by another content
    │   ├── InputIdConflict          an input of this id waits already
    │   ├── TurnInputClaimSuperseded the claim is not held (any more)
    │   ├── BatchIdConflict          a batch of this id waits already
    │   ├── BatchNotOfOneClass       a batch is empty, or mixes turn work with session commands
    │   ├── QueuedWorkClaimSuperseded   a completion is not exactly what its claim holds
    │   ├── TurnIdConflict           the id belongs to a turn with another input
    │   ├── TurnInProgress           another turn of this session is open
    │   ├── BusyWithTurn             what is asked for needs that no turn is open
    │   ├── TurnNotOpen              the turn is not the open one
    │   ├── SessionBindingMismatch   a commit is meant for another session
    │   ├── RuntimeTurnCommitConflict   the turn was committed with another content
    │   ├── HeadRevisionConflict     another commit came first
    │   ├── NodeNotFound             no commit holds the message
    │   ├── FrameIdConflict          the session was in this frame before
    │   ├── EffectNotOpen            the effect was never requested, or is settled
    │   ├── EffectRequestRefused     the effect does not follow from where the turn stands
    │   ├── EffectOutcomeMismatch    the outcome is of another kind than the effect
    │   ├── EffectsUnsettled         the turn still waits for effects
    │   ├── QueueFull                too many inputs or batches wait
    │   ├── LimitExceeded            something is larger than its named limit
    │   ├── BlankValue               a name is blank
    │   ├── TrimOutOfRange           the version is not between the oldest kept and the newest
    │   └── TrimHeldBack             open work or a pin needs the facts that would go
    ├── HistoryTrimmedBelow          facts were asked for that are gone for good
    ├── ImpossibleEvent              a fact that no rule would have written here
    ├── StoredDataError              what is stored is damaged (``lash_es.codec.errors``)
    └── StorageError                 the store could not do it (``lash_es.log.errors``)

An error carries fields, and says what was asked, what was found and what was expected. A lost race
that a caller meets on a good day is a receipt (``receipts.py``) and not an error.
"""

from typing import ClassVar

import attrs
from attrs import define

from lash_es.core.ids import EffectId, Generation, InputId, Position, TurnId, Version


class LashError(Exception):
    """
    Whatever this library raises on purpose.

    Compare by type and fields; ``str()`` is for people.
    """

    retryable_by_kind: ClassVar[bool] = False
    terminal_by_kind: ClassVar[bool] = False

    @property
    def is_retryable(self) -> bool:
        """Tell whether the same call may work later."""
        return self.retryable_by_kind

    @property
    def is_terminal(self) -> bool:
        """Tell whether the same call can never work: the wiring, the id or the data is wrong."""
        return self.terminal_by_kind

    @property
    def fields(self) -> dict[str, object]:
        """The error's fields by name, in the order of their declaration."""
        kind: type[object] = type(self)
        if not attrs.has(kind):
            return {}
        return {field.name: getattr(self, field.name) for field in attrs.fields(kind)}

    def summary(self) -> str:
        """Say what is wrong in one clause."""
        return self._summary()

    def _summary(self) -> str:
        return type(self).__name__

    def __str__(self) -> str:
        listed = ", ".join(f"{name}={value!r}" for name, value in self.fields.items())
        return f"{self.summary()} [{listed}]" if listed else self.summary()

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.fields)


def _rebuild(kind: type[LashError], fields: dict[str, object]) -> LashError:
    return kind(**fields)


class CommandRejected(LashError):
    """A command asked for what cannot be; nothing was written."""


@define(kw_only=True)
class SessionNotOpen(CommandRejected):
    """The session has not been opened."""

    command: str

    def _summary(self) -> str:
        return f"cannot {self.command}: the session is not opened, expected an open one"


@define(kw_only=True)
class SessionDeleted(CommandRejected):
    """The session was deleted; its id is never used again."""

    session_id: str
    terminal_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        return f"session {self.session_id!r} was deleted and its id is never used again"


@define(kw_only=True)
class StoreSessionMismatch(CommandRejected):
    """The stream holds another session than the one asked for."""

    loaded: str
    requested: str
    terminal_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        return f"asked for session {self.requested!r}, found {self.loaded!r}"


@define(kw_only=True)
class SessionExecutionLeaseExpired(CommandRejected):
    """The fence is not the live lease: released, expired, taken over, or never held."""

    session_id: str
    presented_generation: Generation
    current_generation: Generation
    reason: str

    def _summary(self) -> str:
        return (
            f"the fence of generation {self.presented_generation} does not hold the lease of "
            f"session {self.session_id!r}: {self.reason}, "
            f"current generation {self.current_generation}"
        )


@define(kw_only=True)
class SourceKeyConflict(CommandRejected):
    """The source key belongs to an input with other content or another ingress."""

    session_id: str
    source_key: str
    existing_input_id: InputId

    def _summary(self) -> str:
        return (
            f"source key {self.source_key!r} already names input {self.existing_input_id!r}, "
            f"whose content or ingress differs"
        )


@define(kw_only=True)
class InputIdConflict(CommandRejected):
    """An input of this id waits already: ids are minted once."""

    session_id: str
    input_id: InputId

    def _summary(self) -> str:
        return f"input {self.input_id!r} waits already, expected an id that was never used"


@define(kw_only=True)
class TurnInputClaimSuperseded(CommandRejected):
    """The claim does not hold these inputs (any more)."""

    session_id: str
    claim_id: str

    def _summary(self) -> str:
        return f"claim {self.claim_id!r} is not held under the current lease generation"


@define(kw_only=True)
class TurnIdConflict(CommandRejected):
    """The turn id belongs to a turn that was started with another input."""

    session_id: str
    turn_id: TurnId

    def _summary(self) -> str:
        return f"turn {self.turn_id!r} was already run with another input"


@define(kw_only=True)
class TurnInProgress(CommandRejected):
    """Another turn of this session is open."""

    session_id: str
    requested_turn_id: TurnId
    open_turn_id: TurnId

    def _summary(self) -> str:
        return f"cannot start turn {self.requested_turn_id!r}: turn {self.open_turn_id!r} is open"


@define(kw_only=True)
class TurnNotOpen(CommandRejected):
    """The turn that a command names is not the open one."""

    session_id: str
    requested_turn_id: TurnId
    open_turn_id: TurnId | None

    def _summary(self) -> str:
        return f"turn {self.requested_turn_id!r} is not open (open: {self.open_turn_id!r})"


@define(kw_only=True)
class EffectNotOpen(CommandRejected):
    """The effect was never requested, or its outcome is recorded already."""

    effect_id: EffectId

    def _summary(self) -> str:
        return f"effect {self.effect_id!r} waits for no outcome"


@define(kw_only=True)
class EffectRequestRefused(CommandRejected):
    """The effect does not follow from where the turn stands."""

    effect_id: EffectId
    reason: str

    def _summary(self) -> str:
        return f"effect {self.effect_id!r} cannot be requested: {self.reason}"


@define(kw_only=True)
class EffectOutcomeMismatch(CommandRejected):
    """
    The outcome is of another kind than the effect: ``runtime_effect_wrong_outcome`` in the seed.
    """

    effect_id: EffectId
    requested: str
    outcome: str

    def _summary(self) -> str:
        return (
            f"effect {self.effect_id!r} is a {self.requested}, which cannot end as {self.outcome}"
        )


@define(kw_only=True)
class EffectsUnsettled(CommandRejected):
    """The turn cannot end while an effect waits for its outcome."""

    turn_id: TurnId
    effect_ids: tuple[EffectId, ...]

    def _summary(self) -> str:
        return f"turn {self.turn_id!r} still waits for {len(self.effect_ids)} effect(s)"


@define(kw_only=True)
class QueueFull(CommandRejected):
    """As many inputs, or batches of work, wait as the limit allows."""

    limit: str
    allowed: int

    def _summary(self) -> str:
        return f"the queue is full: {self.allowed} wait, the limit {self.limit}"


@define(kw_only=True)
class LimitExceeded(CommandRejected):
    """Something is larger than its named limit."""

    limit: str
    found: int
    allowed: int

    def _summary(self) -> str:
        return f"{self.limit}: found {self.found}, at most {self.allowed} allowed"


@define(kw_only=True)
class BlankValue(CommandRejected):
    """A name that must not be empty is."""

    field: str

    def _summary(self) -> str:
        return f"{self.field} is blank, expected at least one character"


@define(kw_only=True)
class TrimOutOfRange(CommandRejected):
    """A trim goes from the oldest version that is kept up to the newest."""

    session_id: str
    below: Version
    oldest: Version
    version: Version

    def _summary(self) -> str:
        return (
            f"cannot trim session {self.session_id!r} below version {self.below}: expected one "
            f"from {self.oldest} to {self.version}"
        )


@define(kw_only=True)
class TrimHeldBack(CommandRejected):
    """Facts that would go are needed."""

    session_id: str
    below: Version
    allowed: Version
    held_back_by: str

    def _summary(self) -> str:
        return (
            f"cannot trim session {self.session_id!r} below version {self.below}: "
            f"{self.held_back_by} holds it back to {self.allowed}"
        )


@define(kw_only=True)
class HistoryTrimmedBelow(LashError):
    """Facts were asked for that a trim has let go of."""

    session_id: str
    asked: Position
    oldest: Position
    terminal_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        return (
            f"session {self.session_id!r} keeps its facts from position {self.oldest} on, "
            f"asked for position {self.asked}"
        )


@define(kw_only=True)
class ImpossibleEvent(LashError):
    """
    A fact that no rule would have written here; a fold of stored facts turns it into
    ``CorruptHistory``.
    """

    event: str
    found: str
    expected: str

    def _summary(self) -> str:
        return f"{self.event} cannot follow: found {self.found}, expected {self.expected}"


def impossible(event: object, *, found: object, expected: object) -> ImpossibleEvent:
    """
    Build the error from the event itself; texts are cut, so that no body's content rides along.
    """
    return ImpossibleEvent(
        event=type(event).__name__, found=str(found)[:200], expected=str(expected)[:200]
    )
