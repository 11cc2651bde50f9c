"""What is expected of a search, and what it found."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final, get_args

from attrs import Factory, frozen

from lash_es.core.commands import Command
from lash_es.core.errors import CommandRejected
from lash_es.core.events import Event
from lash_es.verify.properties import ALWAYS, EVENTUALLY, SOMETIMES
from lash_es.verify.worlds import Ask, Move, Transition, World

APPLICABLE: Final = "what was decided can be applied"
LOST: Final = "nothing that may be asked leads there"


@frozen(kw_only=True)
class Rules:
    """What is expected of a search, by the rule's sentence."""

    always: Mapping[str, Callable[[Transition], str]] = Factory(lambda: ALWAYS)
    sometimes: Mapping[str, Callable[[Transition], bool]] = Factory(lambda: SOMETIMES)
    eventually: Mapping[str, Callable[[World], bool]] = Factory(lambda: EVENTUALLY)

    def broken_by(self, transition: Transition) -> tuple[str, str] | None:
        """Return the first rule that the transition breaks, and why."""
        for rule, problem in self.always.items():
            if because := problem(transition):
                return rule, because
        return None


@frozen(kw_only=True)
class Counterexample:
    """The shortest history that breaks a rule; ``text`` is a test that shows it."""

    rule: str
    because: str
    history: tuple[Move, ...]
    text: str


@frozen(kw_only=True)
class Report:
    """
    What a search went through. ``decided`` counts commands by their answers, ``evolved`` facts.

    ``depth`` is the length of the longest shortest history; ``never`` lists what was to happen
    sometimes and did not.
    """

    states: int
    transitions: int
    depth: int
    is_exhausted: bool
    decided: Mapping[str, Mapping[str, int]]
    evolved: Mapping[str, int]
    never: tuple[str, ...]
    counterexample: Counterexample | None

    @property
    def arms_missing(self) -> tuple[str, ...]:
        """List the arms of ``decide`` and ``evolve`` that were not taken."""
        arms = (kind.__name__ for kind in (*get_args(Command), *get_args(Event)))
        return tuple(sorted(set(arms) - self.decided.keys() - self.evolved.keys()))


def counted(transition: Transition, decided: Counter[tuple[str, str]]) -> None:
    """Count a question by its answer: facts, nothing (``-``), or a refusal (``!``)."""
    if isinstance(transition.move, Ask):
        found = transition.found
        names = [type(event).__name__ for event in transition.events]
        is_refused = isinstance(found, CommandRejected)
        answer = f"!{type(found).__name__}" if is_refused else ", ".join(names) or "-"
        decided[(type(transition.move.command).__name__, answer)] += 1


def by_command(decided: Counter[tuple[str, str]]) -> dict[str, dict[str, int]]:
    """List the answers that each command got, and how often."""
    found: dict[str, dict[str, int]] = {}
    for (command, answer), count in sorted(decided.items()):
        found.setdefault(command, {})[answer] = count
    return found


def by_fact(decided: Counter[tuple[str, str]]) -> dict[str, int]:
    """Count the facts among the answers."""
    found: Counter[str] = Counter()
    for (_, answer), count in decided.items():
        if answer[0] not in "!-":
            for name in answer.split(", "):
                found[name] += count
    return dict(sorted(found.items()))
