"""
Who asks things of one simulated session from outside, without a lease: sends, queues, withdraws,
hides, forgets. What is asked twice, since nobody knows whether it was heard, has the same key.
"""

from typing import Final

from lash_es.core.batches import (
    NEVER_MERGE,
    DeliveryPolicy,
    MergeGroup,
    MergeKey,
    PayloadDefault,
    SlotPolicy,
    WorkKind,
)
from lash_es.core.commands import CancelTurnInput, EnqueueTurnInput
from lash_es.core.events import Event, TurnInputCancelled, TurnInputEnqueued, TurnStarted
from lash_es.core.graph_commands import MaintainSession, TombstoneNodes
from lash_es.core.graph_events import NodesTombstoned
from lash_es.core.ids import BatchId, InputId, NodeId
from lash_es.core.ingress import ActiveTurn, Boundary, NextTurn, TurnInputIngress
from lash_es.core.known import names
from lash_es.core.receipts import TurnInputReceipt, enqueued
from lash_es.core.state import Open, State
from lash_es.core.turns import OpenTurn
from lash_es.core.work_commands import CancelWork, EnqueueWork
from lash_es.core.work_events import WorkCancelled
from lash_es.core.work_receipts import BatchReceipt, work_enqueued
from lash_es.log.port import Store
from lash_es.verify.desks import Desk, Sketch, facts_of
from lash_es.verify.evidence import Surroundings, Wish
from lash_es.verify.workloads import Disturbance, Verb

LATER_MS: Final = 20_000
HIDING_AMONG: Final = 4
"""So few messages that one is hidden again."""
_MERGES: Final = (PayloadDefault(), MergeGroup("g"), NEVER_MERGE)
_COMMANDS: Final = (WorkKind.REFRESH_TOOL_CATALOG, WorkKind.RESET_SESSION)
_BOUNDARIES: Final = (Boundary.AFTER_WORK, Boundary.BEFORE_COMPLETION)


class SimulatedHost:
    """The host of one session."""

    def __init__(self, session: int, desk: Desk, store: Store, around: Surroundings) -> None:
        self._session = session
        self._store = store
        self._around = around
        self._promises = around.promises
        self.desk = desk

    def catch_up(self) -> State:
        """Fold what others have appended."""
        return self.desk.catch_up()

    def ask(self, what: Disturbance) -> bool:  # noqa: C901 - a table
        """Ask for what a disturbance is; false if it is nothing that a host asks for."""
        key = f"s{self._session}-{what.verb.value}-{what.at_ms}-{what.number}"
        match what.verb:
            case Verb.ENQUEUE:
                self._send(key, NextTurn())
            case Verb.INTO_TURN:
                self._send(key, self._into_turn(what.number))
            case Verb.RESEND | Verb.CANCEL:
                self._input_again(what)
            case Verb.DIRECT:
                texts = self._around.direct.setdefault(self._session, [])
                texts.append(f"s{self._session} direct {what.number}")
            case Verb.WAKE | Verb.COMMAND:
                self._queue(key, what)
            case Verb.WAKE_AGAIN | Verb.CANCEL_WORK:
                self._work_again(what)
            case Verb.FRAME | Verb.APPEND:
                wishes = self._around.wishes.setdefault(self._session, [])
                wishes.append(Wish(name=key, is_frame=what.verb is Verb.FRAME))
            case Verb.HIDE:
                self._hide(what)
            case Verb.MAINTAIN:
                maintain = MaintainSession(now_ms=self._now_ms)
                self.desk.record(lambda sketch: sketch.do(maintain))
            case _:
                return False
        return True

    @property
    def _now_ms(self) -> int:
        return self._around.clock.now_ms

    def _facts(self) -> list[Event]:
        return list(facts_of(self._store, self.desk.stream))

    # Inputs

    def _into_turn(self, number: int) -> TurnInputIngress:
        """Name the turn that is open; or, sometimes, the last one, which is over."""
        state = self.catch_up()
        boundary = _BOUNDARIES[number % 2]
        if isinstance(state, Open) and isinstance(state.turn, OpenTurn):
            return ActiveTurn(state.turn.turn_id, boundary)
        begun = [each.turn_id for each in self._facts() if isinstance(each, TurnStarted)]
        return ActiveTurn(begun[-1], boundary) if begun and number % 3 else NextTurn()

    def _send(self, key: str, ingress: TurnInputIngress) -> None:
        """Send an input until it is acknowledged: the key makes it the same every time."""
        command = EnqueueTurnInput(
            now_ms=self._now_ms,
            input_id=InputId(self._around.ledgers.mint("input")),
            source_key=key,
            ingress=ingress,
            body=self._around.ledgers.body(f"s{self._session} wants {key}"),
        )

        def step(sketch: Sketch) -> TurnInputReceipt:
            sketch.do(command)
            return enqueued(sketch.session, command, sketch.known)

        receipt = self.desk.record(step, *names(command))
        self._promises.inputs[self._session, receipt.input_id] = key

    def _input_again(self, what: Disturbance) -> None:
        """Send again, or withdraw, something that was acknowledged."""
        mine = [each for session, each in self._promises.inputs if session == self._session]
        if not mine:
            return
        input_id = mine[what.number % len(mine)]
        if what.verb is Verb.CANCEL:
            self.cancel(input_id)
            return
        for event in self._facts():
            if isinstance(event, TurnInputEnqueued) and event.input_id == input_id:
                self._send(self._promises.inputs[self._session, input_id], event.ingress)
                return

    def cancel(self, input_id: InputId) -> None:
        """Withdraw an input."""
        command = CancelTurnInput(now_ms=self._now_ms, input_id=input_id)
        events = self.desk.record(lambda sketch: sketch.do(command), *names(command))
        if any(isinstance(event, TurnInputCancelled) for event in events):
            self._promises.cancelled.add((self._session, input_id))

    # Queued work

    def _queue(self, key: str, what: Disturbance) -> None:
        number = what.number
        if what.verb is Verb.COMMAND:
            self._enqueue(
                key,
                kinds=(_COMMANDS[number % 2],),
                delivery=DeliveryPolicy.AFTER_CURRENT_TURN_COMMIT,
            )
            return
        # Two at a time, sometimes: they may share a claim.
        for each in (key, f"{key}-too")[: 1 + number % 2]:
            self._enqueue(
                each,
                kinds=(WorkKind.PROCESS_WAKE,) * (1 + number // 2 % 2),
                delivery=tuple(DeliveryPolicy)[number % 3 == 0],
                slot=tuple(SlotPolicy)[number % 5 == 0],
                merge_key=_MERGES[number // 4 % len(_MERGES)],
                available_at_ms=self._now_ms + LATER_MS if number % 7 == 0 else 0,
            )

    def _enqueue(
        self,
        key: str,
        *,
        kinds: tuple[WorkKind, ...],
        delivery: DeliveryPolicy,
        slot: SlotPolicy = SlotPolicy.EXCLUSIVE,
        merge_key: MergeKey = NEVER_MERGE,
        available_at_ms: int = 0,
    ) -> None:
        ledgers = self._around.ledgers
        command = EnqueueWork(
            now_ms=self._now_ms,
            batch_id=BatchId(ledgers.mint("batch")),
            source_key=key,
            delivery=delivery,
            slot=slot,
            merge_key=merge_key,
            available_at_ms=available_at_ms,
            kinds=kinds,
            bodies=tuple(ledgers.body(f"s{self._session} wakes {key}") for _ in kinds),
        )

        def step(sketch: Sketch) -> BatchReceipt:
            sketch.do(command)
            return work_enqueued(sketch.session, command, sketch.known)

        receipt = self.desk.record(step, *names(command))
        self._promises.batches[self._session, receipt.batch_id] = key

    def _work_again(self, what: Disturbance) -> None:
        """Wake again under a key that was used, or withdraw a batch."""
        mine = [each for session, each in self._promises.batches if session == self._session]
        if not mine:
            return
        batch_id = mine[what.number % len(mine)]
        if what.verb is Verb.WAKE_AGAIN:
            # Other content under the key is the first batch all the same.
            self._enqueue(
                self._promises.batches[self._session, batch_id],
                kinds=(WorkKind.PROCESS_WAKE,) * 3,
                delivery=DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
            )
            return
        command = CancelWork(now_ms=self._now_ms, batch_id=batch_id)
        events = self.desk.record(lambda sketch: sketch.do(command), *names(command))
        if any(isinstance(event, WorkCancelled) for event in events):
            self._promises.withdrawn.add((self._session, batch_id))

    # The graph

    def _hide(self, what: Disturbance) -> None:
        """Hide a message that somebody may have hidden before, and one that there never was."""
        made = [node.node_id for event in self._facts() for node in getattr(event, "nodes", ())]
        if not made:
            return
        wanted = (made[what.number % min(len(made), HIDING_AMONG)], NodeId("nobody:m1"))
        command = TombstoneNodes(now_ms=self._now_ms, node_ids=wanted)
        for event in self.desk.record(lambda sketch: sketch.do(command), *names(command)):
            if isinstance(event, NodesTombstoned):
                self._promises.hidden.update((self._session, each) for each in event.node_ids)
