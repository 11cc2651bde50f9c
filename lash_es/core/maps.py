"""Small read-only maps in the order of entry: every change copies, as their limits allow."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TypeVar

_K = TypeVar("_K")
_V = TypeVar("_V")


def with_entry(entries: Mapping[_K, _V], key: _K, value: _V) -> Mapping[_K, _V]:
    """One entry more, at the end, or in the place of the one with its key."""
    changed = _copy(entries)
    changed[key] = value
    return MappingProxyType(changed)


def with_entries(entries: Mapping[_K, _V], changes: Mapping[_K, _V]) -> Mapping[_K, _V]:
    """Each as ``with_entry``."""
    changed = _copy(entries)
    changed.update(changes)
    return MappingProxyType(changed)


def without(entries: Mapping[_K, _V], keys: Iterable[_K]) -> Mapping[_K, _V]:
    """Leave out what has one of these keys."""
    changed = _copy(entries)
    for key in keys:
        changed.pop(key, None)
    return MappingProxyType(changed)


def _copy(entries: Mapping[_K, _V]) -> dict[_K, _V]:
    # `{**entries}` would ask a proxy for each key in turn; its own copy is that of the dict.
    return entries.copy() if isinstance(entries, MappingProxyType) else dict(entries)
