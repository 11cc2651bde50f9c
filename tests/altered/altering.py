"""
Finds what a test expects, in its syntax tree, and alters it in one place.

What is expected is a literal on either side of ``==`` or ``is`` in an ``assert`` or in front of an
``in``, a literal in a fact that ``then`` is given, what is named on the right where there is no
literal, or the class that ``pytest.raises`` is given. An assertion with none of these expects that
something is true: it is turned round, and so is a specification without a literal.
"""

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from attrs import frozen

EXPECTING: Final = ("then", "refused", "nothing_happened")
"""The words of a specification that say what is expected."""

TURNED: Final[Mapping[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}

Alter: TypeAlias = Callable[[], None]


@frozen
class Alteration:
    """
    One place that can be altered: its line, and the text before and after.

    ``is_literal``: a value that stands there becomes another, which says more of a test than that
    an assertion is turned round.
    """

    line: int
    before: str
    after: str
    _do: Alter
    is_literal: bool = False

    def do(self) -> None:
        """Alter the tree."""
        self._do()


def named(tree: ast.Module, name: str) -> ast.FunctionDef:
    """
    Return the test of this name.

    Raises:
        LookupError: there is none.
    """
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return node
    raise LookupError(f"no test {name!r}")


def alterations(test: ast.FunctionDef) -> list[Alteration]:
    """List every place of a test that can be altered, in the order of its lines."""
    found: list[Alteration] = []
    for node in ast.walk(test):
        found += _of_node(node)
    return sorted(found, key=lambda each: (each.line, each.before))


def _of_node(node: ast.AST) -> Sequence[Alteration]:
    match node:
        case ast.Assert():
            return [*_of_assert(node)]
        case ast.Call(func=ast.Attribute(attr="raises"), args=[ast.Name() as error, *_]):
            return [_other_error(node, error)]
        case ast.Call(func=ast.Attribute() as word) if word.attr in EXPECTING:
            literals = [each for given in _arguments(node) for each in _literals(given)]
            return literals or [_other_word(node, word)]
        case _:
            return []


def _of_assert(node: ast.Assert) -> Iterator[Alteration]:
    """
    Alter what is compared; where nothing is, turn the assertion round. Only the comparison that is
    asserted counts: one inside of it, as of a filter, may be another and the assertion still hold.
    """
    is_both = isinstance(node.test, ast.BoolOp) and isinstance(node.test.op, ast.And)
    parts = node.test.values if isinstance(node.test, ast.BoolOp) and is_both else [node.test]
    found: list[Alteration] = []
    for part in parts:
        if isinstance(part, ast.Compare):
            found += _of_comparison(part)
    yield from found or [_turned_round(node)]


def _of_comparison(compared: ast.Compare) -> Sequence[Alteration]:
    """Alter what is expected to be the same, or to be in something; of a bound, nothing."""
    sides = (compared.left, *compared.comparators)
    if any(isinstance(side, ast.Constant) and side.value is None for side in sides):
        return [_other_operator(compared)] if len(compared.ops) == 1 else []
    if all(isinstance(operator, ast.Eq | ast.Is) for operator in compared.ops):
        found = [each for side in sides for each in _literals(side)]
        return found or [_other_value(compared)]
    if isinstance(compared.ops[0], ast.In):
        return [*_literals(compared.left)]
    return []


def _literals(node: ast.expr) -> Iterator[Alteration]:
    """Alter literals in displays and in what a constructor is given; not in indexes and calls."""
    match node:
        case ast.Constant(value=bool() | int() | str()):
            yield _other_literal(node)
        case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts):
            for part in parts:
                yield from _literals(part)
        case ast.Dict(values=parts):
            for part in parts:
                yield from _literals(part)
        case ast.Call(func=ast.Name(id=name)) if name[:1].isupper():
            for argument in _arguments(node):
                yield from _literals(argument)
        case _:
            return


def _other_word(call: ast.Call, word: ast.Attribute) -> Alteration:
    """Expect that nothing happened, or that something did where nothing was expected."""
    is_nothing = word.attr == "nothing_happened" or not call.args
    after = "then(None)" if is_nothing else "nothing_happened()"

    def do() -> None:
        word.attr = "then" if is_nothing else "nothing_happened"
        call.args = [ast.Constant(None)] if is_nothing else []

    return Alteration(call.lineno, f"{word.attr}(...)", after, do)


def _arguments(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(keyword.value for keyword in call.keywords)]


def _other_literal(node: ast.Constant) -> Alteration:
    before = node.value
    after: bool | int | str = f"{before!s} (altered)"
    if isinstance(before, bool):
        after = not before
    elif isinstance(before, int):
        after = before + 1

    def do() -> None:
        node.value = after

    return Alteration(node.lineno, repr(before), repr(after), do, is_literal=True)


def _other_operator(compared: ast.Compare) -> Alteration:
    """Expect that something is there where nothing was expected, or the other way round."""
    before = ast.unparse(compared)
    operators = [TURNED[type(each)]() for each in compared.ops]
    after = ast.unparse(ast.Compare(compared.left, operators, compared.comparators))

    def do() -> None:
        compared.ops = operators

    return Alteration(compared.lineno, before, after, do)


def _other_value(compared: ast.Compare) -> Alteration:
    """Expect something else than what is named on the right."""
    named = compared.comparators[-1]
    other = ast.Tuple([named, ast.Constant("altered")], ast.Load())

    def do() -> None:
        compared.comparators[-1] = other

    return Alteration(compared.lineno, ast.unparse(named), ast.unparse(other), do)


def _other_error(call: ast.Call, error: ast.Name) -> Alteration:
    def do() -> None:
        error.id = "ZeroDivisionError"

    return Alteration(call.lineno, f"raises({error.id})", "raises(ZeroDivisionError)", do)


def _turned_round(node: ast.Assert) -> Alteration:
    before, turned = ast.unparse(node), ast.UnaryOp(ast.Not(), node.test)

    def do() -> None:
        node.test = turned

    return Alteration(node.lineno, before, f"assert {ast.unparse(turned)}", do)
