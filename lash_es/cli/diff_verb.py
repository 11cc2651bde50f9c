"""``lash-es diff``: what is different between two states, by path."""

from lash_es.cli.addressing import Opening, opened
from lash_es.cli.screen import Screen, plural, print_json
from lash_es.cli.travelling import Asked, asked_in, value_words
from lash_es.timetravel.differing import Difference, differences
from lash_es.timetravel.paths import MISSING, jsonable


def print_differences(
    opening: Opening, namespace: str, one: str, other: str, *, as_json: bool
) -> None:
    """
    Print what is different between two moments, of one session or of two.

    Raises:
        LashError: there is no such log, session or moment.
    """
    with opened(opening, namespace) as log:
        sides = asked_in(log, one), asked_in(log, other)
        before, after = (each.past.state_at(each.past.version) for each in sides)
        found = differences(before, after)
        if as_json:
            print_json(_document(sides, found))
            return
        _print(Screen(), sides, found)


def _print(screen: Screen, sides: tuple[Asked, Asked], found: tuple[Difference, ...]) -> None:
    names = [f"{each.meant.stream.session_id}@{each.past.version - 1}" for each in sides]
    what = plural(len(found), "difference") if found else "no difference"
    screen.line((what, "bold"), (f" between {names[0]} and {names[1]}", "dim"))
    show_differences(screen, found)


def show_differences(screen: Screen, found: tuple[Difference, ...]) -> None:
    """Print differences, each with what was there and what is."""
    for each in found:
        screen.line((str(each.path) or "(all of it)", "cyan"), indent=2)
        if each.before is not MISSING:
            screen.line((f"- {value_words(each.before)}", "red"), indent=4)
        if each.after is not MISSING:
            screen.line((f"+ {value_words(each.after)}", "green"), indent=4)


def _document(sides: tuple[Asked, Asked], found: tuple[Difference, ...]) -> dict[str, object]:
    one, other = sides
    return {
        "one": one.document(),
        "other": other.document(),
        "differences": [difference_document(each) for each in found],
    }


def difference_document(each: Difference) -> dict[str, object]:
    """Describe a difference; a side on which there is nothing is left out."""
    found: dict[str, object] = {"path": str(each.path)}
    if each.before is not MISSING:
        found["before"] = jsonable(each.before)
    if each.after is not MISSING:
        found["after"] = jsonable(each.after)
    return found
