"""Bodies as they were read, compared with what a fact, or a trim, has committed to."""

from lash_es.codec.errors import CorruptBody
from lash_es.codec.records import Header
from lash_es.codec.streams import StreamId
from lash_es.core.bodies import BodyRef, RecordedBody, salted_digest
from lash_es.log.appends import StoredBody
from lash_es.log.sealing_errors import BodySealed


def require_body(fact: Header, ordinal: int, stored: StoredBody | None) -> StoredBody:
    """
    Refuse a body that is not what its fact committed to.

    Raises:
        CorruptBody: it is missing, or another one.
        BodySealed: its key is not there, so nobody can say.
    """
    ref = BodyRef(position=fact.position, ordinal=ordinal)
    recorded = RecordedBody(ref=ref, commitment=fact.bodies[ordinal])
    return require_recorded(fact.stream, recorded, stored)


def require_recorded(
    stream: StreamId, body: RecordedBody, stored: StoredBody | None
) -> StoredBody:
    """Refuse, as ``require_body``, what is not as a fact or a trim committed to."""
    if stored is None:
        raise corrupt_body(stream, body.ref, "it is missing")
    require_unsealed(stream, stored)
    if salted_digest(stored.salt, stored.content) != body.commitment.digest:
        raise corrupt_body(stream, body.ref, "its bytes are not those that were committed to")
    if stored.media_type != body.commitment.media_type:
        reason = "its media type is not the one that was committed to"
        raise corrupt_body(stream, body.ref, reason)
    return stored


def require_unsealed(stream: StreamId, stored: StoredBody) -> StoredBody:
    """Refuse a body that lies as it was sealed: neither its salt nor its content can be read."""
    if stored.sealing:
        raise BodySealed(
            session_id=stream.session_id,
            position=stored.ref.position,
            ordinal=stored.ref.ordinal,
            sealing=stored.sealing,
        )
    return stored


def body_refs(header: Header) -> tuple[BodyRef, ...]:
    """Point at every body of a fact."""
    return tuple(
        BodyRef(position=header.position, ordinal=ordinal) for ordinal in range(len(header.bodies))
    )


def corrupt_body(stream: StreamId, ref: BodyRef, reason: str) -> CorruptBody:
    """Say what is wrong with a body."""
    return CorruptBody(
        session_id=stream.session_id, position=ref.position, ordinal=ref.ordinal, reason=reason
    )
