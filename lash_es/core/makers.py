"""
Constructors for values that are made with every fact: the class's own, four times as fast.

attrs fills a frozen class through ``object.__setattr__``, one call a field. A maker fills a
*draft*, a subclass with the same layout that may be written, and gives it its class at the end.
Only code that runs once a fact or more needs one; everywhere else a class is called. Beyond
fifteen named arguments, a positional one counting half, CPython packs them into a dict instead,
which costs as much as is saved.

Like attrs and cattrs, this writes source text from field names and compiles it, once, at import.
"""

from collections.abc import Callable, Mapping
from typing import ParamSpec, TypeVar, cast

import attrs
from attrs import NOTHING, AttrsInstance

_P = ParamSpec("_P")
_T = TypeVar("_T")


def maker(kind: Callable[_P, _T]) -> Callable[_P, _T]:
    """Make a constructor of a frozen, slotted attrs class: the same arguments, the same value."""
    described = require_plain(cast("type[AttrsInstance]", kind))
    fields = attrs.fields(described)
    names: dict[str, object] = {f"default_{field.name}": field.default for field in fields}
    parameters = [
        field.name if field.default is NOTHING else f"{field.name}=default_{field.name}"
        for field in fields
    ]
    positional = sum(not field.kw_only for field in fields)
    if positional < len(fields):
        parameters.insert(positional, "*")
    source = filling(", ".join(parameters), {field.name: field.name for field in fields})
    return cast("Callable[_P, _T]", compiled(source, described, names))


def filling(signature: str, values: Mapping[str, str], before: str = "") -> str:
    """Write the source of a function that fills a draft with expressions, by field name."""
    stores = "".join(f"    made.{name} = {value}\n" for name, value in values.items())
    return (
        f"def make({signature}):\n{before}    made = new(draft)\n{stores}"
        "    made.__class__ = kind\n    return made\n"
    )


def compiled(source: str, kind: type[AttrsInstance], names: Mapping[str, object]) -> object:
    """Compile a function written by ``filling``."""
    where = f"<{__name__} of {kind.__qualname__}>"
    space: dict[str, object] = {"new": object.__new__, "draft": _draft(kind), "kind": kind}
    space.update(names)
    exec(compile(source, where, "exec"), space)  # noqa: S102 - of our own field names
    return space["make"]


def require_plain(kind: type[AttrsInstance]) -> type[AttrsInstance]:
    """Refuse a class whose own constructor does more than fill its fields."""
    does_more = hasattr(kind, "__attrs_post_init__") or any(
        field.validator or field.converter or hasattr(field.default, "factory")
        for field in attrs.fields(kind)
    )
    if does_more or "__slots__" not in vars(kind):
        raise TypeError(f"{kind.__name__} needs its own constructor")
    return kind


def _draft(kind: type[AttrsInstance]) -> type:
    """Derive a class of the same layout whose fields may be written."""
    free = {"__slots__": (), "__setattr__": object.__setattr__}
    return type(f"{kind.__name__}Draft", (kind,), free)
