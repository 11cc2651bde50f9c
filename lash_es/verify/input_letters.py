"""Letters of pending input: enqueue, claim, accept, give back, withdraw, forget."""

from collections.abc import Iterable, Iterator

from lash_es.core.commands import (
    AbandonTurnInputClaim,
    CancelTurnInput,
    CancelTurnInputs,
    CancelTurnInputSuffix,
    ClaimActiveTurnInputs,
    ClaimTurnInputs,
    EnqueueTurnInput,
)
from lash_es.core.ids import ClaimId, InputId, TurnId
from lash_es.core.ingress import ActiveTurn, Boundary, NextTurn, TurnInputIngress
from lash_es.core.known import IndexKey, IndexKind, InputEntry, SourceKeyEntry
from lash_es.core.owners import Fence
from lash_es.core.state import Open
from lash_es.core.targets import CancelTarget, SourceKey
from lash_es.core.targets import InputId as ById
from lash_es.verify.bounds import FIRST_TURN, GONE, Bounds, drivers, fences, late, open_turns
from lash_es.verify.worlds import Ask, Move, World, body


def enqueues(world: World, bounds: Bounds) -> Iterable[Move]:
    """One more input, for the next turn or into one; and those with a key again."""
    is_full = len(world.inputs) >= bounds.inputs
    for key in (None, *_keys(bounds)):
        if is_full and not _is_taken(world, key):
            continue
        for text in (b"hello",) if key is None else (b"hello", b"goodbye"):
            for ingress in _ingresses(world, bounds):
                yield Ask(
                    EnqueueTurnInput(
                        now_ms=world.now_ms,
                        input_id=InputId(f"i{len(world.inputs)}"),
                        source_key=key,
                        ingress=ingress,
                        body=body(text),
                    )
                )


def _is_taken(world: World, key: str | None) -> bool:
    """Tell whether a key names an input that waits or is remembered: then none is new."""
    assert isinstance(world.state, Open)
    entry = None if key is None else world.said.get(IndexKey(IndexKind.SOURCE_KEY, key))
    if not isinstance(entry, SourceKeyEntry):
        return False
    settled = world.said.get(IndexKey(IndexKind.INPUT, entry.input_id))
    if not isinstance(settled, InputEntry):
        return True
    return settled.settled >= world.state.inputs.pruned_below


def _keys(bounds: Bounds) -> list[str]:
    return [f"k{number}" for number in range(bounds.source_keys)]


def _ingresses(world: World, bounds: Bounds) -> Iterator[TurnInputIngress]:
    """Into the next turn, into the open one, and into one that is over."""
    yield NextTurn()
    for turn in open_turns(world):
        for boundary in tuple(Boundary)[: bounds.boundaries]:
            yield ActiveTurn(turn.turn_id, boundary)
    open_ids = [turn.turn_id for turn in open_turns(world)]
    for turn_id in world.turns[-1:]:
        if turn_id not in open_ids:
            yield ActiveTurn(turn_id)


def claims(world: World, bounds: Bounds) -> Iterable[Move]:
    """Whoever thinks it holds the lease claims one input, or all."""
    for fence in fences(world):
        for most in sorted({1, bounds.inputs}):
            yield Ask(
                ClaimTurnInputs(
                    now_ms=world.now_ms,
                    fence=fence,
                    token=f"claim{world.version}",
                    inputs_max=most,
                )
            )


def accepts(world: World, bounds: Bounds) -> Iterable[Move]:
    """Whoever drives the turn takes one input into it, or all, at either checkpoint."""
    for turn, fence in drivers(world):
        for checkpoint in Boundary:
            for most in sorted({1, bounds.inputs}):
                yield Ask(_accept(world, fence, turn.turn_id, checkpoint, most))
    for fence in late(world):
        yield Ask(_accept(world, fence, FIRST_TURN, Boundary.BEFORE_COMPLETION, bounds.inputs))


def _accept(
    world: World, fence: Fence, turn_id: TurnId, checkpoint: Boundary, most: int
) -> ClaimActiveTurnInputs:
    return ClaimActiveTurnInputs(
        now_ms=world.now_ms,
        fence=fence,
        token=f"claim{world.version}",
        turn_id=turn_id,
        checkpoint=checkpoint,
        inputs_max=most,
    )


def input_claims(world: World) -> tuple[tuple[ClaimId, str], ...]:
    """List the claims that inputs name, honoured or not, in the order of the inputs."""
    assert isinstance(world.state, Open)
    pending = world.state.inputs.pending.values()
    found = [(e.claim.claim_id, e.claim.token) for e in pending if e.claim is not None]
    return tuple(dict.fromkeys(found))


def abandons(world: World, bounds: Bounds) -> Iterable[Move]:
    """A claim is given back, whoever made it, and one of which nothing is left."""
    del bounds
    for claim_id, token in (*input_claims(world), GONE):
        yield Ask(AbandonTurnInputClaim(now_ms=world.now_ms, claim_id=claim_id, token=token))


def cancels(world: World, bounds: Bounds) -> Iterable[Move]:
    """Somebody withdraws an input, even one that is settled."""
    del bounds
    for input_id in world.inputs:
        yield Ask(CancelTurnInput(now_ms=world.now_ms, input_id=input_id))


def cancels_together(world: World, bounds: Bounds) -> Iterable[Move]:
    """Somebody withdraws all there ever were, the first twice, by id and by key."""
    targets: list[CancelTarget] = [ById(input_id) for input_id in world.inputs]
    named: list[CancelTarget] = [SourceKey(key) for key in _keys(bounds)]
    for chosen in (targets + targets[:1], named):
        if chosen:
            yield Ask(CancelTurnInputs(now_ms=world.now_ms, targets=tuple(chosen)))


def cancels_suffix(world: World, bounds: Bounds) -> Iterable[Move]:
    """Somebody withdraws an input and all after it; one that is settled has a place as well."""
    anchors: list[CancelTarget] = [ById(input_id) for input_id in world.inputs]
    anchors += [SourceKey(key) for key in _keys(bounds)]
    for anchor in anchors:
        yield Ask(CancelTurnInputSuffix(now_ms=world.now_ms, anchor=anchor))
