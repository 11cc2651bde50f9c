"""
A history told in sentences: one line per fact, with the beginning of what was said.

The words are in bodies and are read from the store; nothing is asked of a model or a tool. They
are what people and models wrote: whoever prints a line makes it safe first.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias, TypeVar, assert_never, cast

import orjson
from attrs import frozen

from lash_es.codec.contents import Content
from lash_es.codec.records import Header
from lash_es.codec.streams import StreamId
from lash_es.core.descriptions import SessionDescribed
from lash_es.core.effects import EffectRequest, ToolCall
from lash_es.core.events import (
    DirectInput,
    EffectRequested,
    EffectSettled,
    Event,
    HistoryTrimmed,
    LeaseAcquired,
    LeaseReleased,
    LeaseRenewed,
    SessionConfigured,
    SessionOpened,
    SessionParked,
    SessionTombstoned,
    TurnCommitted,
    TurnContinued,
    TurnEnded,
    TurnInputCancelled,
    TurnInputClaimAbandoned,
    TurnInputEnqueued,
    TurnInputsAccepted,
    TurnInputsCancelled,
    TurnInputsClaimed,
    TurnInputsDeferred,
    TurnInputTombstonesPruned,
    TurnOrigin,
    TurnStarted,
    body_ref,
)
from lash_es.core.fork_events import SessionForked
from lash_es.core.graph_events import GraphEvent
from lash_es.core.ids import EffectId, Generation, InputId, Position
from lash_es.core.ingress import NextTurn
from lash_es.core.messages import (
    EffectFailure,
    ModelReply,
    ProsePart,
    ToolCallPart,
    ToolOutput,
    TurnInput,
)
from lash_es.core.outcomes import (
    EffectCancelled,
    EffectFailed,
    Finished,
    FrameSwitched,
    ModelReplied,
    ToolReturned,
    TurnOutcome,
)
from lash_es.core.work_events import DrainedWork
from lash_es.log.contents import read_content
from lash_es.log.port import Store
from lash_es.log.sealing_errors import BodySealed
from lash_es.timetravel.telling_graphs import told_graph, told_policy
from lash_es.timetravel.telling_work import told_work
from lash_es.turns.transcript import input_parts

EXCERPT_CHARS_MAX: Final = 160
ID_CHARS_MAX: Final = 24
INPUTS_NAMED_MAX: Final = 3

Named: TypeAlias = dict[str, object]
_C = TypeVar("_C", bound=Content)


@frozen(kw_only=True)
class Line:
    """One fact, told. ``name`` is its wire name, ``cause`` the fact that led to it."""

    position: Position
    at_ms: int
    generation: Generation | None
    name: str
    what: str
    cause: Position | None


SEALED: Final = "(sealed: its key is not here)"
"""What is told of a fact whose words cannot be read; the rest of its line can."""

_Waiting: TypeAlias = (
    TurnInputsClaimed
    | TurnInputsAccepted
    | TurnInputsDeferred
    | TurnInputsCancelled
    | TurnInputTombstonesPruned
    | TurnInputClaimAbandoned
    | TurnInputCancelled
)


class Narrator:
    """Tells the facts of one stream, in order: a line may need what an earlier one said."""

    def __init__(self, store: Store, stream: StreamId) -> None:
        self._store = store
        self._stream = stream
        self._requests: dict[EffectId, EffectRequest] = {}

    def line(self, header: Header, event: Event) -> Line:
        """
        Tell one fact.

        Raises:
            CorruptBody: its words are missing, or not those that were committed to.
        """
        return Line(
            position=header.position,
            at_ms=header.recorded_at_ms,
            generation=header.generation,
            name=header.name,
            what=self._told(header.position, event),
            cause=header.cause,
        )

    def expect(self, requests: Mapping[EffectId, EffectRequest]) -> None:
        """Take note of what facts have asked for that are not told themselves."""
        self._requests.update(requests)

    def call(self, call: ToolCall) -> str:
        """Write a tool call as a call, with the arguments as the model wrote them."""
        reply = self._store_content(call.reply.position, ModelReply)
        calls = [part for part in reply.parts if isinstance(part, ToolCallPart)]
        return called(call.tool, calls[call.ordinal].arguments)

    def _told(self, position: Position, event: Event) -> str:
        try:
            return self._what(position, event)
        except BodySealed:
            return SEALED

    def _what(  # noqa: PLR0911 - a table
        self, position: Position, event: Event
    ) -> str:
        if isinstance(event, GraphEvent):
            return told_graph(event)
        match event:
            case EffectRequested() | EffectSettled():
                return f"{_ordinal(event.effect_id)} {self._effect(position, event)}"
            case TurnStarted() | TurnContinued() | TurnCommitted() | TurnEnded():
                return self._turn(position, event)
            case (
                TurnInputEnqueued()
                | TurnInputsClaimed()
                | TurnInputsAccepted()
                | TurnInputsDeferred()
                | TurnInputsCancelled()
                | TurnInputTombstonesPruned()
                | TurnInputClaimAbandoned()
                | TurnInputCancelled()
            ):
                return self._input(position, event)
            case LeaseAcquired() | LeaseRenewed() | LeaseReleased():
                return _lease(event)
            case (
                SessionOpened()
                | SessionConfigured()
                | SessionDescribed()
                | SessionParked()
                | SessionTombstoned()
                | HistoryTrimmed()
                | SessionForked()
            ):
                return _session(event)
            case _:
                return told_work(event)

    def _input(self, position: Position, event: TurnInputEnqueued | _Waiting) -> str:
        if isinstance(event, TurnInputEnqueued):
            return f"{_target(event)}: {self.input_at(position)}"
        return _waiting(event)

    def _effect(self, position: Position, event: EffectRequested | EffectSettled) -> str:
        if isinstance(event, EffectSettled):
            return self._outcome(position, event)
        self._requests[event.effect_id] = event.request
        return self._request(event.request)

    def _turn(
        self, position: Position, event: TurnStarted | TurnContinued | TurnCommitted | TurnEnded
    ) -> str:
        turn = _short(event.turn_id)
        match event:
            case TurnStarted():
                return f"{turn} starts{self._origin(position, event.origin)}"
            case TurnContinued():
                return f"{turn} goes on"
            case TurnCommitted():
                messages = _count(len(event.nodes), "message")
                tokens = f"{event.usage.total_tokens} tokens"
                ending = _ending(event.outcome)
                return f"{turn} {ending}: revision {event.revision}, {messages}, {tokens}"
            case TurnEnded():
                ending = f"{_ending(event.outcome)}, without a commit"
                return f"{turn} {ending}{_released(event)}"

    def _origin(self, position: Position, origin: TurnOrigin) -> str:
        if isinstance(origin, DirectInput):
            return f": {self.input_at(position)}"
        if isinstance(origin, DrainedWork):
            count = len(origin.batch_ids)
            return " on 1 batch of work" if count == 1 else f" on {count} batches of work"
        return f" on {_count(len(origin.input_ids), 'pending input')}"

    def _request(self, request: EffectRequest) -> str:
        if isinstance(request, ToolCall):
            return self.call(request)
        return f"model call {request.iteration + 1}"

    def _outcome(self, position: Position, event: EffectSettled) -> str:
        request = self._requests.get(event.effect_id)
        who = request.tool if isinstance(request, ToolCall) else "model"
        match event.outcome:
            case ModelReplied():
                return self._reply(position, event.outcome)
            case ToolReturned():
                output = self._store_content(position, ToolOutput)
                return f"{who} returned: {first_line(output.text)}"
            case EffectFailed():
                failure = self._store_content(position, EffectFailure)
                return f"{who} failed ({event.outcome.code}): {first_line(failure.message)}"
            case EffectCancelled():
                return f"{who} was stopped"
            case _:
                assert_never(event.outcome)

    def _reply(self, position: Position, outcome: ModelReplied) -> str:
        if outcome.tool_calls:
            tools = ", ".join(call.tool for call in outcome.tool_calls)
            return f"model wants {_count(len(outcome.tool_calls), 'call')}: {excerpt(tools)}"
        parts = self._store_content(position, ModelReply).parts
        text = " ".join(part.text for part in parts if isinstance(part, ProsePart))
        return f"model said: {first_line(text)}" if text else "model said nothing"

    def input_at(self, position: Position) -> str:
        """Quote the input that the fact at a position took."""
        parts = input_parts([self._store_content(position, TurnInput)])
        texts = [getattr(part, "text", "(an image)") for part in parts]
        return f'"{excerpt(" ".join(texts))}"'

    def _store_content(self, position: Position, kind: type[_C]) -> _C:
        return read_content(self._store, self._stream, body_ref(position), kind)


def called(tool: str, arguments: str) -> str:
    """Write a call the way Python would; arguments that are no JSON object stay as they are."""
    try:
        named = orjson.loads(arguments or "{}")
    except orjson.JSONDecodeError:
        return f"{tool}({excerpt(arguments)})"
    if not isinstance(named, dict):
        return f"{tool}({excerpt(arguments)})"
    listed = (f"{name}={_argument(value)}" for name, value in cast("Named", named).items())
    return f"{tool}({excerpt(', '.join(listed))})"


def _argument(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def excerpt(text: str, chars_max: int = EXCERPT_CHARS_MAX) -> str:
    """Take the beginning of a text, on one line."""
    # What is cut away is not even looked at: a body may be large.
    line = " ".join(text[: 4 * chars_max].split())
    is_cut = len(line) > chars_max or len(text) > 4 * chars_max
    return f"{line[: chars_max - 3]}..." if is_cut else line


def first_line(text: str, chars_max: int = EXCERPT_CHARS_MAX) -> str:
    """Take the first line of a text that is not blank, and say if there is more."""
    first, _, rest = text.lstrip().partition("\n")
    line = excerpt(first, chars_max)
    return f"{line} ..." if rest.strip() and not line.endswith("...") else line


def _ordinal(effect_id: EffectId) -> str:
    """Shorten an effect's name to its number in the turn, which the lines around it name."""
    return f"#{effect_id.rpartition('/')[2]}"


def _short(identifier: str) -> str:
    is_long = len(identifier) > ID_CHARS_MAX
    return f"{identifier[: ID_CHARS_MAX - 3]}..." if is_long else identifier


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _target(event: TurnInputEnqueued) -> str:
    if isinstance(event.ingress, NextTurn):
        return "an input for the next turn"
    return f"an input for {_short(event.ingress.turn_id)}"


def _waiting(  # noqa: PLR0911 - a line for each fact
    event: _Waiting,
) -> str:
    match event:
        case TurnInputsAccepted():
            where = f"{_short(event.turn_id)} at {event.checkpoint.value}"
            return f"{_count(len(event.input_ids), 'input')} taken into {where}"
        case TurnInputsDeferred():
            return f"{_count(len(event.input_ids), 'input')} too late, for the next turn"
        case TurnInputsClaimed():
            return f"{_count(len(event.input_ids), 'input')} claimed as {event.claim_id}"
        case TurnInputClaimAbandoned():
            return f"{_count(len(event.input_ids), 'input')} of {event.claim_id} given back"
        case TurnInputsCancelled():
            return f"{_count(len(event.input_ids), 'input')} withdrawn"
        case TurnInputTombstonesPruned():
            return f"{_count(event.tombstones_count, 'settled input')} forgotten"
        case TurnInputCancelled():
            return f"input {_short(event.input_id)} withdrawn"


def _released(event: TurnEnded) -> str:
    """Say what became of the inputs that the turn had drained."""
    back = _inputs(event.returned_input_ids, "back for another try")
    failed = _inputs(event.failed_input_ids, "given up after too many tries")
    return f"{back}{failed}"


def _inputs(input_ids: Sequence[InputId], fate: str) -> str:
    if not input_ids:
        return ""
    names = ", ".join(map(_short, input_ids[:INPUTS_NAMED_MAX]))
    more = ", ..." if len(input_ids) > INPUTS_NAMED_MAX else ""
    return f"; {_count(len(input_ids), 'input')} {fate} ({names}{more})"


def _ending(outcome: TurnOutcome) -> str:
    if isinstance(outcome, Finished):
        return "finished"
    if isinstance(outcome, FrameSwitched):
        return f"goes on in frame {_short(outcome.frame_id)}"
    return f"stopped ({', '.join(filter(None, (outcome.reason.value, outcome.code)))})"


def _lease(event: LeaseAcquired | LeaseRenewed | LeaseReleased) -> str:
    match event:
        case LeaseAcquired():
            return f"{_short(event.owner.owner_id)} takes the lease, {event.ttl_ms} ms"
        case LeaseRenewed():
            return f"renewed, {event.ttl_ms} ms"
        case LeaseReleased():
            return "released"


def _session(
    event: SessionOpened
    | SessionConfigured
    | SessionDescribed
    | SessionParked
    | SessionTombstoned
    | HistoryTrimmed
    | SessionForked,
) -> str:
    match event:
        case SessionOpened():
            return told_policy(event.policy)
        case SessionConfigured():
            return f"from now on {told_policy(event.policy)}"
        case SessionParked() | SessionDescribed():
            return "parked" if isinstance(event, SessionParked) else _described(event)
        case SessionTombstoned():
            return "deleted for ever"
        case HistoryTrimmed():
            return f"facts in front of version {event.below} may go"
        case SessionForked():
            return f"forked from {_short(event.parent)} at version {event.below}"


def _described(event: SessionDescribed) -> str:
    said = event.description
    texts = (said.name, said.cwd, said.parent_session_id and f"child of {said.parent_session_id}")
    return f"described: {excerpt(', '.join(filter(None, texts)))}"
