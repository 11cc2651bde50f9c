"""
Columns on their way to the server: a list of texts, of bytes or of integers, as one parameter.

psycopg would look at every element and choose a type by its size, so that one statement became
several prepared ones; here the type is the class's, and packing costs a tenth. The format is the
server's own (``array_recv``): dimensions, flags, element type, length, lower bound, elements.
"""

import struct
from collections.abc import Iterable, Sequence
from typing import Final

from attrs import frozen
from psycopg import Connection, DataError
from psycopg.adapt import Dumper
from psycopg.pq import Format
from psycopg.types.numeric import Int8

INT8_MAX: Final = 2**63 - 1
"""The server's largest integer: nothing is stored after it."""

_BYTEA, _INT8, _TEXT = 17, 20, 25
_BYTEA_ARRAY, _TEXT_ARRAY, _INT8_ARRAY = 1001, 1009, 1016


@frozen
class Texts:
    """A column of ``text``."""

    values: Sequence[str]


@frozen
class Blobs:
    """A column of ``bytea``."""

    values: Sequence[bytes]


@frozen
class Integers:
    """A column of ``bigint``."""

    values: Sequence[int]


def int8(number: int) -> Int8:
    """Make a ``bigint`` parameter; what is larger than any that is stored becomes the largest."""
    return Int8(min(number, INT8_MAX))


class _TextsDumper(Dumper):
    format = Format.BINARY
    oid: int = _TEXT_ARRAY

    def dump(self, obj: Texts) -> bytes:
        encoded = [value.encode() for value in obj.values]
        if any(b"\0" in value for value in encoded):
            # As psycopg says of a single text, before anything is sent.
            raise DataError("PostgreSQL text cannot contain NUL")
        return _pack(_TEXT, encoded)


class _BlobsDumper(Dumper):
    format = Format.BINARY
    oid: int = _BYTEA_ARRAY

    def dump(self, obj: Blobs) -> bytes:
        return _pack(_BYTEA, obj.values)


class _IntegersDumper(Dumper):
    format = Format.BINARY
    oid: int = _INT8_ARRAY

    def dump(self, obj: Integers) -> bytes:
        return _pack(_INT8, [struct.pack("!q", value) for value in obj.values])


def _pack(element: int, values: Sequence[bytes]) -> bytes:
    if not values:
        return struct.pack("!iii", 0, 0, element)
    return b"".join(_parts(element, values))


def _parts(element: int, values: Sequence[bytes]) -> Iterable[bytes]:
    yield struct.pack("!iiiii", 1, 0, element, len(values), 1)
    for value in values:
        yield struct.pack("!i", len(value))
        yield value


def register(connection: Connection) -> None:
    """Teach a connection the three columns."""
    connection.adapters.register_dumper(Texts, _TextsDumper)
    connection.adapters.register_dumper(Blobs, _BlobsDumper)
    connection.adapters.register_dumper(Integers, _IntegersDumper)
