"""
Remote values to plain ones and back: cattrs, strict about types and names, with the field's path
in every refusal.

Unions are told apart by ``type``. Where a class says that a field is flattened, that field's value
stands beside the other fields.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from types import UnionType
from typing import Any, Final, TypeVar, Union, cast, get_args, get_origin

import attrs
import orjson
from cattrs import (
    BaseValidationError,
    Converter,
    IterableValidationError,
    IterableValidationNote,
    transform_error,
)
from cattrs.dispatch import StructureHook, UnstructureHook
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from lash_es.remote.constraints import FLAT, validate
from lash_es.remote.errors import InvalidField, MissingRequiredField

_T = TypeVar("_T")

REMOTE_BYTES_MAX: Final = 16 * 1024 * 1024
"""How long a remote value's text may be."""
TAG: Final = "type"
_TAGS: Final[dict[type, str]] = {}


def tagged(tag: str) -> Callable[[type[_T]], type[_T]]:
    """Give a member of a union its name on the wire."""

    def register(kind: type[_T]) -> type[_T]:
        _TAGS[kind] = tag
        return kind

    return register


def members(union: object) -> Mapping[str, type[Any]]:
    """List the classes of a union by their names on the wire."""
    return {_TAGS[kind]: kind for kind in get_args(union)}


def is_tagged_union(kind: object) -> bool:
    """Tell whether a type is a union of tagged classes."""
    is_union = get_origin(kind) in (Union, UnionType)
    return is_union and all(isinstance(each, type) and each in _TAGS for each in get_args(kind))


def flat_field(kind: type) -> "attrs.Attribute[object] | None":
    """Find the field whose value stands beside the others; none if there is none."""
    return next((field for field in attrs.fields(kind) if FLAT in field.metadata), None)


def encode_remote(value: object) -> bytes:
    """
    Validate a remote value and write it as JSON.

    Raises:
        RemoteProtocolError: it says what cannot be.
    """
    plain = to_remote(value)
    try:
        return orjson.dumps(plain)
    except orjson.JSONEncodeError as cause:
        raise InvalidField(field="$", reason=str(cause)[:300]) from cause


def to_remote(value: object) -> dict[str, object]:
    """Validate a remote value and turn it into plain values; raises as ``encode_remote``."""
    validate(value)
    plain: dict[str, object] = _CONVERTER.unstructure(value)
    return plain


def decode_remote(text: bytes | str, kind: type[_T]) -> _T:
    """
    Read a remote value from JSON.

    Raises:
        RemoteProtocolError: it is none; with the field's path and the reason.
    """
    if len(text) > REMOTE_BYTES_MAX:
        reason = f"found {len(text)} bytes, at most {REMOTE_BYTES_MAX} are read"
        raise InvalidField(field="$", reason=reason)
    try:
        plain: object = orjson.loads(text)
    except orjson.JSONDecodeError as cause:
        raise InvalidField(field="$", reason=f"no JSON: {cause}"[:300]) from cause
    return from_remote(plain, kind)


def from_remote(plain: object, kind: type[_T]) -> _T:
    """Take plain values for a remote one; raises as ``decode_remote``."""
    try:
        value = _CONVERTER.structure(plain, kind)
    except Exception as refusal:
        raise _refusal(refusal) from refusal
    validate(value)
    return value


def _refusal(error: Exception) -> MissingRequiredField | InvalidField:
    """Take the first of what cattrs has found."""
    if not isinstance(error, BaseValidationError):
        return InvalidField(field="$", reason=_reason(error, None))
    found = transform_error(error, format_exception=_reason)[0]
    reason, _, path = found.rpartition(" @ ")
    if reason == _MISSING:
        return MissingRequiredField(field=path)
    return InvalidField(field=path, reason=reason)


_MISSING: Final = "missing"


def _reason(error: BaseException, _: object) -> str:
    if isinstance(error, KeyError):
        return _MISSING
    return f"{error}".replace(" @ ", " at ")[:300] or type(error).__name__


def _make_converter() -> Converter:
    made = Converter(forbid_extra_keys=True, detailed_validation=True, omit_if_default=True)
    for scalar in (int, str, bool):
        made.register_structure_hook(scalar, _exact)
    made.register_structure_hook_func(_is_enum, _structure_enum)
    made.register_structure_hook_factory(_is_tuple, _tuple_hook)
    made.register_structure_hook_factory(attrs.has, _class_hook)
    made.register_unstructure_hook_factory(attrs.has, _class_unstructure_hook)
    made.register_structure_hook_factory(is_tagged_union, _union_hook)
    made.register_unstructure_hook_factory(is_tagged_union, _union_unstructure_hook)
    made.register_structure_hook_func(lambda kind: kind is object, lambda value, _: value)
    return made


def _exact(value: _T, kind: type) -> _T:
    """Refuse what cattrs would coerce: "1" is not the number 1."""
    if type(value) is not kind:
        raise TypeError(f"found {type(value).__name__}, expected {kind.__name__}")
    return value


def _is_enum(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Enum)


def _structure_enum(value: object, kind: type[Enum]) -> Enum:
    for member in kind:
        if type(value) is str and member.value == value:
            return member
    raise ValueError(f"found {value!r}, expected one of {[m.value for m in kind]}")


def _is_tuple(kind: object) -> bool:
    return get_origin(kind) is tuple


def _tuple_hook(kind: type, converter: Converter) -> StructureHook:
    """Structure a tuple from a list only, and say which element was wrong."""
    element = get_args(kind)[0]
    hook = converter.get_structure_hook(element)

    def structure(value: list[object], _: object) -> tuple[object, ...]:
        made: list[object] = []
        for index, each in enumerate(_exact(value, list)):
            try:
                made.append(hook(each, element))
            except Exception as error:
                note = IterableValidationNote(f"index {index}", index, element)
                error.__notes__ = [*getattr(error, "__notes__", []), note]
                refusal = IterableValidationError("a list", [error], kind)  # pyright: ignore[reportCallIssue] - its own __new__ takes the class too
                raise refusal from error
        return tuple(made)

    return structure


def _as_it_is(value: object, _: object) -> object:
    return value


def _class_hook(kind: type[Any], converter: Converter) -> StructureHook:
    flat = flat_field(kind)
    if flat is None:
        plain_hook: StructureHook = make_dict_structure_fn(
            kind, converter, _cattrs_forbid_extra_keys=True
        )
        return lambda value, _: plain_hook(_exact(value, dict), kind)
    passed = override(struct_hook=_as_it_is)
    # The field's name is an argument of its own there, which no type tells from the others.
    options: dict[str, Any] = {"_cattrs_forbid_extra_keys": True, flat.name: passed}
    head_hook: StructureHook = make_dict_structure_fn(kind, converter, **options)
    own = {field.name for field in attrs.fields(kind)} - {flat.name}
    inner_hook = converter.get_structure_hook(flat.type)

    def structure(value: dict[str, object], _: object) -> Any:  # noqa: ANN401
        _exact(value, dict)
        rest = {key: each for key, each in value.items() if key not in own}
        head = {key: each for key, each in value.items() if key in own}
        head[flat.name] = inner_hook(rest, flat.type)
        return head_hook(head, kind)

    return structure


def _class_unstructure_hook(kind: type[Any], converter: Converter) -> UnstructureHook:
    hook: UnstructureHook = make_dict_unstructure_fn(kind, converter, _cattrs_omit_if_default=True)
    flat = flat_field(kind)
    if flat is None:
        return hook

    def unstructure(value: object) -> dict[str, object]:
        plain = cast("dict[str, object]", hook(value))
        inner = cast("dict[str, object]", plain.pop(flat.name))
        return plain | inner

    return unstructure


def _union_hook(union: Any, converter: Converter) -> StructureHook:  # noqa: ANN401
    kinds = members(union)

    def structure(value: dict[str, object], _: object) -> Any:  # noqa: ANN401
        rest = dict(_exact(value, dict))
        tag = rest.pop(TAG, None)
        kind = kinds.get(tag) if isinstance(tag, str) else None
        if kind is None:
            raise ValueError(f"{TAG}: found {tag!r}, expected one of {sorted(kinds)}")
        return converter.structure(rest, kind)

    return structure


def _union_unstructure_hook(_: Any, converter: Converter) -> UnstructureHook:  # noqa: ANN401
    def unstructure(value: object) -> dict[str, object]:
        plain: dict[str, object] = converter.unstructure(value, type(value))
        return {TAG: _TAGS[type(value)], **plain}

    return unstructure


_CONVERTER: Final = _make_converter()
