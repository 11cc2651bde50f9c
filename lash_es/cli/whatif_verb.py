"""``lash-es whatif``: how a session would be, had facts not happened, or others."""

from collections.abc import Iterable, Sequence
from typing import Final, cast

import orjson
import typer
from attrs import frozen

from lash_es.cli.addressing import Opening
from lash_es.cli.diff_verb import difference_document, show_differences
from lash_es.cli.screen import Screen, plural, print_json
from lash_es.cli.travelling import Asked, asked
from lash_es.codec.wire_names import EVENT_NAMES
from lash_es.core.ids import Position
from lash_es.timetravel.differing import differences
from lash_es.timetravel.past import StoredHistory
from lash_es.timetravel.supposing import (
    Drop,
    Edit,
    Illegal,
    ImpossibleEdit,
    Insert,
    Replace,
    Supposed,
    edited,
    events_at,
    made,
    what_if,
)

ILLEGAL_SHOWN_MAX: Final = 20


@frozen(kw_only=True)
class Wished:
    """What is to be otherwise, as it was typed."""

    drops: Sequence[int] = ()
    edits: Sequence[str] = ()
    inserts: Sequence[str] = ()

    def of(self, past: StoredHistory) -> tuple[Edit, ...]:
        """
        Read it.

        Raises:
            ImpossibleEdit: there is no such position or field, or it makes no event.
            BadParameter: it is not written as it should be.
        """
        drops = [Drop(position=Position(each)) for each in self.drops]
        inserts = [_insert(past, each) for each in self.inserts]
        return (*drops, *self._replaced(past), *inserts)

    def _replaced(self, past: StoredHistory) -> Iterable[Edit]:
        """Put the edits of one position together."""
        changes: dict[Position, dict[str, object]] = {}
        for each in self.edits:
            position, field, value = _edit(each)
            changes.setdefault(position, {})[field] = value
        for position, fields in changes.items():
            _require(past, position)
            for event, _ in events_at(past, position):
                yield Replace(position=position, event=edited(event, position, fields))


def _require(past: StoredHistory, position: Position) -> None:
    if not past.oldest <= position < past.version:
        reason = f"there is none, they are {past.oldest} to {past.version - 1}"
        raise ImpossibleEdit(position=position, reason=reason)


def _edit(text: str) -> tuple[Position, str, object]:
    place, colon, change = text.partition(":")
    field, equals, value = change.partition("=")
    if not colon or not equals or not place.isdecimal():
        raise typer.BadParameter(f"{text!r}: expected POSITION:FIELD=VALUE")
    return Position(int(place)), field, _value(value)


def _value(text: str) -> object:
    """Read a value as JSON; what is none is a text."""
    try:
        return cast("object", orjson.loads(text))
    except orjson.JSONDecodeError:
        return text


def _insert(past: StoredHistory, text: str) -> Insert:
    place, colon, rest = text.partition(":")
    name, _, data = rest.partition(":")
    if not colon or not place.isdecimal():
        raise typer.BadParameter(f"{text!r}: expected POSITION:KIND or POSITION:KIND:JSON")
    found = _value(data or "{}")
    if not isinstance(found, dict):
        raise typer.BadParameter(f"{data!r} is no JSON object")
    position = Position(int(place))
    if int(position) != past.version:
        _require(past, position)
    before = past.state_at(position)
    event = made(name, position, cast("dict[str, object]", found), before)
    return Insert(position=position, event=event)


def print_supposed(
    opening: Opening, namespace: str, address: str, wished: Wished, *, as_json: bool
) -> None:
    """
    Print what would be different, and which facts could not have followed.

    Raises:
        LashError: there is no such log, session or moment, or an edit is impossible.
    """
    with asked(opening, namespace, address) as found:
        supposed = what_if(found.past, wished.of(found.past))
        if as_json:
            print_json(_document(found, supposed))
        else:
            _print(Screen(), found, supposed)


def _print(screen: Screen, found: Asked, supposed: Supposed) -> None:
    session = found.meant.stream.session_id
    changed = differences(supposed.actual, supposed.state)
    what = plural(len(changed), "difference") if changed else "nothing would be different"
    screen.line((what, "bold"), (f" in {session}@{found.past.version - 1}", "dim"))
    show_differences(screen, changed)
    if supposed.illegal:
        count = plural(len(supposed.illegal), "event")
        screen.line((f"{count} could not have happened:", "bold"))
    for one in supposed.illegal[:ILLEGAL_SHOWN_MAX]:
        screen.line((f"{one.position} ", "bold"), (f"{_name(one)} ", "dim"), one.reason, indent=2)
    if len(supposed.illegal) > ILLEGAL_SHOWN_MAX:
        screen.line((f"and {len(supposed.illegal) - ILLEGAL_SHOWN_MAX:,} more", "dim"), indent=2)


def _name(one: Illegal) -> str:
    return EVENT_NAMES[type(one.event)][0]


def _document(found: Asked, supposed: Supposed) -> dict[str, object]:
    changed = differences(supposed.actual, supposed.state)
    return found.document() | {
        "is_as_it_was": supposed.is_as_it_was,
        "differences": [difference_document(each) for each in changed],
        "illegal": [
            {
                "position": one.position,
                "name": _name(one),
                "reason": one.reason,
                "is_inserted": one.is_inserted,
            }
            for one in supposed.illegal
        ],
    }
