"""
``LashCore``: what a process opens sessions with. Everything that is not named has an embedded
default.

Without a store the log is kept in memory and ends with the core; with a path it is a SQLite file,
with a URL a schema of a PostgreSQL server.
"""

from collections.abc import Callable, Iterable
from os import PathLike
from types import TracebackType
from typing import Any, Final, Self

from attrs import evolve as with_changes

from lash_es.codec.streams import StreamId
from lash_es.core.commands import DeleteSession
from lash_es.core.ids import SessionId, Version
from lash_es.core.limits import DEFAULT_LIMITS, Limits
from lash_es.core.owners import LeaseOwner
from lash_es.core.policy import ModelSpec, SessionPolicy
from lash_es.core.state import Deleted
from lash_es.log.activities import DEFAULT_WINDOW, ActivityWindow
from lash_es.log.errors import StoreUnavailable
from lash_es.log.log import StoreLog
from lash_es.log.placing import DurabilityTier, tier_of
from lash_es.log.port import Store
from lash_es.log.removing import Archive
from lash_es.log.sealed import SealedStore
from lash_es.log.sealing import AtRest
from lash_es.log.statistics import LogStatistics
from lash_es.log.stores.folders import blob_folder
from lash_es.log.stores.memory import MemoryStore
from lash_es.log.stores.sqlite import SQLiteStore
from lash_es.log.trimming import Trimmed
from lash_es.runtime.committing import Lane
from lash_es.runtime.faults import MissingModelSpec
from lash_es.runtime.leasing import LeaseTimings
from lash_es.runtime.opening import begin_anew, open_session, require_open
from lash_es.runtime.performing import UNCERTAIN_TOOL_WAIT_MS_MAX, UncertainToolHandler
from lash_es.runtime.providers import Provider
from lash_es.runtime.running import Equipment, TurnRunner
from lash_es.runtime.tools import Tool, ToolSet
from lash_es.runtime.transcripts import TRANSCRIPTS_BYTES_MAX, Transcripts
from lash_es.runtime.trimming import trim_history
from lash_es.runtime.world import World, system_now_ms
from lash_es.session.arguments import (
    as_archive,
    as_max_turns,
    as_model_spec,
    as_provider,
    as_session_id,
)
from lash_es.session.builder import Opening, SessionBuilder, SessionDescription, SessionSpec
from lash_es.session.exporting import require_same_session
from lash_es.session.factories import SessionFactory
from lash_es.session.holders import SharedSession
from lash_es.session.inheriting import INHERIT, Inherit
from lash_es.session.residency import Residency
from lash_es.session.session import LashSession, ParkedSession
from lash_es.session.session_stores import SessionStore

_POSTGRES_SCHEMES: Final = ("postgresql://", "postgres://")


class LashCore:
    """
    Opens sessions. ``async with`` closes it and its log at the end.

    Args:
        model: which model turns ask, by name or with settings.
        provider: who serves it; without one, sessions can be opened and no turn can be run.
        store: a path (a SQLite file, made if it does not exist), a URL (``postgresql://...``,
            whose tables are made if they do not exist, and which is never repeated in a message),
            a store, or none (memory).
        at_rest: how contents lie in the store: keys to encrypt with, compression, what is large.
        blobs: a folder for large contents, made if it does not exist; else they are in the store.
        tools: plain typed functions, or ``Tool``s.
        instructions: the system prompt.
        max_turns: how many model calls one turn may make.
        namespace: which sessions of the store are meant: ids are unique within it.
        residency: which messages the graph of a view holds; all of them can be read in any case.
        lease_timings: how long an owner's silence is believed.
        limits: the named bounds.
        on_uncertain_tool: asked about a call that was in flight when its owner died, unless its
            tool says
            that it may run again; without an answer the call fails as ``interrupted``.
        uncertain_tool_wait_ms_max: how long to wait for that answer.
        transcripts_bytes_max: how much memory the messages that later prompts repeat may take, of
            all sessions together; what does not fit is read again.
        activity_window: how much streamed text the log keeps for those who come back to it.
        world: ids, salts, sleep and the monotonic clock; for tests.
        clock_ms: the time of commands, in epoch milliseconds, where the store has no time of its
            own.

    Raises:
        MissingModelSpec: no model was named.
        InvalidArgument: something is not what it stands for.
        StorageError: the store cannot be opened.
        DuplicateTool, ToolUnusable: the tools cannot be offered to a model.
    """

    def __init__(
        self,
        *,
        model: ModelSpec | str | None = None,
        provider: Provider | None = None,
        store: str | PathLike[str] | Store | None = None,
        at_rest: AtRest | None = None,
        blobs: str | PathLike[str] | None = None,
        tools: Iterable[Tool | Callable[..., Any]] = (),
        instructions: str = "",
        max_turns: int | None = None,
        namespace: str = "default",
        residency: Residency = Residency.KEEP_ALL,
        lease_timings: LeaseTimings | None = None,
        limits: Limits = DEFAULT_LIMITS,
        on_uncertain_tool: UncertainToolHandler | None = None,
        uncertain_tool_wait_ms_max: int = UNCERTAIN_TOOL_WAIT_MS_MAX,
        transcripts_bytes_max: int = TRANSCRIPTS_BYTES_MAX,
        activity_window: ActivityWindow = DEFAULT_WINDOW,
        world: World | None = None,
        clock_ms: Callable[[], int] = system_now_ms,
    ) -> None:
        if model is None:
            raise MissingModelSpec
        live = as_provider(provider)
        self._policy = SessionPolicy(
            provider_id="" if live is None else live.kind,
            model=as_model_spec(model),
            max_turns=as_max_turns(max_turns),
            instructions=instructions,
        )
        self._equipment = Equipment(
            provider=live,
            tools=ToolSet(tools),
            timings=lease_timings or LeaseTimings(),
            on_uncertain_tool=on_uncertain_tool,
            uncertain_tool_wait_ms_max=uncertain_tool_wait_ms_max,
            transcripts=Transcripts(transcripts_bytes_max),
        )
        self._namespace = namespace
        self._limits = limits
        self._residency = residency
        self._world = world or World()
        self._clock_ms = clock_ms
        self._own_logs: dict[SessionStore, StoreLog] = {}
        self._activity_window = activity_window
        self._log = self._log_on(_sealed(_opened(store), at_rest, blobs))

    def session(
        self,
        session_id: str,
        *,
        session_spec: SessionSpec | None = None,
        provider: Provider | None = None,
        model: ModelSpec | str | None = None,
        max_turns: int | Inherit | None = INHERIT,
        instructions: str | None = None,
        store: SessionStore | None = None,
        session_execution_owner: LeaseOwner | None = None,
        parent: str | None = None,
    ) -> SessionBuilder:
        """
        Describe a session to be opened.

        Keywords are the builder's setters, applied in this order.
        """
        builder = SessionBuilder(
            opener=self._described, session_id=SessionId(as_session_id(session_id))
        )
        if session_spec is not None:
            builder = builder.session_spec(session_spec)
        if provider is not None:
            builder = builder.provider(provider)
        if model is not None:
            builder = builder.model(model)
        if not isinstance(max_turns, Inherit):
            builder = builder.max_turns(max_turns)
        if instructions is not None:
            builder = builder.instructions(instructions)
        if store is not None:
            builder = builder.store(store)
        if session_execution_owner is not None:
            builder = builder.session_execution_owner(session_execution_owner)
        return builder if parent is None else builder.parent(parent)

    @property
    def durability_tier(self) -> DurabilityTier:
        """What its log keeps when the process ends."""
        return tier_of(self._log.store.waits_for)

    def session_factory(self) -> SessionFactory:
        """Return what creates and finds sessions of this log without opening a handle on them."""
        return SessionFactory(self._lane, self._policy, self.delete_session, self.durability_tier)

    def resume(self, parked: ParkedSession) -> Opening:
        """
        Open a parked session as it was parked: its own policy, this core's tools.

        Raises (when awaited):
            SessionNotOpen: this log knows no such session.
        """
        return Opening(lambda: self._resumed(parked))

    async def delete_session(self, session_id: str) -> bool:
        """
        End a session for ever; its id is never used again, and its closed log stays readable as
        history.

        Returns:
            False if it was deleted before.

        Raises:
            SessionNotOpen: there is no such session.
        """
        lane = self._lane(SessionId(session_id))
        if isinstance(await lane.catch_up(), Deleted):
            return False
        await lane.execute(DeleteSession(now_ms=self._log.now_ms()))
        return True

    async def trim_history(
        self,
        session_id: str,
        *,
        archive: Archive | str | PathLike[str],
        below: int | None = None,
    ) -> Trimmed:
        """
        Let go of a session's old facts, while it and others are in use; or go on with a call that
        was cut off. What the active path shows stays, and so does what is open.

        Args:
            session_id: open, or deleted.
            archive: what has safe what goes, before it goes: a folder, made if it does not exist,
                an ``Archive``, or ``NoArchive()`` for what nobody needs.
            below: the version in front of which facts go; none for the newest that open work and
                pins allow.

        Returns:
            What went; without ``is_new`` the trim was recorded before, or there is nothing to let
            go of.

        Raises:
            TrimHeldBack, TrimOutOfRange, SessionNotOpen, FormatTooOld: nothing was written.
            CorruptHistory, CorruptBody: what is there cannot be trusted; nothing was written.
            StorageError, or what the archive raises: the same call goes on.

        Cost: reads what goes three times, on a thread; others wait for a piece of it at most.
        """
        return await trim_history(
            self._log,
            self._stream(session_id),
            as_archive(archive),
            below=None if below is None else Version(below),
            world=self._world,
            limits=self._limits,
        )

    def statistics(self) -> LogStatistics:
        """Say how the log serves this core: latencies, batches, conflicts, losses, the store."""
        return self._log.statistics()

    async def aclose(self) -> None:
        """
        Close the log, once it has committed what was appended before; sessions that are still open
        cannot write any more (``StoreClosed``).
        """
        provider = self._equipment.provider
        try:
            if provider is not None:
                await provider.aclose()
        finally:
            for log in (*self._own_logs.values(), self._log):
                await log.aclose()

    async def _described(self, described: SessionDescription) -> LashSession:
        """Open what a ``SessionBuilder`` describes."""
        lane = self._lane(described.session_id, described.store)
        policy, state = described.spec.resolved(self._policy), described.state
        if state is not None:
            require_same_session(state, described.session_id)
            policy = with_changes(policy, provider_id=state.policy.provider_id)
        if described.is_fresh:
            await begin_anew(lane, policy)
        else:
            await open_session(lane, policy, described.description)
        session = self._handle(lane, described.provider, described.owner, described.store)
        if state is not None and session.export().leaf_node_id != state.leaf_node_id:
            await session.branch_to_node(state.leaf_node_id)
        return session

    async def _resumed(self, parked: ParkedSession) -> LashSession:
        lane = self._lane(parked.session_id, parked.store)
        require_open(await lane.catch_up(), parked.session_id)
        return self._handle(lane, None, None, parked.store)

    def _stream(self, session_id: str) -> StreamId:
        return StreamId(self._namespace, SessionId(session_id))

    def _lane(self, session_id: SessionId, store: SessionStore | None = None) -> Lane:
        stream = self._stream(session_id)
        log = self._log if store is None else self._own_log(store, session_id)
        lane = Lane(log, stream, self._world, self._limits)
        if store is not None:
            store.attach(lane)
        return lane

    def _own_log(self, store: SessionStore, session_id: SessionId) -> StoreLog:
        """Return the log on a session's own store, made when it is first used."""
        store.bind(session_id)
        if store not in self._own_logs:
            self._own_logs[store] = self._log_on(_sealed(store.store, None, None))
        return self._own_logs[store]

    def _log_on(self, store: Store) -> StoreLog:
        """Make the log; if its store's time cannot be asked, the store is let go."""
        world = self._world
        try:
            return StoreLog(
                store,
                self._clock_ms,
                monotonic_ns=world.monotonic_ns,
                running_ms=world.monotonic_ms,
                boot_id=world.boot_id(),
                activity_window=self._activity_window,
            )
        except BaseException:
            store.close()
            raise

    def _handle(
        self,
        lane: Lane,
        provider: Provider | None,
        owner: LeaseOwner | None,
        store: SessionStore | None,
    ) -> LashSession:
        mine = owner or LeaseOwner(
            owner_id=self._world.token(), incarnation_id=self._world.token()
        )
        equipment = self._equipment
        if provider is not None:
            equipment = with_changes(equipment, provider=provider)
        runner = TurnRunner(lane, mine, equipment)
        return LashSession(SharedSession(lane, runner, store, self._residency))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()


def _opened(store: str | PathLike[str] | Store | None) -> Store:
    if store is None:
        return MemoryStore()
    if isinstance(store, str) and store.startswith(_POSTGRES_SCHEMES):
        return _postgres_store(store)
    if isinstance(store, str | PathLike):
        return SQLiteStore.open(store, create=True)
    return store


def _sealed(
    store: Store, at_rest: AtRest | None, blobs: str | PathLike[str] | None
) -> SealedStore:
    """Put the layer that seals in front: unasked it only sets aside what is large."""
    folder = None if blobs is None else blob_folder(blobs, create=True)
    return SealedStore(store, at_rest or AtRest(compressor=None), folder)


def _postgres_store(url: str) -> Store:
    try:
        # Its driver is an extra: who needs none imports none.
        from lash_es.log.stores.postgres import PostgresStore  # noqa: PLC0415
    except ModuleNotFoundError as cause:
        reason = f"{cause.name} is missing: install lash_es[postgres]"
        raise StoreUnavailable(where="PostgreSQL", reason=reason) from cause
    return PostgresStore.open(url, create=True)
