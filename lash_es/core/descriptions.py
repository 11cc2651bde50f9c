"""
Slice: the record of a session's birth: what it is called, where it works, whose child it is, and
the model that it was created with. It is written once, and no reopening changes it.
"""

from attrs import frozen

from lash_es.core.ids import SessionId
from lash_es.core.makers import maker
from lash_es.core.policy import ModelSpec


@frozen(kw_only=True)
class Description:
    """What a host says of a session when it creates it; none of it is needed."""

    name: str | None = None
    cwd: str | None = None
    parent_session_id: SessionId | None = None


@frozen(kw_only=True)
class DescribeSession:
    """Say what the session is; without effect once anything has happened in it."""

    now_ms: int
    description: Description


@frozen(kw_only=True)
class SessionDescribed:
    """What the session is, said at its birth."""

    at_ms: int
    description: Description


@frozen(kw_only=True)
class Birth:
    """
    What was said at the birth, and the model that the session was created with: none while that is
    still its policy's.
    """

    description: Description
    model: ModelSpec | None = None


_birth = maker(Birth)

UNDESCRIBED = Description()
PLAIN_BIRTH = Birth(description=UNDESCRIBED)


def described(birth: Birth, event: SessionDescribed) -> Birth:
    """It is written down."""
    return _birth(description=event.description, model=birth.model)


def configured(birth: Birth, before: ModelSpec, after: ModelSpec) -> Birth:
    """The first model is remembered when another takes its place."""
    if birth.model is not None or before == after:
        return birth
    return _birth(description=birth.description, model=before)
