"""``python -m lash_es.cli``, and what the script ``lash-es`` calls."""

import codecs
import sys
from typing import Final

INSTALL: Final = "pip install 'lash-es[cli,models]'"
LIBRARIES: Final = ("typer", "rich", "click")
_LOOKALIKES: Final = {"●": "*", "→": "->", "←": "<-", "✓": "+", "✗": "x", "…": "...", "─": "-"}


def main() -> None:
    """Run the command line; without the extra, say what to install."""
    try:
        from lash_es.cli.app import run
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in LIBRARIES:
            raise
        sys.stderr.write(f"lash-es: {missing} is not installed; run: {INSTALL}\n")
        sys.exit(1)
    print_what_the_terminal_has_no_letters_for()
    run()


def print_what_the_terminal_has_no_letters_for() -> None:
    """Where the output is not UTF-8, print a lookalike or an escape instead of failing."""
    codecs.register_error("lash-es", _replaced)
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="lash-es")


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    spelled = (_LOOKALIKES.get(each, ascii(each)[1:-1]) for each in letters)
    return "".join(spelled), error.end


if __name__ == "__main__":
    main()
