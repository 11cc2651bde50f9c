"""
A session, naively: one object, changed in place, in plain dicts and tuples.

It shares no code with ``lash_es.core`` and imports nothing of it. It knows the past (every input
and turn there ever was), searches where the core looks up, and is as simple as it can be, so that
the two are wrong in different ways. Methods answer with the name of the fact that is recorded,
with ``-`` for nothing, or with ``!`` and the name of the error.
"""

from typing import TypeAlias

Fence: TypeAlias = tuple[str, str, int]
"""Owner, token, generation."""

Claim: TypeAlias = tuple[str, str, int]
"""Id, token, generation."""

Going: TypeAlias = tuple[str, ...]
"""``("next",)``, or ``("into", turn, boundary)``."""

Asked: TypeAlias = tuple[str, str, int, int]
"""``("model", "", 0, 0)``, or ``("tool", call id, position of the reply, ordinal)``."""

Outcome: TypeAlias = tuple[str, tuple[str, ...], int]
"""How it ended; of a reply, the ids of its calls and its tokens; ``silent`` ones say nothing."""

Message: TypeAlias = tuple[object, ...]

BatchSays: TypeAlias = tuple[str, str, str, str | None, int]
"""``wake`` or ``command``; ``join`` or ``alone``; ``early`` or ``late``; group; ready from."""

Done: TypeAlias = tuple[str, str, tuple[str, ...]]
"""What is said to be done: claim, token, names of batches."""

NOTHING = "-"
FITS = {
    "replied": "model",
    "silent": "model",
    "returned": "tool",
    "failed": "any",
    "cancelled": "any",
}


class NaiveInput:
    def __init__(self, number: int, key: str | None, going: Going, text: str, at: int) -> None:
        self.number = number
        self.key = key
        self.submitted = going
        self.going = going
        self.text = text
        self.at = at
        self.status = "waiting"
        self.claim: Claim | None = None
        self.claims = 0
        self.attempts = 0
        self.forgotten = False


class NaiveEffect:
    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.attempt = 1


class NaiveTurn:
    def __init__(self, text: str | None, took: list[str], generation: int, limit: int) -> None:
        self.text = text
        self.took = took
        self.generation = generation
        self.limit = limit
        self.status = "open"
        self.model = ""
        self.step = "begun"
        self.reply_at = -1
        self.calls: tuple[str, ...] = ()
        self.asked: set[int] = set()
        self.answers: dict[int, tuple[str, int | None]] = {}
        self.batches = 0
        self.requests = 0
        self.open: dict[str, NaiveEffect] = {}
        self.messages: list[Message] = []
        self.at = -1
        self.tokens = 0
        self.told: list[str] = []
        self.work: list[str] = []


class NaiveBatch:
    def __init__(self, number: int, key: str | None, say: BatchSays, at: int) -> None:
        self.number = number
        self.key = key
        self.kind, self.slot, self.delivery, self.merge, self.ready_ms = say
        self.at = at
        self.status = "open"
        self.claim: Claim | None = None
        self.into: str | None = None
        self.claims = 0
        self.attempts = 0
        self.forgotten = False


class NaiveSession:
    def __init__(self, limits: dict[str, int]) -> None:
        self.limits = limits
        self.phase = "absent"
        self.name = ""
        self.facts = 0
        self.last_ms = 0
        self.policy: dict[str, object] = {}
        self.parked = False
        self.generation = 0
        self.holder: tuple[str, str] | None = None
        self.ttl_ms = 0
        self.expires_ms = 0
        self.inputs: dict[str, NaiveInput] = {}
        self.turns: dict[str, NaiveTurn] = {}
        self.batches: dict[str, NaiveBatch] = {}
        self.committed: list[str] = []
        self.leaf = ""
        self.index = 0
        self.ledger: dict[str, int] = {}
        self.last_tokens = 0
        self.oldest = 0
        self.lease_at = 0
        self.frame = ""
        self.called: str | None = None
        self.born_with: object = None
        self.frames: list[str] = []
        self.others: dict[str, int] = {}
        self.hidden: list[str] = []
        self.hidden_for_good = 0

    # The session itself

    def opened(self, now: int, name: str, policy: dict[str, object]) -> str:
        if self.phase == "deleted":
            return "!SessionDeleted"
        if self.phase == "absent":
            self.phase = "open"
            self.name = name
            self.frame = f"{name}:frame:initial"
            self.frames = [self.frame]
            self.born_with = policy["model"]
            self.policy = dict(policy)
            self.last_ms = now
            return self._recorded("SessionOpened", now)
        if name != self.name:
            return "!StoreSessionMismatch"
        return self._configured(now, {**policy, "provider": self.policy["provider"]})

    def begun_anew(self, now: int, name: str, policy: dict[str, object]) -> str:
        if self.phase != "open":
            return self.opened(now, name, policy)
        if name != self.name:
            return "!StoreSessionMismatch"
        if self.open_turn():
            return "!BusyWithTurn"
        self.policy = dict(policy)
        self.leaf, self.index, self.last_tokens = "", 0, 0
        self.frame = self.frames[0]
        return self._recorded("SessionBegunAnew", now)

    def branched(self, now: int, fence: Fence, name: str, place: int) -> str:
        """Go on from a message of a turn, or from none if the place is nought."""
        problem = self._closed() or self._fenced_off(now, fence)
        if problem:
            return problem
        if self.open_turn():
            return "!BusyWithTurn"
        wanted = f"{name}:m{place}" if place else ""
        if wanted == self.leaf:
            return NOTHING
        if place and (name not in self.turns or self.turns[name].status != "committed"):
            return "!NodeNotFound"
        self.leaf = wanted
        return self._owned("LeafMoved", now)

    def framed(self, now: int, fence: Fence, name: str, count: int) -> str:
        problem = self._closed() or self._fenced_off(now, fence)
        if problem or not name.strip() or name == self.frame:
            return problem or NOTHING
        if self.open_turn():
            return "!BusyWithTurn"
        return self._in_frame(now, name, count)

    def _in_frame(self, now: int, name: str, count: int) -> str:
        if name in self.frames:
            return "!FrameIdConflict"
        self.frame = name
        self.frames.append(name)
        self._put(f"{name}:f", count)
        return self._owned("FrameOpened", now)

    def appended(self, now: int, fence: Fence, name: str, count: int, is_there: bool) -> str:
        problem = self._closed() or self._fenced_off(now, fence)
        if problem or not count or not is_there or f"{name}:a" in self.others:
            return problem or NOTHING
        self._put(f"{name}:a", count)
        return self._owned("NodesAppended", now)

    def _put(self, prefix: str, count: int) -> None:
        self.others[prefix] = count
        if count:
            self.leaf = f"{prefix}{count}"

    def nodes(self) -> list[str]:
        """Name every message that there ever was."""
        turns = {f"{name}:m": len(self.turns[name].messages) for name in self.committed}
        groups = (turns | self.others).items()
        return [f"{prefix}{n + 1}" for prefix, count in groups for n in range(count)]

    def tombstoned(self, now: int, names: list[str]) -> str:
        if self._closed():
            return self._closed()
        there = [each for each in self.nodes() if each in names and each not in self.hidden]
        self.hidden += there
        return self._recorded("NodesTombstoned", now) if there else NOTHING

    def described(self, now: int, name: str | None) -> str:
        if self._closed() or self.facts != 1 or name is None:
            return self._closed() or NOTHING
        self.called = name
        return self._recorded("SessionDescribed", now)

    def configured(self, now: int, policy: dict[str, object]) -> str:
        return self._closed() or self._configured(now, policy)

    def _configured(self, now: int, policy: dict[str, object]) -> str:
        if policy == self.policy:
            return NOTHING
        self.policy = dict(policy)
        return self._recorded("SessionConfigured", now)

    def park(self, now: int) -> str:
        if self._closed():
            return self._closed()
        if self.parked:
            return NOTHING
        fact = self._recorded("SessionParked", now)
        self.parked = True
        return fact

    def deleted(self, now: int) -> str:
        if self._closed():
            return self._closed()
        self.phase = "deleted"
        return self._recorded("SessionTombstoned", now)

    def trimmed(self, now: int, below: int, pinned: int | None) -> str:
        if self.phase == "absent":
            return "!SessionNotOpen"
        if not self.oldest <= below <= self.facts:
            return "!TrimOutOfRange"
        if below == self.oldest:
            return NOTHING
        needed = [] if pinned is None else [pinned]
        if self.phase == "open":
            needed += [entry.at for entry in self.waiting().values()]
            needed += [batch.at for batch in self.working().values()]
            needed += [turn.at for turn in self.turns.values() if turn.status == "open"]
            needed += [self.lease_at] if self.holder else []
        if any(below > at for at in needed):
            return "!TrimHeldBack"
        self.oldest = below
        was_parked = self.parked
        fact = self._recorded("HistoryTrimmed", now)
        self.parked = was_parked
        return fact

    # The lease

    def acquired(self, now: int, owner: str, token: str, ttl_ms: int) -> str:
        if self._closed():
            return self._closed()
        is_live = self._is_live(now)
        now = self._not_before(now)
        if not is_live:
            self.generation += 1
            self.holder = (owner, token)
            self.ttl_ms = ttl_ms
            self.expires_ms = now + ttl_ms
            self.lease_at = self.facts
            return self._recorded("LeaseAcquired", now)
        if self.holder is None or self.holder[0] != owner:
            return NOTHING
        return self._longer(now, ttl_ms)

    def reclaimed(
        self, now: int, owner: str, token: str, ttl_ms: int, observed: Fence, *, dead: bool
    ) -> str:
        """Take a lease that is free, or whose holder is dead and the one that was observed."""
        if self._closed():
            return self._closed()
        if self._is_live(now):
            if self.holder is None or not dead or observed != (*self.holder, self.generation):
                return NOTHING
            self.holder = None
        return self.acquired(now, owner, token, ttl_ms)

    def renewed(self, now: int, fence: Fence, ttl_ms: int) -> str:
        problem = self._closed() or self._fenced_off(now, fence)
        return problem or self._longer(self._not_before(now), ttl_ms)

    def _longer(self, now: int, ttl_ms: int) -> str:
        self.ttl_ms = ttl_ms
        self.expires_ms = max(self.expires_ms, now + ttl_ms)
        self.lease_at = self.facts
        return self._recorded("LeaseRenewed", now)

    def released(self, now: int, fence: Fence) -> str:
        if self._closed():
            return self._closed()
        if self.holder is None or fence != (*self.holder, self.generation):
            return NOTHING
        self.holder = None
        return self._recorded("LeaseReleased", now)

    # Inputs

    def enqueued(self, now: int, name: str, key: str | None, going: Going, text: str) -> str:
        if self._closed():
            return self._closed()
        for entry in self.inputs.values():
            if key is not None and entry.key == key and not entry.forgotten:
                same = (entry.submitted, entry.text) == (going, text)
                return NOTHING if same else "!SourceKeyConflict"
        if name in self.inputs:
            return "!InputIdConflict"
        if len(self.waiting()) >= self.limits["waiting"]:
            return "!QueueFull"
        number = len(self.inputs) + 1
        self.inputs[name] = NaiveInput(number, key, going, text, self.facts)
        fact = self._recorded("TurnInputEnqueued", now)
        wanted = self.turns.get(going[1]) if going[0] == "into" else None
        if wanted is None or wanted.status == "open":
            return fact
        self.inputs[name].going = ("next",)
        return f"{fact}, {self._recorded('TurnInputsDeferred', now)}"

    def claimed(self, now: int, fence: Fence, token: str, most: int) -> str:
        if most <= 0:
            return self._closed() or NOTHING
        problem = self._closed() or self._fenced_off(now, fence)
        if problem:
            return problem
        free = [
            entry
            for name, entry in self.waiting().items()
            if entry.going[0] == "next" and not self._is_held(self._not_before(now), name)
        ]
        chosen = free[: min(most, self.limits["claim"])]
        if not chosen:
            return NOTHING
        name = f"tic:{chosen[0].number}:{chosen[0].claims + 1}"
        for entry in chosen:
            entry.claim = (name, token, self.generation)
            entry.claims += 1
        return self._owned("TurnInputsClaimed", now)

    def accepted(
        self, now: int, fence: Fence, token: str, turn: str, *, checkpoint: str, most: int
    ) -> str:
        """Hold what wants into the open turn, if the checkpoint is not too early for it."""
        if most <= 0:
            return self._closed() or NOTHING
        problem = self._closed() or self._fenced_off(now, fence)
        found = self.open_turn()
        if problem or found is None or found[0] != turn:
            return problem or "!TurnNotOpen"
        free = [
            entry
            for name, entry in self.waiting().items()
            if entry.going[:2] == ("into", turn)
            and not (entry.going[2] == "before_completion" and checkpoint == "after_work")
            and not self._is_held(self._not_before(now), name)
        ]
        chosen = free[: min(most, self.limits["claim"])]
        if not chosen:
            return NOTHING
        name = f"tic:{chosen[0].number}:{chosen[0].claims + 1}"
        for entry in chosen:
            entry.claim = (name, token, self.generation)
            entry.claims += 1
        return self._owned("TurnInputsAccepted", now)

    def _untold(self, turn: str) -> list[str]:
        """Name what the turn holds under this generation and has told no model."""
        return [
            name
            for name, entry in self.waiting().items()
            if entry.going[:2] == ("into", turn)
            and entry.claim is not None
            and entry.claim[2] == self.generation
            and name not in self.turns[turn].told
        ]

    def _tell(self, turn: str) -> None:
        names = self._untold(turn)
        if names:
            positions = [self.inputs[name].at for name in names]
            self.turns[turn].messages.append(("user", *positions))
            self.turns[turn].told += names

    def _tell_of_work(self, turn: NaiveTurn, name: str) -> None:
        news = [
            n
            for n, b in self.working().items()
            if b.claim and b.claim[2] == self.generation and b.into == name and n not in turn.work
        ]
        if news:
            turn.messages.append(("event", *(self.batches[n].at for n in news)))
            turn.work += news

    def abandoned(self, now: int, claim: str, token: str) -> str:
        if self._closed():
            return self._closed()
        turn = self.open_turn()
        taken = turn[1].took + turn[1].told if turn else []
        given_back = [
            entry
            for name, entry in self.waiting().items()
            if entry.claim and entry.claim[:2] == (claim, token) and name not in taken
        ]
        for entry in given_back:
            entry.claim = None
        return self._recorded("TurnInputClaimAbandoned", now) if given_back else NOTHING

    def cancelled(self, now: int, name: str) -> str:
        if self._closed():
            return self._closed()
        if name not in self.waiting() or self._is_held(self._not_before(now), name):
            return NOTHING
        self.inputs[name].status = "cancelled"
        return self._recorded("TurnInputCancelled", now)

    def cancelled_together(self, now: int, names: list[str]) -> str:
        if self._closed():
            return self._closed()
        if len(names) > self.limits["targets"]:
            return "!LimitExceeded"
        free = [n for n in names if self._may_go(now, n)]
        for name in free:
            self.inputs[name].status = "cancelled"
        return self._recorded("TurnInputsCancelled", now) if free else NOTHING

    def cancelled_from(self, now: int, anchor: str) -> str:
        if self._closed():
            return self._closed()
        if anchor not in self.inputs or self.inputs[anchor].forgotten:
            return NOTHING
        first = self.inputs[anchor].number
        later = [n for n, e in self.inputs.items() if e.number >= first and self._may_go(now, n)]
        for name in later:
            self.inputs[name].status = "cancelled"
        return self._recorded("TurnInputsCancelled", now) if later else NOTHING

    def _may_go(self, now: int, name: str) -> bool:
        return name in self.waiting() and not self._is_held(self._not_before(now), name)

    def maintained(self, now: int) -> str:
        if self._closed():
            return self._closed()
        facts: list[str] = []
        settled = [e for e in self.inputs.values() if e.status != "waiting" and not e.forgotten]
        for entry in settled:
            entry.forgotten = True
        if settled:
            facts.append(self._recorded("TurnInputTombstonesPruned", now))
        over = [b for b in self.batches.values() if b.status != "open" and not b.forgotten]
        for batch in over:
            batch.forgotten = True
        if over:
            facts.append(self._recorded("FinishedWorkPruned", now))
        if self.hidden_for_good < len(self.hidden):
            self.hidden_for_good = len(self.hidden)
            facts.append(self._recorded("NodesForgotten", now))
        return ", ".join(facts) or NOTHING

    def named_by(self, key: str) -> str:
        """Name the input that was sent under a key; ``nobody`` if there is none."""
        found = [n for n, e in self.inputs.items() if e.key == key and not e.forgotten]
        return found[0] if found else "nobody"

    # The turn

    def started(
        self,
        now: int,
        fence: Fence,
        name: str,
        text: str | None,
        claim: tuple[str, str],
        *,
        on_work: bool = False,
    ) -> str:
        """Begin with a text, or with what a claim holds if there is none, inputs or work."""
        problem = self._closed() or self._fenced_off(now, fence)
        if problem:
            return problem
        if name in self.turns:
            return NOTHING if self.turns[name].text == text else "!TurnIdConflict"
        if self.open_turn():
            return "!TurnInProgress"
        if on_work:
            return self._started_on_work(now, name, claim)
        took: list[str] = []
        if text is None:
            held = {n: e for n, e in self.waiting().items() if e.claim and e.claim[:2] == claim}
            if not held or any(e.claim and e.claim[2] != self.generation for e in held.values()):
                return "!TurnInputClaimSuperseded"
            took = list(held)
        turn = NaiveTurn(text, took, self.generation, self._turn_limit())
        turn.model = str(self.policy["model"])
        turn.at = self.facts
        positions = [self.inputs[n].at for n in took] or [self.facts]
        turn.messages.append(("user", *positions))
        self.turns[name] = turn
        return self._owned("TurnStarted", now)

    def _started_on_work(self, now: int, name: str, claim: tuple[str, str]) -> str:
        whole = (*claim, self.generation)
        work = [n for n, b in self.working().items() if b.claim == whole and b.kind == "wake"]
        if not work:
            return "!QueuedWorkClaimSuperseded"
        turn = NaiveTurn(None, [], self.generation, self._turn_limit())
        turn.model = str(self.policy["model"])
        turn.at = self.facts
        turn.messages.append(("event", *(self.batches[n].at for n in work)))
        turn.work = work
        self.turns[name] = turn
        return self._owned("TurnStarted", now)

    def _turn_limit(self) -> int:
        wanted = self.policy["max_turns"]
        most = self.limits["model_calls"]
        return min(wanted, most) if isinstance(wanted, int) else most

    def continued(self, now: int, fence: Fence, name: str) -> str:
        problem = self._closed() or self._fenced_off(now, fence)
        turn = self.open_turn()
        if problem or turn is None or turn[0] != name:
            return problem or "!TurnNotOpen"
        if turn[1].generation == self.generation and not turn[1].open:
            return NOTHING
        turn[1].generation = self.generation
        for effect in turn[1].open.values():
            effect.attempt += 1
        return self._owned("TurnContinued", now)

    def requested(self, now: int, fence: Fence, name: str, effect: str, asked: Asked) -> str:
        problem = self._closed() or self._fenced_off(now, fence)
        found = self.open_turn()
        if problem or found is None or found[0] != name:
            return problem or "!TurnNotOpen"
        turn = found[1]
        kind, call, reply_at, ordinal = asked
        if kind == "model":
            allowed = not turn.open and not (turn.step == "replied" and turn.calls)
        else:
            allowed = (
                turn.step == "replied"
                and turn.reply_at == reply_at
                and turn.calls[ordinal : ordinal + 1] == (call,)
                and ordinal not in turn.asked
            )
        if not allowed or effect != f"{name}/{turn.requests + 1}":
            return "!EffectRequestRefused"
        turn.requests += 1
        if kind == "model":
            self._tell(name)
            self._tell_of_work(turn, name)
            if reply_at > turn.batches:
                turn.batches = reply_at
                if reply_at >= turn.limit:
                    turn.messages.append(("notice", turn.limit))
        turn.open[effect] = NaiveEffect(asked)
        if kind == "tool":
            turn.asked.add(ordinal)
        return self._owned("EffectRequested", now)

    def settled(
        self, now: int, fence: Fence, name: str, effect: str, outcome: Outcome, *, worded: bool
    ) -> str:
        problem = self._closed() or self._fenced_off(now, fence)
        found = self.open_turn()
        if problem or found is None or found[0] != name:
            return problem or "!TurnNotOpen"
        turn = found[1]
        if effect not in turn.open:
            return "!EffectNotOpen"
        asked = turn.open[effect].asked
        kind, calls, tokens = outcome
        if FITS[kind] not in ("any", asked[0]) or worded == (kind == "cancelled"):
            return "!EffectOutcomeMismatch"
        if len(calls) > self.limits["calls"]:
            return "!LimitExceeded"
        del turn.open[effect]
        if asked[0] == "tool":
            self._answered(turn, asked[3], kind)
        else:
            self._replied(turn, kind, calls, tokens)
        return self._owned("EffectSettled", now)

    def _replied(self, turn: NaiveTurn, kind: str, calls: tuple[str, ...], tokens: int) -> None:
        if kind == "failed":
            turn.step = "failed"
        elif kind == "cancelled":
            turn.step = "interrupted"
        else:
            turn.step, turn.reply_at, turn.calls, turn.asked = "replied", self.facts, calls, set()
            turn.tokens += tokens
            if kind == "replied" or calls:
                turn.messages.append(("assistant", self.facts))

    def _answered(self, turn: NaiveTurn, ordinal: int, kind: str) -> None:
        turn.answers[ordinal] = (kind, None if kind == "cancelled" else self.facts)
        if len(turn.answers) == len(turn.calls):
            results = [(turn.calls[o], *turn.answers[o]) for o in sorted(turn.answers)]
            turn.messages.append(("results", *results))
            turn.step, turn.answers = "batch done", {}
            turn.batches += 1

    def commit(
        self,
        now: int,
        fence: Fence,
        name: str,
        *,
        ran_into_limit: bool,
        done: list[Done],
        frame: str | None = None,
    ) -> str:
        problem = self._closed() or self._fenced_off(now, fence) or self._unfinished(name)
        problem = problem or self._not_done(done)
        if problem:
            return problem
        opens = (frame or "").strip() if frame != self.frame else ""
        if opens in self.frames:
            return "!FrameIdConflict"
        facts = [self._finish(now, each) for each in done]
        turn = self.turns[name]
        claims = [self.batches[n].claim for n in turn.work if n in self.working()]
        for claim in dict.fromkeys(claims):
            mine = [n for n in turn.work if n in self.working() and self.batches[n].claim == claim]
            facts.append(self._finish(now, ("", "", tuple(mine))))
        self._tell(name)
        if ran_into_limit and ("notice", turn.limit) not in turn.messages:
            turn.messages.append(("notice", turn.limit))
        for taken in turn.took + turn.told:
            self.inputs[taken].status = "completed"
        self.committed.append(name)
        self.leaf = f"{name}:m{len(turn.messages)}"
        self.index += 1
        self.last_tokens = turn.tokens or self.last_tokens
        facts.append(self._over(now, name, "committed"))
        if opens:
            facts.append(self._in_frame(now, opens, 0))
        return ", ".join(facts)

    def end(self, now: int, fence: Fence, name: str) -> str:
        problem = self._closed() or self._fenced_off(now, fence) or self._unfinished(name)
        if problem:
            return problem
        for taken in self.turns[name].took:
            entry = self.inputs[taken]
            entry.attempts += 1
            entry.claim = None
            if entry.attempts > self.limits["returns"]:
                entry.status = "failed"
        facts: list[str] = []
        for taken in self.turns[name].work:
            batch = self.batches[taken]
            if batch.status == "open":
                batch.attempts += 1
                batch.claim = None
                if batch.attempts > self.limits["returns"]:
                    batch.status = "failed"
                    facts = ["WorkFailed"]
        for fact in facts:
            self._owned(fact, now)
        return ", ".join([*facts, self._over(now, name, "ended")])

    def _unfinished(self, name: str) -> str:
        found = self.open_turn()
        if found is None or found[0] != name:
            return "!TurnNotOpen"
        return "!EffectsUnsettled" if found[1].open else ""

    def _over(self, now: int, name: str, how: str) -> str:
        turn = self.turns[name]
        turn.status = how
        if turn.tokens:
            self.ledger[turn.model] = self.ledger.get(turn.model, 0) + turn.tokens
        for entry in self.waiting().values():
            if entry.going[:2] == ("into", name):
                entry.going = ("next",)
                entry.claim = None
        return self._owned("TurnCommitted" if how == "committed" else "TurnEnded", now)

    # Queued work

    def queued(self, now: int, name: str, key: str | None, say: BatchSays) -> str:
        if self._closed():
            return self._closed()
        remembered = [b.key for b in self.batches.values() if not b.forgotten]
        if key is not None and key in remembered:
            return NOTHING
        if name in self.working():
            return "!BatchIdConflict"
        if len(self.working()) >= self.limits["batches"]:
            return "!QueueFull"
        self.batches[name] = NaiveBatch(len(self.batches) + 1, key, say, self.facts)
        return self._recorded("WorkEnqueued", now)

    def work_claimed(
        self,
        now: int,
        fence: Fence,
        token: str,
        where: str,
        wanted: int | list[str],
        *,
        into: str | None = None,
    ) -> str:
        """Claim a ``command``, or turn work at ``idle`` or at a ``checkpoint``."""
        if self._closed():
            return self._closed()
        most = wanted if isinstance(wanted, int) else len(wanted)
        if most == 0:
            return NOTHING
        if self._fenced_off(now, fence):
            return self._fenced_off(now, fence)
        found = self.open_turn()
        if into is not None and (found is None or found[0] != into):
            return "!TurnNotOpen"
        then = self._not_before(now)
        names = [n for n, b in self.working().items() if b.ready_ms <= then]
        names = [n for n in names if not self._is_worked_on(then, n)]
        chosen = self._choose(names, where, min(most, self.limits["work claim"]))
        if not chosen or (isinstance(wanted, list) and chosen != wanted):
            return NOTHING
        head = self.batches[chosen[0]]
        claim = f"qwc:{head.number}:{head.claims + 1}"
        for name in chosen:
            self.batches[name].claim = (claim, token, self.generation)
            self.batches[name].into = into
            self.batches[name].claims += 1
        return self._owned("WorkClaimed", now)

    def _choose(self, names: list[str], where: str, most: int) -> list[str]:
        if not names:
            return []
        head = self.batches[names[0]]
        if where == "command" or head.kind == "command":
            return names[:1] if where == head.kind else []
        if where == "checkpoint" and head.delivery == "late":
            return []
        chosen = names[:1]
        for name in names[1:most]:
            other = self.batches[name]
            alike = (other.kind, other.slot, other.delivery, other.merge) == (
                "wake",
                "join",
                head.delivery,
                head.merge,
            )
            if head.slot != "join" or head.merge is None or not alike:
                break
            chosen.append(name)
        return chosen

    def work_abandoned(self, now: int, claim: str, token: str) -> str:
        if self._closed():
            return self._closed()
        turn = self.open_turn()
        taken = turn[1].work if turn else []
        held = [
            b
            for n, b in self.working().items()
            if b.claim and b.claim[:2] == (claim, token) and n not in taken
        ]
        for batch in held:
            batch.claim = None
        return self._recorded("WorkClaimAbandoned", now) if held else NOTHING

    def work_cancelled(self, now: int, name: str) -> str:
        if self._closed():
            return self._closed()
        if name not in self.working() or self._is_worked_on(self._not_before(now), name):
            return NOTHING
        self.batches[name].status = "cancelled"
        return self._recorded("WorkCancelled", now)

    def work_done(self, now: int, fence: Fence, done: list[Done]) -> str:
        problem = self._closed() or self._fenced_off(now, fence) or self._not_done(done)
        if problem:
            return problem
        return ", ".join(self._finish(now, each) for each in done) or NOTHING

    def _not_done(self, done: list[Done]) -> str:
        seen: set[str] = set()
        for claim, token, names in done:
            whole = (claim, token, self.generation)
            held = {n for n, b in self.working().items() if b.claim == whole}
            if not held or sorted(held) != sorted(names) or claim in seen:
                return "!QueuedWorkClaimSuperseded"
            seen.add(claim)
        return ""

    def _finish(self, now: int, done: Done) -> str:
        for name in done[2]:
            self.batches[name].status = "completed"
        return self._owned("WorkCompleted", now)

    def working(self) -> dict[str, NaiveBatch]:
        return {name: each for name, each in self.batches.items() if each.status == "open"}

    def _is_worked_on(self, now: int, name: str) -> bool:
        turn = self.open_turn()
        if turn and name in turn[1].work:
            return True
        claim = self.batches[name].claim
        return claim is not None and claim[2] == self.generation and self._is_live(now)

    # What everything asks

    def waiting(self) -> dict[str, NaiveInput]:
        return {name: entry for name, entry in self.inputs.items() if entry.status == "waiting"}

    def open_turn(self) -> tuple[str, NaiveTurn] | None:
        found = [(name, turn) for name, turn in self.turns.items() if turn.status == "open"]
        return found[0] if found else None

    def _closed(self) -> str:
        return {"absent": "!SessionNotOpen", "deleted": "!SessionDeleted"}.get(self.phase, "")

    def _not_before(self, now: int) -> int:
        return max(now, self.last_ms)

    def _is_live(self, now: int) -> bool:
        return self.holder is not None and now < self.expires_ms

    def _is_held(self, now: int, name: str) -> bool:
        turn = self.open_turn()
        if turn and name in turn[1].took + turn[1].told:
            return True
        claim = self.inputs[name].claim
        return claim is not None and claim[2] == self.generation and self._is_live(now)

    def _fenced_off(self, now: int, fence: Fence) -> str:
        mine = self.holder is not None and fence == (*self.holder, self.generation)
        live = self._is_live(self._not_before(now))
        return "" if mine and live else "!SessionExecutionLeaseExpired"

    def _owned(self, fact: str, now: int) -> str:
        self.expires_ms = max(self.expires_ms, self._not_before(now) + self.ttl_ms)
        return self._recorded(fact, now)

    def _recorded(self, fact: str, now: int) -> str:
        self.last_ms = self._not_before(now)
        self.facts += 1
        self.parked = False
        return fact
