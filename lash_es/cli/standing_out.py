"""What stands out in a text that was read: a heading, a definition, a word."""

import re
from collections import Counter
from typing import Final

from lash_es.cli.results import Reading

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


def quotable(reading: Reading) -> list[tuple[int, str]]:
    """Choose the lines that say most: definitions, or else whatever is not blank."""
    defining = [line for line in reading.lines if definition_in(reading, line[1])]
    return defining or [line for line in reading.lines if line[1].strip()]


def definition_in(reading: Reading, line: str) -> str:
    """Find what a line of the file defines, or the heading that it is."""
    if reading.path.endswith(_PROSE_SUFFIXES):
        found = _HEADING.fullmatch(line) if reading.path.endswith(".md") else None
    else:
        found = _DEFINITION.match(line)
    return found[1] if found else ""


def defined_name(reading: Reading) -> str:
    """Choose what to search for: the first name defined, or else the word that comes second."""
    defined = [name for line in reading.own_lines if (name := definition_in(reading, line))]
    if defined and not reading.path.endswith(".md"):
        return defined[0]
    words = _words_by_count(reading.text)
    return (words[1:] or words or [""])[0]


def outstanding_word(text: str) -> str:
    """Choose the word that is there most often."""
    return (_words_by_count(text) or [""])[0]


def _words_by_count(text: str) -> list[str]:
    counts = Counter(word for word in _WORD.findall(text) if word.lower() not in _COMMON_WORDS)
    return sorted(counts, key=lambda word: (-counts[word], word))
