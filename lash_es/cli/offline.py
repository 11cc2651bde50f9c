"""
The offline model: a script that answers the demo's three questions by really using the tools.

1. ``next_step`` is a pure function of the transcript: it keeps, reads and draws nothing. Whoever
   continues a turn after a kill therefore gets the same next step.
2. What it calls next follows from what the tools returned; another directory gets other answers.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from attrs import frozen

from lash_es.cli.results import (
    Finding,
    Listing,
    Reading,
    Transcript,
    failure_of,
    finding_in,
    listing_in,
    named,
    plural,
    reading_in,
    shortened,
)
from lash_es.cli.standing_out import defined_name, definition_in, outstanding_word, quotable

QUESTIONS: Final[tuple[str, str, str]] = (
    "What is in this directory?",
    "Which text file here is the largest, what does it hold, and does anything say TODO?",
    "Where is the word that stood out mentioned, and how often?",
)
"""What the demo asks, one question a turn; the third is about a word from the second's answer."""

_UNFINISHED: Final = "TODO"
_READ_AT_ONCE_MAX: Final = 3
_QUOTED_LINES_MAX: Final = 3
_STANDS_OUT: Final = re.compile(r'stands out in it is "(\w+)"')


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
    listing = listing_in(transcript.results)
    if listing is None:
        return Step(text=f"I cannot tell: {failure_of(transcript, 'list_files')}")
    return Step(text="\n".join(_directory_answer(listing)))


def _directory_answer(listing: Listing) -> Iterator[str]:
    if listing.is_empty:
        yield "It is empty: there is no file and no folder that I may look at."
    else:
        yield f"It holds {listing.counts}."
        yield f"At the top: {named(_at_top(listing), is_all=listing.is_shown)}."
    yield from (_noted(listing, note) for note in listing.notes)
    if listing.text_files:
        yield _largest_line(listing, "largest text file", listing.text_files[0])
    elif not listing.is_empty:
        yield f"None of the files{'' if listing.is_compared else ' that I compared'} is text."


def _noted(listing: Listing, note: str) -> str:
    what, _, counts = note.partition(": ")
    so_far = "" if listing.is_counted else ", as far as it was listed"
    return f"{what.capitalize()}{so_far}: {counts}."


def _largest_line(listing: Listing, which: str, path: str) -> str:
    so_far = "" if listing.is_compared else ", at least as far as the files are listed"
    return f"The {which} is {path}, {plural(listing.size_bytes(path), 'byte')}{so_far}."


def _at_top(listing: Listing) -> list[str]:
    files = [path for path, _, _ in listing.files if "/" not in path]
    return [*(path for path in listing.folders if path.count("/") == 1), *files]


# The second: read the largest files and look for TODO at once, search for a name that was read.


def _tell_largest(transcript: Transcript) -> Step:
    listing = listing_in((*transcript.earlier_results, *transcript.results))
    if listing is None and "list_files" not in transcript.asked:
        text = f"I will list the files and look for {_UNFINISHED}."
        return Step(text=text, calls=(_listing_call(), _search_call(_UNFINISHED)))
    if listing is None:
        return Step(text=f"I cannot tell: {failure_of(transcript, 'list_files')}")
    if not transcript.asked and not listing.text_files:
        text = f"I know of no text file. I will look again, and for {_UNFINISHED}."
        return Step(text=text, calls=(_listing_call(), _search_call(_UNFINISHED)))
    return _tell_listed(transcript, listing)


def _tell_listed(transcript: Transcript, listing: Listing) -> Step:
    chosen = listing.text_files[:_READ_AT_ONCE_MAX]
    if chosen and "read_file" not in transcript.asked:
        return _reading_step(transcript, chosen)
    reading = _largest_reading(transcript, chosen)
    name = defined_name(reading) if reading else ""
    if name and transcript.asked.count("search_text") < 2:
        text = f'I have read {reading.path if reading else ""}. Who else mentions "{name}"?'
        return Step(text=text, calls=(_search_call(name),))
    if reading is None:
        return Step(text="\n".join(_nothing_read_answer(transcript, listing)))
    return Step(text="\n".join(_largest_answer(transcript, listing, reading)))


def _reading_step(transcript: Transcript, chosen: Sequence[str]) -> Step:
    calls = tuple(Call(tool="read_file", arguments=(("path", path),)) for path in chosen)
    text = f"I will read {named(chosen)}"
    if "search_text" in transcript.asked:
        return Step(text=f"{text}.", calls=calls)
    text = f"{text} and look for {_UNFINISHED}, all at once."
    return Step(text=text, calls=(*calls, _search_call(_UNFINISHED)))


def _largest_reading(transcript: Transcript, chosen: Sequence[str]) -> Reading | None:
    readings = [reading for text in transcript.texts("read_file") if (reading := reading_in(text))]
    ordered = sorted(
        (reading for reading in readings if reading.path in chosen),
        key=lambda reading: chosen.index(reading.path),
    )
    return ordered[0] if ordered else None


def _nothing_read_answer(transcript: Transcript, listing: Listing) -> Iterator[str]:
    if listing.text_files:
        yield f"I could read none of {named(listing.text_files[:_READ_AT_ONCE_MAX])}:"
        yield failure_of(transcript, "read_file")
    elif listing.is_empty:
        yield "There is no text file here: the directory is empty."
    else:
        compared = "here" if listing.is_compared else "among those that I compared"
        yield f"There is no text file {compared}, in {listing.counts}."
    yield _finding_line(transcript, _UNFINISHED)


def _largest_answer(transcript: Transcript, listing: Listing, reading: Reading) -> Iterator[str]:
    largest = listing.text_files[0]
    if reading.path != largest:
        reason = failure_of(transcript, "read_file")
        yield f"{largest} is larger, but I could not read it: {reason}"
    which = "largest text file" + (" that I could read" if reading.path != largest else "")
    yield _largest_line(listing, which, reading.path)
    yield f"I read {reading.span}. {_verb(reading)}"
    for number, line in quotable(reading)[:_QUOTED_LINES_MAX]:
        yield f"  {reading.path}:{number}: {shortened(line.strip())}"
    if name := defined_name(reading):
        yield f"{_finding_line(transcript, name)} {_finding_line(transcript, _UNFINISHED)}"
    else:
        yield _finding_line(transcript, _UNFINISHED)
    if word := outstanding_word(reading.text):
        so_far = "The" if reading.is_whole else "As far as I read it, the"
        yield f'{so_far} word that stands out in it is "{word}".'


# The third: take the word from the answer to the second, search for it, tell where it is.


def _tell_mentions(transcript: Transcript) -> Step:
    word = _word_of(transcript.answers)
    if not word:
        return Step(text="No word stood out in an answer of mine, so I have nothing to look for.")
    if not transcript.asked:
        text = f'The word was "{word}". I will search for it.'
        return Step(text=text, calls=(_search_call(word),))
    finding = finding_in(transcript, word)
    if finding is None:
        return Step(
            text=f'I cannot tell where "{word}" is: {failure_of(transcript, "search_text")}'
        )
    return Step(text="\n".join(_mentions_answer(finding)))


def _mentions_answer(finding: Finding) -> Iterator[str]:
    yield f"{finding.summary}, upper and lower case told apart."
    if len(finding.files) < finding.file_count:
        yield f"Of the {plural(len(finding.files), 'file')} that the search shows, the most:"
    ordered = sorted(finding.files, key=lambda file: (-file[1], file[0]))
    for path, count in ordered[:_QUOTED_LINES_MAX]:
        yield f"  {path}: {finding.at_least(count, 'line')}"
    if finding.first:
        yield f"The first is {shortened(finding.first)}"
    if finding.skipped:
        yield f"The search {finding.skipped}."


def _word_of(answers: Sequence[str]) -> str:
    found = [word for answer in answers for word in _STANDS_OUT.findall(answer)]
    return str(found[-1]) if found else ""


# Calls, and sentences that several answers share.


def _listing_call() -> Call:
    return Call(tool="list_files", arguments=(("folder", "."),))


def _search_call(text: str) -> Call:
    return Call(tool="search_text", arguments=(("text", text),))


def _finding_line(transcript: Transcript, text: str) -> str:
    finding = finding_in(transcript, text)
    if finding is None:
        return f'I could not search for "{text}": {failure_of(transcript, "search_text")}'
    return f"{finding.summary}."


def _verb(reading: Reading) -> str:
    if not reading.lines:
        return "It holds nothing."
    if not any(definition_in(reading, line) for _, line in reading.lines):
        return "It begins:"
    return "Its headings begin:" if reading.path.endswith(".md") else "It defines:"
