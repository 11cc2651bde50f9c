"""What came of a demo: where it was killed, who went on, and all that is needed to tell it."""

from pathlib import Path

from attrs import define, field, frozen

from lash_es.cli.addressing import Log
from lash_es.codec.streams import StreamId
from lash_es.core.ids import Generation, Position
from lash_es.timetravel.history import History


@frozen(kw_only=True)
class Kill:
    """Where the first worker was killed: ``position`` is the last fact that it recorded."""

    worker: str
    pid: int
    position: Position
    at_ms: int
    settled: tuple[str, ...]
    in_flight: tuple[str, ...]


@frozen(kw_only=True)
class Takeover:
    """Who went on: its first fact, and how long after the kill."""

    worker: str
    pid: int
    position: Position
    generation: Generation
    after_ms: int


@define(kw_only=True)
class Run:
    """What came of a demo, as far as it went."""

    log: Log
    directory: Path
    model: str
    stream: StreamId
    history: History
    kill: Kill | None = None
    takeover: Takeover | None = None
    reports: list[tuple[str, str, str]] = field(factory=list[tuple[str, str, str]])
    """Each report of a tool's run: worker, tool, ``began`` or ``returned``."""
    failure: str | None = None
