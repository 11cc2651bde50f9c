"""
The offline model: a script that answers the demo's three questions by really using the tools.

1. ``next_step`` is a pure function of the transcript: it keeps, reads and draws nothing. Whoever
   continues a turn after a kill therefore gets the same next step.
2. What it calls next follows from what the tools returned; another directory gets other answers.
3. It takes a result at its word only where it can read it; anything else counts as a failed call.
4. ``pydantic_ai`` is imported where it is used, since importing it costs most of a second.
"""

import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage, ModelResponse, UserPromptPart
    from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

QUESTIONS: Final[tuple[str, str, str]] = (
    "What is in this directory?",
    "Which text file here is the largest, what does it hold, and does anything say TODO?",
    "Where is the word that stood out mentioned, and how often?",
)
"""What the demo asks, one question a turn; the third is about a word from the second's answer."""

_UNFINISHED: Final = "TODO"
_READ_AT_ONCE_MAX: Final = 3
_QUOTED_LINES_MAX: Final = 3
_QUOTED_CHARACTERS_MAX: Final = 88
_NAMED_MAX: Final = 6
_CHUNK_WORDS: Final = 3
_CHUNK_CHARACTERS: Final = 12

_LISTED: Final = re.compile(r"(at least )?(\d+) files? and (\d+) folders? in \.")
_LISTED_FILE: Final = re.compile(r"(.+)  (\d+) bytes(  binary)?")
_READ: Final = re.compile(r"(.+), lines (\d+) to (\d+) of (at least )?(\d+)")
_READ_LINE: Final = re.compile(r"(\d+): (.*)")
_FOUND: Final = re.compile(r'(\d+) lines? in (\d+) files? with "(.+)"')
_FOUND_FILE: Final = re.compile(r"(\S.*), (\d+) lines?")
_FOUND_LINE: Final = re.compile(r"  (\d+): (.*)")
_STANDS_OUT: Final = re.compile(r'stands out in it is "(\w+)"')

_WORD: Final = re.compile(r"(?<!\w)[^\W\d_]{5,24}(?!\w)")
_DEFINITION: Final = re.compile(
    r"\s*(?:(?:pub|export|default|async|static|abstract|public|private|final)\s+)*"
    r"(?:def|class|fn|func|function|struct|enum|trait|interface|module)\s+(\w{2,60})"
)
_HEADING: Final = re.compile(r"#{1,6}\s+(\S.*)")
_PROSE_SUFFIXES: Final = (".md", ".txt", ".rst", ".csv", ".log", ".lock", ".json", ".svg", ".html")
_COMMON_WORDS: Final = frozenset(
    (
        *("about", "above", "after", "again", "against", "because", "before", "being", "below"),
        *("between", "could", "every", "first", "other", "should", "since", "still", "their"),
        *("there", "these", "those", "through", "under", "until", "where", "which", "while"),
        *("whose", "within", "without", "would", "https", "assert", "async", "await", "break"),
        *("class", "const", "continue", "export", "extends", "false", "final", "finally", "float"),
        *("import", "lambda", "match", "print", "public", "private", "raise", "return", "static"),
        *("struct", "super", "throw", "tuple", "typing", "value", "yield", "bytes", "string"),
    )
)


@frozen(kw_only=True)
class Call:
    """One tool call to make."""

    tool: str
    arguments: tuple[tuple[str, str], ...]

    @property
    def arguments_json(self) -> str:
        """The arguments as the text that a model would stream."""
        return json.dumps(dict(self.arguments), ensure_ascii=False)


@frozen(kw_only=True)
class Step:
    """What the model says next, and the calls it makes at once; no calls end the turn."""

    text: str
    calls: tuple[Call, ...] = ()


@frozen(kw_only=True)
class Result:
    """What one tool call came back with."""

    tool: str
    text: str


@frozen(kw_only=True)
class Transcript:
    """What the script looks at: everything so far, and which part of it is this turn's."""

    question: str = ""
    asked: tuple[str, ...] = ()
    results: tuple[Result, ...] = ()
    earlier_results: tuple[Result, ...] = ()
    answers: tuple[str, ...] = ()
    calls_count: int = 0

    def texts(self, tool: str) -> Iterator[str]:
        """Give what this tool returned in this turn, in order."""
        return (result.text for result in self.results if result.tool == tool)


@frozen(kw_only=True)
class Listing:
    """A result of ``list_files`` for the whole directory."""

    counts: str
    notes: tuple[str, ...]
    files: tuple[tuple[str, int, bool], ...]
    folders: tuple[str, ...]
    is_empty: bool

    @property
    def text_files(self) -> list[str]:
        """The paths of the text files, the largest first."""
        ordered = sorted(self.files, key=lambda file: (-file[1], file[0]))
        return [path for path, _, is_binary in ordered if not is_binary]

    def size_bytes(self, path: str) -> int:
        """How large the file was when it was listed; 0 if it was not."""
        return next((size for name, size, _ in self.files if name == path), 0)


@frozen(kw_only=True)
class Reading:
    """A result of ``read_file``."""

    path: str
    span: str
    lines: tuple[tuple[int, str], ...]

    @property
    def text(self) -> str:
        """The lines that were read, without their numbers."""
        return "\n".join(line for _, line in self.lines)


@frozen(kw_only=True)
class Finding:
    """A result of ``search_text``: the counts are of all, the lines are the first of each file."""

    text: str
    line_count: int
    file_count: int
    files: tuple[tuple[str, int], ...] = field(default=())
    first: str = ""
    skipped: str = ""

    @property
    def summary(self) -> str:
        """The counts as half a sentence."""
        lines, files = _plural(self.line_count, "line"), _plural(self.file_count, "file")
        return f'"{self.text}" is on {lines} of {files}'


def next_step(transcript: Transcript) -> Step:
    """Decide what to say and call next, from nothing but the transcript."""
    scripts: dict[str, Callable[[Transcript], Step]] = dict(
        zip(QUESTIONS, (_tell_directory, _tell_largest, _tell_mentions), strict=True)
    )
    return scripts.get(transcript.question, _tell_limits)(transcript)


def _tell_limits(_: Transcript) -> Step:
    known = "\n".join(f"  {question}" for question in QUESTIONS)
    return Step(text=f"I am the offline model and know three questions only:\n{known}")


# The first question: list, then tell what was listed.


def _tell_directory(transcript: Transcript) -> Step:
    if not transcript.asked:
        return Step(text="I will list the files.", calls=(_listing_call(),))
    listing = _listing(transcript.results)
    if listing is None:
        return Step(text=f"I cannot tell: {_failure(transcript, 'list_files')}")
    return Step(text="\n".join(_directory_answer(listing)))


def _directory_answer(listing: Listing) -> Iterator[str]:
    if listing.is_empty:
        yield "It is empty: there is no file and no folder that I may look at."
    else:
        yield f"It holds {listing.counts}."
        yield f"At the top: {_named(_at_top(listing))}."
    yield from (f"{note[0].upper()}{note[1:]}." for note in listing.notes)
    if listing.text_files:
        largest = listing.text_files[0]
        size = _plural(listing.size_bytes(largest), "byte")
        yield f"The largest text file is {largest}, {size}."
    elif not listing.is_empty:
        yield "None of the files is text."


def _at_top(listing: Listing) -> list[str]:
    files = [path for path, _, _ in listing.files if "/" not in path]
    return [*(path for path in listing.folders if path.count("/") == 1), *files]


# The second: read the largest files and look for TODO at once, search for a name that was read.


def _tell_largest(transcript: Transcript) -> Step:
    listing = _listing((*transcript.earlier_results, *transcript.results))
    if listing is None and "list_files" not in transcript.asked:
        text = f"I will list the files and look for {_UNFINISHED}."
        return Step(text=text, calls=(_listing_call(), _search_call(_UNFINISHED)))
    if listing is None:
        return Step(text=f"I cannot tell: {_failure(transcript, 'list_files')}")
    if not transcript.asked and not listing.text_files:
        text = f"I know of no text file. I will look again, and for {_UNFINISHED}."
        return Step(text=text, calls=(_listing_call(), _search_call(_UNFINISHED)))
    return _tell_listed(transcript, listing)


def _tell_listed(transcript: Transcript, listing: Listing) -> Step:
    chosen = listing.text_files[:_READ_AT_ONCE_MAX]
    if chosen and "read_file" not in transcript.asked:
        return _reading_step(transcript, chosen)
    reading = _largest_reading(transcript, chosen)
    name = _defined_name(reading) if reading else ""
    if name and transcript.asked.count("search_text") < 2:
        text = f'I have read {reading.path if reading else ""}. Who else mentions "{name}"?'
        return Step(text=text, calls=(_search_call(name),))
    if reading is None:
        return Step(text="\n".join(_nothing_read_answer(transcript, listing)))
    return Step(text="\n".join(_largest_answer(transcript, listing, reading)))


def _reading_step(transcript: Transcript, chosen: Sequence[str]) -> Step:
    calls = tuple(Call(tool="read_file", arguments=(("path", path),)) for path in chosen)
    text = f"I will read {_named(chosen)}"
    if "search_text" in transcript.asked:
        return Step(text=f"{text}.", calls=calls)
    text = f"{text} and look for {_UNFINISHED}, all at once."
    return Step(text=text, calls=(*calls, _search_call(_UNFINISHED)))


def _largest_reading(transcript: Transcript, chosen: Sequence[str]) -> Reading | None:
    readings = [reading for text in transcript.texts("read_file") if (reading := _reading(text))]
    ordered = sorted(
        (reading for reading in readings if reading.path in chosen),
        key=lambda reading: chosen.index(reading.path),
    )
    return ordered[0] if ordered else None


def _nothing_read_answer(transcript: Transcript, listing: Listing) -> Iterator[str]:
    if listing.text_files:
        yield f"I could read none of {_named(listing.text_files[:_READ_AT_ONCE_MAX])}:"
        yield _failure(transcript, "read_file")
    elif listing.is_empty:
        yield "There is no text file here: the directory is empty."
    else:
        yield f"There is no text file here, in {listing.counts}."
    yield _finding_line(transcript, _UNFINISHED)


def _largest_answer(transcript: Transcript, listing: Listing, reading: Reading) -> Iterator[str]:
    largest = listing.text_files[0]
    if reading.path != largest:
        yield f"{largest} is larger, but I could not read it: {_failure(transcript, 'read_file')}"
    which = "largest text file" + (" that I could read" if reading.path != largest else "")
    yield f"The {which} is {reading.path}, {_plural(listing.size_bytes(reading.path), 'byte')}."
    yield f"I read {reading.span}. {_verb(reading)}"
    for number, line in _quotable(reading)[:_QUOTED_LINES_MAX]:
        yield f"  {reading.path}:{number}: {_shortened(line.strip())}"
    if name := _defined_name(reading):
        yield f"{_finding_line(transcript, name)} {_finding_line(transcript, _UNFINISHED)}"
    else:
        yield _finding_line(transcript, _UNFINISHED)
    if word := _outstanding_word(reading.text):
        yield f'The word that stands out in it is "{word}".'


# The third: take the word from the answer to the second, search for it, tell where it is.


def _tell_mentions(transcript: Transcript) -> Step:
    word = _word_of(transcript.answers)
    if not word:
        return Step(text="No word stood out in an answer of mine, so I have nothing to look for.")
    if not transcript.asked:
        text = f'The word was "{word}". I will search for it.'
        return Step(text=text, calls=(_search_call(word),))
    finding = _finding(transcript, word)
    if finding is None:
        return Step(text=f'I cannot tell where "{word}" is: {_failure(transcript, "search_text")}')
    return Step(text="\n".join(_mentions_answer(finding)))


def _mentions_answer(finding: Finding) -> Iterator[str]:
    yield f"{finding.summary}, upper and lower case told apart."
    ordered = sorted(finding.files, key=lambda file: (-file[1], file[0]))
    for path, count in ordered[:_QUOTED_LINES_MAX]:
        yield f"  {path}: {_plural(count, 'line')}"
    if finding.first:
        yield f"The first is {_shortened(finding.first)}"
    if finding.skipped:
        yield f"The search {finding.skipped}."


def _word_of(answers: Sequence[str]) -> str:
    found = [word for answer in answers for word in _STANDS_OUT.findall(answer)]
    return str(found[-1]) if found else ""


# Calls, and what their results say.


def _listing_call() -> Call:
    return Call(tool="list_files", arguments=(("folder", "."),))


def _search_call(text: str) -> Call:
    return Call(tool="search_text", arguments=(("text", text),))


def _listing(results: Sequence[Result]) -> Listing | None:
    texts = [result.text for result in results if result.tool == "list_files"]
    readable = [text for text in texts if _LISTED.fullmatch(text.partition("\n")[0])]
    return _listing_of(readable[-1].split("\n")) if readable else None


def _listing_of(lines: Sequence[str]) -> Listing:
    files = [found for line in lines[1:] if (found := _LISTED_FILE.fullmatch(line))]
    return Listing(
        counts=lines[0].removesuffix(" in ."),
        notes=tuple(line for line in lines[1:3] if line.startswith(("by suffix: ", "skipped: "))),
        files=tuple((found[1], int(found[2]), bool(found[3])) for found in files),
        folders=tuple(line for line in lines[1:] if line.endswith("/")),
        is_empty=lines[0] == "0 files and 0 folders in .",
    )


def _reading(text: str) -> Reading | None:
    first, *rest = text.split("\n")
    found = _READ.fullmatch(first)
    if not found:
        return None
    lines = [numbered for line in rest if (numbered := _READ_LINE.fullmatch(line))]
    return Reading(
        path=found[1],
        span=f"lines {found[2]} to {found[3]} of {found[4] or ''}{found[5]}",
        lines=tuple((int(numbered[1]), numbered[2]) for numbered in lines),
    )


def _finding(transcript: Transcript, text: str) -> Finding | None:
    for result in transcript.texts("search_text"):
        first, *rest = result.split("\n")
        found = _FOUND.fullmatch(first)
        if found and found[3] == text:
            return _finding_of(int(found[1]), int(found[2]), text, rest)
    return None


def _finding_of(line_count: int, file_count: int, text: str, rest: Sequence[str]) -> Finding:
    files = [found for line in rest if (found := _FOUND_FILE.fullmatch(line))]
    lines = [found for line in rest if (found := _FOUND_LINE.fullmatch(line))]
    return Finding(
        text=text,
        line_count=line_count,
        file_count=file_count,
        files=tuple((found[1], int(found[2])) for found in files),
        skipped=rest[0] if rest and rest[0].startswith("skipped: ") else "",
        first=f"{files[0][1]}:{lines[0][1]}: {lines[0][2].strip()}" if files and lines else "",
    )


def _finding_line(transcript: Transcript, text: str) -> str:
    finding = _finding(transcript, text)
    if finding is None:
        return f'I could not search for "{text}": {_failure(transcript, "search_text")}'
    if not finding.line_count:
        return f'Nothing says "{text}".'
    return f"{finding.summary}."


def _failure(transcript: Transcript, tool: str) -> str:
    """Say in the tool's own words why it gave nothing that can be read."""
    patterns = {"list_files": _LISTED, "read_file": _READ, "search_text": _FOUND}
    firsts = [text.partition("\n")[0] for text in transcript.texts(tool)]
    failed = [first for first in firsts if not patterns[tool].fullmatch(first)]
    return _shortened(failed[0]) if failed and failed[0] else f"{tool} gave no result"


# What stands out in a text that was read.


def _quotable(reading: Reading) -> list[tuple[int, str]]:
    defining = [line for line in reading.lines if _definition_in(reading, line[1])]
    return defining or [line for line in reading.lines if line[1].strip()]


def _definition_in(reading: Reading, line: str) -> str:
    if reading.path.endswith(_PROSE_SUFFIXES):
        found = _HEADING.fullmatch(line) if reading.path.endswith(".md") else None
    else:
        found = _DEFINITION.match(line)
    return found[1] if found else ""


def _verb(reading: Reading) -> str:
    if not reading.lines:
        return "It holds nothing."
    if not any(_definition_in(reading, line) for _, line in reading.lines):
        return "It begins:"
    return "Its headings begin:" if reading.path.endswith(".md") else "It defines:"


def _defined_name(reading: Reading) -> str:
    """Choose what to search for: the first name defined, or else the word that comes second."""
    defined = [name for _, line in reading.lines if (name := _definition_in(reading, line))]
    if defined and not reading.path.endswith(".md"):
        return defined[0]
    words = _words_by_count(reading.text)
    return (words[1:] or words or [""])[0]


def _outstanding_word(text: str) -> str:
    return (_words_by_count(text) or [""])[0]


def _words_by_count(text: str) -> list[str]:
    counts = Counter(word for word in _WORD.findall(text) if word.lower() not in _COMMON_WORDS)
    return sorted(counts, key=lambda word: (-counts[word], word))


def _named(names: Sequence[str]) -> str:
    more = len(names) - _NAMED_MAX
    return ", ".join(names[:_NAMED_MAX]) + (f" and {more} more" if more > 0 else "")


def _shortened(line: str) -> str:
    cut = line[: _QUOTED_CHARACTERS_MAX - 3]
    return line if len(line) <= _QUOTED_CHARACTERS_MAX else f"{cut}..."


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


# The edge to pydantic-ai.


def offline_model() -> "FunctionModel":
    """Make the offline model, which answers streamed and plain requests alike."""
    from pydantic_ai.models.function import FunctionModel  # noqa: PLC0415 - see rule 4

    return FunctionModel(respond, stream_function=stream, model_name="offline")


async def respond(messages: "list[ModelMessage]", _info: "AgentInfo") -> "ModelResponse":
    """Answer a plain request: the next step as one response."""
    from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart  # noqa: PLC0415

    transcript = transcript_of(messages)
    step = next_step(transcript)
    calls = [
        ToolCallPart(call.tool, call.arguments_json, tool_call_id=_call_id(transcript, index))
        for index, call in enumerate(step.calls)
    ]
    return ModelResponse(parts=[TextPart(step.text), *calls])


async def stream(
    messages: "list[ModelMessage]", _info: "AgentInfo"
) -> "AsyncIterator[str | dict[int, DeltaToolCall]]":
    """Answer a streamed request: the next step in pieces, as a provider would send it."""
    from pydantic_ai.models.function import DeltaToolCall  # noqa: PLC0415 - see rule 4

    transcript = transcript_of(messages)
    step = next_step(transcript)
    for piece in _text_pieces(step.text):
        yield piece
    for index, call in enumerate(step.calls):
        call_id = _call_id(transcript, index)
        yield {index: DeltaToolCall(name=call.tool, tool_call_id=call_id)}
        for piece in _pieces(call.arguments_json):
            yield {index: DeltaToolCall(json_args=piece)}


def transcript_of(messages: "Sequence[ModelMessage]") -> Transcript:
    """Take from the messages what the script looks at; a user's words begin a turn."""
    question, answers = "", list[str]()
    asked, results, earlier_results = list[str](), list[Result](), list[Result]()
    calls_count = 0
    for part in (part for message in messages for part in message.parts):
        if part.part_kind == "user-prompt":
            question, asked = _prompt_text(part), []
            earlier_results, results = [*earlier_results, *results], []
        elif part.part_kind == "text":
            answers.append(part.content)
        elif part.part_kind == "tool-call":
            asked.append(part.tool_name)
            calls_count += 1
        elif part.part_kind == "tool-return":
            results.append(Result(tool=part.tool_name, text=str(part.content)))
    return Transcript(
        question=question,
        asked=tuple(asked),
        results=tuple(results),
        earlier_results=tuple(earlier_results),
        answers=tuple(answers),
        calls_count=calls_count,
    )


def _prompt_text(part: "UserPromptPart") -> str:
    content = part.content
    texts = [content] if isinstance(content, str) else [t for t in content if isinstance(t, str)]
    return "\n".join(texts).strip()


def _call_id(transcript: Transcript, index: int) -> str:
    """Number the calls through the transcript: unique in it, and the same when asked again."""
    return f"call_{transcript.calls_count + index + 1}"


def _text_pieces(text: str) -> Iterator[str]:
    words = re.findall(r"\s*\S+", text)
    for start in range(0, len(words), _CHUNK_WORDS):
        yield "".join(words[start : start + _CHUNK_WORDS])


def _pieces(text: str) -> Iterator[str]:
    for start in range(0, len(text), _CHUNK_CHARACTERS):
        yield text[start : start + _CHUNK_CHARACTERS]
