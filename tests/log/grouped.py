"""A store that keeps what it was asked in groups, and stands still or fails where a test says."""

import threading
from collections.abc import Sequence

from lash_es.log.appends import AppendResult, StreamAppend
from lash_es.log.errors import StoreBusy
from lash_es.log.placing import WaitsFor
from lash_es.log.stores.memory import MemoryStore


class Grouped(MemoryStore):
    """Memory that pretends to wait for something, and says on which threads it was used."""

    def __init__(self, waits_for: WaitsFor = WaitsFor.NOTHING) -> None:
        super().__init__()
        self._pretended = waits_for
        self.groups: list[int] = []
        self.threads: list[str] = []
        self.fails: BaseException | None = None
        self.bad: str | None = None
        self.is_locked = False
        self.began = threading.Semaphore(0)
        self.gate = threading.Event()
        self.gate.set()

    @property
    def waits_for(self) -> WaitsFor:
        return self._pretended

    def append_each(
        self, batches: Sequence[Sequence[StreamAppend]], *, may_wait: bool = True
    ) -> tuple[AppendResult, ...]:
        if self.is_locked and not may_wait:
            raise StoreBusy(where=self.where, waited_ms=0)
        self.groups.append(len(batches))
        self.threads.append(threading.current_thread().name)
        self.began.release()
        self.gate.wait(10)
        written = [batch for batch in batches if self.bad in {a.stream.session_id for a in batch}]
        if self.fails is not None and (self.bad is None or written):
            raise self.fails
        return super().append_each(batches, may_wait=may_wait)
