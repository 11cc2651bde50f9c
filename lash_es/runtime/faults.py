"""What a host meets when a turn or a session operation cannot go on; codes are the seed's."""

from typing import ClassVar, Final

from attrs import define

from lash_es.core.errors import LashError

SESSION_EXECUTION_BUSY: Final = "session_execution_busy"
SESSION_EXECUTION_LEASE_LOST: Final = "session_execution_lease_lost"
STORE_COMMIT_FAILED: Final = "store_commit_failed"
LLM_PROVIDER: Final = "llm_provider"
LIVE_REPLAY: Final = "live_replay"

_TERMINAL: Final = (
    "missing_execution_scope_id",
    "execution_scope_turn_id_mismatch",
    "missing_process_execution_id",
    "durable_store_required:",
    "durable_effect_live_protocol_extension",
    "durable_effect_live_plugin_input",
)
"""Codes of faults in the wiring; one that ends with a colon is followed by the facet."""

_RETRYABLE: Final = frozenset({SESSION_EXECUTION_BUSY, SESSION_EXECUTION_LEASE_LOST})


@define(kw_only=True)
class RuntimeFault(LashError):
    """
    A turn could not be run, or not to its end.

    ``code`` is stable; the message is for people.
    """

    code: str
    message: str

    @property
    def is_retryable(self) -> bool:
        """Tell whether the same call may work later."""
        return self.code in _RETRYABLE

    @property
    def is_terminal(self) -> bool:
        """Tell whether the same call can never work: the wiring is wrong."""
        return any(
            self.code == code or (code.endswith(":") and self.code.startswith(code))
            for code in _TERMINAL
        )

    def _summary(self) -> str:
        return f"{self.code}: {self.message}"


@define(kw_only=True)
class SessionFault(LashError):
    """A session could not be opened, configured or let go."""

    kind: str
    message: str

    def _summary(self) -> str:
        return f"{self.kind}: {self.message}"


@define(kw_only=True)
class InvalidArgument(LashError):
    """A host passed something that cannot be what it stands for; nothing was written."""

    argument: str
    found: str
    expected: str
    terminal_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        return f"{self.argument}: found {self.found}, expected {self.expected}"


@define(kw_only=True)
class MissingModelSpec(LashError):
    """No model was named, and none can be guessed."""

    terminal_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        return "no model: name one, for example LashCore(model='gpt-5-mini', ...)"


@define(kw_only=True)
class SessionStillInUse(LashError):
    """
    Something else still holds the session: a clone, an observer, a running turn.

    The handle is used up.
    """

    session_id: str
    holders: tuple[str, ...]

    def _summary(self) -> str:
        return f"session {self.session_id!r} is still held by {', '.join(self.holders)}"


@define(kw_only=True)
class HandleConsumed(LashError, RuntimeError):
    """The handle was closed or parked before."""

    operation: str
    terminal_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        return f"cannot {self.operation}: the handle was closed or parked before"


@define(kw_only=True)
class AppendUnresolved(LashError):
    """
    An append's answer was lost, and the log could not be read to find out; or answers were lost
    time after time, as on a disk that fails, though what was looked for was not there.

    Nothing is retried blindly.
    """

    session_id: str
    append_id: str
    reason: str

    def _summary(self) -> str:
        where = f"append {self.append_id!r} to session {self.session_id!r}"
        return f"{where} may have happened: {self.reason}"


@define(kw_only=True)
class TooManyConflicts(LashError):
    """Other writers were faster, as often as we tried."""

    session_id: str
    attempts: int
    retryable_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        return f"lost {self.attempts} races for session {self.session_id!r}"
