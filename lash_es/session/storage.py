"""What a core's log keeps, over all sessions: what is attached where, and what can go."""

from attrs import frozen

from lash_es.core.ids import AttachmentId, SessionId
from lash_es.log.collecting import Collected, read_references
from lash_es.log.port import Log
from lash_es.log.sweeping import GRACE_MS
from lash_es.runtime.collecting import collect_garbage


@frozen
class CoreStorage:
    """The log of a core, as whoever keeps house sees it."""

    _log: Log
    _namespace: str

    async def gc_unreachable(self, *, grace_ms: int = GRACE_MS) -> Collected:
        """
        Delete what nothing needs: snapshots that a newer one supersedes, and large contents that
        no fact names, unless they are younger than ``grace_ms``. No fact is touched; a second call
        finds nothing.

        Contents in a folder of blobs stay: other logs may name them.

        Cost: a transaction for each session, a look at every name of a content.
        """
        return await collect_garbage(self._log, self._namespace, grace_ms=grace_ms)

    async def attachment_references(self) -> dict[SessionId, tuple[AttachmentId, ...]]:
        """
        List what sessions hold, intents included.

        Cost: every session's head, and the index rows of attachments.
        """
        namespace = self._namespace
        found = await self._log.read(lambda store: read_references(store, namespace))
        return {stream.session_id: held for stream, held in found.items()}
