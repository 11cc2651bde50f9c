"""The offline model answers from what the tools really returned, and from nothing else."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from attrs import field, frozen
from pydantic_ai.direct import model_request, model_request_stream
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    PartDeltaEvent,
    TextPart,
    TextPartDelta,
    ToolCallPart,
    ToolCallPartDelta,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters

from lash_es.cli.directory import Directory, ToolRefused
from lash_es.cli.offline import QUESTIONS, next_step
from lash_es.cli.offline_model import offline_model, transcript_of

BYTEWISE = {"LC_ALL": "C", "PATH": os.environ["PATH"]}
PARAMETERS = ModelRequestParameters(allow_text_output=True)
STEPS_MAX = 6

Tool = Callable[[ToolCallPart], str]


@frozen(kw_only=True)
class Turn:
    """One turn as the test drove it."""

    answer: str
    steps: tuple[tuple[ToolCallPart, ...], ...]
    results: tuple[str, ...] = field(default=())

    @property
    def calls(self) -> list[ToolCallPart]:
        """Every call of the turn, in order."""
        return [call for step in self.steps for call in step]


def tools_of(root: Path, **limits: int) -> Tool:
    directory = Directory(root=Directory.at(root).root, **limits)

    def perform(call: ToolCallPart) -> str:
        try:
            return str(getattr(directory, call.tool_name)(**call.args_as_dict()))
        except ToolRefused as refused:
            return f"failed: {refused}"

    return perform


async def respond_streamed(messages: list[ModelMessage]) -> ModelResponse:
    async with model_request_stream(
        offline_model(), messages, model_request_parameters=PARAMETERS
    ) as streamed:
        async for _ in streamed:
            pass
    return streamed.get()


async def take_turn(messages: list[ModelMessage], question: str, perform: Tool) -> Turn:
    messages.append(ModelRequest(parts=[UserPromptPart(question)]))
    steps: list[tuple[ToolCallPart, ...]] = []
    results: list[str] = []
    for _ in range(STEPS_MAX):
        response = await respond_streamed(messages)
        messages.append(response)
        calls = tuple(response.tool_calls)
        if not calls:
            return Turn(answer=response.text or "", steps=tuple(steps), results=tuple(results))
        steps.append(calls)
        returned = [(call, perform(call)) for call in calls]
        results += [text for _, text in returned]
        messages.append(
            ModelRequest(
                parts=[
                    ToolReturnPart(call.tool_name, text, call.tool_call_id)
                    for call, text in returned
                ]
            )
        )
    pytest.fail(f"the model did not answer in {STEPS_MAX} steps")


async def _converse(perform: Tool, questions: tuple[str, ...]) -> tuple[Turn, ...]:
    messages: list[ModelMessage] = []
    return tuple([await take_turn(messages, question, perform) for question in questions])


def converse(perform: Tool, *questions: str) -> tuple[Turn, ...]:
    return asyncio.run(_converse(perform, questions or QUESTIONS))


def write(root: Path, files: Mapping[str, str | bytes]) -> Path:
    root.mkdir(exist_ok=True)
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def grep_counts(root: Path, text: str) -> tuple[int, int]:
    def count(options: str) -> int:
        grep = ["grep", options, "-e", text, "."]
        done = subprocess.run(grep, cwd=root, env=BYTEWISE, capture_output=True, check=False)
        return len(done.stdout.splitlines())

    return count("-rFnI"), count("-rFlI")


def stated_counts(answer: str, word: str) -> tuple[int, int]:
    found = re.search(rf'"{word}" is on ([\d,]+) lines? of ([\d,]+) files?', answer)
    assert found, answer
    return int(found[1].replace(",", "")), int(found[2].replace(",", ""))


def word_of(turn: Turn) -> str:
    found = re.search(r'stands out in it is "(\w+)"', turn.answer)
    assert found, turn.answer
    return found[1]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    files: dict[str, str | bytes] = {
        "README.md": "# Shop\n\nbasket and basket\n",
        "shop/basket.py": "class Basket:\n    '''A basket.'''\n\n"
        + "".join(f"def basket_{n}(basket):\n    # basket\n    pass\n" for n in range(30)),
        "shop/price.py": "def price(basket):\n    return 3  # TODO: ask\n",
        "logo.png": b"\x89PNG\0" * 2_000,
        ".env": "basket=hidden\n",
    }
    return write(tmp_path / "shop", files)


@pytest.fixture
def novel(tmp_path: Path) -> Path:
    files: dict[str, str | bytes] = {
        "one.md": "# Harbour\n\nThe lighthouse stood.\n" + "A lighthouse, a sailor.\n" * 40,
        "two.md": "# Sea\n\nThe sailor saw the lighthouse.\n",
        "notes/three.txt": "sailor\n",
    }
    return write(tmp_path / "novel", files)


def test_two_directories_get_different_answers_that_name_their_own_files(
    shop: Path, novel: Path
) -> None:
    of_shop, of_novel = converse(tools_of(shop)), converse(tools_of(novel))
    for one, other in zip(of_shop, of_novel, strict=True):
        assert one.answer != other.answer
    assert "shop/basket.py" in of_shop[0].answer
    assert "shop/basket.py" in of_shop[1].answer
    assert "one.md" in of_novel[1].answer
    assert "basket" not in "".join(turn.answer for turn in of_novel)


def test_the_first_answer_counts_what_find_counts_but_withheld_names(shop: Path) -> None:
    find = ["find", ".", "-type", "f", "!", "-name", ".env*"]
    files = subprocess.run(find, cwd=shop, capture_output=True, check=True).stdout.splitlines()
    (turn,) = converse(tools_of(shop), QUESTIONS[0])
    assert f"It holds {len(files)} files and 1 folder." in turn.answer
    assert "Skipped: 1 withheld name." in turn.answer


def test_the_second_turn_calls_several_tools_at_once_and_then_one_for_what_it_read(
    shop: Path,
) -> None:
    second = converse(tools_of(shop))[1]
    assert [len(step) for step in second.steps] == [4, 1]
    assert [call.args_as_dict() for call in second.calls] == [
        {"path": "shop/basket.py"},
        {"path": "shop/price.py"},
        {"path": "README.md"},
        {"text": "TODO"},
        {"text": "Basket"},
    ]


def test_the_second_answer_quotes_real_lines_of_the_largest_text_file(shop: Path) -> None:
    second = converse(tools_of(shop))[1]
    quoted = re.findall(r"^  (\S+):(\d+): (.*)$", second.answer, re.MULTILINE)
    assert len(quoted) == 3
    for path, number, text in quoted:
        lines = (shop / path).read_text().split("\n")
        assert lines[int(number) - 1].strip() == text
    assert f"shop/basket.py, {(shop / 'shop/basket.py').stat().st_size:,} bytes" in second.answer


@pytest.mark.parametrize("directory", ["shop", "novel"])
def test_the_counts_of_every_answer_agree_with_grep(
    directory: str, request: pytest.FixtureRequest
) -> None:
    root: Path = request.getfixturevalue(directory)
    (root / ".env").unlink(missing_ok=True)
    _, second, third = converse(tools_of(root))
    word = word_of(second)
    assert stated_counts(third.answer, word) == grep_counts(root, word)
    searched = str(second.calls[-1].args_as_dict()["text"])
    assert stated_counts(second.answer, searched) == grep_counts(root, searched)


def test_the_third_turn_searches_for_the_word_of_the_second_answer(shop: Path) -> None:
    _, second, third = converse(tools_of(shop))
    assert [call.args_as_dict() for call in third.calls] == [{"text": word_of(second)}]


def test_the_third_turn_takes_its_word_from_the_transcript_alone(shop: Path) -> None:
    said = ModelResponse(parts=[TextPart('The word that stands out in it is "price".')])
    messages: list[ModelMessage] = [ModelRequest(parts=[UserPromptPart("?")]), said]
    third = asyncio.run(take_turn(messages, QUESTIONS[2], tools_of(shop)))
    assert [call.args_as_dict() for call in third.calls] == [{"text": "price"}]
    assert stated_counts(third.answer, "price") == grep_counts(shop, "price")


def test_the_third_turn_without_a_word_says_so(shop: Path) -> None:
    (turn,) = converse(tools_of(shop), QUESTIONS[2])
    assert not turn.calls
    assert "No word stood out" in turn.answer


def test_the_second_question_asked_first_lists_before_it_reads(shop: Path) -> None:
    (turn,) = converse(tools_of(shop), QUESTIONS[1])
    names = [[call.tool_name for call in step] for step in turn.steps]
    assert names == [["list_files", "search_text"], ["read_file"] * 3, ["search_text"]]
    assert "shop/basket.py" in turn.answer


def test_an_empty_directory_is_called_empty(tmp_path: Path) -> None:
    first, second, third = converse(tools_of(tmp_path))
    assert "It is empty" in first.answer
    assert len(second.calls) == 2
    assert "the directory is empty" in second.answer
    assert not third.calls


def test_a_directory_of_binary_files_has_no_largest_text(tmp_path: Path) -> None:
    first, second, _ = converse(tools_of(write(tmp_path, {"a.bin": b"\0", "b.bin": b"\0\0"})))
    assert "None of the files is text." in first.answer
    assert "There is no text file here, in 2 files and 0 folders." in second.answer


def test_one_file_of_one_word_still_takes_three_calls_in_two_steps(tmp_path: Path) -> None:
    second = converse(tools_of(write(tmp_path, {"a": "hello\n"})))[1]
    assert [len(step) for step in second.steps] == [2, 1]
    assert word_of(second) == "hello"


def test_an_empty_file_holds_nothing(tmp_path: Path) -> None:
    second = converse(tools_of(write(tmp_path, {"a.txt": ""})))[1]
    assert "It holds nothing." in second.answer


def test_a_directory_over_the_limits_is_answered_from_what_was_shown(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {f"{n:04}.txt": "small\n" for n in range(400)}
    largest = "enormous words of an enormous file\n" * 9
    first, second, _ = converse(tools_of(write(tmp_path, files | {"z.txt": largest})))
    assert "It holds 401 files and 0 folders." in first.answer
    assert "The largest text file is z.txt" in second.answer


def test_a_search_that_ended_early_proves_no_absence(tmp_path: Path) -> None:
    big = "harbour sailor\n" * 80_000 + "TODO\n"
    _, second, third = converse(tools_of(write(tmp_path, {"big.txt": big})))
    assert 'Nothing that was searched says "TODO".' in second.answer
    assert 'As far as I read it, the word that stands out in it is "harbour".' in second.answer
    assert '"harbour" is on at least ' in third.answer
    assert "  big.txt: at least " in third.answer


def test_a_tree_that_was_cut_off_is_told_with_at_least(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {f"{n}/a.txt": "harbour TODO\n" for n in range(20)}
    root = write(tmp_path, files)
    first, second, third = converse(tools_of(root, entries_walked_max=30, search_bytes_max=40))
    assert "It holds at least 10 files and 20 folders." in first.answer
    assert " and at least 14 more." in first.answer
    assert "By suffix, as far as it was listed: .txt 10." in first.answer
    for answer in (first.answer, second.answer):
        assert ", 13 bytes, at least as far as the files are listed." in answer
    assert '"TODO" is on at least 4 lines of at least 4 files.' in second.answer
    assert '"harbour" is on at least 4 lines of at least 4 files' in third.answer


def test_no_text_among_what_was_compared_is_no_text_that_is_proved(tmp_path: Path) -> None:
    root = write(tmp_path, {f"{n}.bin": b"\0" for n in range(9)})
    first, second, _ = converse(tools_of(root, entries_shown_max=3))
    assert "None of the files that I compared is text." in first.answer
    assert "There is no text file among those that I compared, in 9 files" in second.answer


def test_the_files_with_most_lines_are_those_of_the_files_shown(tmp_path: Path) -> None:
    root = write(tmp_path, {f"{n}.txt": "harbour\n" for n in range(9)})
    third = converse(tools_of(root, files_matched_max=4))[2]
    assert '"harbour" is on 9 lines of 9 files' in third.answer
    assert "Of the 4 files that the search shows, the most:" in third.answer


def test_no_word_is_taken_from_where_a_tool_cut_a_line(tmp_path: Path) -> None:
    line = "sailor harbour " + "x" * 219 + " lighthouse and more\n"
    second = converse(tools_of(write(tmp_path, {"one.txt": line * 5})))[1]
    assert [call.args_as_dict() for call in second.calls][-1] == {"text": "sailor"}
    assert 'As far as I read it, the word that stands out in it is "harbour".' in second.answer


def test_the_largest_file_failing_is_told_and_the_next_one_taken(shop: Path) -> None:
    perform = tools_of(shop)

    def without_basket(call: ToolCallPart) -> str:
        gone = call.args_as_dict().get("path") == "shop/basket.py"
        return "failed: the disk is on fire" if gone else perform(call)

    second = converse(without_basket)[1]
    assert "shop/basket.py is larger, but I could not read it: failed: the disk" in second.answer
    assert "The largest text file that I could read is shop/price.py" in second.answer


@pytest.mark.parametrize("failing", ["list_files", "read_file", "search_text"])
@pytest.mark.parametrize("failure", ["failed: no luck", "", '{"error": "no luck"}'])
def test_a_tool_that_always_fails_ends_every_turn_with_an_answer(
    shop: Path, failing: str, failure: str
) -> None:
    perform = tools_of(shop)

    def failing_tool(call: ToolCallPart) -> str:
        return failure if call.tool_name == failing else perform(call)

    answers = "\n".join(turn.answer for turn in converse(failing_tool))
    assert (failure or f"{failing} gave no result") in answers


def test_another_question_is_answered_with_the_three_that_are_known(shop: Path) -> None:
    (turn,) = converse(tools_of(shop), "What is the weather?")
    assert not turn.calls
    assert all(question in turn.answer for question in QUESTIONS)


def test_call_ids_are_unique_in_the_transcript_and_the_same_when_asked_again(shop: Path) -> None:
    ids = [call.tool_call_id for turn in converse(tools_of(shop)) for call in turn.calls]
    assert len(set(ids)) == len(ids)
    again = [call.tool_call_id for turn in converse(tools_of(shop)) for call in turn.calls]
    assert ids == again


def test_a_step_arrives_in_several_pieces_of_text_and_of_arguments() -> None:
    async def deltas() -> list[object]:
        messages: list[ModelMessage] = [ModelRequest(parts=[UserPromptPart(QUESTIONS[1])])]
        async with model_request_stream(
            offline_model(), messages, model_request_parameters=PARAMETERS
        ) as streamed:
            return [event.delta async for event in streamed if isinstance(event, PartDeltaEvent)]

    found = asyncio.run(deltas())
    assert sum(isinstance(delta, TextPartDelta) for delta in found) >= 2
    assert sum(isinstance(delta, ToolCallPartDelta) for delta in found) >= 4


def test_a_plain_request_is_answered_like_a_streamed_one(shop: Path) -> None:
    async def both(messages: list[ModelMessage]) -> tuple[ModelResponse, ModelResponse]:
        plain = await model_request(offline_model(), messages, model_request_parameters=PARAMETERS)
        return plain, await respond_streamed(messages)

    messages: list[ModelMessage] = []
    asyncio.run(take_turn(messages, QUESTIONS[1], tools_of(shop)))
    requests = [n for n, message in enumerate(messages) if isinstance(message, ModelRequest)]
    assert len(requests) == 4
    for count in requests:
        plain, streamed = asyncio.run(both(messages[: count + 1]))
        assert plain.text == streamed.text
        assert [(c.tool_name, c.args_as_dict(), c.tool_call_id) for c in plain.tool_calls] == [
            (c.tool_name, c.args_as_dict(), c.tool_call_id) for c in streamed.tool_calls
        ]


def test_results_in_one_request_or_in_several_lead_to_the_same_step(shop: Path) -> None:
    messages: list[ModelMessage] = []
    asyncio.run(take_turn(messages, QUESTIONS[1], tools_of(shop)))
    split: list[ModelMessage] = []
    for message in messages[:-1]:
        if isinstance(message, ModelRequest):
            split += [ModelRequest(parts=[part]) for part in message.parts]
        else:
            split.append(message)
    assert len(split) > len(messages)
    assert next_step(transcript_of(split)) == next_step(transcript_of(messages[:-1]))


def test_hostile_names_reach_no_answer_unescaped(tmp_path: Path) -> None:
    root = write(tmp_path, {"\x1b[31mred\n.txt": "wonder \x1b[0m wonder\n" * 9})
    first, second, third = converse(tools_of(root))
    answers = "".join(turn.answer for turn in (first, second, third))
    assert "\x1b" not in answers
    assert "\\x1b[31mred\\n.txt:1: wonder \\x1b[0m wonder" in second.answer


def test_the_answers_are_short_enough_to_read(shop: Path, novel: Path) -> None:
    for turn in (*converse(tools_of(shop)), *converse(tools_of(novel))):
        assert 1 <= len(turn.answer.split("\n")) <= 8
        assert max(map(len, turn.answer.split("\n"))) <= 120


def test_the_module_alone_loads_no_pydantic() -> None:
    code = "import sys, json, lash_es.cli.offline_model; print(json.dumps(sorted(sys.modules)))"
    python = [sys.executable, "-c", code]
    done = subprocess.run(python, capture_output=True, check=True, text=True)
    assert not [name for name in json.loads(done.stdout) if name.startswith("pydantic")]
