"""What the verdicts come to: against the list of survivors that have a reason, and the bars."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from attrs import frozen

from tests.mutation.judging import KILLED, Verdict

SURVIVORS_PERCENT_MAX: Final = 5
RANDOM_PERCENT_MIN: Final = 60


@frozen(kw_only=True)
class Judged:
    """
    Every mutant that was judged, by its name.

    ``modules`` says where each is from; ``wordings`` are those that only change the words of a
    message, and are counted apart.
    """

    modules: Mapping[str, str]
    wordings: frozenset[str]
    by_examples: Mapping[str, Verdict]
    by_random: Mapping[str, Verdict]

    def meant(self, verdicts: Mapping[str, Verdict]) -> dict[str, Verdict]:
        """Leave out what only changes words."""
        return {name: each for name, each in verdicts.items() if name not in self.wordings}


def survivors(verdicts: Mapping[str, Verdict]) -> dict[str, str]:
    """Name those that no test told apart; what was not tried or ran for ever is among them."""
    return {name: each.status for name, each in verdicts.items() if each.status != KILLED}


def read_listed(text: str) -> dict[str, str]:
    """Read the reasons: a name on a line of its own, and indented below it why."""
    listed: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith((" ", "\t")):
            listed[name] = f"{listed[name]} {line.strip()}".strip()
        elif line.strip() and not line.startswith("#"):
            name = line.strip()
            listed[name] = ""
    return listed


def problems(judged: Judged, listed: Mapping[str, str]) -> list[str]:
    """Say which survivors have no reason, which reasons no survivor, and which bar is missed."""
    examples = judged.meant(judged.by_examples)
    found = survivors(examples)
    random = judged.meant(judged.by_random)
    return [
        *(f"survived: {name} ({found[name]})" for name in sorted(found.keys() - listed.keys())),
        *(f"no longer survives: {name}" for name in sorted(listed.keys() - found.keys())),
        *(f"an empty reason: {name}" for name in sorted(listed) if not listed[name]),
        *(() if examples or random else ("nothing was mutated",)),
        *_too_many(len(found), len(examples)),
        *_too_few(len(random) - len(survivors(random)), len(random)),
    ]


def _too_many(survivors_count: int, mutants: int) -> Iterable[str]:
    if 100 * survivors_count > SURVIVORS_PERCENT_MAX * mutants:
        yield f"{survivors_count} of {mutants} survived, at most {SURVIVORS_PERCENT_MAX} % may"


def _too_few(killed: int, mutants: int) -> Iterable[str]:
    if 100 * killed < RANDOM_PERCENT_MIN * mutants:
        percent = RANDOM_PERCENT_MIN
        yield f"without examples {killed} of {mutants} were killed, at least {percent} % must be"


def figures(judged: Judged) -> dict[str, object]:
    """Count by module: mutants, those that change words only, survivors of each kind of tests."""
    return {
        "by examples": {
            "mutants": len(judged.by_examples),
            "of these wording only": len(judged.by_examples.keys() & judged.wordings),
            "wordings that survived": len(survivors(judged.by_examples).keys() & judged.wordings),
            "became": _statuses(judged.meant(judged.by_examples)),
            "mutants of": _by_module(judged, judged.meant(judged.by_examples)),
            "survivors of": _by_module(judged, survivors(judged.meant(judged.by_examples))),
        },
        "by the random machine and the explorer": {
            "became": _statuses(judged.meant(judged.by_random)),
            "mutants of": _by_module(judged, judged.meant(judged.by_random)),
            "survivors of": _by_module(judged, survivors(judged.meant(judged.by_random))),
        },
    }


def _statuses(verdicts: Mapping[str, Verdict]) -> dict[str, int]:
    return dict(Counter(each.status for each in verdicts.values()))


def _by_module(judged: Judged, names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(judged.modules[name] for name in names).items()))
