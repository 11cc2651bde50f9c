"""Bounds that commands are held to: what is blank or too large is refused by its name."""

from lash_es.core.bodies import NewBody
from lash_es.core.errors import BlankValue, LimitExceeded
from lash_es.core.limits import Limits


def require_name(field: str, value: str, chars_max: int) -> None:
    """Refuse a name that is blank, or longer than its limit."""
    if not value.strip():
        raise BlankValue(field=field)
    require_within(f"{field}_chars_max", len(value), chars_max)


def require_within(limit: str, found: int, allowed: int) -> None:
    """Refuse what is larger than its named limit."""
    if found > allowed:
        raise LimitExceeded(limit=limit, found=found, allowed=allowed)


def require_body(body: NewBody | None, limits: Limits) -> None:
    """Refuse content that is too large to be kept in one piece."""
    if body is not None:
        require_within("body_bytes_max", len(body.content), limits.body_bytes_max)
