"""
Whether another owner's lease may be taken: its time must have run out, beyond doubt about clocks.

1. A lease that was released, or is our own, may be asked for at once; so may one whose holder is a
   process of this boot of this machine that has ended.
2. One that ran out by the log's time is over if nobody can have set a clock since it was extended.
3. Otherwise it is watched: it is over when its owner was silent for its ttl, on our own monotonic
   clock. So is one that would end later than any owner can have meant: a clock was set back since.

What was seen is kept for the process, so that a call that comes again does not begin again.
"""

from typing import Final

from attrs import frozen

from lash_es.codec.records import decode_header
from lash_es.codec.streams import StreamId
from lash_es.core.ids import Position, Version
from lash_es.core.leases import Holder, Lease
from lash_es.core.owners import Fence, LeaseOwner, ProcessSight, is_certainly_dead
from lash_es.core.receipts import Busy
from lash_es.core.state import Open
from lash_es.log.steadiness import TOLERANCE_MS
from lash_es.runtime.committing import Lane
from lash_es.runtime.liveness import sight_of
from lash_es.runtime.opening import require_open

SIGHTINGS_MAX: Final = 1_024
"""How many sessions' leases are remembered; the oldest sighting is forgotten."""
LOOKS_PER_TTL: Final = 10
"""How often a lease is looked at while it is watched."""
FACTS_LOOKED_AT_MAX: Final = 256
"""Of more facts than that since the last look, some are taken to be the owner's."""


@frozen(kw_only=True)
class Sighting:
    """A lease as it stood at ``version``: its owner has said nothing since ``since_ms``, ours."""

    lease: Lease
    version: Version
    since_ms: int


class Sightings:
    """What this process last saw of other owners' leases, by stream."""

    def __init__(self) -> None:
        self._seen: dict[StreamId, Sighting] = {}

    def __len__(self) -> int:
        return len(self._seen)

    def of(self, stream: StreamId) -> Sighting | None:
        """Return what was seen."""
        return self._seen.get(stream)

    def note(self, stream: StreamId, sighting: Sighting) -> None:
        """Remember it."""
        self._seen.pop(stream, None)
        self._seen[stream] = sighting
        if len(self._seen) > SIGHTINGS_MAX:
            del self._seen[next(iter(self._seen))]

    def forget(self, stream: StreamId) -> None:
        """Forget it: there is nothing to watch."""
        self._seen.pop(stream, None)


@frozen(kw_only=True)
class FoundDead:
    """The holder as it was observed, and what was found in the place of its process."""

    observed: Fence
    sight: ProcessSight


@frozen(kw_only=True)
class Chance:
    """
    The lease may be asked for at ``now_ms``; another's only while the stream is at ``version``.
    """

    version: Version
    now_ms: int
    found_dead: FoundDead | None = None


class Contest:
    """One owner's view of a session that others may hold."""

    def __init__(self, lane: Lane, owner: LeaseOwner, sightings: Sightings) -> None:
        self._lane = lane
        self._owner = owner
        self._sightings = sightings

    def is_anothers(self, session: Open) -> bool:
        """Tell whether another owner holds, or held, the lease and has not released it."""
        holder = session.lease.holder
        return holder is not None and not holder.owner.is_incarnation_of(self._owner)

    async def standing(self) -> Chance | Busy:
        """
        Say whether to ask for the lease, as the lane has it; waits only if clocks were set.

        Raises:
            SessionNotOpen, SessionDeleted: there is no session.
            StorageError: the log cannot be read.
        """
        session, log = self._session(), self._lane.log
        holder, now_ms = session.lease.holder, log.now_ms()
        if holder is None or not self.is_anothers(session):
            return self._chance(session, now_ms)
        found_dead = find_dead(self._owner, session.lease)
        if found_dead is not None:
            return Chance(version=session.version, now_ms=now_ms, found_dead=found_dead)
        if holder.expires_at_ms <= now_ms:
            if await log.is_steady_for(holder.ttl_ms):
                return self._chance(session, log.now_ms())
        elif holder.expires_at_ms <= now_ms + holder.ttl_ms + TOLERANCE_MS:
            return Busy(holder)
        return await self._watched(holder)

    def _chance(self, session: Open, now_ms: int) -> Chance:
        self._sightings.forget(self._lane.stream)
        return Chance(version=session.version, now_ms=now_ms)

    async def _watched(self, holder: Holder) -> Chance | Busy:
        """Wait until the owner was silent for its ttl, or has spoken."""
        if await self._is_silent(holder.ttl_ms):
            session = self._session()
            return Chance(
                version=session.version,
                now_ms=max(self._lane.log.now_ms(), holder.expires_at_ms),
            )
        session = self._session()
        if session.lease.holder is None:
            return self._chance(session, self._lane.log.now_ms())
        return Busy(session.lease.holder)

    async def _is_silent(self, ttl_ms: int) -> bool:
        world = self._lane.world
        sighting = await self._look()
        while (left_ms := sighting.since_ms + ttl_ms - world.monotonic_ms()) > 0:
            await world.sleep_ms(min(left_ms, max(1, ttl_ms // LOOKS_PER_TTL)))
            await self._lane.catch_up()
            before, sighting = sighting, await self._look()
            if sighting.since_ms != before.since_ms:
                return False
        return True

    async def _look(self) -> Sighting:
        """Look at the lease as the lane has it: at rest since before, or from now on."""
        session, stream = self._session(), self._lane.stream
        seen, since_ms = self._sightings.of(stream), self._lane.world.monotonic_ms()
        if seen is not None and seen.lease == session.lease and not await self._has_spoken(seen):
            since_ms = seen.since_ms
        sighting = Sighting(lease=session.lease, version=session.version, since_ms=since_ms)
        self._sightings.note(stream, sighting)
        return sighting

    async def _has_spoken(self, seen: Sighting) -> bool:
        """Tell whether a fact since then is an owner's: what others enqueue is no sign of life."""
        stream, count = self._lane.stream, self._session().version - seen.version
        if count == 0:
            return False
        first = Position(seen.version)
        records = await self._lane.log.read(
            lambda store: store.read(stream, first, FACTS_LOOKED_AT_MAX)
        )
        if len(records) < count:
            return True
        headers = (decode_header(stream, record) for record in records)
        return any(header.generation is not None for header in headers)

    def _session(self) -> Open:
        return require_open(self._lane.state, self._lane.stream.session_id)


def find_dead(claimant: LeaseOwner, lease: Lease) -> FoundDead | None:
    """Look for the holder's process; say so if it has certainly ended."""
    holder = lease.holder
    if holder is None:
        return None
    sight = sight_of(holder.owner)
    if not is_certainly_dead(claimant.liveness, holder.owner.liveness, sight):
        return None
    observed = Fence(owner=holder.owner, token=holder.token, generation=lease.generation)
    return FoundDead(observed=observed, sight=sight)
