"""
Builds one session of many facts, fast: turn after turn, real events in large appends.

Each turn drains an input, asks a model and is committed: six facts. Every hundredth fails.
"""

from collections.abc import Iterator
from itertools import count
from typing import Final

from lash_es.codec.contents import encode_content
from lash_es.codec.streams import StreamId
from lash_es.core.bodies import NewBody
from lash_es.core.commands import (
    AcquireLease,
    ClaimTurnInputs,
    Command,
    CommitTurn,
    EndTurn,
    EnqueueTurnInput,
    OpenSession,
    RequestEffect,
    SettleEffect,
    StartTurn,
    WithClaim,
    new_bodies,
)
from lash_es.core.decide import decide
from lash_es.core.effects import ModelCall
from lash_es.core.events import Event
from lash_es.core.evolve import evolve
from lash_es.core.ids import AppendId, ClaimId, EffectId, InputId, SessionId, TurnId
from lash_es.core.ingress import NextTurn
from lash_es.core.known import Known
from lash_es.core.messages import FinishReason, ModelReply, ProsePart, TokenUsage, TurnInput
from lash_es.core.outcomes import Finished, ModelReplied, Stopped, StopReason
from lash_es.log.appends import Appended
from lash_es.log.encoding import Folded, encode_append, nothing_folded
from lash_es.log.port import Store
from tests.log.tapes import ALICE, ALICES, POLICY

FACTS_PER_APPEND: Final = 256
TURNS_PER_FAILURE: Final = 100
STREAM: Final = StreamId("default", SessionId("long"))

_SALT: Final = b"salt" * 4
_SAID: Final = encode_content(TurnInput.of_text("what a person says in a sentence or two"), _SALT)
_ANSWER: Final = encode_content(
    ModelReply(parts=(ProsePart(text="what a model answers, in a few more words"),)), _SALT
)
_REPLIED: Final = ModelReplied(
    finish=FinishReason.STOP,
    has_content=True,
    tool_calls=(),
    usage=TokenUsage(input_tokens=100, output_tokens=10),
)


def build(store: Store, facts_count: int) -> Folded:
    """Append facts to the session until it has so many, or a few more."""
    folded = nothing_folded(STREAM)
    commands = _commands()
    while folded.version < facts_count:
        state, events, bodies = folded.state, list[Event](), list[NewBody]()
        while len(events) < min(FACTS_PER_APPEND, facts_count - folded.version):
            command = next(commands)
            for event in decide(state, command, Known()):
                state = evolve(state, event)
                events.append(event)
            bodies += new_bodies(command)
        append_id = AppendId(f"built/{folded.version}")
        append, folded = encode_append(folded, events, bodies, append_id)
        assert isinstance(store.append((append,)), Appended)
    return folded


def _commands() -> Iterator[Command]:
    yield OpenSession(now_ms=1, session_id=STREAM.session_id, policy=POLICY)
    yield AcquireLease(now_ms=1, owner=ALICE, token=ALICES.token, ttl_ms=60_000)
    sequence = 0
    for number in count(1):
        is_again = _fails(number - 1)  # The input of a turn that failed is drained once more.
        if not is_again:
            sequence += 1
            yield EnqueueTurnInput(
                now_ms=number,
                input_id=InputId(f"i{sequence}"),
                source_key=None,
                ingress=NextTurn(),
                body=_SAID,
            )
        yield ClaimTurnInputs(now_ms=number, fence=ALICES, token="c", inputs_max=1)
        yield from _turn(number, ClaimId(f"tic:{sequence}:{2 if is_again else 1}"))


def _turn(number: int, claim_id: ClaimId) -> Iterator[Command]:
    turn_id, effect_id = TurnId(f"t{number}"), EffectId(f"t{number}/1")
    now_ms = number
    source = WithClaim(claim_id=claim_id, token="c")
    yield StartTurn(now_ms=now_ms, fence=ALICES, turn_id=turn_id, source=source)
    yield RequestEffect(
        now_ms=now_ms,
        fence=ALICES,
        turn_id=turn_id,
        effect_id=effect_id,
        request=ModelCall(iteration=0),
    )
    yield SettleEffect(
        now_ms=now_ms,
        fence=ALICES,
        turn_id=turn_id,
        effect_id=effect_id,
        outcome=_REPLIED,
        body=_ANSWER,
    )
    if _fails(number):
        outcome = Stopped(reason=StopReason.CANCELLED)
        yield EndTurn(now_ms=now_ms, fence=ALICES, turn_id=turn_id, outcome=outcome)
    else:
        yield CommitTurn(now_ms=now_ms, fence=ALICES, turn_id=turn_id, outcome=Finished())


def _fails(number: int) -> bool:
    return number > 0 and number % TURNS_PER_FAILURE == 0
