"""
JSON Schemas (2020-12) of what crosses the wire, made from the classes that read and write it.

``python -m lash_es.remote.schemas`` prints them all.
"""

from collections.abc import Mapping
from enum import Enum
from types import UnionType
from typing import Annotated, Any, Final, TypeAlias, Union, get_args, get_origin

import attrs
import orjson

from lash_es.remote.constraints import PROTOCOL_VERSION
from lash_es.remote.converting import TAG, flat_field, is_tagged_union, members
from lash_es.remote.observations import (
    RemoteLiveReplayGap,
    RemoteSessionCursor,
    RemoteSessionObservation,
    RemoteSessionObservationEvent,
)
from lash_es.remote.turn_activities import RemoteTurnActivity
from lash_es.remote.turn_inputs import RemoteTurnInput, RemoteTurnRequest
from lash_es.remote.turn_results import RemoteTurnResult

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
TOP_LEVEL: Final[tuple[type, ...]] = (
    RemoteSessionCursor,
    RemoteSessionObservation,
    RemoteSessionObservationEvent,
    RemoteLiveReplayGap,
    RemoteTurnActivity,
    RemoteTurnInput,
    RemoteTurnRequest,
    RemoteTurnResult,
)
"""What is sent on its own; each has a ``protocol_version``."""

Schema: TypeAlias = dict[str, object]

_SCALARS: Final[Mapping[object, Schema]] = {
    int: {"type": "integer"},
    str: {"type": "string"},
    bool: {"type": "boolean"},
    object: {},
}


def remote_schema(kind: type) -> Schema:
    """Make the schema of one class; those it holds are under ``$defs``."""
    definitions: dict[str, Schema] = {}
    schema = _class_schema(kind, definitions)
    title = f"{kind.__name__}, protocol version {PROTOCOL_VERSION}"
    return {"$schema": DIALECT, "title": title, **schema, "$defs": definitions}


def remote_schemas() -> dict[str, Schema]:
    """Make the schemas of everything that is sent on its own, by class name."""
    return {kind.__name__: remote_schema(kind) for kind in TOP_LEVEL}


def _class_schema(kind: type, definitions: dict[str, Schema]) -> Schema:
    flat = flat_field(kind)
    if flat is None:
        return _object(_fields(kind, definitions))
    own = _fields(kind, definitions)
    del own[flat.name]
    return {
        "oneOf": [
            _object({**own, TAG: ({"const": tag}, True), **_fields(inner, definitions)})
            for tag, inner in members(flat.type).items()
        ]
    }


def _fields(kind: type, definitions: dict[str, Schema]) -> dict[str, tuple[Schema, bool]]:
    """Say of each field what it holds, and whether it must be there."""
    return {
        field.name: (_schema(field.type, definitions), field.default is attrs.NOTHING)
        for field in attrs.fields(kind)
    }


def _object(fields: Mapping[str, tuple[Schema, bool]]) -> Schema:
    return {
        "type": "object",
        "properties": {name: schema for name, (schema, _) in fields.items()},
        "required": [name for name, (_, is_required) in fields.items() if is_required],
        "additionalProperties": False,
    }


def _schema(kind: Any, definitions: dict[str, Schema]) -> Schema:  # noqa: ANN401
    if kind in _SCALARS:
        return dict(_SCALARS[kind])
    if get_origin(kind) is not None:
        return _generic_schema(kind, definitions)
    if issubclass(kind, Enum):
        return {"enum": [member.value for member in kind]}
    if kind.__name__ not in definitions:
        # No class holds itself, but one may be held twice.
        definitions[kind.__name__] = _class_schema(kind, definitions)
    return {"$ref": f"#/$defs/{kind.__name__}"}


def _generic_schema(kind: Any, definitions: dict[str, Schema]) -> Schema:  # noqa: ANN401
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        constrained = _schema(arguments[0], definitions)
        for constraint in arguments[1:]:
            constrained |= constraint.schema
        return constrained
    if origin in (Union, UnionType):
        return _union_schema(kind, definitions)
    if origin is tuple:
        return {"type": "array", "items": _schema(arguments[0], definitions)}
    return {"type": "object", "additionalProperties": _schema(arguments[1], definitions)}


def _union_schema(union: Any, definitions: dict[str, Schema]) -> Schema:  # noqa: ANN401
    if not is_tagged_union(union):
        inner = [each for each in get_args(union) if each is not type(None)]
        return {"anyOf": [*(_schema(each, definitions) for each in inner), {"type": "null"}]}
    return {
        "oneOf": [
            _object({TAG: ({"const": tag}, True), **_fields(kind, definitions)})
            for tag, kind in members(union).items()
        ]
    }


if __name__ == "__main__":
    print(orjson.dumps(remote_schemas(), option=orjson.OPT_INDENT_2).decode())  # noqa: T201
