"""The demo as it happens: told from the facts, as they appear in the log."""

from collections.abc import Sequence
from pathlib import Path

from lash_es.cli.screen import Piece, Screen
from lash_es.cli.show_verb import effect_words
from lash_es.codec.streams import StreamId
from lash_es.core.effects import Effect, ToolCall
from lash_es.core.events import (
    EffectRequested,
    EffectSettled,
    LeaseAcquired,
    TurnContinued,
    TurnEnded,
    TurnStarted,
    body_ref,
)
from lash_es.core.messages import ModelReply, ProsePart
from lash_es.core.outcomes import ModelReplied
from lash_es.log.contents import read_content
from lash_es.log.loading import Fact
from lash_es.log.port import Store
from lash_es.timetravel.narrating import Narrator


class Teller:
    """Tells a reader what the log says; a silent one keeps it to itself."""

    def __init__(self, store: Store, stream: StreamId, *, is_silent: bool) -> None:
        self._store = store
        self._stream = stream
        self._narrator = Narrator(store, stream)
        self._screen = None if is_silent else Screen()
        self._lines: dict[int, str] = {}
        self._owner = ""

    def opening(self, directory: Path, model: str, session: str, db: str) -> None:
        """Say what is about to happen."""
        if self._screen is None:
            return
        self._screen.line(("lash-es demo", "bold"))
        self._screen.rows(
            [
                ("directory", [str(directory)]),
                ("model", [model]),
                ("session", [session]),
                ("log", [db]),
            ]
        )
        self._screen.blank()

    def started(self, name: str, pid: int, *, is_second: bool) -> None:
        """Say that a worker was started."""
        what = " opens the same session, and waits until the lease has run out"
        said = what if is_second else " opens the session"
        self._event("●", "cyan", (name, "bold"), f" (pid {pid})", said)

    def killed(
        self, name: str, pid: int, position: int, settled: Sequence[str], in_flight: Sequence[str]
    ) -> None:
        """Say where the worker was killed."""
        self._event(
            "✗",
            "bold red",
            (f"SIGKILL to {name}", "bold red"),
            f" (pid {pid}), and the log ends at position {position}",
        )
        if self._screen is None:
            return
        rows: list[tuple[str, Sequence[Piece]]] = []
        for label, style, words in (
            ("settled", "green", settled),
            ("in flight", "yellow", in_flight),
        ):
            rows += [("" if n else label, [(each, style)]) for n, each in enumerate(words)]
        self._screen.rows(rows, indent=4)

    def taken_over(self, after_ms: int, fact: Fact) -> None:
        """Say who went on."""
        generation = fact.header.generation
        where = f" at position {fact.position} as generation {generation}"
        self._event(
            "●",
            "cyan",
            ("the lease is taken over", "bold"),
            where,
            f", {after_ms} ms after the kill",
        )

    def _event(self, sign: str, style: str, *pieces: Piece) -> None:
        if self._screen is not None:
            self._screen.line((f"{sign} ", style), *pieces)

    def told(self, fact: Fact) -> str:
        """Return the line of a fact that was told before."""
        return self._lines[fact.position]

    def effect_words(self, effect: Effect) -> str:
        """Name an effect in flight."""
        return f"{effect_words(self._narrator, effect)}, requested at position {effect.position}"

    def tell(self, fact: Fact) -> None:
        """Tell a fact, if it is one that a reader of the story wants to know."""
        line = self._narrator.line(fact.header, fact.event)
        self._lines[fact.position] = line.what
        screen = self._screen
        if screen is None:
            return
        event = fact.event
        match event:
            case TurnStarted():
                screen.blank()
                screen.line(
                    (f"{event.turn_id}  ", "bold cyan"), (line.what.partition(": ")[2], "bold")
                )
            case EffectRequested(request=ToolCall()):
                screen.line(("→ ", "yellow"), line.what, indent=2)
            case EffectSettled(outcome=ModelReplied()):
                self._tell_reply(screen, fact)
            case EffectSettled():
                screen.line(("← ", "green"), (line.what, "dim"), indent=2)
            case TurnEnded():
                screen.line(("✗ ", "bold red"), line.what, indent=2)
            case TurnContinued() | LeaseAcquired():
                self._tell_owner(screen, event, line.what)
            case _:
                """Not part of the story: the table of the log has it."""

    def _tell_owner(self, screen: Screen, event: TurnContinued | LeaseAcquired, what: str) -> None:
        if isinstance(event, LeaseAcquired):
            self._owner = event.owner.owner_id
        else:
            screen.line(
                ("● ", "cyan"), (self._owner, "bold"), f": {what}; what is settled stays settled"
            )

    def _tell_reply(self, screen: Screen, fact: Fact) -> None:
        reply = read_content(self._store, self._stream, body_ref(fact.position), ModelReply)
        for part in reply.parts:
            if isinstance(part, ProsePart):
                screen.paragraph(part.text, indent=2)
