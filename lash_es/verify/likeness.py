"""
When two states are alike: what differs in them is only how things are called or numbered.

A search by states ends because of this. Acquire and release a lease: the generation is higher, the
version is higher, the token is another one, and yet nothing else can happen from there than could
before.

1. **Names** (ids, tokens, positions) are only ever compared for equality: they are replaced by the
   order in which they turn up.
2. **Ranks** (generations, sequences, times, tokens used) are also compared for order: they are
   replaced by their place among all of their kind. 0 is one of them, since "none" is a meaning.
3. **Dropped** is what no decision reads: it is there for whoever looks, or to make a name fresh.
4. Everything else counts as it is. A field that is new counts as it is until it is said here what
   it is; so forgetting one makes a search longer, never wrong.

That 1 to 3 are true is checked by a test: whatever is alike leads to what is alike.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Final, TypeAlias, cast, get_args, get_type_hints

import attrs

Token: TypeAlias = tuple[str, object]
"""A kind, or "" for what counts as it is, and a value."""

NAMES: Final = frozenset(
    {
        "Position",
        "InputId",
        "TurnId",
        "ClaimId",
        "EffectId",
        "CallId",
        "NodeId",
        "token",
        "owner_id",
        "incarnation_id",
    }
)
RANKS: Final = frozenset(
    {
        "Generation",
        "Revision",
        "sequence",
        "next_sequence",
        "turn_index",
        "time",
        "input_tokens",
        "output_tokens",
        "cached_input_tokens",
        "cache_write_input_tokens",
        "reasoning_output_tokens",
    }
)
DROPPED: Final = frozenset(
    {
        "version",
        "at_ms",
        "opened_at_ms",
        "claimed_at_ms",
        "enqueued_at_ms",
        "started_at_ms",
        "claims_count",
        "effects_count",
        "attempt",
        "last",
    }
)
TIMES: Final = frozenset({"expires_at_ms", "now_ms", "last_ms"})
_SAME_KIND: Final = {"next_sequence": "sequence"}
_COMPOUND: Final = (tuple, Mapping)
_KEPT_MAX: Final = 50_000
_kept: Final[dict[int, tuple[object, list[Token]]]] = {}
"""Values as tokens, by identity: most of a state is that of the state before."""

Column: TypeAlias = tuple[str, str, str]
"""A field's name, and the kinds of the texts and of the numbers in it."""


def alike(ordered: Iterable[object], unordered: Iterable[object] = ()) -> tuple[object, ...]:
    """
    Return what is the same for all that is alike.

    Args:
        ordered: values, attrs classes all the way down, mappings in the order of their entries.
        unordered: values whose order means nothing.

    """
    tokens: list[Token] = []
    for value in ordered:
        _flatten(value, "", "", tokens)
    names = _Names()
    names.see(tokens)
    rest = [_flat(value) for value in unordered]
    # Sorted by what is known of them so far: where that leaves a tie, whichever comes first does.
    rest.sort(key=lambda each: repr([names.known(token) for token in each]))
    for each in rest:
        names.see(each)
        tokens += each
    return _replaced(tokens, names)


class _Names:
    """Names in the order in which they turned up, kind by kind."""

    def __init__(self) -> None:
        self._seen: dict[Token, int] = {}
        self._counts: dict[str, int] = {}

    def see(self, tokens: Iterable[Token]) -> None:
        for token in tokens:
            kind = token[0]
            if kind in NAMES and token not in self._seen:
                self._counts[kind] = self._seen[token] = self._counts.get(kind, 0) + 1

    def known(self, token: Token) -> object:
        """Tell a token by its name if it has one, and not at all if it has none yet."""
        kind = token[0]
        return self._seen.get(token, "?") if kind in NAMES else token


def _replaced(tokens: list[Token], names: _Names) -> tuple[object, ...]:
    ranked: dict[str, set[int]] = {}
    for kind, value in tokens:
        if kind in RANKS and isinstance(value, int):
            ranked.setdefault(kind, {0}).add(value)
    ranks: dict[str, dict[object, int]] = {
        kind: {value: rank for rank, value in enumerate(sorted(seen))}
        for kind, seen in ranked.items()
    }
    known = names.known
    # Inline, since this is run for a hundred tokens of every state.
    return tuple(
        [
            (ranks[token[0]][token[1]] if token[0] in ranks else known(token))
            if token[0]
            else token[1]
            for token in tokens
        ]
    )


def _flat(value: object) -> list[Token]:
    tokens: list[Token] = []
    _flatten(value, "", "", tokens)
    return tokens


def _flatten(value: object, text: str, number: str, tokens: list[Token]) -> None:
    """Write a value down as tokens; its texts and numbers are of these kinds."""
    kind = type(value)
    if kind is str:
        tokens.append((text, value))
    elif kind is int:
        tokens.append((number, value))
    elif hasattr(kind, "__attrs_attrs__"):
        tokens += _fields(value, kind)
    elif isinstance(value, _COMPOUND):
        parts = _parts(cast("object", value))
        tokens.append(("", len(parts)))
        for part in parts:
            _flatten(part, text, number, tokens)
    else:
        tokens.append(("", value))


def _parts(value: object) -> tuple[object, ...]:
    if isinstance(value, Mapping):
        return tuple(cast("Mapping[object, object]", value).items())
    return cast("tuple[object, ...]", value)


def _fields(value: object, kind: type) -> list[Token]:
    """Write an attrs value down; a frozen one that was seen before is not gone through again."""
    kept = _kept.get(id(value))
    if kept is not None and kept[0] is value:
        return kept[1]
    tokens: list[Token] = [("", kind.__name__)]
    for name, texts, numbers in _columns(kind):
        _flatten(getattr(value, name), texts, numbers, tokens)
    if len(_kept) >= _KEPT_MAX:
        _kept.clear()
    _kept[id(value)] = (value, tokens)
    return tokens


@cache
def _columns(kind: type) -> tuple[Column, ...]:
    """List the fields of a class that count, and what their values are."""
    hints = get_type_hints(kind)
    return tuple(
        (field.name, *_kinds(field.name, hints[field.name]))
        for field in attrs.fields(kind)
        if field.name not in DROPPED
    )


def _kinds(name: str, annotation: object) -> tuple[str, str]:
    """Say of what kind texts and numbers in a field are: by its name, or by its type's."""
    if name in TIMES:
        return "", "time"
    if name in NAMES | RANKS:
        return name, _SAME_KIND.get(name, name)
    new_types = list(_new_types(annotation))
    text = next((n for n, base in new_types if base is str and n in NAMES), "")
    number = next((n for n, base in new_types if base is int and n in NAMES | RANKS), "")
    return text, number


def _new_types(annotation: object) -> Iterable[tuple[str, object]]:
    base = getattr(annotation, "__supertype__", None)
    if base is not None:
        yield getattr(annotation, "__name__", ""), base
    for part in get_args(annotation):
        yield from _new_types(part)
