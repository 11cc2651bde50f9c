"""
Remote values and what becomes of them on a bad wire: a value of every class, made from the types
of its fields, mutated in its plain form, and judged twice, by the decoder and by the schema.

``python -m tests.remote.fuzzing 100000`` tries that many.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from enum import Enum
from random import Random
from types import UnionType
from typing import Annotated, Any, Final, TypeAlias, Union, get_args, get_origin

import attrs
import jsonschema  # type: ignore[import-untyped]  # its stubs are a package of their own
import orjson

from lash_es.remote.constraints import FLAT, AnyJson, Between, Encoded, NonBlank, Version
from lash_es.remote.converting import decode_remote, encode_remote, from_remote
from lash_es.remote.errors import RemoteProtocolError
from lash_es.remote.schemas import TOP_LEVEL, remote_schema

Plain: TypeAlias = dict[str, object]

# What a wire can carry and a store would not: all of it has to come through.
TEXTS: Final = ("", "a", "</script>", "\x1b[2J", "\u202e", "\x00", "caf\u00e9 \U0001f642", " x ")
SPOILT: Final[tuple[object, ...]] = (
    *(None, True, -1, 2**63, 1.5, "", " \t", "x", [], [None], {}, {"type": "x"}, "AR=="),
)


def random_value(chance: Random, kind: Any) -> Any:  # noqa: ANN401
    """Make a value of a type as its annotations say."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _constrained(chance, arguments[1])
    if origin in (Union, UnionType):
        return random_value(chance, chance.choice(arguments))
    if origin is tuple:
        return tuple(random_value(chance, arguments[0]) for _ in range(chance.randrange(3)))
    if origin is not None:
        keys = chance.sample(TEXTS, chance.randrange(3))
        return {key: random_value(chance, arguments[1]) for key in keys}
    return _plain_value(chance, kind)


def _plain_value(chance: Random, kind: Any) -> Any:  # noqa: ANN401
    if kind is str:
        return chance.choice(TEXTS)
    if kind is bool:
        return chance.random() < 0.5
    if kind is type(None):
        return None
    if issubclass(kind, Enum):
        return chance.choice(list(kind))
    fields = {field.name: random_value(chance, field.type) for field in attrs.fields(kind)}
    return kind(**fields)


def _constrained(chance: Random, constraint: object) -> object:
    match constraint:
        case NonBlank():
            return chance.choice([text for text in TEXTS if text.strip()])
        case Between():
            return chance.choice((constraint.lowest, 0, 7, constraint.highest))
        case Encoded():
            return chance.choice(("", "AQID", "AA=="))
        case Version():
            return 8
        case AnyJson():
            return chance.choice((None, True, 7, 1.5, "x", [1, {"a": None}], {"b": ["</script>"]}))
        case _:
            raise AssertionError(constraint)


def mutated(chance: Random, plain: Plain) -> str:
    """Change one place of a plain value; returns the name of what was changed."""
    places = list(_places(plain))
    whole = [(plain, key) for key in plain]
    holder, key = chance.choice(whole if chance.random() < 0.5 else places)
    match chance.choice(("spoil", "spoil", "drop", "add", "retype")):
        case "drop":
            del holder[key]
        case "add":
            plain["a stranger"] = chance.choice(SPOILT)
        case "retype":
            holder[key] = str(holder[key])
        case _:
            holder[key] = chance.choice(SPOILT)
    return str(key)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:  # noqa: ANN401
    items = list(value.items() if isinstance(value, dict) else enumerate(value))
    for key, each in items:
        yield value, key
        if isinstance(each, dict | list):
            yield from _places(each)


class Judged:
    """Counts what became of values, and which fields were changed."""

    def __init__(self) -> None:
        self.counts = Counter[str]()
        self.touched: set[tuple[type, str]] = set()
        self._schemas = {
            kind: jsonschema.Draft202012Validator(remote_schema(kind)) for kind in TOP_LEVEL
        }

    def try_one(self, chance: Random, kind: type) -> None:
        """Send one value, changed or not, and refuse whatever is not as it must be."""
        value = random_value(chance, kind)
        encoded = encode_remote(value)
        assert decode_remote(encoded, kind) == value
        plain = orjson.loads(encoded)
        if chance.random() < 0.6:
            self.touched.add((kind, mutated(chance, plain)))
        is_valid = self._schemas[kind].is_valid(plain)
        try:
            got: object = from_remote(plain, kind)
        except RemoteProtocolError as refusal:
            self.counts["refused"] += 1
            named, reason = str(refusal.fields["field"]), refusal.summary()
            # What a schema cannot say is whether base64 is base64.
            is_fair = named.startswith("$") and len(reason) > len(named)
            assert is_fair and (not is_valid or "base64" in reason), (reason, plain)  # noqa: PT018
        else:
            self.counts["accepted"] += 1
            assert is_valid, plain
            assert decode_remote(encode_remote(got), kind) == got

    def require_fair(self) -> None:
        """Refuse a run in which hardly anything was accepted, or a field was never changed."""
        assert self.counts["accepted"] >= 0.4 * self.counts.total(), self.counts
        assert self.counts["refused"] >= 0.2 * self.counts.total(), self.counts
        wanted = {
            (kind, field.name)
            for kind in TOP_LEVEL
            for field in attrs.fields(kind)
            if FLAT not in field.metadata
        }
        assert wanted <= self.touched, wanted - self.touched


def fuzz(count: int, seed: int) -> Judged:
    """Try so many values, of each class as many."""
    chance, judged = Random(seed), Judged()
    for number in range(count):
        judged.try_one(chance, TOP_LEVEL[number % len(TOP_LEVEL)])
    judged.require_fair()
    return judged


if __name__ == "__main__":
    wanted = int(sys.argv[1])
    print(json.dumps(fuzz(wanted, seed=20261128).counts))  # noqa: T201 - a command reports
