"""
A simulated run: processes that drive sessions in a virtual time, and a seed that disturbs them.

The store is a real one, and so are all rules; processes, clock, network and models are not. A run
is a function of its seed: the same seed makes the same bytes, on every store.

What it is not: threads and event loops are not simulated, each process does one thing at a time.
"""

from collections import deque
from functools import partial
from random import Random
from typing import Final

from lash_es.codec.streams import StreamId
from lash_es.core.commands import Command, OpenSession
from lash_es.core.decide import decide
from lash_es.core.events import Event
from lash_es.core.ids import NodeId, SessionId
from lash_es.core.ingress import ActiveTurn
from lash_es.core.policy import ModelSpec, SessionPolicy
from lash_es.core.state import Open, State
from lash_es.core.turns import OpenTurn
from lash_es.log.port import Store
from lash_es.log.shown import read_shown_nodes
from lash_es.verify.desks import Desk, Ledgers, Sketch, facts_of, texts_of
from lash_es.verify.evidence import Evidence, Surroundings
from lash_es.verify.simulated_hosts import SimulatedHost
from lash_es.verify.simulated_workers import TTL_MS, SimulatedWorker
from lash_es.verify.virtual_clocks import Crashed, Process, VirtualClock
from lash_es.verify.workloads import JUMPS_MS, Disturbance, Verb, Workload
from lash_es.verify.worlds import Decide

QUIET_ROUNDS_MAX: Final = 40
HOST: Final = "host"
MODEL_CALLS_MAX: Final = 2
"""So few that news comes, sometimes, when no more call may be made."""
HOST_TRIES_MAX: Final = 3
_AT_A_WRITE: Final = (
    Verb.CRASH_BEFORE_WRITE,
    Verb.CRASH_AFTER_WRITE,
    Verb.LOSE_ANSWER,
    Verb.LOSE_APPEND,
)


def simulate(workload: Workload, store: Store, decide: Decide = decide) -> Evidence:
    """Run a workload on an empty store, and then on in peace until nothing is left to do."""
    return _Run(workload, store, decide).run()


class _Run:
    def __init__(self, workload: Workload, store: Store, decide: Decide) -> None:
        self._workload = workload
        self._store = store
        self._draw = Random(f"schedule:{workload.seed}")  # noqa: S311 - it is to come again
        self._clock = VirtualClock(self._draw)
        self._farthest_ms = self._clock.ahead_ms
        ledgers = Ledgers(decide=decide)
        self._around = Surroundings(seed=workload.seed, clock=self._clock, ledgers=ledgers)
        self._boots: dict[str, int] = {}
        self._streams = [
            StreamId("default", SessionId(f"s{n}")) for n in range(workload.profile.sessions)
        ]
        self._hosts = [
            SimulatedHost(n, self._desk(stream, HOST), store, self._around)
            for n, stream in enumerate(self._streams)
        ]
        self._observed: dict[int, list[int]] = {n: [] for n in range(len(self._streams))}

    def _desk(self, stream: StreamId, who: str) -> Desk:
        return Desk(self._store, stream, who, self._around.ledgers)

    def run(self) -> Evidence:
        for host, stream in zip(self._hosts, self._streams, strict=True):
            policy = SessionPolicy(
                provider_id="offline", model=ModelSpec(model_id="m"), max_turns=MODEL_CALLS_MAX
            )
            opening = OpenSession(
                now_ms=self._clock.now_ms, session_id=SessionId(stream.session_id), policy=policy
            )
            host.desk.record(partial(_done, opening))
        for number in range(self._workload.profile.workers):
            self._boot(f"w{number}")
        for number, disturbance in enumerate(self._workload.disturbances):
            process = self._disturbed(disturbance)
            self._clock.start(f"d{number}", process, disturbance.at_ms)
        self._clock.start("observer", self._observing())
        self._clock.run(self._workload.profile.lasts_ms, self._crashed)
        self._quiet()
        return self._evidence()

    def _boot(self, name: str, in_ms: int = 0) -> None:
        boot = self._boots[name] = self._boots.get(name, 0) + 1
        desks = [self._desk(stream, name) for stream in self._streams]
        worker = SimulatedWorker(name, boot, desks, self._around)
        self._clock.start(name, worker.run(), in_ms)

    def _crashed(self, name: str) -> None:
        self._boot(name, in_ms=1_000)

    def _quiet(self) -> None:
        """Disturb nothing any more, and wait until everything has come to rest."""
        self._around.ledgers.faults.clear()
        # A clock that stays behind keeps what is for later waiting for as long.
        self._clock.ahead_ms = self._farthest_ms
        for _ in range(QUIET_ROUNDS_MAX):
            self._clock.run(self._clock.running_ms + 2 * TTL_MS, self._crashed)
            sessions = [host.catch_up() for host in self._hosts]
            self._withdraw_strays(sessions)
            if not self._around.asked_count() and all(map(_is_at_rest, sessions)):
                break
        self._clock.run(self._clock.running_ms + 2 * TTL_MS, self._crashed)

    def _withdraw_strays(self, sessions: list[State]) -> None:
        """An input for a turn that is over waits until somebody cancels it."""
        for session, state in enumerate(sessions):
            if isinstance(state, Open) and not isinstance(state.turn, OpenTurn):
                for entry in state.inputs.pending.values():
                    if isinstance(entry.ingress, ActiveTurn):
                        self._hosts[session].cancel(entry.input_id)

    def _observing(self) -> Process:
        """Somebody follows every session, from its own desk."""
        desks = [self._desk(stream, "observer") for stream in self._streams]
        while True:
            for session, desk in enumerate(desks):
                desk.catch_up()
                self._observed[session].append(desk.folded.version)
            yield 5_000

    # Disturbances

    def _disturbed(self, what: Disturbance) -> Process:
        for _ in range(HOST_TRIES_MAX):
            try:
                self._disturb(what)
            except Crashed:
                # The host died while it wrote; another one sends again what it is not sure of.
                yield 10
            else:
                return

    def _disturb(self, what: Disturbance) -> None:
        worker = f"w{what.worker}"
        if self._hosts[what.session].ask(what):
            return
        match what.verb:
            case Verb.CRASH:
                self._clock.stop(worker)
                self._boot(worker, in_ms=what.number * 50)
            case Verb.FREEZE:
                self._clock.delay(worker, what.number * 100)
            case Verb.JUMP:
                self._clock.ahead_ms += JUMPS_MS[what.number % len(JUMPS_MS)]
                self._farthest_ms = max(self._farthest_ms, self._clock.ahead_ms)
            case _:
                assert what.verb in _AT_A_WRITE
                who = HOST if what.number % 4 == 0 else worker
                self._around.ledgers.faults.setdefault(who, deque()).append(what.verb)

    def _evidence(self) -> Evidence:
        states = {n: host.catch_up() for n, host in enumerate(self._hosts)}
        return Evidence(
            workload=self._workload,
            facts={
                n: tuple(facts_of(self._store, stream)) for n, stream in enumerate(self._streams)
            },
            texts={n: texts_of(self._store, stream) for n, stream in enumerate(self._streams)},
            digests={n: host.desk.folded.digest.hex() for n, host in enumerate(self._hosts)},
            states=states,
            shown={n: shown_in(self._store, s, states[n]) for n, s in enumerate(self._streams)},
            observed={n: tuple(seen) for n, seen in self._observed.items()},
            promises=self._around.promises,
            around=self._around,
        )


def _done(command: Command, sketch: Sketch) -> tuple[Event, ...]:
    return sketch.do(command)


def _is_at_rest(state: State) -> bool:
    if not isinstance(state, Open):
        return True
    is_idle = not isinstance(state.turn, OpenTurn)
    return is_idle and not state.inputs.pending and not state.work.batches


def shown_in(store: Store, stream: StreamId, state: State) -> tuple[NodeId, ...]:
    """Read which messages a session shows."""
    assert isinstance(state, Open)
    nodes = read_shown_nodes(store, stream, state.head.leaf, state.graph)
    return tuple(node.node_id for node in nodes)
