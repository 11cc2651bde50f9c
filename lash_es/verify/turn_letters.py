"""Letters of the turn: start, go on, ask the world, bring what it said, commit, end."""

from collections.abc import Iterable, Iterator
from typing import Final

from attrs import evolve as with_changes

from lash_es.core.agenda import agenda
from lash_es.core.commands import (
    CommitTurn,
    ContinueTurn,
    EndTurn,
    InputCompletion,
    RequestEffect,
    SettleEffect,
    StartTurn,
    TurnSource,
    WithClaim,
    WithInput,
)
from lash_es.core.effects import EffectRequest, ModelCall, ToolCall
from lash_es.core.ids import CallId, EffectId, Revision, SessionId, TurnId
from lash_es.core.known import IndexKey, IndexKind, TurnEntry
from lash_es.core.messages import FinishReason, TokenUsage
from lash_es.core.outcomes import (
    EffectCancelled,
    EffectFailed,
    EffectOutcome,
    Finished,
    ModelReplied,
    Stopped,
    StopReason,
    ToolCallRef,
    ToolReturned,
)
from lash_es.core.owners import Fence
from lash_es.core.stamps import meant
from lash_es.core.state import Open
from lash_es.core.turns import BatchDone, Begun, OpenTurn, Replied, effect_name
from lash_es.core.work_commands import WithWork
from lash_es.verify.bounds import (
    FIRST_TURN,
    GONE,
    Bounds,
    drivers,
    fences,
    holders,
    late,
)
from lash_es.verify.input_letters import input_claims
from lash_es.verify.work_letters import completions, work_claims
from lash_es.verify.worlds import Ask, Move, World, body

_FIRST_EFFECT: Final = EffectId("t0/1")


def starts(world: World, bounds: Bounds) -> Iterable[Move]:
    """A new turn, or one that was started before, on an input of its own or on a claim."""
    for fence in holders(world):
        for turn_id, source in _turns(world, bounds):
            yield Ask(_start(world, fence, turn_id, source))
    for fence in late(world):
        yield Ask(_start(world, fence, FIRST_TURN, WithInput(body=body(b"do"))))


def _start(world: World, fence: Fence, turn_id: TurnId, source: TurnSource) -> StartTurn:
    return StartTurn(now_ms=world.now_ms, fence=fence, turn_id=turn_id, source=source)


def _turns(world: World, bounds: Bounds) -> Iterator[tuple[TurnId, WithInput | WithClaim]]:
    for turn_id in _turn_ids(world, bounds):
        yield turn_id, WithInput(body=body(b"do"))
        for claim_id, token in (*input_claims(world), GONE):
            yield turn_id, WithClaim(claim_id=claim_id, token=token)


def starts_on_work(world: World, bounds: Bounds) -> Iterable[Move]:
    """A new turn on a claim of work, or one that was started before."""
    for fence in holders(world):
        for turn_id in _turn_ids(world, bounds):
            for claim_id, token in (*work_claims(world), GONE):
                yield Ask(_start(world, fence, turn_id, WithWork(claim_id=claim_id, token=token)))


def _turn_ids(world: World, bounds: Bounds) -> tuple[TurnId, ...]:
    is_full = len(world.turns) >= bounds.turns
    return world.turns if is_full else (*world.turns, TurnId(f"t{len(world.turns)}"))


def continues(world: World, bounds: Bounds) -> Iterable[Move]:
    """Whoever thinks it holds the lease goes on with the turn."""
    del bounds
    for turn, fence in drivers(world):
        yield Ask(ContinueTurn(now_ms=world.now_ms, fence=fence, turn_id=turn.turn_id))
    for fence in late(world):
        yield Ask(ContinueTurn(now_ms=world.now_ms, fence=fence, turn_id=FIRST_TURN))


def requests(world: World, bounds: Bounds) -> Iterable[Move]:
    """The driver asks for the model, and for each call of the last reply."""
    for turn, fence in drivers(world):
        for request in _requests(turn, bounds):
            yield Ask(_request(world, fence, turn.turn_id, effect_name(turn), request))
    for fence in late(world):
        yield Ask(_request(world, fence, FIRST_TURN, _FIRST_EFFECT, ModelCall(iteration=0)))


def _request(
    world: World, fence: Fence, turn_id: TurnId, effect_id: EffectId, request: EffectRequest
) -> RequestEffect:
    return RequestEffect(
        now_ms=world.now_ms, fence=fence, turn_id=turn_id, effect_id=effect_id, request=request
    )


def _requests(turn: OpenTurn, bounds: Bounds) -> Iterator[EffectRequest]:
    replies = sum(node.role.value == "assistant" for node in turn.nodes)
    if replies < bounds.model_calls_per_turn and isinstance(turn.step, Begun | BatchDone):
        yield ModelCall(iteration=turn.iteration)
    if isinstance(turn.step, Replied):
        for ordinal, call in enumerate(turn.step.outcome.tool_calls):
            yield ToolCall(
                call_id=call.call_id, tool=call.tool, reply=turn.step.reply, ordinal=ordinal
            )


def settles(world: World, bounds: Bounds) -> Iterable[Move]:
    """The driver brings every outcome of every effect that is open, and one that does not fit."""
    for turn, fence in drivers(world):
        for effect in agenda(world.state):
            for outcome in outcomes(bounds):
                yield Ask(_settle(world, fence, turn.turn_id, effect.effect_id, outcome))
    for fence in late(world):
        yield Ask(_settle(world, fence, FIRST_TURN, _FIRST_EFFECT, EffectCancelled()))


def _settle(
    world: World, fence: Fence, turn_id: TurnId, effect_id: EffectId, outcome: EffectOutcome
) -> SettleEffect:
    return SettleEffect(
        now_ms=world.now_ms,
        fence=fence,
        turn_id=turn_id,
        effect_id=effect_id,
        outcome=outcome,
        body=None if isinstance(outcome, EffectCancelled) else body(b"said"),
    )


def outcomes(bounds: Bounds) -> Iterable[EffectOutcome]:
    """List what an effect can come to; not all of them fit it."""
    yield EffectFailed(code="broken", is_retryable=False)
    yield EffectCancelled()
    yield ToolReturned()
    for calls_count in range(bounds.tool_calls_per_reply + 1):
        yield ModelReplied(
            finish=FinishReason.STOP,
            has_content=True,
            tool_calls=tuple(
                ToolCallRef(call_id=CallId(f"c{n}"), tool="read") for n in range(calls_count)
            ),
            usage=TokenUsage(input_tokens=1),
        )


def commits(world: World, bounds: Bounds) -> Iterable[Move]:
    """
    The driver commits the turn, and says more or less of what that means; some of it is wrong.
    """
    del bounds
    for turn, fence in drivers(world):
        plain = _commit(world, fence, turn.turn_id)
        yield from map(Ask, _meanings(world, turn, plain))
    for fence in late(world):
        yield Ask(_commit(world, fence, FIRST_TURN))


def _commit(world: World, fence: Fence, turn_id: TurnId) -> CommitTurn:
    return CommitTurn(now_ms=world.now_ms, fence=fence, turn_id=turn_id, outcome=Finished())


def _meanings(world: World, turn: OpenTurn, plain: CommitTurn) -> Iterator[CommitTurn]:
    assert isinstance(world.state, Open)
    yield plain
    yield with_changes(plain, releases_lease=True)
    if turn.batch_ids:
        return  # It looks at the queue as well: what else may be said is said of other turns.
    yield with_changes(plain, commit_hash=meant(world.state, turn, Finished()))
    yield with_changes(plain, commit_hash="wrong")
    yield with_changes(plain, expected_revision=world.state.head.revision)
    yield with_changes(plain, expected_revision=Revision(world.state.head.revision + 1))
    yield with_changes(plain, session_id=SessionId("another"))
    for done in _input_completions(world):
        yield with_changes(plain, input_completions=(done,))


def _input_completions(world: World) -> Iterator[InputCompletion]:
    """Each claim on inputs, whole and without its first, and one of which nothing is left."""
    assert isinstance(world.state, Open)
    pending = world.state.inputs.pending.values()
    for claim_id, token in input_claims(world):
        held = tuple(
            entry.input_id
            for entry in pending
            if entry.claim is not None
            and (entry.claim.claim_id, entry.claim.token) == (claim_id, token)
        )
        yield InputCompletion(claim_id=claim_id, token=token, input_ids=held)
        yield InputCompletion(claim_id=claim_id, token=token, input_ids=held[1:])
    yield InputCompletion(claim_id=GONE[0], token=GONE[1], input_ids=())


def commits_with_work(world: World, bounds: Bounds) -> Iterable[Move]:
    """The driver commits the turn together with work: all at once, or nothing."""
    del bounds
    for turn, fence in drivers(world):
        if _may_commit(world, turn):
            plain = _commit(world, fence, turn.turn_id)
            for chosen in completions(world):
                yield Ask(with_changes(plain, work_completions=chosen))


def _may_commit(world: World, turn: OpenTurn) -> bool:
    """Look at the turn and the head before the work, which has more values."""
    assert isinstance(world.state, Open)
    return not turn.effects and world.state.head.revision >= 0


def commits_again(world: World, bounds: Bounds) -> Iterable[Move]:
    """A commit is sent again by who never heard the answer, or with another content."""
    del bounds
    for turn_id in world.turns:
        entry = world.taken.get(IndexKey(IndexKind.TURN, turn_id))
        if not isinstance(entry, TurnEntry) or entry.ended is None:
            continue
        recorded = None if entry.stamp is None else entry.stamp.commit_hash
        for fence in fences(world):
            plain = _commit(world, fence, turn_id)
            yield Ask(with_changes(plain, commit_hash=recorded, releases_lease=True))
            yield Ask(with_changes(plain, commit_hash="other"))


def ends(world: World, bounds: Bounds) -> Iterable[Move]:
    """Whoever thinks it holds the lease ends the turn."""
    del bounds
    for turn, fence in drivers(world):
        yield Ask(_end(world, fence, turn.turn_id))
    for fence in late(world):
        yield Ask(_end(world, fence, FIRST_TURN))


def _end(world: World, fence: Fence, turn_id: TurnId) -> EndTurn:
    stopped = Stopped(reason=StopReason.CANCELLED)
    return EndTurn(now_ms=world.now_ms, fence=fence, turn_id=turn_id, outcome=stopped)
