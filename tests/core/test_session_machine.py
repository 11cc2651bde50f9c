"""
Goal: whatever several owners ask of a session, in any order and under clocks that jump both ways,
it does what a naive model does.

Method: Hypothesis asks both the same, command by command, and compares the answer and all that can
be seen. The model (``naive.py``) shares no code with the core. Rare things are counted as they
happen; the test fails if one never did, since a random test that misses what is rare proves
little.
"""

from collections import Counter
from typing import ClassVar, Final

from hypothesis import seed
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from hypothesis.stateful import run_state_machine_as_test as run_machine

from lash_es.core import targets
from lash_es.core.agenda import agenda
from lash_es.core.batches import (
    DeliveryPolicy,
    MergeGroup,
    NeverMerge,
    SlotPolicy,
    WorkBoundary,
    WorkCompletion,
    WorkKind,
)
from lash_es.core.bodies import BodyRef, NewBody
from lash_es.core.commands import (
    AbandonTurnInputClaim,
    AcquireLease,
    BeginAnew,
    BranchToNode,
    CancelTurnInput,
    CancelTurnInputs,
    CancelTurnInputSuffix,
    ClaimActiveTurnInputs,
    ClaimTurnInputs,
    Command,
    CommitTurn,
    ConfigureSession,
    ContinueTurn,
    DeleteSession,
    EndTurn,
    EnqueueTurnInput,
    OpenSession,
    ParkSession,
    ReclaimLease,
    ReleaseLease,
    RenewLease,
    RequestEffect,
    SettleEffect,
    StartTurn,
    TrimHistory,
    WithClaim,
    WithInput,
)
from lash_es.core.descriptions import DescribeSession, Description
from lash_es.core.effects import EffectRequest, ModelCall, ToolCall
from lash_es.core.errors import CommandRejected
from lash_es.core.events import (
    TurnCommitted,
)
from lash_es.core.frames import current_frame_id
from lash_es.core.graph_commands import (
    Ancestor,
    AppendNodes,
    MaintainSession,
    NewNode,
    OpenFrame,
    TombstoneNodes,
)
from lash_es.core.ids import (
    BatchId,
    CallId,
    ClaimId,
    EffectId,
    FrameId,
    Generation,
    InputId,
    NodeId,
    Position,
    SessionId,
    TurnId,
    Version,
)
from lash_es.core.ingress import ActiveTurn, Boundary, NextTurn
from lash_es.core.known import BatchEntry, InputEntry, TurnEntry
from lash_es.core.limits import Limits
from lash_es.core.messages import FinishReason, Role, TokenUsage
from lash_es.core.outcomes import (
    EffectCancelled,
    EffectFailed,
    EffectOutcome,
    Finished,
    FrameSwitched,
    ModelReplied,
    Stopped,
    StopReason,
    ToolCallRef,
    ToolReturned,
    TurnOutcome,
)
from lash_es.core.owners import (
    Fence,
    LeaseOwner,
    LocalProcess,
    ProcessGone,
    ProcessRunning,
    ProcessSight,
    ProcessUnseen,
)
from lash_es.core.policy import ModelSpec, SessionPolicy
from lash_es.core.retention import Pin, oldest
from lash_es.core.state import Deleted, NotOpened, Open
from lash_es.core.transcripts import (
    FromInputs,
    FromReply,
    FromResults,
    FromWork,
    Node,
    TurnLimitNotice,
)
from lash_es.core.turns import (
    BatchDone,
    Begun,
    Interrupted,
    ModelCallFailed,
    OpenTurn,
    Replied,
    Step,
)
from lash_es.core.work_commands import (
    AbandonWorkClaim,
    CancelWork,
    ClaimWork,
    CompleteWork,
    EnqueueWork,
    LeadingCommand,
    LeadingTurnWork,
    TheseBatches,
    WithWork,
)
from lash_es.verify.spec import Decision, given
from tests.core import naive
from tests.core.effort import EXAMPLES, effort
from tests.core.naive import NaiveSession
from tests.core.rare import RARE, Happening, rare_things

BATCHES_MAX: Final = 60
"""Two are run, and more only for as long as something rare has not happened yet."""

LIMITS: Final = Limits(
    inputs_pending_max=4,
    inputs_per_claim_max=3,
    cancel_targets_max=3,
    drain_attempts_max=1,
    model_calls_per_turn_max=9,
    tool_calls_per_reply_max=2,
    batches_open_max=4,
    batches_per_claim_max=2,
)
NAIVE_LIMITS: Final = {
    "waiting": 4,
    "claim": 3,
    "targets": 3,
    "returns": 1,
    "model_calls": 9,
    "calls": 2,
    "batches": 4,
    "work claim": 2,
}

MISFITS: Final = {"model": "returned", "tool": "silent"}
NO_TURN: Final = "no-turn"
OWNERS: Final = ("alice", "bob", "carol")
PROCESSES: Final = {"alice": ("near", 1), "bob": ("near", 2), "carol": ("far", 3)}
"""On which host each owner runs, and since when."""
SIGHTS: Final = ("gone", "another", "alive", "unseen")
MODELS: Final = ("m1", "m2")
FRAMES: Final = ("f1", "f2", "f3", " ", "s1:frame:initial")
TEXTS: Final = ("hello", "goodbye")
OUTCOMES: Final = ("replied", "silent", "returned", "failed", "cancelled")
STEPS: Final[dict[type[Step], str]] = {
    Begun: "begun",
    Replied: "replied",
    ModelCallFailed: "failed",
    BatchDone: "batch done",
    Interrupted: "interrupted",
}

KINDS: Final = {"wake": WorkKind.PROCESS_WAKE, "command": WorkKind.REFRESH_TOOL_CATALOG}
SLOTS: Final = {"join": SlotPolicy.JOIN, "alone": SlotPolicy.EXCLUSIVE}
DELIVERIES: Final = {
    "early": DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
    "late": DeliveryPolicy.AFTER_CURRENT_TURN_COMMIT,
}
IDLE: Final = WorkBoundary.IDLE
BOUNDARIES: Final = {"idle": IDLE, "checkpoint": WorkBoundary.ACTIVE_TURN_CHECKPOINT}

owners = st.sampled_from(OWNERS)
whose = st.sampled_from(["the holder"] * 9 + list(OWNERS))
"""Who acts: mostly the one that holds the lease, since nobody else gets far."""

texts = st.sampled_from(TEXTS)
boundaries = st.sampled_from(["after_work", "before_completion"])
mostly = st.sampled_from([True, True, True, True, False])
"""True, but for one time in five: a wish that makes sense leads further than one that does not."""


class SessionMachine(RuleBasedStateMachine):
    """A session and its naive twin, and what several owners believe of them."""

    happened: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.naive = NaiveSession(NAIVE_LIMITS)
        self.now_ms = 1_000
        self.minted = 0
        self.fences: dict[str, naive.Fence] = {o: (o, "none", 0) for o in OWNERS}
        self.claims: list[tuple[str, str]] = [("tic:0:0", "none")]
        self.work_claims: list[tuple[str, str]] = [("qwc:0:0", "none")]
        self.before = given(limits=LIMITS)

    # How both are asked

    def mint(self, kind: str) -> str:
        self.minted += 1
        return f"{kind}{self.minted}"

    def body(self, text: str) -> NewBody:
        return NewBody(content=text.encode(), salt=self.mint("salt").encode())

    def ask(self, command: Command, expected: str) -> Decision:
        decision = self.before.when(command)
        found = decision.found
        if isinstance(found, CommandRejected):
            answer = f"!{type(found).__name__}"
        else:
            answer = ", ".join(type(event).__name__ for event in found) or naive.NOTHING
        assert answer == expected, f"{command}: core {answer}, naive {expected}"
        self.count(decision, answer)
        self.before = decision.afterwards
        return decision

    def naive_fence(self, owner: str) -> naive.Fence:
        holder = self.naive.holder
        if owner != "the holder":
            return self.fences[owner]
        return self.fences["alice" if holder is None else holder[0]]

    def fence(self, owner: str) -> Fence:
        name, token, generation = self.naive_fence(owner)
        return Fence(owner=owner_of(name), token=token, generation=Generation(generation))

    def open_turn(self) -> str:
        found = self.naive.open_turn()
        return found[0] if found else NO_TURN

    # What may happen: the session

    @initialize()
    def begin(self) -> None:
        self.open("m1", None, really=True)

    @rule(model=st.sampled_from(MODELS), most=st.sampled_from([None, 2]), really=mostly)
    def open(self, model: str, most: int | None, really: bool) -> None:
        name = "s1" if really or self.naive.facts == 0 else "s2"
        command = OpenSession(
            now_ms=self.now_ms, session_id=SessionId(name), policy=policy_of("p1", model, most)
        )
        expected = self.naive.opened(self.now_ms, name, naive_policy("p1", model, most))
        self.ask(command, expected)

    @rule(provider=st.sampled_from(["p1", "p2"]), model=st.sampled_from(MODELS))
    def configure(self, provider: str, model: str) -> None:
        policy = policy_of(provider, model, None)
        expected = self.naive.configured(self.now_ms, naive_policy(provider, model, None))
        self.ask(ConfigureSession(now_ms=self.now_ms, policy=policy), expected)

    @rule(name=st.sampled_from(["a name", None]))
    def describe(self, name: str | None) -> None:
        command = DescribeSession(now_ms=self.now_ms, description=Description(name=name))
        self.ask(command, self.naive.described(self.now_ms, name))

    @invariant()
    def both_remember_the_same_birth(self) -> None:
        state = self.before.state
        if not isinstance(state, Open):
            return
        birth, model = state.birth, state.birth.model or state.policy.model
        found = (birth.description.name, model.model_id)
        assert found == (self.naive.called, self.naive.born_with)

    @rule(provider=st.sampled_from(["p1", "p2"]), really=mostly)
    def begin_anew(self, provider: str, really: bool) -> None:
        name = "s1" if really or self.naive.facts == 0 else "s2"
        policy = policy_of(provider, "m1", None)
        command = BeginAnew(now_ms=self.now_ms, session_id=SessionId(name), policy=policy)
        expected = self.naive.begun_anew(self.now_ms, name, naive_policy(provider, "m1", None))
        self.ask(command, expected)

    @rule(owner=whose, back=st.integers(0, 2), place=st.integers(0, 2))
    def branch(self, owner: str, back: int, place: int) -> None:
        facts = [e for e in self.before.events if isinstance(e, TurnCommitted)]
        fact = facts[-1 - back] if back < len(facts) else None
        # A turn of two messages has no third: then it is its last.
        nodes = () if fact is None else fact.nodes[:place]
        command = BranchToNode(
            now_ms=self.now_ms,
            fence=self.fence(owner),
            parent=None if fact is None else fact.parent,
            nodes=nodes,
        )
        name = "" if fact is None else fact.turn_id
        fence = self.naive_fence(owner)
        self.ask(command, self.naive.branched(self.now_ms, fence, name, len(nodes)))

    @rule(owner=whose, name=st.sampled_from(FRAMES), count=st.integers(0, 2))
    def open_frame(self, owner: str, name: str, count: int) -> None:
        nodes = tuple(self.node("begin") for _ in range(count))
        command = OpenFrame(
            now_ms=self.now_ms,
            fence=self.fence(owner),
            frame_id=FrameId(name),
            reason="compaction",
            nodes=nodes,
        )
        fence = self.naive_fence(owner)
        self.ask(command, self.naive.framed(self.now_ms, fence, name, count))

    @rule(owner=whose, count=st.integers(0, 2), fresh=mostly, required=st.booleans())
    def append(self, owner: str, count: int, fresh: bool, required: bool) -> None:
        name = self.mint("an") if fresh else "an0"
        leaf = self.naive.leaf
        ancestor = Ancestor(
            node_id=NodeId(leaf), path_to=NodeId(leaf) if leaf else None, is_on_path=bool(leaf)
        )
        command = AppendNodes(
            now_ms=self.now_ms,
            fence=self.fence(owner),
            name=name,
            nodes=tuple(self.node("more") for _ in range(count)),
            ancestor=ancestor if required else None,
        )
        fence, is_there = self.naive_fence(owner), bool(leaf) or not required
        self.ask(command, self.naive.appended(self.now_ms, fence, name, count, is_there))

    def node(self, text: str) -> NewNode:
        return NewNode(role=Role.USER, body=self.body(text))

    @rule(data=st.data())
    def hide(self, data: st.DataObject) -> None:
        names = ["nobody", *self.naive.nodes()[-4:], *self.naive.hidden[-2:]]
        chosen = data.draw(st.lists(st.sampled_from(names), max_size=3))
        command = TombstoneNodes(now_ms=self.now_ms, node_ids=tuple(map(NodeId, chosen)))
        self.ask(command, self.naive.tombstoned(self.now_ms, chosen))

    @invariant()
    def both_are_in_the_same_frame(self) -> None:
        state = self.before.state
        if not isinstance(state, Open):
            return
        model = self.naive
        assert current_frame_id(state.graph, state.session_id) == model.frame
        assert state.graph.hidden_count == len(model.hidden)
        assert state.graph.forgotten_count == model.hidden_for_good

    @rule()
    def park(self) -> None:
        self.ask(ParkSession(now_ms=self.now_ms), self.naive.park(self.now_ms))

    @precondition(lambda self: self.naive.facts > 40)
    @rule()
    def delete(self) -> None:
        self.ask(DeleteSession(now_ms=self.now_ms), self.naive.deleted(self.now_ms))

    @rule(back=st.sampled_from([-1, 0, 1, 2, 5, 20]), pinned=st.sampled_from([None, None, 0, 3]))
    def trim(self, back: int, pinned: int | None) -> None:
        below = max(0, self.naive.facts - back)
        pins = () if pinned is None else (Pin(name="pin", version=Version(pinned)),)
        command = TrimHistory(
            now_ms=self.now_ms, below=Version(below), digest="", bodies=(), pins=pins
        )
        self.ask(command, self.naive.trimmed(self.now_ms, below, pinned))

    @invariant()
    def both_may_have_let_go_of_the_same(self) -> None:
        state = self.before.state
        if not isinstance(state, NotOpened):
            assert oldest(state.trim) == self.naive.oldest

    @rule(by_ms=st.sampled_from([-5_000, -1, 1, 500, 999, 1_000, 1_100]))
    def the_clock_jumps(self, by_ms: int) -> None:
        """Jump from the last fact on, or else a clock that fell far behind would stay there."""
        self.now_ms = max(0, self.naive.last_ms + by_ms)

    # What may happen: the lease

    @rule(owner=owners, ttl_ms=st.sampled_from([0, 1_000, 1_000, 5_000]))
    def acquire(self, owner: str, ttl_ms: int) -> None:
        token = self.mint("token")
        command = AcquireLease(
            now_ms=self.now_ms, owner=owner_of(owner), token=token, ttl_ms=ttl_ms
        )
        expected = self.naive.acquired(self.now_ms, owner, token, ttl_ms)
        self.ask(command, expected)
        if expected == "LeaseAcquired":
            self.fences[owner] = (owner, token, self.naive.generation)

    @rule(owner=owners, seen=whose, sight=st.sampled_from(SIGHTS))
    def reclaim(self, owner: str, seen: str, sight: str) -> None:
        token = self.mint("token")
        observed = self.naive_fence(seen)
        command = ReclaimLease(
            now_ms=self.now_ms,
            owner=owner_of(owner),
            token=token,
            ttl_ms=1_000,
            observed=self.fence(seen),
            sight=sight_of(sight, observed[0]),
        )
        is_near = PROCESSES[owner][0] == PROCESSES[observed[0]][0]
        expected = self.naive.reclaimed(
            self.now_ms,
            owner,
            token,
            1_000,
            observed,
            dead=is_near and sight in ("gone", "another"),
        )
        self.ask(command, expected)
        if expected == "LeaseAcquired":
            self.fences[owner] = (owner, token, self.naive.generation)

    @rule(owner=whose)
    def renew(self, owner: str) -> None:
        command = RenewLease(now_ms=self.now_ms, fence=self.fence(owner), ttl_ms=1_000)
        self.ask(command, self.naive.renewed(self.now_ms, self.naive_fence(owner), 1_000))

    @rule(owner=whose)
    def release(self, owner: str) -> None:
        command = ReleaseLease(now_ms=self.now_ms, fence=self.fence(owner))
        self.ask(command, self.naive.released(self.now_ms, self.naive_fence(owner)))

    # What may happen: inputs

    @rule(
        key=st.sampled_from([None, None, "k1", "k2"]),
        text=texts,
        into=st.sampled_from([True, False, False]),
        fresh=mostly,
    )
    def enqueue(self, key: str | None, text: str, into: bool, fresh: bool) -> None:
        waiting = list(self.naive.waiting())
        name = self.mint("i") if fresh or not waiting else waiting[0]
        turn = self.open_turn()
        into = into and turn != NO_TURN
        self.take(name, key, ("into", turn, "after_work") if into else ("next",), text)

    @rule(data=st.data(), text=texts, key=st.sampled_from([None, "k1"]), boundary=boundaries)
    def enqueue_into(self, data: st.DataObject, text: str, key: str | None, boundary: str) -> None:
        turn = data.draw(st.sampled_from(["turn to come", *self.naive.turns][-3:]))
        self.take(self.mint("i"), key, ("into", turn, boundary), text)

    def take(self, name: str, key: str | None, into: naive.Going, text: str) -> None:
        command = EnqueueTurnInput(
            now_ms=self.now_ms,
            input_id=InputId(name),
            source_key=key,
            ingress=ingress_of(into),
            body=self.body(text),
        )
        self.ask(command, self.naive.enqueued(self.now_ms, name, key, into, text))

    @rule(owner=whose, most=st.integers(0, 5))
    def claim(self, owner: str, most: int) -> None:
        token = self.mint("claim")
        command = ClaimTurnInputs(
            now_ms=self.now_ms, fence=self.fence(owner), token=token, inputs_max=most
        )
        expected = self.naive.claimed(self.now_ms, self.naive_fence(owner), token, most)
        self.ask(command, expected)
        if expected == "TurnInputsClaimed":
            held = [e.claim for e in self.naive.waiting().values() if e.claim]
            self.claims += [(name, t) for name, t, _ in held if t == token][:1]

    @rule(owner=whose, most=st.integers(0, 5), checkpoint=boundaries)
    def accept(self, owner: str, most: int, checkpoint: str) -> None:
        token, turn = self.mint("claim"), self.open_turn()
        command = ClaimActiveTurnInputs(
            now_ms=self.now_ms,
            fence=self.fence(owner),
            token=token,
            turn_id=TurnId(turn),
            checkpoint=Boundary(checkpoint),
            inputs_max=most,
        )
        fence = self.naive_fence(owner)
        expected = self.naive.accepted(
            self.now_ms, fence, token, turn, checkpoint=checkpoint, most=most
        )
        self.ask(command, expected)
        if expected == "TurnInputsAccepted":
            held = [e.claim for e in self.naive.waiting().values() if e.claim]
            self.claims += [(name, t) for name, t, _ in held if t == token][:1]

    @rule(data=st.data())
    def abandon(self, data: st.DataObject) -> None:
        claim, token = data.draw(st.sampled_from(self.claims[-3:]))
        command = AbandonTurnInputClaim(now_ms=self.now_ms, claim_id=ClaimId(claim), token=token)
        self.ask(command, self.naive.abandoned(self.now_ms, claim, token))

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        waiting = list(self.naive.waiting())
        name = data.draw(st.sampled_from(["nobody", *self.naive.inputs][-2:] + waiting * 2))
        command = CancelTurnInput(now_ms=self.now_ms, input_id=InputId(name))
        self.ask(command, self.naive.cancelled(self.now_ms, name))

    @rule(data=st.data(), count=st.integers(0, 4))
    def cancel_together(self, data: st.DataObject, count: int) -> None:
        drawn = [self.draw_target(data) for _ in range(count)]
        command = CancelTurnInputs(
            now_ms=self.now_ms, targets=tuple(target for target, _ in drawn)
        )
        names = [name for _, name in drawn]
        self.ask(command, self.naive.cancelled_together(self.now_ms, names))

    @rule(data=st.data())
    def cancel_from(self, data: st.DataObject) -> None:
        target, name = self.draw_target(data)
        command = CancelTurnInputSuffix(now_ms=self.now_ms, anchor=target)
        self.ask(command, self.naive.cancelled_from(self.now_ms, name))

    @rule(owner=whose, text=texts)
    def cancel_around_a_claim(self, owner: str, text: str) -> None:
        """Withdraw all from one on that nobody holds, while a later one is held."""
        first = self.mint("i")
        self.take(first, None, ("into", "turn to come", "after_work"), text)
        self.take(self.mint("i"), None, ("next",), text)
        self.claim(owner, 5)
        command = CancelTurnInputSuffix(now_ms=self.now_ms, anchor=targets.InputId(first))
        self.ask(command, self.naive.cancelled_from(self.now_ms, first))

    def draw_target(self, data: st.DataObject) -> tuple[targets.CancelTarget, str]:
        """Choose by id or by key; with the name of the input that is meant."""
        if data.draw(st.integers(0, 3)) == 0:
            key = data.draw(st.sampled_from(["k1", "k2", "no key"]))
            return targets.SourceKey(key), self.naive.named_by(key)
        waiting = list(self.naive.waiting())
        name = data.draw(st.sampled_from(["nobody", *self.naive.inputs][-4:] + waiting))
        return targets.InputId(name), name

    @rule()
    def maintain(self) -> None:
        command = MaintainSession(now_ms=self.now_ms)
        self.ask(command, self.naive.maintained(self.now_ms))

    # What may happen: queued work

    @rule(
        key=st.sampled_from([None, None, "w1", "w2"]),
        kind=st.sampled_from(["wake", "wake", "wake", "command"]),
        slot=st.sampled_from(["join", "join", "alone"]),
        delivery=st.sampled_from(["early", "early", "late"]),
        merge=st.sampled_from(["a", "a", "b", None]),
        wait_ms=st.sampled_from([-5, 0, 0, 600]),
        fresh=mostly,
    )
    def queue_work(
        self,
        *,
        key: str | None,
        kind: str,
        slot: str,
        delivery: str,
        merge: str | None,
        wait_ms: int,
        fresh: bool,
    ) -> None:
        working = list(self.naive.working())
        name = self.mint("b") if fresh or not working else working[0]
        ready_ms = self.now_ms + wait_ms
        command = EnqueueWork(
            now_ms=self.now_ms,
            batch_id=BatchId(name),
            source_key=key,
            delivery=DELIVERIES[delivery],
            slot=SLOTS[slot],
            merge_key=NeverMerge() if merge is None else MergeGroup(merge),
            available_at_ms=ready_ms,
            kinds=(KINDS[kind],),
            bodies=(self.body("work"),),
        )
        says = (kind, slot, delivery, merge, ready_ms)
        self.ask(command, self.naive.queued(self.now_ms, name, key, says))

    @rule(
        owner=whose,
        where=st.sampled_from(["command", "idle", "idle", "checkpoint"]),
        most=st.integers(0, 3),
    )
    def claim_work(self, owner: str, where: str, most: int) -> None:
        most = 1 if where == "command" else most
        leading = LeadingTurnWork(boundary=BOUNDARIES.get(where, IDLE), batches_max=most)
        self.claim_selected(
            owner, where, most, LeadingCommand() if where == "command" else leading
        )

    @rule(owner=whose, most=st.integers(0, 3), this_turn=mostly)
    def take_work_in(self, owner: str, most: int, this_turn: bool) -> None:
        turn = self.open_turn() if this_turn else "turn to come"
        leading = LeadingTurnWork(
            boundary=BOUNDARIES["checkpoint"], batches_max=most, turn_id=TurnId(turn)
        )
        self.claim_selected(owner, "checkpoint", most, leading, into=turn)

    @rule(owner=whose, at_idle=mostly, data=st.data())
    def claim_these(self, owner: str, at_idle: bool, data: st.DataObject) -> None:
        working = list(self.naive.working())
        first = data.draw(st.sampled_from([0, 0, 0, 1]))
        these = working[first : first + data.draw(st.integers(0, 2))]
        where = "idle" if at_idle else "checkpoint"
        selection = TheseBatches(
            boundary=BOUNDARIES[where], batch_ids=tuple(BatchId(name) for name in these)
        )
        self.claim_selected(owner, where, these, selection)

    def claim_selected(
        self,
        owner: str,
        where: str,
        wanted: int | list[str],
        selection: LeadingCommand | LeadingTurnWork | TheseBatches,
        into: str | None = None,
    ) -> None:
        token = self.mint("work")
        fence = self.naive_fence(owner)
        command = ClaimWork(
            now_ms=self.now_ms, fence=self.fence(owner), token=token, selection=selection
        )
        expected = self.naive.work_claimed(self.now_ms, fence, token, where, wanted, into=into)
        self.ask(command, expected)
        if expected == "WorkClaimed":
            held = [each.claim for each in self.naive.working().values() if each.claim]
            self.work_claims += [(name, t) for name, t, _ in held if t == token][:1]

    @rule(data=st.data())
    def abandon_work(self, data: st.DataObject) -> None:
        claim, token = data.draw(st.sampled_from(self.work_claims[-3:]))
        command = AbandonWorkClaim(now_ms=self.now_ms, claim_id=ClaimId(claim), token=token)
        self.ask(command, self.naive.work_abandoned(self.now_ms, claim, token))

    @rule(data=st.data())
    def cancel_work(self, data: st.DataObject) -> None:
        working = list(self.naive.working())
        name = data.draw(st.sampled_from(["nobody", *self.naive.batches][-2:] + working * 2))
        command = CancelWork(now_ms=self.now_ms, batch_id=BatchId(name))
        self.ask(command, self.naive.work_cancelled(self.now_ms, name))

    @rule(owner=whose, data=st.data(), whole=mostly)
    def complete_work(self, owner: str, data: st.DataObject, whole: bool) -> None:
        done = self.done(data, whole=whole)
        command = CompleteWork(
            now_ms=self.now_ms, fence=self.fence(owner), completions=tuple(map(done_of, done))
        )
        self.ask(command, self.naive.work_done(self.now_ms, self.naive_fence(owner), done))

    def done(self, data: st.DataObject, *, whole: bool) -> list[naive.Done]:
        """Say of one claim, or of two, that all that it held is done; or of a part, or twice."""
        held_now = [each.claim[:2] for each in self.naive.working().values() if each.claim]
        choices = self.work_claims[-3:] + held_now * 3
        chosen = data.draw(st.lists(st.sampled_from(choices), max_size=2))
        done: list[naive.Done] = []
        for claim, token in chosen:
            batches = self.naive.working().items()
            held = [n for n, b in batches if b.claim and b.claim[:2] == (claim, token)]
            done.append((claim, token, tuple(held if whole else held[1:])))
        return done

    @rule(data=st.data(), steps_count=st.integers(1, 8), owner=owners)
    def work_through(self, data: st.DataObject, steps_count: int, owner: str) -> None:
        """Take sensible steps: queue what belongs together, claim it, and say that it is done."""
        for _ in range(steps_count):
            self.take_a_step_of_the_work(data, owner)

    def take_a_step_of_the_work(self, data: st.DataObject, owner: str) -> None:
        me = "the holder"
        model = self.naive
        claims = [each.claim for each in model.working().values()]
        if model.holder is None or max(self.now_ms, model.last_ms) >= model.expires_ms:
            self.acquire(owner, 1_000)
        elif any(claim and claim[2] == model.generation for claim in claims):
            found = model.open_turn()
            if found is not None and data.draw(mostly):
                self.take_a_step_of_the_turn(data, found[1])
            elif found is None and data.draw(st.booleans()):
                self.drain_work(me, fresh=True, last=data.draw(mostly))
            elif found is None and data.draw(st.booleans()):
                self.start(me, TEXTS[0], fresh=True)
            elif data.draw(st.booleans()):
                self.complete_work(me, data, whole=True)
            else:  # The owner falls silent before it has done anything.
                self.the_clock_jumps(1_100)
                self.cancel_work(data)
        elif len(claims) > 1:
            self.claim_work(me, data.draw(st.sampled_from(["idle", "checkpoint", "command"])), 3)
        else:
            self.queue_a_wake(data)

    def queue_a_wake(self, data: st.DataObject) -> None:
        self.queue_work(
            key=data.draw(st.sampled_from([None, "w1"])),
            kind="wake",
            slot="join",
            delivery=data.draw(st.sampled_from(["early", "early", "late"])),
            merge="a",
            wait_ms=0,
            fresh=True,
        )

    # What may happen: turns

    @rule(owner=whose, text=texts, fresh=mostly)
    def start(self, owner: str, text: str, fresh: bool) -> None:
        name = self.mint("t") if fresh or not self.naive.turns else list(self.naive.turns)[-1]
        command = StartTurn(
            now_ms=self.now_ms,
            fence=self.fence(owner),
            turn_id=TurnId(name),
            source=WithInput(body=self.body(text)),
        )
        fence = self.naive_fence(owner)
        self.ask(command, self.naive.started(self.now_ms, fence, name, text, ("", "")))

    @rule(owner=whose, fresh=mostly, last=mostly)
    def drain(self, owner: str, fresh: bool, last: bool) -> None:
        name = self.mint("t") if fresh or not self.naive.turns else list(self.naive.turns)[-1]
        claim = self.claims[-1 if last else 0]
        command = StartTurn(
            now_ms=self.now_ms,
            fence=self.fence(owner),
            turn_id=TurnId(name),
            source=WithClaim(claim_id=ClaimId(claim[0]), token=claim[1]),
        )
        fence = self.naive_fence(owner)
        self.ask(command, self.naive.started(self.now_ms, fence, name, None, claim))

    @rule(owner=whose, fresh=mostly, last=mostly)
    def drain_work(self, owner: str, fresh: bool, last: bool) -> None:
        name = self.mint("t") if fresh or not self.naive.turns else list(self.naive.turns)[-1]
        claim = self.work_claims[-1 if last else 0]
        command = StartTurn(
            now_ms=self.now_ms,
            fence=self.fence(owner),
            turn_id=TurnId(name),
            source=WithWork(claim_id=ClaimId(claim[0]), token=claim[1]),
        )
        fence = self.naive_fence(owner)
        expected = self.naive.started(self.now_ms, fence, name, None, claim, on_work=True)
        self.ask(command, expected)

    @rule(owner=whose)
    def go_on(self, owner: str) -> None:
        turn = self.open_turn()
        command = ContinueTurn(now_ms=self.now_ms, fence=self.fence(owner), turn_id=TurnId(turn))
        self.ask(command, self.naive.continued(self.now_ms, self.naive_fence(owner), turn))

    @rule(owner=whose, next_one=mostly, is_for_news=st.sampled_from([False, False, True]))
    def ask_the_model(self, owner: str, next_one: bool, is_for_news: bool = False) -> None:
        found = self.naive.open_turn()
        iteration = found[1].batches + 1 if found and is_for_news else 0
        self.request(owner, ("model", "", iteration, 0), next_one=next_one)

    @precondition(lambda self: self.naive.open_turn() is not None)
    @rule(owner=whose, next_one=mostly, ordinal=st.integers(0, 2), this_reply=mostly)
    def call_a_tool(self, owner: str, next_one: bool, ordinal: int, this_reply: bool) -> None:
        turn = self.naive.turns[self.open_turn()]
        call = turn.calls[ordinal] if ordinal < len(turn.calls) else "no-call"
        reply_at = turn.reply_at if this_reply else 0
        self.request(owner, ("tool", call, reply_at, ordinal), next_one=next_one)

    def request(self, owner: str, asked: naive.Asked, *, next_one: bool) -> None:
        name = self.open_turn()
        found = self.naive.open_turn()
        effect = f"{name}/{found[1].requests + (1 if next_one else 2) if found else 1}"
        command = RequestEffect(
            now_ms=self.now_ms,
            fence=self.fence(owner),
            turn_id=TurnId(name),
            effect_id=EffectId(effect),
            request=request_of(asked),
        )
        fence = self.naive_fence(owner)
        self.ask(command, self.naive.requested(self.now_ms, fence, name, effect, asked))

    @precondition(lambda self: any(turn.open for turn in self.naive.turns.values()))
    @rule(
        owner=whose,
        data=st.data(),
        kind=st.sampled_from(OUTCOMES),
        fitting=mostly,
        calls=st.sampled_from([0, 1, 2, 2, 3]),
    )
    def settle(
        self, owner: str, data: st.DataObject, kind: str, *, fitting: bool, calls: int
    ) -> None:
        turn = self.naive.turns[self.open_turn()]
        effect = data.draw(st.sampled_from([*turn.open, *turn.open, f"{self.open_turn()}/1"]))
        if effect in turn.open:
            asked = turn.open[effect].asked[0]
            kind = fit(kind, asked) if fitting else MISFITS[asked]
        called = tuple(f"c{n}" for n in range(calls if naive.FITS[kind] == "model" else 0))
        outcome = (kind, called, data.draw(st.integers(0, 3)))
        worded = (kind != "cancelled") == (fitting or data.draw(mostly))
        command = SettleEffect(
            now_ms=self.now_ms,
            fence=self.fence(owner),
            turn_id=TurnId(self.open_turn()),
            effect_id=EffectId(effect),
            outcome=outcome_of(outcome),
            body=self.body("outcome") if worded else None,
        )
        name, fence = self.open_turn(), self.naive_fence(owner)
        self.ask(
            command,
            self.naive.settled(self.now_ms, fence, name, effect, outcome, worded=worded),
        )

    @rule(owner=whose, ran_into_limit=st.booleans(), data=st.data())
    def commit(self, owner: str, ran_into_limit: bool, data: st.DataObject) -> None:
        name = self.open_turn()
        done = self.done(data, whole=True) if data.draw(mostly) else []
        outcome: TurnOutcome = Finished()
        frame = data.draw(st.sampled_from([None, None, None, *FRAMES]))
        if ran_into_limit:
            outcome = Stopped(reason=StopReason.MAX_TURNS)
        elif frame is not None:
            outcome = FrameSwitched(frame_id=FrameId(frame))
        command = CommitTurn(
            now_ms=self.now_ms,
            fence=self.fence(owner),
            turn_id=TurnId(name),
            outcome=outcome,
            work_completions=tuple(map(done_of, done)),
        )
        fence = self.naive_fence(owner)
        expected = self.naive.commit(
            self.now_ms,
            fence,
            name,
            ran_into_limit=ran_into_limit,
            done=done,
            frame=None if ran_into_limit else frame,
        )
        facts = self.ask(command, expected).events
        for event in (each for each in facts if isinstance(each, TurnCommitted)):
            assert [seen(node) for node in event.nodes] == self.naive.turns[name].messages
            if data.draw(st.integers(0, 3)) == 0:
                self.branch(owner, back=0, place=data.draw(st.integers(0, 1)))

    @rule(owner=whose)
    def end(self, owner: str) -> None:
        name = self.open_turn()
        command = EndTurn(
            now_ms=self.now_ms,
            fence=self.fence(owner),
            turn_id=TurnId(name),
            outcome=Stopped(reason=StopReason.CANCELLED),
        )
        self.ask(command, self.naive.end(self.now_ms, self.naive_fence(owner), name))

    # What a driver would do

    @rule(data=st.data(), steps_count=st.integers(1, 10), owner=owners)
    def drive(self, data: st.DataObject, steps_count: int, owner: str) -> None:
        """Take sensible steps: by chance alone hardly any turn would come to its end."""
        for _ in range(steps_count):
            if data.draw(st.sampled_from([False] * 7 + [True])):
                self.the_clock_jumps(1_100)
            if self.open_turn() != NO_TURN and not data.draw(mostly):
                self.tell_the_turn_something(data)
            self.take_a_sensible_step(data, owner)

    def take_a_sensible_step(self, data: st.DataObject, owner: str) -> None:
        me = "the holder"
        model = self.naive
        found = model.open_turn()
        claims = [e.claim for e in model.waiting().values() if e.claim]
        if model.holder is None or max(self.now_ms, model.last_ms) >= model.expires_ms:
            if data.draw(st.booleans()):
                self.cancel(data)
            self.acquire(owner, 1_000)
        elif found is not None:
            self.take_a_step_of_the_turn(data, found[1])
        elif any(claim[2] == model.generation for claim in claims):
            self.drain(me, fresh=True, last=True)
        elif any(entry.going[0] == "next" for entry in model.waiting().values()):
            self.claim(me, data.draw(st.integers(1, 3)))
            if not data.draw(mostly):  # The owner falls silent before it starts anything.
                self.the_clock_jumps(1_100)
                self.cancel(data)
                self.acquire(owner, 1_000)
                self.drain(me, fresh=True, last=True)
        elif data.draw(st.booleans()):
            self.start(me, data.draw(texts), fresh=True)
        else:
            key = data.draw(st.sampled_from([None, None, "k1"]))
            self.enqueue(key, data.draw(texts), into=False, fresh=True)

    def tell_the_turn_something(self, data: st.DataObject) -> None:
        self.enqueue(None, "into the turn", into=True, fresh=True)
        self.accept("the holder", data.draw(st.integers(1, 2)), data.draw(boundaries))
        if data.draw(st.booleans()):
            self.queue_a_wake(data)
        self.take_work_in("the holder", 2, this_turn=True)
        if not data.draw(mostly):
            self.abandon(data)

    def take_a_step_of_the_turn(self, data: st.DataObject, turn: naive.NaiveTurn) -> None:
        me = "the holder"
        unasked = [o for o in range(len(turn.calls)) if o not in turn.asked]
        if turn.calls and not data.draw(mostly):  # Asked for again, perhaps.
            again = data.draw(st.integers(0, 1))
            self.call_a_tool(me, next_one=True, ordinal=again, this_reply=True)
        if turn.generation != self.naive.generation:
            self.go_on(me)
        elif turn.open:
            kind, calls = data.draw(st.sampled_from(OUTCOMES)), data.draw(st.integers(0, 2))
            fitting = data.draw(mostly)
            self.settle(me, data, kind, fitting=fitting, calls=calls)
        elif turn.step == "begun":
            self.enqueue(None, "into the turn", into=data.draw(mostly), fresh=True)
            self.ask_the_model(me, next_one=True)
        elif turn.step == "replied" and unasked:
            for ordinal in unasked:
                self.call_a_tool(me, next_one=True, ordinal=ordinal, this_reply=True)
        elif data.draw(st.booleans()):
            self.commit(me, ran_into_limit=False, data=data)
        else:
            self.end(me)

    # What must be the same

    @invariant()
    def both_are_at_the_same_point(self) -> None:
        state = self.before.state
        kinds = {"absent": NotOpened, "open": Open, "deleted": Deleted}
        assert type(state) is kinds[self.naive.phase]
        if not isinstance(state, NotOpened):
            assert (state.version, state.at_ms) == (self.naive.facts, self.naive.last_ms)

    @invariant()
    def both_hold_the_same_lease(self) -> None:
        state = self.before.state
        if not isinstance(state, Open):
            return
        model, lease = self.naive, state.lease
        assert lease.generation == model.generation
        assert state.is_parked == model.parked
        assert state.policy == policy_from(model.policy)
        held = lease.holder
        found = None if held is None else (held.owner.owner_id, held.token)
        assert found == model.holder
        assert held is None or held.expires_at_ms == model.expires_ms

    @invariant()
    def both_have_the_same_inputs_waiting(self) -> None:
        state = self.before.state
        if not isinstance(state, Open):
            return
        found = [
            (
                entry.input_id,
                entry.sequence,
                entry.source_key,
                entry.position,
                going(entry.submitted),
                going(entry.ingress),
                entry.claim and (entry.claim.claim_id, entry.claim.token, entry.claim.generation),
                entry.claims_count,
                entry.attempts,
            )
            for entry in state.inputs.pending.values()
        ]
        assert found == [
            (n, e.number, e.key, e.at, e.submitted, e.going, e.claim, e.claims, e.attempts)
            for n, e in self.naive.waiting().items()
        ]

    @invariant()
    def both_have_the_same_work_queued(self) -> None:
        state = self.before.state
        if not isinstance(state, Open):
            return
        found = [
            (
                batch.batch_id,
                batch.sequence,
                batch.source_key,
                batch.position,
                batch.claim and (batch.claim.claim_id, batch.claim.token, batch.claim.generation),
                batch.claim and batch.claim.turn_id,
                batch.claims_count,
                batch.attempts,
            )
            for batch in state.work.batches.values()
        ]
        assert found == [
            (n, b.number, b.key, b.at, b.claim, b.claim and b.into, b.claims, b.attempts)
            for n, b in self.naive.working().items()
        ]

    @invariant()
    def both_remember_the_same_finished_work(self) -> None:
        state = self.before.state
        if not isinstance(state, Open):
            return
        entries = self.before.known.entries.values()
        found = {
            entry.batch_id: entry.status.value
            for entry in entries
            if isinstance(entry, BatchEntry) and entry.finished >= state.work.pruned_below
        }
        finished = {n: b for n, b in self.naive.batches.items() if b.status != "open"}
        assert found == {n: b.status for n, b in finished.items() if not b.forgotten}
        assert state.work.finished_count == len(found)

    @invariant()
    def both_have_the_same_turn_open(self) -> None:
        state = self.before.state
        expected = self.naive.open_turn()
        if not isinstance(state, Open):
            return
        if expected is None:
            assert not isinstance(state.turn, OpenTurn)
            return
        turn_id, turn = expected
        found = state.turn
        assert isinstance(found, OpenTurn)
        assert (found.turn_id, found.generation, list(found.input_ids)) == (
            turn_id,
            turn.generation,
            turn.took + turn.told,
        )
        assert list(found.batch_ids) == turn.work
        assert (STEPS[type(found.step)], found.iteration) == (turn.step, turn.batches)
        assert found.model_calls_max == turn.limit
        assert list(found.results) == list(turn.answers)
        assert [seen(node) for node in found.nodes] == turn.messages
        assert found.usage.total_tokens == turn.tokens
        assert [(e.effect_id, e.attempt) for e in agenda(state)] == [
            (name, effect.attempt) for name, effect in turn.open.items()
        ]

    @invariant()
    def both_have_the_same_history(self) -> None:
        state = self.before.state
        if not isinstance(state, Open):
            return
        committed = self.naive.committed
        assert (state.head.revision, state.head.turn_index) == (len(committed), self.naive.index)
        spent = {key.model: usage.total_tokens for key, usage in state.ledger.rows.items()}
        assert spent == self.naive.ledger
        assert state.head.last_usage.total_tokens == self.naive.last_tokens
        leaf = state.head.leaf
        assert ("" if leaf is None else leaf.node_id) == self.naive.leaf

    @invariant()
    def the_index_remembers_every_input_and_every_turn(self) -> None:
        entries = self.before.known.entries.values()
        inputs = {e.input_id: e.status.value for e in entries if isinstance(e, InputEntry)}
        turns = {e.turn_id: e for e in entries if isinstance(e, TurnEntry)}
        everything = self.naive.inputs.items()

        assert inputs == {n: e.status for n, e in everything if e.status != "waiting"}
        assert {
            name: "open" if e.ended is None else "committed" if e.is_committed else "ended"
            for name, e in turns.items()
        } == {name: turn.status for name, turn in self.naive.turns.items()}

    # What happened, now and then

    def count(self, decision: Decision, answer: str) -> None:
        state = decision.given.state
        if isinstance(state, Open):
            self.happened.update(rare_things(Happening(state, decision, answer)))


# Between the core's words and the naive ones


def owner_of(name: str) -> LeaseOwner:
    host, start = PROCESSES[name]
    process = LocalProcess(host_id=host, boot_id="b", pid=start, process_start=start)
    return LeaseOwner(owner_id=name, incarnation_id="boot-1", liveness=process)


def sight_of(sight: str, holder: str) -> ProcessSight:
    sights: dict[str, ProcessSight] = {
        "gone": ProcessGone(),
        "another": ProcessRunning(0),
        "alive": ProcessRunning(PROCESSES[holder][1]),
        "unseen": ProcessUnseen(),
    }
    return sights[sight]


def policy_of(provider: str, model: str, most: int | None) -> SessionPolicy:
    return SessionPolicy(provider_id=provider, model=ModelSpec(model_id=model), max_turns=most)


def naive_policy(provider: str, model: str, most: int | None) -> dict[str, object]:
    return {"provider": provider, "model": model, "max_turns": most}


def policy_from(policy: dict[str, object]) -> SessionPolicy:
    most = policy["max_turns"]
    assert most is None or isinstance(most, int)
    return policy_of(str(policy["provider"]), str(policy["model"]), most)


def done_of(done: naive.Done) -> WorkCompletion:
    claim, token, names = done
    batch_ids = tuple(BatchId(name) for name in names)
    return WorkCompletion(claim_id=ClaimId(claim), token=token, batch_ids=batch_ids)


def going(ingress: ActiveTurn | NextTurn) -> naive.Going:
    if isinstance(ingress, NextTurn):
        return ("next",)
    return ("into", ingress.turn_id, ingress.min_boundary.value)


def ingress_of(into: naive.Going) -> ActiveTurn | NextTurn:
    return NextTurn() if into[0] == "next" else ActiveTurn(TurnId(into[1]), Boundary(into[2]))


def request_of(asked: naive.Asked) -> EffectRequest:
    kind, call, reply_at, ordinal = asked
    if kind == "model":
        return ModelCall(iteration=reply_at)
    reply = BodyRef(position=Position(reply_at), ordinal=0)
    return ToolCall(call_id=CallId(call), tool="tool", reply=reply, ordinal=ordinal)


def outcome_of(outcome: naive.Outcome) -> EffectOutcome:
    kind, calls, tokens = outcome
    match kind:
        case "returned":
            return ToolReturned()
        case "failed":
            return EffectFailed(code="broken", is_retryable=False)
        case "cancelled":
            return EffectCancelled()
        case _:
            return ModelReplied(
                finish=FinishReason.STOP,
                has_content=kind == "replied",
                tool_calls=tuple(ToolCallRef(call_id=CallId(c), tool="tool") for c in calls),
                usage=TokenUsage(input_tokens=tokens),
            )


def fit(kind: str, asked: str) -> str:
    """Change an outcome that does not fit what was asked into one that does."""
    if naive.FITS[kind] in ("any", asked):
        return kind
    return "replied" if asked == "model" else "returned"


def seen(node: Node) -> naive.Message:
    match node.source:
        case FromInputs(bodies=bodies):
            return ("user", *(body.position for body in bodies))
        case FromWork(bodies=bodies):
            return ("event", *(body.position for body in bodies))
        case FromReply(body=body):
            return ("assistant", body.position)
        case TurnLimitNotice(model_calls_max=most):
            return ("notice", most)
        case FromResults(results=results):
            ended = {"succeeded": "returned"}
            return (
                "results",
                *(
                    (
                        r.call_id,
                        ended.get(r.status.value, r.status.value),
                        r.body and r.body.position,
                    )
                    for r in results
                ),
            )


def test_a_session_does_what_its_naive_twin_does() -> None:
    SessionMachine.happened.clear()

    for batch in range(BATCHES_MAX):
        if EXAMPLES is None:
            seed(batch)(SessionMachine)
        run_machine(SessionMachine, settings=effort(examples_max=30, steps_max=60))
        if not missing() and batch > 0:
            break

    assert missing() == []


def missing() -> list[str]:
    return sorted(RARE - SessionMachine.happened.keys())
