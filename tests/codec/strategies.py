"""Any value of a stored class, drawn from its fields' types: new fields come by themselves."""

from collections.abc import Mapping
from enum import Enum
from types import NoneType, UnionType
from typing import TypeVar, Union, get_args, get_origin, get_type_hints

import attrs
from attrs import AttrsInstance
from hypothesis import strategies as st

_T = TypeVar("_T", bound=AttrsInstance)

INTEGERS = st.integers(-(2**53) + 1, 2**53 - 1)
TEXTS = st.text(max_size=12)
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | INTEGERS
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
_LEAVES: Mapping[object, st.SearchStrategy[object]] = {
    int: INTEGERS,
    str: TEXTS,
    bool: st.booleans(),
    bytes: st.binary(max_size=20),
    NoneType: st.none(),
}


def values(kind: type[_T]) -> st.SearchStrategy[_T]:
    """Draw any value of an attrs class."""
    hints = get_type_hints(kind)
    fields = {field.name: _of(hints[field.name]) for field in attrs.fields(kind)}
    return st.builds(kind, **fields)


def _of(kind: object) -> st.SearchStrategy[object]:
    kind = getattr(kind, "__supertype__", kind)
    if kind in _LEAVES:
        return _LEAVES[kind]
    if get_origin(kind) is Mapping:
        return st.dictionaries(TEXTS, JSON_VALUES, max_size=3)
    if get_origin(kind) in (Union, UnionType):
        return st.one_of([_of(each) for each in get_args(kind)])
    if get_origin(kind) is tuple:
        return st.lists(_of(get_args(kind)[0]), max_size=3).map(tuple)
    assert isinstance(kind, type), kind
    if issubclass(kind, Enum):
        return st.sampled_from(kind)
    assert attrs.has(kind), kind
    return values(kind)
