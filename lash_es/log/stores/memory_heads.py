"""The head rows of the memory store: what SQL databases say in an ``UPDATE``."""

from lash_es.log.appends import StreamAppend
from lash_es.log.port import StreamHead


def head_after(append: StreamAppend) -> StreamHead:
    """Say what the head row is after an append."""
    return StreamHead(
        stream=append.stream,
        version=append.version,
        digest=append.digest,
        generation=append.generation,
        status=append.status,
        at_ms=append.at_ms,
        activity_seq=0,
    )
