"""
What a field of a remote value may hold, beyond its type: written beside the type, checked by
``validate``, and told by the JSON Schemas.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Final, Protocol, TypeAlias, Union, cast, get_args, get_origin

import attrs
from attrs import frozen

from lash_es.remote.errors import (
    InvalidField,
    MismatchedNestedProtocolVersion,
    MissingRequiredField,
    UnsupportedProtocolVersion,
)

PROTOCOL_VERSION: Final = 8
FLAT: Final = "flattened"
"""In a field's metadata: its value's fields stand beside the others on the wire."""


class Constraint(Protocol):
    """Something that a value may not be."""

    def require(self, value: Any, field: str, version: int | None) -> None:  # noqa: ANN401
        """
        Refuse a value of the right type that may not be there.

        ``version`` is the protocol version of the value around it; none for the outermost.
        """
        ...

    @property
    def schema(self) -> Mapping[str, object]:
        """Say it in JSON Schema."""
        ...


@frozen
class NonBlank:
    """A text that says something."""

    def require(self, value: str, field: str, version: int | None) -> None:  # noqa: ARG002
        """Refuse a text of nothing but spaces."""
        if not value.strip():
            raise MissingRequiredField(field=field)

    @property
    def schema(self) -> Mapping[str, object]:
        """A pattern that a character other than a space fits."""
        return {"pattern": r"\S"}


@frozen
class Between:
    """A number within bounds, both included."""

    lowest: int
    highest: int

    def require(self, value: int, field: str, version: int | None) -> None:  # noqa: ARG002
        """Refuse a number that is too small or too large."""
        if not self.lowest <= value <= self.highest:
            reason = f"found {value}, expected {self.lowest} to {self.highest}"
            raise InvalidField(field=field, reason=reason)

    @property
    def schema(self) -> Mapping[str, object]:
        """Both bounds."""
        return {"minimum": self.lowest, "maximum": self.highest}


@frozen
class Encoded:
    """Bytes as base64."""

    def require(self, value: str, field: str, version: int | None) -> None:  # noqa: ARG002
        """Refuse a text that is not base64, or not the one text of its bytes."""
        try:
            is_it = base64.b64encode(base64.b64decode(value, validate=True)).decode() == value
        except (binascii.Error, ValueError):
            is_it = False
        if not is_it:
            raise InvalidField(field=field, reason="expected base64")

    @property
    def schema(self) -> Mapping[str, object]:
        """The encoding's name."""
        return {"contentEncoding": "base64"}


@frozen
class Version:
    """The protocol version: the one that is spoken here, and inside that of what is around it."""

    def require(self, value: int, field: str, version: int | None) -> None:
        """Refuse another version."""
        if version is None and value != PROTOCOL_VERSION:
            raise UnsupportedProtocolVersion(field=field, found=value, expected=PROTOCOL_VERSION)
        if version is not None and value != version:
            raise MismatchedNestedProtocolVersion(field=field, found=value, expected=version)

    @property
    def schema(self) -> Mapping[str, object]:
        """The number."""
        return {"const": PROTOCOL_VERSION}


@frozen
class AnyJson:
    """Whatever JSON can hold."""

    def require(self, value: object, field: str, version: int | None) -> None:  # noqa: ARG002
        """Refuse what is nothing of JSON."""
        if not isinstance(value, bool | int | float | str | list | tuple | dict | None):
            raise InvalidField(field=field, reason=f"found {type(value).__name__}, expected JSON")

    @property
    def schema(self) -> Mapping[str, object]:
        """No more than the type."""
        return {}


_INTEGER_MAX: Final = 2**63 - 1

Name: TypeAlias = Annotated[str, NonBlank()]
Count: TypeAlias = Annotated[int, Between(0, _INTEGER_MAX)]
Signed: TypeAlias = Annotated[int, Between(-_INTEGER_MAX - 1, _INTEGER_MAX)]
Blob: TypeAlias = Annotated[str, Encoded()]
ProtocolVersion: TypeAlias = Annotated[int, Version()]
Json: TypeAlias = Annotated[object, AnyJson()]
JsonFields: TypeAlias = Mapping[str, Json]


def validate(value: object) -> None:
    """
    Refuse a remote value that is typed well and says what cannot be.

    Raises:
        UnsupportedProtocolVersion, MismatchedNestedProtocolVersion, MissingRequiredField,
        InvalidField: with the field's path.
    """
    _require_fields(value, "$", None)


def _require_fields(value: Any, path: str, around: int | None) -> None:  # noqa: ANN401
    version: int | None = getattr(value, "protocol_version", around)
    for field in attrs.fields(cast("type[attrs.AttrsInstance]", type(value))):
        is_version = field.name == "protocol_version"
        inside = path if FLAT in field.metadata else f"{path}.{field.name}"
        held = getattr(value, field.name)
        _require(held, field.type, inside, around if is_version else version)


def _require(value: Any, kind: Any, path: str, version: int | None) -> None:  # noqa: ANN401
    if get_origin(kind) is Annotated:
        for constraint in get_args(kind)[1:]:
            constraint.require(value, path, version)
    elif attrs.has(cast("type[object]", type(value))):
        _require_fields(value, path, version)
    else:
        for inside, inner, each in _parts(value, kind, path):
            _require(each, inner, inside, version)


def _parts(value: Any, kind: Any, path: str) -> Iterator[tuple[str, object, object]]:  # noqa: ANN401
    """List what a value holds: where it is, which type it is to be of, and what it is."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        # Of an optional field: its constraint is about what is there.
        constrained = [each for each in arguments if get_origin(each) is Annotated]
        yield from ((path, each, value) for each in constrained if value is not None)
    elif origin is tuple:
        yield from ((f"{path}[{index}]", arguments[0], each) for index, each in enumerate(value))
    elif origin is Mapping and isinstance(value, Mapping):
        mapping = cast("Mapping[str, object]", value)
        yield from ((f"{path}.{key}", arguments[1], each) for key, each in mapping.items())
