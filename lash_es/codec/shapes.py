"""
Values to plain values and back: cattrs with precompiled hooks, explicit tags, unknown keys
refused.

Unstructured values are what JSON has: no floats in headers, bytes as base64 in bodies. Decoding
never guesses, and neither does encoding: a clock that tells 1.5 ms would make a fact unreadable.
"""

import base64
from collections.abc import Mapping
from functools import cache
from typing import TypeVar, cast, get_args, get_origin

from cattrs import BaseConverter
from cattrs.dispatch import StructureHook, UnstructureHook
from cattrs.preconf.orjson import OrjsonConverter, make_converter

from lash_es.codec.errors import UndecodableValue, UnencodableValue
from lash_es.codec.wire_names import UNION_TAGS
from lash_es.core.batches import MergeKey
from lash_es.core.effects import EffectRequest
from lash_es.core.events import TurnOrigin
from lash_es.core.ingress import TurnInputIngress
from lash_es.core.known import IndexEntry
from lash_es.core.messages import InputItem, JsonObject, Part, ReplyPart
from lash_es.core.outcomes import EffectOutcome, TurnOutcome
from lash_es.core.owners import Liveness
from lash_es.core.transcripts import NodeSource

_T = TypeVar("_T")

_UNIONS = (
    Liveness,
    TurnInputIngress,
    NodeSource,
    TurnOrigin,
    EffectRequest,
    EffectOutcome,
    TurnOutcome,
    InputItem,
    ReplyPart,
    Part,
    MergeKey,
    IndexEntry,
)


def strict_converter() -> OrjsonConverter:
    """Make a converter that refuses what is not exactly what it should be; it knows no union."""
    made = make_converter(forbid_extra_keys=True, detailed_validation=False)
    made.register_unstructure_hook(bytes, lambda value: base64.b64encode(value).decode("ascii"))
    made.register_structure_hook(bytes, lambda value, _: base64.b64decode(value, validate=True))
    made.register_unstructure_hook_func(lambda kind: kind == JsonObject, lambda value: value)
    made.register_structure_hook_func(
        lambda kind: kind in (JsonObject, dict[str, object]), _structure_object
    )
    made.register_structure_hook_factory(_is_tuple, _tuple_hook)
    made.register_unstructure_hook_func(_is_integer, _unstructure_integer)
    made.register_structure_hook(int, lambda value, _: _exact(value, int))
    made.register_structure_hook(str, lambda value, _: _exact(value, str))
    made.register_structure_hook(bool, lambda value, _: _exact(value, bool))
    return made


@cache
def _converter() -> OrjsonConverter:
    made = strict_converter()
    for union in _UNIONS:
        tag_union(union, made)
    return made


def tag_union(union: object, made: OrjsonConverter) -> None:
    """
    Tag a union's members, as ``configure_tagged_union`` of cattrs does, but make a member's hooks
    when it is first met: a hook is compiled, and most processes meet few of all members.
    """
    tags = {member: UNION_TAGS[member] for member in get_args(union)}
    members = {tag: member for member, tag in tags.items()}
    hooks: dict[type[object], UnstructureHook] = {}

    def unstructure(value: object) -> dict[str, object]:
        kind = type(value)
        if kind not in hooks:
            hooks[kind] = made.get_unstructure_hook(kind)
        plain: dict[str, object] = hooks[kind](value)
        plain["kind"] = tags[kind]
        return plain

    def structure(plain: object, _: object) -> object:
        _exact(plain, dict)
        fields = dict(cast("dict[str, object]", plain))
        return made.structure(fields, members[cast("str", fields.pop("kind"))])

    made.register_unstructure_hook_func(lambda kind: kind == union, unstructure)
    made.register_structure_hook_func(lambda kind: kind == union, structure)


def _is_integer(kind: object) -> bool:
    """Tell whether a field is an ``int``, or a new name for one."""
    return getattr(kind, "__supertype__", kind) is int


def _unstructure_integer(value: object) -> int:
    if type(value) is not int:
        raise UnencodableValue(what=repr(value), reason="expected an integer")
    return value


def _structure_object(value: object, _: object) -> object:
    _exact(value, dict)
    return value


def _is_tuple(kind: object) -> bool:
    return get_origin(kind) is tuple


def _tuple_hook(kind: object, converter: BaseConverter) -> StructureHook:
    """
    Structure a tuple from a list only: cattrs would take a text for the tuple of its letters.
    """
    element = get_args(kind)[0]
    hook = converter.get_structure_hook(element)

    def structure(value: list[object], _: object) -> tuple[object, ...]:
        _exact(value, list)
        return tuple(hook(each, element) for each in value)

    return structure


def _exact(value: object, kind: type[_T]) -> _T:
    """Refuse what cattrs would coerce: a stored "1" is not the number 1."""
    if type(value) is not kind:
        raise TypeError(f"found {type(value).__name__}, expected {kind.__name__}")
    return value


def to_plain(value: object) -> dict[str, object]:
    """
    Turn an attrs value into a dict of plain values.

    Raises:
        UnencodableValue: somewhere it holds what its types do not allow.
    """
    try:
        plain: dict[str, object] = _converter().unstructure(value)
    except (AttributeError, KeyError, TypeError) as cause:
        # What a hook stumbles over, whatever somebody put where its class says something else.
        reason = f"it is not as its types say: {type(cause).__name__}: {cause}"[:300]
        raise UnencodableValue(what=type(value).__name__, reason=reason) from cause
    return plain


def from_plain(plain: Mapping[str, object], kind: type[_T], what: str) -> _T:
    """
    Turn plain values into the attrs value they promise to be; ``what`` names it in the error.
    """
    try:
        return _converter().structure(plain, kind)
    except Exception as cause:
        raise UndecodableValue(
            what=what, reason=f"{type(cause).__name__}: {cause}"[:300]
        ) from cause
