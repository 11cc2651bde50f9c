"""What tools promise: a schema of the signature, a check before the call, no tracebacks."""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, cast

import pytest
from attrs import frozen
from pydantic import AfterValidator, BaseModel, Field

from lash_es.core.errors import LashError
from lash_es.runtime.providers import ModelsExtraMissing
from lash_es.runtime.tools import (
    TOOL_MESSAGE_CHARS_MAX,
    TOOL_OUTPUT_CHARS_MAX,
    TOOL_PROBLEMS_MAX,
    DuplicateTool,
    OnTakeover,
    Tool,
    ToolCallFailed,
    ToolCallRefused,
    ToolSet,
    ToolUnusable,
    tool,
)

T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(coroutine, timeout=30))


def called(function: Callable[..., Any], arguments: str = "{}", **options: object) -> str:
    return run(Tool.of(function, **cast("Any", options)).call(arguments))


def refusal_of(function: Callable[..., Any], arguments: str) -> ToolCallRefused:
    with pytest.raises(ToolCallRefused) as caught:
        called(function, arguments)
    return caught.value


def failure_of(function: Callable[..., Any], arguments: str = "{}") -> ToolCallFailed:
    with pytest.raises(ToolCallFailed) as caught:
        called(function, arguments)
    return caught.value


class Order(Enum):
    NAME = "name"
    SIZE = "size"


def list_files(folder: str, depth: int = 1, *, order: Order = Order.NAME) -> str:
    """
    List the files below a folder.

    Hidden files are left out.

    Args:
        folder: where to look,
            relative to the root
        depth: how many levels to go down
        order: by what to sort

    Returns:
        One line a file.

    """
    return f"{folder} {depth} {order.value}"


# --- what a model is told ---------------------------------------------------------------------


def test_the_schema_comes_from_the_signature_and_its_docstring() -> None:
    spec = Tool.of(list_files).spec()

    assert spec.name == "list_files"
    assert spec.description == "List the files below a folder.\n\nHidden files are left out."
    assert spec.parameters["required"] == ["folder"]
    assert spec.parameters["additionalProperties"] is False
    properties = cast("dict[str, Any]", spec.parameters["properties"])
    assert properties["folder"] == {
        "type": "string",
        "description": "where to look,\nrelative to the root",
    }
    assert properties["depth"] == {
        "type": "integer",
        "description": "how many levels to go down",
        "default": 1,
    }
    assert properties["order"]["default"] == "name"


def test_a_tool_without_parameters_or_docstring_has_an_empty_schema() -> None:
    def nothing() -> None: ...

    spec = Tool.of(nothing).spec()

    assert spec.description == ""
    assert spec.parameters == {"type": "object", "properties": {}, "additionalProperties": False}


def test_name_and_description_can_be_given() -> None:
    spec = Tool.of(list_files, name="ls", description="Short.").spec()

    assert (spec.name, spec.description) == ("ls", "Short.")


def test_rich_annotations_reach_the_schema_and_the_function() -> None:
    class Span(BaseModel):
        start: int
        end: int

    seen: list[object] = []

    def look(
        span: Span,
        kind: Literal["a", "b"],
        limit: Annotated[int, Field(ge=1, description="at least one")] = 3,
        path: Path | None = None,
    ) -> None:
        seen.extend((span, kind, limit, path))

    properties = cast("dict[str, Any]", Tool.of(look).spec().parameters["properties"])
    called(look, '{"span": {"start": 1, "end": 2}, "kind": "b", "path": "x"}')

    assert properties["limit"]["minimum"] == 1
    assert properties["limit"]["description"] == "at least one"
    assert seen == [Span(start=1, end=2), "b", 3, Path("x")]


def test_a_lone_parameter_that_is_a_model_is_not_unwrapped() -> None:
    class Point(BaseModel):
        x: int

    def plot(point: Point) -> int:
        return point.x

    assert called(plot, '{"point": {"x": 7}}') == "7"
    assert refusal_of(plot, '{"x": 7}').code == "invalid_arguments"


def test_parameters_may_have_names_that_a_model_class_could_not_have() -> None:
    def odd(schema: str, json: str, model_config: str, copy: str, _hidden: str) -> str:
        return schema + json + model_config + copy + _hidden

    arguments = {"schema": "1", "json": "2", "model_config": "3", "copy": "4", "_hidden": "5"}

    assert called(odd, json.dumps(arguments)) == "12345"


def test_an_unannotated_parameter_takes_anything() -> None:
    def echo(value):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
        return value

    assert called(echo, '{"value": {"a": [1, null]}}') == '{"a":[1,null]}'


def test_a_method_is_a_tool_of_its_object() -> None:
    class Shelf:
        label = "left"

        def read(self, title: str) -> str:
            """Read a book."""
            return f"{self.label} {title}"

        async def __call__(self, title: str) -> str:
            return title

    shelf = Shelf()

    assert called(shelf.read, '{"title": "A"}') == "left A"
    assert called(shelf, '{"title": "B"}', name="shelf") == "B"


@pytest.mark.parametrize("name", ["", "two words", "x" * 65, "naïve", "a.b", "<lambda>"])
def test_a_name_that_no_vendor_takes_is_refused_where_the_tool_is_made(name: str) -> None:
    with pytest.raises(ToolUnusable, match="a name has"):
        Tool.of(list_files, name=name)


def test_parameters_that_cannot_be_passed_by_name_are_refused_where_the_tool_is_made() -> None:
    def positional(a: int, /) -> None: ...
    def many(*values: int) -> None: ...
    def any_name(**values: int) -> None: ...

    for function in (positional, many, any_name):
        with pytest.raises(ToolUnusable, match="by name"):
            Tool.of(function)


def test_annotations_that_make_no_schema_are_refused_at_first_use() -> None:
    class Opaque: ...

    def take(value: Opaque) -> None: ...
    def forward(value: "Nowhere") -> None: ...  # type: ignore[name-defined] # noqa: F821

    for function in (take, forward):
        with pytest.raises(ToolUnusable):
            Tool.of(function).spec()


def test_without_the_library_a_tool_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "griffe", None)

    with pytest.raises(ModelsExtraMissing, match="pip install"):
        Tool.of(list_files).spec()


def test_making_a_tool_loads_no_library() -> None:
    script = (
        "import sys\n"
        "from lash_es.runtime.tools import ToolSet, tool\n"
        "@tool\n"
        "def add(a: int, b: int = 1) -> int: return a + b\n"
        "ToolSet([add])\n"
        "print([n for n in sys.modules if n.startswith(('pydantic', 'griffe'))])"
    )
    shown = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, check=True, text=True
    )

    assert shown.stdout.strip() == "[]"


# --- decorator and set ------------------------------------------------------------------------


def test_the_decorator_works_with_and_without_options() -> None:
    @tool
    def plain() -> str:
        return "1"

    @tool(name="other", on_takeover=OnTakeover.RERUN)
    async def optioned() -> str:
        return "2"

    assert (plain.name, plain.on_takeover) == ("plain", OnTakeover.ASK)
    assert (optioned.name, optioned.on_takeover) == ("other", OnTakeover.RERUN)
    assert run(plain.call("{}")) + run(optioned.call("{}")) == "12"


def test_two_tools_of_one_name_are_refused() -> None:
    with pytest.raises(DuplicateTool) as caught:
        ToolSet([Tool.of(list_files), list_files])

    assert caught.value.tool == "list_files"


def test_a_set_finds_tools_and_lists_them_in_order() -> None:
    tools = ToolSet([Tool.of(list_files, name="b"), Tool.of(list_files, name="a")])

    assert tools.names == ("b", "a")
    assert tools.get("a") is tools.tools[1]
    assert [spec.name for spec in tools.specs()] == ["b", "a"]
    assert ToolSet().specs() == ()


def test_an_unknown_tool_is_refused_with_the_names_that_are_known() -> None:
    tools = ToolSet([Tool.of(list_files), Tool.of(list_files, name="ls")])
    with pytest.raises(ToolCallRefused) as caught:
        tools.get("rm")

    assert (caught.value.tool, caught.value.code) == ("rm", "unknown_tool")
    assert "list_files, ls" in caught.value.message


# --- arguments --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ('{"folder": ', "Invalid JSON"),
        ("nonsense", "Invalid JSON"),
        ('{"INVALID_JSON": "{"}', "INVALID_JSON: Extra inputs"),
        ("[1]", "object"),
        ("null", "object"),
        ("{}", "folder: Field required"),
        ("", "folder: Field required"),
        ('{"folder": "a", "depth": "deep"}', "depth: Input should be a valid integer"),
        ('{"folder": "a", "order": "age"}', "order: Input should be 'name' or 'size'"),
        ('{"folder": "a", "hidden": true}', "hidden: Extra inputs are not permitted"),
        ('{"folder": null}', "folder: Input should be a valid string"),
        ('{"folder": "\ud800"}', ""),
        ("[" * 5_000, ""),
    ],
)
def test_arguments_that_do_not_fit_are_refused_before_the_call(arguments: str, said: str) -> None:
    calls: list[object] = []

    def guarded(folder: str, depth: int = 1, order: Order = Order.NAME) -> None:
        calls.append((folder, depth, order))

    refusal = refusal_of(guarded, arguments)

    assert calls == []
    assert (refusal.tool, refusal.code) == ("guarded", "invalid_arguments")
    assert said in refusal.message
    assert refusal.message.endswith(
        "Expected a JSON object with folder, depth (optional), order (optional)."
    )


def test_a_refusal_is_bounded_and_keeps_what_was_expected() -> None:
    wrong = json.dumps({f"key_{'x' * 300}_{n}": n for n in range(500)})
    refusal = refusal_of(list_files, wrong)

    assert len(refusal.message) <= TOOL_MESSAGE_CHARS_MAX
    assert "Expected a JSON object with folder" in refusal.message


def test_a_refusal_lists_some_problems_and_counts_the_rest() -> None:
    wrong = json.dumps({f"k{n}": n for n in range(20)})
    refusal = refusal_of(list_files, wrong)

    assert refusal.message.count("Extra inputs") < TOOL_PROBLEMS_MAX + 1
    assert "and 11 more" in refusal.message


def test_a_model_that_writes_nothing_calls_without_arguments() -> None:
    assert called(lambda: "ok", "", name="t") == "ok"
    assert called(lambda: "ok", " \n", name="t") == "ok"


def test_a_default_is_filled_in_by_the_function_itself() -> None:
    nothing = object()

    def keep(into: int = nothing) -> bool:  # type: ignore[assignment]
        return into is nothing

    properties = cast("dict[str, Any]", Tool.of(keep).spec().parameters["properties"])

    assert called(keep) == "true"
    assert properties["into"] == {"type": "integer"}


def test_a_check_of_the_hosts_own_that_breaks_refuses_the_call() -> None:
    def broken(value: int) -> int:
        raise KeyError(value)

    def take(value: Annotated[int, AfterValidator(broken)]) -> None: ...

    assert "KeyError" in refusal_of(take, '{"value": 3}').message


# --- calls ------------------------------------------------------------------------------------


def test_a_sync_function_runs_in_a_thread_and_leaves_the_loop_free() -> None:
    released = threading.Event()

    def wait() -> str:
        assert released.wait(timeout=10)
        return threading.current_thread().name

    async def story() -> str:
        call = asyncio.create_task(Tool.of(wait).call("{}"))
        await asyncio.sleep(0.01)
        released.set()
        return await call

    assert run(story()) != threading.main_thread().name


def test_an_async_function_runs_on_the_loop() -> None:
    async def where() -> str:
        await asyncio.sleep(0)
        return threading.current_thread().name

    assert called(where) == threading.current_thread().name


def test_a_sync_function_that_returns_an_awaitable_is_awaited() -> None:
    async def later() -> str:
        return "later"

    assert called(lambda: later(), name="t") == "later"  # noqa: PLW0108 - that is the case


def boom() -> None:
    raise LookupError("no such file: a.txt")


async def async_boom() -> None:
    raise LookupError("no such file: a.txt")


@pytest.mark.parametrize("function", [boom, async_boom])
def test_what_a_function_raises_becomes_words_without_a_traceback(
    function: Callable[..., Any],
) -> None:
    failure = failure_of(function)

    assert (failure.tool, failure.code) == (function.__name__, "tool_raised")
    assert failure.message == "LookupError: no such file: a.txt"
    assert not failure.is_retryable


@pytest.mark.parametrize("error", [StopIteration("s"), SystemExit(3), RecursionError("deep")])
def test_an_exception_that_a_thread_cannot_carry_is_a_failure_too(error: BaseException) -> None:
    def throw() -> None:
        raise error

    async def async_throw() -> None:
        raise error

    assert failure_of(throw).message.startswith(type(error).__name__)
    assert failure_of(async_throw).code == "tool_raised"


def test_an_exception_that_cannot_be_put_into_words_is_a_failure_too() -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    def throw() -> None:
        raise MuteError

    assert failure_of(throw).message == "MuteError: (it cannot be put into words)"


def test_the_words_of_a_failure_are_bounded() -> None:
    def throw() -> None:
        raise ValueError("x" * 1_000_000)

    message = failure_of(throw).message

    assert len(message) == TOOL_MESSAGE_CHARS_MAX
    assert message.startswith("ValueError: xxx")


def test_an_error_of_this_library_speaks_in_its_own_clause() -> None:
    class Closed(LashError):
        def summary(self) -> str:
            return "the shop is closed"

    def throw() -> None:
        raise Closed

    assert failure_of(throw).message == "Closed: the shop is closed"


def test_cancelling_an_async_call_passes_through() -> None:
    ended: list[str] = []

    async def wait() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("ended")

    run(cancelled(Tool.of(wait)))

    assert ended == ["ended"]


def test_cancelling_a_sync_call_stops_the_waiting() -> None:
    released = threading.Event()

    def wait() -> None:
        released.wait(timeout=10)

    async def story() -> None:
        await cancelled(Tool.of(wait))
        assert not released.is_set()
        released.set()

    run(story())


async def cancelled(waiting: Tool) -> None:
    call = asyncio.create_task(waiting.call("{}"))
    await asyncio.sleep(0.05)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


# --- results ----------------------------------------------------------------------------------


@frozen
class Found:
    path: str
    lines: tuple[int, ...]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is\n", "as it is\n"),
        ("", ""),
        (None, "null"),
        (3, "3"),
        ({"b": 1, "a": [True, None]}, '{"a":[true,null],"b":1}'),
        ([Path("a"), Order.SIZE, b"bytes"], '["a","size","bytes"]'),
        ("grün", "grün"),
        (["grün"], '["grün"]'),
        (Found("a", (1, 2)), '{"lines":[1,2],"path":"a"}'),
        ([Found("a", ())], '[{"lines":[],"path":"a"}]'),
    ],
)
def test_a_result_is_text_or_canonical_json(value: object, text: str) -> None:
    assert called(lambda: value, name="t") == text


def test_a_result_that_json_cannot_hold_is_a_failure() -> None:
    failure = failure_of(object_of)

    assert failure.code == "result_not_json"
    assert "object" in failure.message


def object_of() -> object:
    return object()


def test_a_result_that_is_its_own_member_is_a_failure() -> None:
    def loop() -> list[Any]:
        value: list[Any] = []
        value.append(value)
        return value

    assert failure_of(loop).code == "result_not_json"


def test_half_a_character_never_reaches_the_transcript() -> None:
    text = called(lambda: "name\udcff", name="t")

    assert text.encode() == b"name?"


def test_a_long_result_is_cut_with_a_remark() -> None:
    whole = called(lambda: "x" * TOOL_OUTPUT_CHARS_MAX, name="t")
    cut = called(lambda: "x" * (TOOL_OUTPUT_CHARS_MAX + 1), name="t")

    assert whole == "x" * TOOL_OUTPUT_CHARS_MAX
    assert len(cut) == TOOL_OUTPUT_CHARS_MAX
    assert cut.endswith("\n[cut: the result has 200001 characters]")


@pytest.mark.parametrize("chars_max", [0, 1, 40, 100])
def test_a_result_is_never_longer_than_its_limit(chars_max: int) -> None:
    text = called(lambda: "x" * 1_000, name="t", tool_output_chars_max=chars_max)

    assert len(text) == chars_max


def test_a_generator_is_written_as_a_list() -> None:
    def count() -> Iterator[int]:
        yield from (1, 2)

    assert called(count) == "[1,2]"
