"""
The fact that a fork begins with. It is a member of ``events.Event`` and obeys what is said there.
"""

from attrs import frozen

from lash_es.core.bodies import Commitment
from lash_es.core.ids import SessionId, Version


@frozen(kw_only=True)
class SessionForked:
    """
    The session begins where another one stood: the first fact of its stream.

    ``parent`` held ``below`` facts there, and positions go on from them; ``digest`` is that of the
    last one's record, in lowercase hexadecimal. The bodies are those of a trim (``trims.py``): the
    state that the session begins with, and what is needed of facts that it does not have.
    """

    at_ms: int
    session_id: SessionId
    parent: SessionId
    below: Version
    digest: str
    bodies: tuple[Commitment, ...]
