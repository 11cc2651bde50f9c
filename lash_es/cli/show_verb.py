"""``lash-es show``: the state of a session at a position. It runs no model and no tool."""

import time
from collections.abc import Iterator, Sequence

import attrs
from attrs import frozen

from lash_es.cli.addressing import Log, Opening, moment, opened, past_at
from lash_es.cli.documents import line_document, message_document, state_document
from lash_es.cli.screen import Piece, Screen, clock, day, plural, print_json
from lash_es.codec.streams import StreamId
from lash_es.core.agenda import agenda
from lash_es.core.effects import Effect, EffectRequest, ToolCall
from lash_es.core.events import EffectSettled
from lash_es.core.ids import EffectId, Position, Version
from lash_es.core.leases import Lease
from lash_es.core.messages import (
    ImagePart,
    Message,
    Part,
    ReasoningPart,
    TokenUsage,
    ToolCallPart,
    ToolResultPart,
)
from lash_es.core.state import NotOpened, Open, State
from lash_es.core.turns import NoTurn
from lash_es.log.loading import load
from lash_es.projections.pending import PendingEntry, pending_queues
from lash_es.projections.usage import usage_report
from lash_es.timetravel.narrating import Line, Narrator, called, excerpt, first_line
from lash_es.timetravel.past import StoredHistory
from lash_es.timetravel.transcripts import read_transcript

Row = tuple[str, Sequence[Piece]]


@frozen(kw_only=True)
class View:
    """A state, the fact that made it, told, and the time at which it is looked at."""

    stream: StreamId
    line: Line
    state: State
    now_ms: int


def view(log: Log, past: StoredHistory, *, is_newest: bool) -> View:
    """
    Look at the state at the end of a past; of the newest, the time is now.

    Raises:
        CorruptHistory: what is read of it is damaged; of the newest, the head row is compared.
        BodySealed, CorruptBody: see ``Narrator.line``.

    Cost: folds from the newest snapshot in front of it.
    """
    state = load(log.store, past.stream).state if is_newest else past.state_at(past.version)
    version = 0 if isinstance(state, NotOpened) else state.version
    line = told_at(log, attrs.evolve(past, version=Version(version)), Position(version - 1))
    now_ms = time.time_ns() // 1_000_000 if is_newest else line.at_ms
    return View(stream=past.stream, line=line, state=state, now_ms=now_ms)


def told_at(log: Log, past: StoredHistory, position: Position) -> Line:
    """Tell one fact of a session."""
    fact = past.fact_at(position)
    narrator = Narrator(log.store, past.stream)
    if isinstance(fact.event, EffectSettled) and position > past.oldest:
        narrator.expect(open_requests(past.state_at(position)))
    return narrator.line(fact.header, fact.event)


def open_requests(state: State) -> dict[EffectId, EffectRequest]:
    """Return what a state has in flight."""
    if not isinstance(state, Open):
        return {}
    return {effect.effect_id: effect.request for effect in agenda(state)}


def print_state(opening: Opening, namespace: str, address: str, *, as_json: bool) -> None:
    """
    Print a session's state as of a moment, or the newest one and the transcript.

    Raises:
        LashError: there is no such log, session or moment, or it is damaged.
    """
    with opened(opening, namespace) as log:
        meant = moment(log, address)
        is_newest = meant.position is None
        seen = view(log, past_at(log, meant), is_newest=is_newest)
        messages: tuple[Message, ...] = ()
        if is_newest:
            messages = read_transcript(log.store, meant.stream, seen.state)
        if as_json:
            print_json(_document(log, seen, messages, is_newest=is_newest))
            return
        screen = Screen()
        show_state(screen, log, seen)
        if messages:
            screen.heading("Transcript")
            show_messages(screen, messages)


def show_state(screen: Screen, log: Log, seen: View) -> None:
    """Print a state."""
    line, state = seen.line, seen.state
    name = f"{seen.stream.session_id}@{line.position}"
    screen.line((name, "bold"), (f", the state after position {line.position}:", "dim"))
    rows: list[Row] = [("fact", [(f"{line.name} ", "dim"), line.what])]
    if isinstance(state, Open):
        rows += _state_rows(log, seen.stream, state, seen.now_ms)
    else:
        rows.append(("session", ["deleted: its id is used up, its log is kept"]))
    screen.rows(rows)


def _state_rows(log: Log, stream: StreamId, state: Open, now_ms: int) -> Iterator[Row]:
    parked = ", parked" if state.is_parked else ""
    since = f"{day(state.opened_at_ms)} {clock(state.opened_at_ms)}"
    yield "session", [f"open since {since}{parked}, {plural(state.version, 'fact')}"]
    yield "model", [f"{state.policy.provider_id}:{state.policy.model.model_id}"]
    yield "lease", _lease(state.lease, now_ms)
    yield from _turn_rows(state)
    yield from _agenda_rows(log, stream, state)
    yield from _pending_rows(log, stream, state, now_ms)
    leaf = "no message yet"
    if state.head.leaf is not None:
        leaf = f"the last message is {state.head.leaf.node_id}, of the commit at "
        leaf += f"{state.head.leaf.commit}"
    yield "head", [f"revision {state.head.revision}, {leaf}"]
    yield "usage", [tokens(usage_report(state.ledger).usage), (" used so far", "dim")]


def _lease(lease: Lease, now_ms: int) -> Sequence[Piece]:
    if lease.holder is None:
        return [f"free; the last generation was {lease.generation}"]
    left_ms = lease.holder.expires_at_ms - now_ms
    until = f"until {clock(lease.holder.expires_at_ms)}"
    owner = f"generation {lease.generation}, {excerpt(lease.holder.owner.owner_id, 40)}"
    if left_ms > 0:
        return [owner, (f", {until} ({left_ms} ms left)", "dim")]
    return [owner, (f", ran out {until.removeprefix('until ')}", "yellow")]


def _turn_rows(state: Open) -> Iterator[Row]:
    turn = state.turn
    if isinstance(turn, NoTurn):
        yield "turn", ["none is open"]
        return
    done = f"{turn.effects_count - len(turn.effects)} of {plural(turn.effects_count, 'effect')}"
    where = f"open since position {turn.started}, driven by generation {turn.generation}"
    yield (
        "turn",
        [(turn.turn_id, "bold"), f" is {where}; {done} settled, {tokens(turn.usage)}"],
    )


def _agenda_rows(log: Log, stream: StreamId, state: Open) -> Iterator[Row]:
    effects = agenda(state)
    if not effects:
        yield "agenda", ["empty: nothing is in flight"]
    narrator = Narrator(log.store, stream)
    for number, effect in enumerate(effects):
        where = f"  requested at {effect.position}, attempt {effect.attempt}"
        pieces = [(effect_words(narrator, effect), "yellow"), (where, "dim")]
        yield "" if number else "agenda", pieces


def effect_words(narrator: Narrator, effect: Effect) -> str:
    """Name an effect: its number in the turn, and what is asked."""
    ordinal = effect.effect_id.rpartition("/")[2]
    if isinstance(effect.request, ToolCall):
        return f"#{ordinal} {narrator.call(effect.request)}"
    return f"#{ordinal} model call {effect.request.iteration + 1}"


def _pending_rows(log: Log, stream: StreamId, state: Open, now_ms: int) -> Iterator[Row]:
    entries = pending_queues(state, now_ms).inputs
    if not entries:
        yield "pending", ["no input waits"]
    for number, entry in enumerate(entries):
        held = ", held" if entry.is_held else ""
        pieces: list[Piece] = [(f"{entry.status.value}{held}: ", "dim")]
        yield "" if number else "pending", [*pieces, _pending_words(log, stream, state, entry)]


def _pending_words(log: Log, stream: StreamId, state: Open, entry: PendingEntry) -> str:
    position = state.inputs.pending[entry.input_id].position
    narrator = Narrator(log.store, stream)
    return f"{entry.input_id} {narrator.input_at(position)}"


def tokens(usage: TokenUsage) -> str:
    """Write how many tokens, and which way they went."""
    return (
        f"{usage.total_tokens:,} tokens ({usage.input_tokens:,} in, {usage.output_tokens:,} out)"
    )


def show_messages(screen: Screen, messages: Sequence[Message]) -> None:
    """Print a transcript: words in full, calls and results in short."""
    for message in messages:
        for part in message.parts:
            _show_part(screen, message.role.value, part)


def _show_part(screen: Screen, role: str, part: Part) -> None:
    match part:
        case ToolCallPart():
            screen.line(("→ ", "yellow"), called(part.tool, part.arguments), indent=2)
        case ToolResultPart():
            screen.line(("← ", "green"), (first_line(part.text), "dim"), indent=2)
        case ImagePart():
            screen.line((f"{role}: ", "bold cyan"), f"(an image, {len(part.data)} bytes)")
        case ReasoningPart():
            screen.paragraph(part.text, indent=2, style="dim italic")
        case _ if role == "assistant":
            screen.paragraph(part.text, indent=2)
        case _:
            screen.blank()
            screen.line((f"{role}: ", "bold cyan"), (excerpt(part.text, 2_000), "bold"))


def _document(
    log: Log, seen: View, messages: Sequence[Message], *, is_newest: bool
) -> dict[str, object]:
    found: dict[str, object] = {
        "db": log.store.where,
        "position": seen.line.position,
        "fact": line_document(seen.line),
    } | state_document(seen.stream, seen.state, seen.now_ms)
    if is_newest:
        found["transcript"] = [message_document(message) for message in messages]
    return found
