"""What the tests of retention share: sessions to trim, minted values that repeat, archives."""

from collections.abc import Iterator
from itertools import count

from attrs import Factory, define, field

from lash_es.codec.records import Record
from lash_es.codec.streams import StreamId
from lash_es.core.commands import CancelTurnInput, Command, DeleteSession, ParkSession
from lash_es.log.appends import StoredBody
from lash_es.log.port import Store
from lash_es.log.removing import Archive, Going, NoArchive
from lash_es.log.trimming import Minted, Trimming
from tests.log.tapes import I3, STREAM, Player, commands

TRIM_MS = 3_000


def minted() -> Minted:
    """Mint times, ids and salts that are the same on every run."""
    tokens = count()
    salts = count(1)
    return Minted(
        now_ms=lambda: TRIM_MS,
        token=lambda: f"trim-{next(tokens)}",
        salt=lambda: next(salts).to_bytes(16, "big"),
    )


def trimming(
    store: Store, archive: Archive | None = None, page_bytes_max: int = 10_000
) -> Trimming:
    """Trim sessions of a store, by default without an archive."""
    return Trimming(
        store=store,
        archive=NoArchive() if archive is None else archive,
        minted=minted(),
        page_bytes_max=page_bytes_max,
    )


@define
class Archived(Archive):
    """An archive in memory; ``fails`` makes it fail after it has read everything."""

    facts: list[Record] = Factory(list[Record])
    bodies: list[StoredBody] = Factory(list[StoredBody])
    calls: int = 0
    fails: bool = field(default=False)

    def keep(self, going: Going) -> None:
        """Read everything."""
        self.calls += 1
        for record, bodies in going.parts():
            if record is not None:
                self.facts.append(record)
            self.bodies.extend(bodies)
        if self.fails:
            raise OSError("no room for the archive")


def living(stream: StreamId = STREAM) -> Iterator[Command]:
    """The tape without its end: a session that could be opened again."""
    return (each for each in commands(stream.session_id) if not isinstance(each, DeleteSession))


def lived(store: Store, stream: StreamId = STREAM) -> Player:
    """Play the tape up to where the session is parked."""
    player = Player(store, stream)
    *before, last = living(stream)
    assert isinstance(last, ParkSession)
    for command in (*before, last):
        player.send(command)
    return player


def over(store: Store, stream: StreamId = STREAM) -> Player:
    """Play the tape, and withdraw the input that still waits: nothing is open."""
    player = lived(store, stream)
    player.send(CancelTurnInput(now_ms=2_900, input_id=I3))
    return player
