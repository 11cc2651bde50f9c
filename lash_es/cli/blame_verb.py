"""``lash-es blame`` and ``watch``: which facts made a value what it is, and what it ever was."""

from lash_es.cli.addressing import Opening
from lash_es.cli.db_progress import progress
from lash_es.cli.screen import Screen, plural, print_json
from lash_es.cli.travelling import NO, Asked, asked, fact_document, fact_pieces, value_words
from lash_es.timetravel.blaming import Blame, Change, blame, first_value, watch
from lash_es.timetravel.paths import MISSING, StatePath, jsonable


def print_blame(
    opening: Opening, namespace: str, address: str, path: str, *, as_json: bool
) -> int:
    """
    Print the fact that made a value so, and what led to it; returns the exit status.

    Raises:
        LashError: there is no such log, session, moment or path.
    """
    parsed = StatePath.parse(path)
    with asked(opening, namespace, address) as found:
        total = found.past.version - found.past.oldest
        with progress("looking back", lambda: total, quiet=as_json) as advance:
            blamed = blame(found.past, parsed, on_facts=advance)
        if as_json:
            print_json(_document(found, blamed))
        else:
            _print(Screen(), found, blamed)
    return NO if blamed.change is None else 0


def _print(screen: Screen, found: Asked, blamed: Blame) -> None:
    session = found.meant.stream.session_id
    screen.line((blamed.path, "bold"), (f" of {session}@{blamed.version - 1} is ", "dim"))
    screen.line((value_words(blamed.value), "green"), indent=2)
    if blamed.change is None:
        since = "it was never anything else"
        if found.past.oldest:
            since = f"it was so before position {found.past.oldest}, the first that is kept"
        screen.line((since, "dim"))
        return
    screen.line(("since ", "dim"), *fact_pieces(found.line(blamed.change.position)))
    screen.line(("before it was ", "dim"), value_words(blamed.change.before))
    for position in blamed.causes:
        screen.line(("because of ", "dim"), *fact_pieces(found.line(position)))


def _document(found: Asked, blamed: Blame) -> dict[str, object]:
    change = blamed.change
    return found.document() | {
        "path": blamed.path,
        "value": jsonable(blamed.value),
        "is_there": blamed.value is not MISSING,
        "change": None if change is None else _change_document(found, change),
        "causes": [fact_document(found.line(position)) for position in blamed.causes],
    }


def _change_document(found: Asked, change: Change) -> dict[str, object]:
    return {
        "fact": fact_document(found.line(change.position)),
        "before": jsonable(change.before),
        "after": jsonable(change.after),
    }


def print_watched(
    opening: Opening, namespace: str, address: str, path: str, *, as_json: bool
) -> None:
    """
    Print every value that there ever was at a path, and the fact that made it so.

    Raises:
        LashError: there is no such log, session, moment or path.
    """
    parsed = StatePath.parse(path)
    with asked(opening, namespace, address) as found:
        total = found.past.version - found.past.oldest
        with progress("going through", lambda: total, quiet=as_json) as advance:
            changes = list(watch(found.past, parsed, advance))
        if as_json:
            print_json(
                found.document()
                | {
                    "path": str(parsed),
                    "first": jsonable(first_value(found.past, parsed)),
                    "changes": [_change_document(found, each) for each in changes],
                }
            )
            return
        screen = Screen()
        session = found.meant.stream.session_id
        counted = plural(len(changes), "change")
        screen.line((str(parsed), "bold"), (f" of {session}, {counted}:", "dim"))
        if found.past.oldest:
            screen.line(("first ", "dim"), value_words(first_value(found.past, parsed)), indent=2)
        for each in changes:
            screen.line((value_words(each.after), "green"), indent=2)
            screen.line(("by ", "dim"), *fact_pieces(found.line(each.position)), indent=4)
