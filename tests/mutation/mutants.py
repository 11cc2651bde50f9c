"""
Mutants: one function each, changed at one place, and put where the original was.

What may be changed and how is mutmut's; here it is made a function of, named by what it changes,
and told from the original by the lines that it touches. Putting it in place swaps the code of the
function object, so whoever imported the function has the mutant too, and nothing is read again.
"""

import difflib
import gc
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import FunctionType
from typing import Final

import libcst as cst
import libcst.matchers as m
from attrs import frozen
from mutmut.mutation.file_mutation import Mutation, create_mutations

UNDECORATED: Final = re.compile(r"^( *)@(?:cached_)?property$", re.MULTILINE)
"""mutmut leaves decorated functions alone; of these we know what the decorator does."""

WORDED: Final = m.Call(
    func=m.OneOf(*(m.Name(name) for name in ("impossible", "LookupError", "TypeError")))
)
"""Their arguments end in the words of an error that no caller is meant to read by program."""

WRITER: Final = cst.Module([])


@frozen(kw_only=True)
class Mutant:
    """
    A function of a module with one change.

    ``lines`` are those of the file that the change touches; ``is_wording``: it only changes the
    words of a message.
    """

    module: str
    function: str
    change: str
    lines: frozenset[int]
    source: str
    is_wording: bool

    @property
    def name(self) -> str:
        """What it is listed under; it stays the same when the code around it changes."""
        return f"{self.module.removeprefix('lash_es.')}.{self.function}: {self.change}"


def mutants_of(module: str, source: str) -> list[Mutant]:
    """Make every mutant of the module's functions, in their order in the file."""
    tree, mutations, _, _ = create_mutations(module, UNDECORATED.sub(r"\1", source))
    originals = {node: _original(node, name, source) for node, name in _functions(tree)}
    made: list[Mutant] = []
    seen: Counter[str] = Counter()
    for mutation in mutations:
        function = mutation.contained_by_top_level_function
        if function in originals:
            mutant = _mutant(module, originals[function], mutation)
            seen[mutant.name] += 1
            made.append(_numbered(mutant, seen[mutant.name]))
    return made


def _numbered(mutant: Mutant, number: int) -> Mutant:
    """Tell changes that look alike from each other: by their order in the function."""
    if number == 1:
        return mutant
    return Mutant(
        module=mutant.module,
        function=mutant.function,
        change=f"{mutant.change} ({number})",
        lines=mutant.lines,
        source=mutant.source,
        is_wording=mutant.is_wording,
    )


@frozen(kw_only=True)
class Original:
    """A function as it is, where it begins, and which parts of it are words of a message."""

    name: str
    node: cst.FunctionDef
    text: str
    first_line: int
    worded: frozenset[int]


def _functions(tree: cst.Module) -> Iterator[tuple[cst.FunctionDef, str]]:
    for statement in tree.body:
        if isinstance(statement, cst.FunctionDef):
            yield statement, statement.name.value
        elif isinstance(statement, cst.ClassDef):
            for inner in statement.body.body:
                if isinstance(inner, cst.FunctionDef):
                    yield inner, f"{statement.name.value}.{inner.name.value}"


def _original(function: cst.FunctionDef, name: str, source: str) -> Original:
    bare = function.with_changes(leading_lines=[], decorators=[])
    return Original(
        name=name,
        node=bare,
        text=WRITER.code_for_node(bare),
        first_line=_first_line(source, name),
        worded=frozenset(id(part) for call in m.findall(bare, WORDED) for part in _parts(call)),
    )


def _mutant(module: str, original: Original, mutation: Mutation) -> Mutant:
    changed = original.node.deep_replace(mutation.original_node, mutation.mutated_node)
    after = WRITER.code_for_node(cst.ensure_type(changed, cst.FunctionDef))
    touched, change = _difference(original.text.splitlines(), after.splitlines())
    is_text = original.name.endswith(("__str__", "_summary"))
    return Mutant(
        module=module,
        function=original.name,
        change=change,
        lines=frozenset(original.first_line + line for line in touched),
        source=after,
        is_wording=is_text or id(mutation.original_node) in original.worded,
    )


def _parts(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    yield node
    for child in node.children:
        yield from _parts(child)


def _first_line(source: str, name: str) -> int:
    """Find the line of a ``def``, in its class if it has one."""
    class_name, _, function = name.rpartition(".")
    start = re.search(rf"^class {class_name}\b", source, re.MULTILINE) if class_name else None
    found = re.compile(rf"^ *def {function}\(", re.MULTILINE).search(
        source, 0 if start is None else start.start()
    )
    if found is None:
        raise LookupError(f"no such function: {name}")
    return source.count("\n", 0, found.start()) + 1


def _difference(before: list[str], after: list[str]) -> tuple[set[int], str]:
    """Return the numbers of the lines that differ, from 0, and what they were and are."""
    touched: set[int] = set()
    old: list[str] = []
    new: list[str] = []
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for kind, i1, i2, j1, j2 in matcher.get_opcodes():
        if kind != "equal":
            touched.update(range(i1, max(i2, i1 + 1)))
            old += [line.strip() for line in before[i1:i2]]
            new += [line.strip() for line in after[j1:j2]]
    return touched, f"{' '.join(old) or '(nothing)'} -> {' '.join(new) or '(nothing)'}"


Places = Mapping[tuple[str, str], list[FunctionType]]


def places(modules: Iterable[str]) -> Places:
    """Find the function objects of some modules, by module and qualified name."""
    wanted = frozenset(modules)
    found: dict[tuple[str, str], list[FunctionType]] = {}
    for each in gc.get_objects():
        if type(each) is FunctionType and each.__module__ in wanted:
            found.setdefault((each.__module__, each.__qualname__), []).append(each)
    return found


@contextmanager
def put(mutant: Mutant, where: Places) -> Iterator[None]:
    """Have every holder of the function run the mutant for a while."""
    functions = where[mutant.module, mutant.function]
    before = [(each.__code__, each.__defaults__, each.__kwdefaults__) for each in functions]
    for function in functions:
        space = dict(function.__globals__)
        exec(compile(mutant.source, f"<{mutant.name}>", "exec"), space)
        changed = space[mutant.function.rpartition(".")[2]]
        function.__code__ = changed.__code__
        function.__defaults__ = changed.__defaults__
        function.__kwdefaults__ = changed.__kwdefaults__
    try:
        yield
    finally:
        for function, (code, defaults, kwdefaults) in zip(functions, before, strict=True):
            function.__code__ = code
            function.__defaults__ = defaults
            function.__kwdefaults__ = kwdefaults
