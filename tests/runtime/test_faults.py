"""What a host reads on the faults it meets."""

import pickle

import pytest

from lash_es.core.errors import LashError
from lash_es.runtime.faults import (
    AppendUnresolved,
    HandleConsumed,
    MissingModelSpec,
    RuntimeFault,
    SessionFault,
    SessionStillInUse,
    TooManyConflicts,
)

FAULTS: list[tuple[LashError, str, bool, bool]] = [
    (
        RuntimeFault(code="session_execution_busy", message="another owner"),
        "session_execution_busy: another owner",
        True,
        False,
    ),
    (
        RuntimeFault(code="session_execution_lease_lost", message="too late"),
        "session_execution_lease_lost: too late",
        True,
        False,
    ),
    (
        RuntimeFault(code="store_commit_failed", message="disk full"),
        "store_commit_failed: disk full",
        False,
        False,
    ),
    (
        RuntimeFault(code="llm_provider", message="none"),
        "llm_provider: none",
        False,
        False,
    ),
    (SessionFault(kind="protocol", message="no"), "protocol: no", False, False),
    (MissingModelSpec(), "no model: name one", False, True),
    (
        SessionStillInUse(session_id="s", holders=("a handle", "an observer")),
        "session 's' is still held by a handle, an observer",
        False,
        False,
    ),
    (HandleConsumed(operation="park"), "cannot park: the handle", False, True),
    (
        AppendUnresolved(session_id="s", append_id="a", reason="silence"),
        "append 'a' to session 's' may have happened: silence",
        False,
        False,
    ),
    (TooManyConflicts(session_id="s", attempts=64), "lost 64 races for session 's'", True, False),
]


@pytest.mark.parametrize(("fault", "words", "is_retryable", "is_terminal"), FAULTS)
def test_a_fault_says_what_is_wrong_and_whether_to_come_again(
    fault: LashError, words: str, is_retryable: bool, is_terminal: bool
) -> None:
    assert str(fault).startswith(words)
    assert (fault.is_retryable, fault.is_terminal) == (is_retryable, is_terminal)
    copied = pickle.loads(pickle.dumps(fault))
    assert (type(copied), copied.fields) == (type(fault), fault.fields)


def test_a_used_up_handle_is_also_a_runtime_error_of_python() -> None:
    assert isinstance(HandleConsumed(operation="turn"), RuntimeError)
