"""Rules of the session itself: opening, reopening, configuring."""

from lash_es.core.commands import BeginAnew, OpenSession
from lash_es.core.descriptions import UNDESCRIBED, DescribeSession, SessionDescribed
from lash_es.core.errors import StoreSessionMismatch
from lash_es.core.events import Event, SessionConfigured, SessionOpened
from lash_es.core.heads import TURN_SOURCE, UsageKey
from lash_es.core.limits import Limits
from lash_es.core.policy import SessionPolicy
from lash_es.core.rules.bounds import require_name, require_within
from lash_es.core.state import Open


def create(command: OpenSession | BeginAnew, limits: Limits) -> tuple[Event, ...]:
    """The first fact of a stream; its time is the command's, there is no other yet."""
    require_name("session_id", command.session_id, limits.session_id_chars_max)
    _require_policy(command.policy, limits)
    opened = SessionOpened(
        at_ms=command.now_ms, session_id=command.session_id, policy=command.policy
    )
    return (opened,)


def reopen(session: Open, command: OpenSession, now_ms: int, limits: Limits) -> tuple[Event, ...]:
    """Opening again records nothing, unless the host wants another policy by now."""
    if session.session_id != command.session_id:
        raise StoreSessionMismatch(loaded=session.session_id, requested=command.session_id)
    return configure(session, _reconciled(session.policy, command.policy), now_ms, limits)


def describe(
    session: Open, command: DescribeSession, now_ms: int, limits: Limits
) -> tuple[Event, ...]:
    """Say it right after the birth, or never."""
    said = command.description
    if session.version != 1 or said == UNDESCRIBED:
        return ()
    for field, value in (
        ("name", said.name),
        ("cwd", said.cwd),
        ("parent_session_id", said.parent_session_id),
    ):
        if value is not None:
            require_name(field, value, limits.description_chars_max)
    return (SessionDescribed(at_ms=now_ms, description=said),)


def configure(
    session: Open, policy: SessionPolicy, now_ms: int, limits: Limits
) -> tuple[Event, ...]:
    """A policy that is the same already is not recorded again."""
    _require_policy(policy, limits)
    if policy == session.policy:
        return ()
    require_policy(session, policy, limits)
    return (SessionConfigured(at_ms=now_ms, policy=policy),)


def require_policy(session: Open, policy: SessionPolicy, limits: Limits) -> None:
    """Refuse a policy that is too large, or whose model would make one row of usage too many."""
    _require_policy(policy, limits)
    _require_ledger_row(session, policy, limits)


def _require_ledger_row(session: Open, policy: SessionPolicy, limits: Limits) -> None:
    """Each model that is used makes a row, and rows are state: their number is bounded here."""
    if UsageKey(TURN_SOURCE, policy.model.model_id) not in session.ledger.rows:
        rows_count = len(session.ledger.rows) + 1
        require_within("ledger_rows_max", rows_count, limits.ledger_rows_max)


def _reconciled(recorded: SessionPolicy, wanted: SessionPolicy) -> SessionPolicy:
    """
    The host's word wins, but the recorded provider stays: a different one fails the first turn.
    """
    return SessionPolicy(
        provider_id=recorded.provider_id or wanted.provider_id,
        model=wanted.model,
        max_turns=wanted.max_turns,
        instructions=wanted.instructions,
    )


def _require_policy(policy: SessionPolicy, limits: Limits) -> None:
    require_name("model_id", policy.model.model_id, limits.model_id_chars_max)
    require_within("prompt_chars_max", len(policy.instructions), limits.prompt_chars_max)
    settings_chars = len(policy.model.settings_json)
    require_within("prompt_chars_max", settings_chars, limits.prompt_chars_max)
