"""What the demo shows when it is over: usage, the log, the moment of the kill, and the checks."""

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

import attrs
from attrs import frozen

from lash_es.cli.demo_run import Run
from lash_es.cli.demo_worker import turn_name
from lash_es.cli.documents import (
    Document,
    line_document,
    message_document,
    outcome_document,
    state_document,
    usage_document,
    verdict_document,
)
from lash_es.cli.log_verb import COLUMNS, table_rows, told
from lash_es.cli.offline import QUESTIONS
from lash_es.cli.places import default_db, own_name
from lash_es.cli.screen import Piece, Screen, day, plural, print_json
from lash_es.cli.show_verb import show_state, tokens, view
from lash_es.cli.verify_verb import verdict_rows
from lash_es.core.effects import ToolCall
from lash_es.core.events import EffectRequested, EffectSettled
from lash_es.core.ids import TurnId, Version
from lash_es.core.messages import ModelReply, ProsePart
from lash_es.core.outcomes import Finished
from lash_es.core.state import Open
from lash_es.log.contents import read_content
from lash_es.projections.turn_record import turn_record
from lash_es.projections.usage import usage_report
from lash_es.timetravel.narrating import Line
from lash_es.timetravel.past import StoredHistory
from lash_es.timetravel.transcripts import read_transcript
from lash_es.timetravel.verifying import Verdict, verify_session

NO_KILL: Final = (
    "No turn after the first made two tool calls, so there was no moment between two of them."
)
ESTIMATED: Final = ("offline:", "test:")
"""Models without a tokenizer; of the others the provider counts."""
TABLE_ROWS_MAX: Final = 30
ROWS_AT_THE_ENDS: Final = 6
ROWS_AROUND_THE_KILL: Final = 6


@frozen(kw_only=True)
class Tally:
    """How often things happened: in the log, and in the tools themselves."""

    requested: int
    settled: int
    settled_twice: int
    calls_settled: Counter[str]
    began: Counter[str]
    returned: Counter[str]


def tally(run: Run) -> Tally:
    """Count effects in the log, and the tools' runs as the tools reported them."""
    requests = {
        event.effect_id: event.request
        for event in run.history.events
        if isinstance(event, EffectRequested)
    }
    settled = Counter(
        event.effect_id for event in run.history.events if isinstance(event, EffectSettled)
    )
    calls = (requests.get(effect_id) for effect_id in settled)
    return Tally(
        requested=len(requests),
        settled=len(settled),
        settled_twice=sum(count > 1 for count in settled.values()),
        calls_settled=Counter(call.tool for call in calls if isinstance(call, ToolCall)),
        began=Counter(tool for _, tool, did in run.reports if did == "began"),
        returned=Counter(tool for _, tool, did in run.reports if did == "returned"),
    )


def print_report(run: Run) -> None:
    """Print what came of it."""
    screen = Screen()
    screen.heading("Usage")
    _print_usage(screen, run)
    lines = told(run.log, run.history)
    screen.heading(f"The log: {plural(len(lines), 'fact')}, {day(lines[0].at_ms)}")
    _print_table(screen, run, lines)
    if run.kill is not None:
        screen.heading("The state as of the kill")
        past = StoredHistory.of(run.log.store, run.stream)
        as_of_kill = attrs.evolve(past, version=Version(run.kill.position + 1))
        show_state(screen, run.log, view(run.log, as_of_kill, is_newest=False))
    else:
        screen.heading("Nobody was killed")
        screen.line(run.failure or NO_KILL, indent=2)
    screen.heading("Checks")
    verdict = verify_session(run.log.store, run.stream)
    screen.rows([*verdict_rows(verdict), *_tally_rows(tally(run))])
    screen.heading("Look for yourself")
    screen.rows([(what, [(command, "bold")]) for what, command in commands(run)])


def _print_usage(screen: Screen, run: Run) -> None:
    state = run.history.state
    is_estimated = run.model.startswith(ESTIMATED)
    remark = (", an estimate: nobody counted" if is_estimated else "", "dim")
    rows = usage_report(state.ledger).rows if isinstance(state, Open) else ()
    screen.rows([(row.model, [tokens(row.usage), remark]) for row in rows] or [("none", [])])


def _print_table(screen: Screen, run: Run, lines: Sequence[Line]) -> None:
    kept = _kept(len(lines), None if run.kill is None else run.kill.position)
    rows = table_rows(lines)
    shown: list[Sequence[Piece]] = []
    before = -1
    for position in kept:
        if position > before + 1:
            shown.append(_remark(f"... {plural(position - before - 1, 'more fact')}"))
        shown.append(rows[position])
        if run.kill is not None and position == run.kill.position:
            shown.append(_remark(f"✗ here {run.kill.worker} was killed", "bold red"))
        before = position
    screen.table(COLUMNS, shown)
    if len(kept) < len(lines):
        screen.line((f"all of it: {commands(run)[0][1]}", "dim"))


def _remark(words: str, style: str = "dim") -> Sequence[Piece]:
    return ("", "", "", "", "", (words, style))


def _kept(count: int, kill: int | None) -> list[int]:
    """Choose the positions of a long log that are shown: both ends, and what is near the kill."""
    if count <= TABLE_ROWS_MAX:
        return list(range(count))
    near = (
        range(0)
        if kill is None
        else range(kill - ROWS_AROUND_THE_KILL, kill + ROWS_AROUND_THE_KILL)
    )
    wanted = {*range(ROWS_AT_THE_ENDS), *near, *range(count - ROWS_AT_THE_ENDS, count)}
    return sorted(position for position in wanted if 0 <= position < count)


def _tally_rows(counts: Tally) -> Iterator[tuple[str, Sequence[Piece]]]:
    style = "bold green" if not counts.settled_twice else "bold red"
    yield (
        "effects",
        [
            f"requested {counts.requested}, settled {counts.settled}, ",
            (f"settled twice: {counts.settled_twice}", style),
        ],
    )
    for number, tool in enumerate(sorted(counts.began)):
        settled, returned = counts.calls_settled[tool], counts.returned[tool]
        cut_off = counts.began[tool] - returned
        yield (
            "" if number else "tools",
            [
                f"{tool} returned {_times(returned)}, for {plural(settled, 'outcome')}",
                (f"; {cut_off} more in flight when it was killed" if cut_off else "", "dim"),
            ],
        )


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def commands(run: Run) -> list[tuple[str, str]]:
    """List what to try next, ready to be pasted into a shell."""
    session = run.stream.session_id
    db = (
        []
        if run.log.store.where == str(default_db().absolute())
        else ["--db", run.log.store.where]
    )
    tries = [("every fact", ["log", session])]
    if run.kill is not None:
        tries.append(("as of the kill", ["show", f"{session}@{run.kill.position}"]))
    tries += [("the newest state", ["show", session]), ("the checks", ["verify", session])]
    return [(what, shlex.join([*own_name(), *words, *db])) for what, words in tries]


def print_document(run: Run) -> None:
    """Print everything as one JSON document."""
    print_json(_document(run, verify_session(run.log.store, run.stream), tally(run)))


def _document(run: Run, verdict: Verdict, counts: Tally) -> Document:
    state = run.history.state
    return {
        "directory": str(run.directory),
        "model": run.model,
        "db": run.log.store.where,
        "session": run.stream.session_id,
        "failure": run.failure,
        "turns": [_turn_document(run, number) for number in range(1, len(QUESTIONS) + 1)],
        "kill": _kill_document(run),
        "usage": usage_document(usage_report(state.ledger).usage)
        if isinstance(state, Open)
        else None,
        "facts": [line_document(line) for line in told(run.log, run.history)],
        "transcript": [
            message_document(message)
            for message in read_transcript(run.log.store, run.stream, state)
        ],
        "verdict": verdict_document(verdict),
        "effects": {
            "requested": counts.requested,
            "settled": counts.settled,
            "settled_twice": counts.settled_twice,
        },
        "tools": {
            tool: {
                "settled": counts.calls_settled[tool],
                "began": counts.began[tool],
                "returned": counts.returned[tool],
            }
            for tool in sorted(counts.began)
        },
        "commands": [command for _, command in commands(run)],
    }


def _turn_document(run: Run, number: int) -> Document:
    turn_id = TurnId(turn_name(number))
    facts = ((position, entry.event) for position, entry in run.history.positions())
    record = turn_record(facts, turn_id)
    found: Document = {"turn_id": turn_id, "question": QUESTIONS[number - 1]}
    if record is None or record.outcome is None:
        return found | {"outcome": None}
    answer = None
    if isinstance(record.outcome, Finished):
        reply = read_content(run.log.store, run.stream, record.replies[-1], ModelReply)
        answer = "\n\n".join(part.text for part in reply.parts if isinstance(part, ProsePart))
    return (
        found
        | outcome_document(record.outcome)
        | {
            "answer": answer,
            "tool_calls": [entry.call.tool for entry in record.tool_calls],
            "takeovers": record.takeovers,
            "usage": usage_document(record.usage),
        }
    )


def _kill_document(run: Run) -> Document | None:
    kill, takeover = run.kill, run.takeover
    if kill is None:
        return None
    as_of_kill = run.history.as_of(kill.position + 1)
    return {
        "worker": kill.worker,
        "pid": kill.pid,
        "position": kill.position,
        "settled": list(kill.settled),
        "in_flight": list(kill.in_flight),
        "state": state_document(run.stream, as_of_kill.state, kill.at_ms),
        "taken_over": None
        if takeover is None
        else {
            "worker": takeover.worker,
            "pid": takeover.pid,
            "position": takeover.position,
            "generation": takeover.generation,
            "after_ms": takeover.after_ms,
        },
    }
