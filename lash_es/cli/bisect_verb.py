"""``lash-es bisect``: the first fact after which something is so, by a condition or a program."""

import json
import os
import shlex
import subprocess
from collections.abc import Callable
from typing import Final

from attrs import define, frozen

from lash_es.cli.addressing import Opening
from lash_es.cli.db_progress import progress
from lash_es.cli.documents import state_document
from lash_es.cli.screen import Screen, plural, print_json
from lash_es.cli.travelling import NO, Asked, asked, fact_document, fact_pieces
from lash_es.core.errors import LashError
from lash_es.core.ids import Version
from lash_es.core.state import NotOpened, State
from lash_es.timetravel.bisecting import First, Judgement, Turned, first_where, turned
from lash_es.timetravel.expressions import Condition
from lash_es.timetravel.paths import jsonable

CANNOT_TELL: Final = 125
"""The exit status by which a program says that it cannot tell, as for ``git bisect run``."""
FAILED: Final = 128
"""From this status on a program did not judge: it was stopped, or could not be run."""


@define(kw_only=True)
class ProgramFailed(LashError):
    """The program that was to judge did not."""

    command: str
    reason: str

    def _summary(self) -> str:
        return f"{self.command!r} did not judge: {self.reason}"


@frozen(kw_only=True)
class Search:
    """Positions after which it is known to be good, and bad; none for the ends."""

    good: int | None = None
    bad: int | None = None

    @property
    def versions(self) -> tuple[int | None, int | None]:
        """The same as versions: a position's state is that of one version more."""
        return _version(self.good), _version(self.bad)


def _version(position: int | None) -> int | None:
    return None if position is None else position + 1


def print_first(
    opening: Opening, namespace: str, address: str, text: str, search: Search, *, as_json: bool
) -> int:
    """
    Print the first fact after which a condition holds; returns the exit status.

    Raises:
        LashError: there is no such log, session or moment, or that is no condition.
    """
    condition = Condition.parse(text)
    with asked(opening, namespace, address) as found:
        after, up_to = search.versions
        total = found.past.version - found.past.oldest
        with progress("trying", lambda: total, quiet=as_json) as advance:
            first = first_where(found.past, condition, after=after, up_to=up_to, on_facts=advance)
        if as_json:
            print_json(_first_document(found, condition, first))
        elif first is None:
            Screen().line(("never: ", "bold"), condition.text)
        else:
            screen = Screen()
            screen.line(*fact_pieces(found.line(first.position)))
            screen.line(("is the first after which ", "dim"), condition.text)
    return NO if first is None else 0


def _first_document(found: Asked, condition: Condition, first: First | None) -> dict[str, object]:
    line = None if first is None else fact_document(found.line(first.position))
    return found.document() | {"when": condition.text, "first": line}


def print_turned(
    opening: Opening, namespace: str, address: str, command: str, search: Search, *, as_json: bool
) -> int:
    """
    Print the fact that turned good into bad, as a program judges; returns the exit status.

    Raises:
        LashError: there is no such log, session or moment; the ends are alike; the program failed.
    """
    words = shlex.split(command)
    with asked(opening, namespace, address) as found:
        good, bad = search.versions
        screen = Screen()
        judge = _judge(found, words, None if as_json else screen)
        turn = turned(found.past, judge, good=good, bad=bad)
        if as_json:
            print_json(_turned_document(found, command, turn))
        else:
            _print_turned(screen, found, turn)
    return 0 if turn.is_exact else NO


def _judge(
    found: Asked, words: list[str], screen: Screen | None
) -> Callable[[Version, State], Judgement]:
    """Run the program: the state on standard input, as JSON, and where it is in variables."""

    def judge(version: Version, state: State) -> Judgement:
        session = found.meant.stream.session_id
        environment = os.environ | {
            "LASH_ES_SESSION": session,
            "LASH_ES_NAMESPACE": found.meant.stream.namespace,
            "LASH_ES_POSITION": str(version - 1),
            "LASH_ES_AT": f"{session}@{version - 1}",
        }
        document = _state_document(found, state)
        judgement = _run(words, document, environment)
        if screen is not None:
            screen.line((f"{session}@{version - 1} ", "dim"), judgement.value)
        return judgement

    return judge


def _state_document(found: Asked, state: State) -> str:
    now_ms = 0 if isinstance(state, NotOpened) else state.at_ms
    described = state_document(found.meant.stream, state, now_ms) | {"state": jsonable(state)}
    return json.dumps(described)


def _run(words: list[str], document: str, environment: dict[str, str]) -> Judgement:
    command = shlex.join(words)
    try:
        done = subprocess.run(  # noqa: S603 - the user has named this very program
            words,
            input=document,
            env=environment,
            text=True,
            check=False,
            stdout=subprocess.DEVNULL,
        )
    except (OSError, IndexError) as cause:
        raise ProgramFailed(command=command, reason=str(cause)) from cause
    if not 0 <= done.returncode < FAILED:
        raise ProgramFailed(command=command, reason=f"exit status {done.returncode}")
    if done.returncode == CANNOT_TELL:
        return Judgement.SKIP
    return Judgement.BAD if done.returncode else Judgement.GOOD


def _print_turned(screen: Screen, found: Asked, turn: Turned) -> None:
    screen.line(*fact_pieces(found.line(turn.position)))
    judged = plural(len(turn.probes), "state")
    if turn.is_exact:
        screen.line((f"turned good into bad ({judged} judged)", "dim"))
        return
    count = turn.position - turn.first + 1
    told = f"or one of the {count} facts from {turn.first} on turned good into bad: of the states"
    screen.line((f"{told} in between the program could not tell ({judged} judged)", "dim"))


def _turned_document(found: Asked, command: str, turn: Turned) -> dict[str, object]:
    return found.document() | {
        "run": command,
        "first": turn.first,
        "position": turn.position,
        "is_exact": turn.is_exact,
        "fact": fact_document(found.line(turn.position)),
        "probes": [
            {"position": version - 1, "judgement": judgement.value}
            for version, judgement in turn.probes
        ],
    }
