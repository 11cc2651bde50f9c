"""
``lash-es demo``: an agent answers three questions, and its process is killed in between.

The parent starts the workers, follows the log from the side, and kills the first worker as soon
as the log shows one tool call of a later turn settled and another one open. The rest is up to the
second worker, which runs the same program on the same log.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

from lash_es.cli.addressing import Log
from lash_es.cli.agent import require_model
from lash_es.cli.demo_report import print_document, print_report
from lash_es.cli.demo_run import Kill, Run, Takeover
from lash_es.cli.demo_story import Teller
from lash_es.cli.demo_watch import Watch
from lash_es.cli.demo_worker import HELD_TURN_MIN, Task, turn_name
from lash_es.cli.demo_workers import Worker, start
from lash_es.cli.directory import Directory
from lash_es.cli.offline import QUESTIONS
from lash_es.cli.places import demo_db
from lash_es.cli.refusing import DemoFailed
from lash_es.codec.streams import StreamId
from lash_es.core.events import LeaseAcquired
from lash_es.core.ids import Position, SessionId
from lash_es.core.state import Open
from lash_es.core.turns import OpenTurn
from lash_es.log.stores.sqlite import SQLiteStore
from lash_es.timetravel.history import History

SESSION: Final = "demo"
NAMESPACE: Final = "default"
SESSIONS_MAX: Final = 10_000
LOOK_EVERY_S: Final = 0.02
SILENCE_S_MAX: Final = 60.0
"""A worker that is alive renews its lease, so this long without a fact means that it is stuck."""
HELD_TURNS: Final = frozenset(turn_name(n) for n in range(HELD_TURN_MIN, len(QUESTIONS) + 1))


def run_demo(directory: Path, model: str, db: Path | None, *, as_json: bool) -> None:
    """
    Run the demo and print what came of it.

    Raises:
        LashError: the directory, the model or the log cannot be used, and nothing was written; or
            the demo could not be brought to its end.
    """
    root = Directory.at(directory).root
    require_model(model)
    path = demo_db(db, root)
    with closing(SQLiteStore.open(path, create=True)) as store:
        log = Log(store=store, namespace=NAMESPACE)
        stream = _unused_session(log)
        history = History(stream=stream)
        run = Run(log=log, directory=root, model=model, stream=stream, history=history)
        teller = Teller(run.log.store, stream, is_silent=as_json)
        teller.opening(root, model, stream.session_id, store.where)
        _Stage(run, teller).play()
        if run.history.version:
            (print_document if as_json else print_report)(run)
    if run.failure:
        raise DemoFailed(reason=run.failure)


def _unused_session(log: Log) -> StreamId:
    for number in range(1, SESSIONS_MAX):
        name = SESSION if number == 1 else f"{SESSION}-{number}"
        stream = StreamId(log.namespace, SessionId(name))
        if not log.holds(stream):
            return stream
    raise DemoFailed(reason=f"{log.store.where} holds {SESSIONS_MAX} demos; choose another --db")


class _Stage:
    """Steers the two workers; everything that it knows of the session it reads from the log."""

    def __init__(self, run: Run, teller: Teller) -> None:
        self._run = run
        self._teller = teller
        self._watch = Watch(run.log.store, run.stream)
        self._heard_at_s = time.monotonic()

    def play(self) -> None:
        """Run the first worker until it is killed, then the second."""
        with ExitStack() as stack:
            first = self._start("worker-A", stack, holds=True)
            self._follow(first, is_to_be_killed=True)
            if self._run.kill is not None:
                second = self._start("worker-B", stack, holds=False)
                self._follow(second, is_to_be_killed=False)
        self._run.history = self._watch.history

    def _start(self, name: str, stack: ExitStack, *, holds: bool) -> Worker:
        run = self._run
        task = Task(
            name=name,
            db=run.log.store.where,
            session=run.stream.session_id,
            directory=str(run.directory),
            model=run.model,
            holds=holds,
        )
        worker = start(task)
        stack.callback(worker.close)
        stack.callback(self._keep_reports, worker)
        self._teller.started(name, worker.pid, is_second=not holds)
        return worker

    def _keep_reports(self, worker: Worker) -> None:
        for report in worker.reports():
            if "tool" in report:
                said = (worker.name, str(report["tool"]), str(report["did"]))
                self._run.reports.append(said)

    def _follow(self, worker: Worker, *, is_to_be_killed: bool) -> None:
        """Tell the log's news until the worker has ended, or was killed."""
        self._heard_at_s = time.monotonic()
        while True:
            # Asked first: what a worker recorded before it ended is among the news after it.
            status = worker.status
            self._tell_news(worker)
            if status is not None:
                break
            if is_to_be_killed and self._is_between_calls():
                self._kill(worker)
                return
            if time.monotonic() - self._heard_at_s > SILENCE_S_MAX:
                raise DemoFailed(reason=f"{worker.name} recorded nothing for {SILENCE_S_MAX} s")
            time.sleep(LOOK_EVERY_S)
        if status != 0:
            self._run.failure = worker.reason()

    def _tell_news(self, worker: Worker) -> None:
        for fact in self._watch.news():
            self._heard_at_s = time.monotonic()
            event = fact.event
            if self._run.kill and isinstance(event, LeaseAcquired) and not self._run.takeover:
                self._run.takeover = Takeover(
                    worker=event.owner.owner_id,
                    pid=worker.pid,
                    position=fact.position,
                    generation=event.generation,
                    after_ms=event.at_ms - self._run.kill.at_ms,
                )
                self._teller.taken_over(self._run.takeover.after_ms, fact)
            self._teller.tell(fact)

    def _is_between_calls(self) -> bool:
        state = self._watch.state
        return (
            isinstance(state, Open)
            and isinstance(state.turn, OpenTurn)
            and state.turn.turn_id in HELD_TURNS
            and bool(self._watch.settled_calls)
            and bool(self._watch.open_calls)
        )

    def _kill(self, worker: Worker) -> None:
        worker.kill()
        at_ms = time.time_ns() // 1_000_000
        self._tell_news(worker)
        self._run.kill = Kill(
            worker=worker.name,
            pid=worker.pid,
            position=Position(self._watch.history.version - 1),
            at_ms=at_ms,
            settled=tuple(self._settled_words()),
            in_flight=tuple(map(self._teller.effect_words, self._watch.open_calls)),
        )
        kill = self._run.kill
        self._teller.killed(kill.worker, kill.pid, kill.position, kill.settled, kill.in_flight)

    def _settled_words(self) -> Iterator[str]:
        return (
            f"{self._teller.told(fact)} (position {fact.position})"
            for fact in self._watch.settled_calls
        )
