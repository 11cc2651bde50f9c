"""``lash-es testcase``: a pytest file of the fewest facts after which something is so."""

import sys
from pathlib import Path

from attrs import define

from lash_es.cli.addressing import Opening
from lash_es.cli.db_progress import progress
from lash_es.cli.screen import Screen, plural, print_json
from lash_es.cli.travelling import asked
from lash_es.core.errors import LashError
from lash_es.timetravel.expressions import Condition
from lash_es.timetravel.testcases import minimal_case, written


@define(kw_only=True)
class NotWritten(LashError):
    """The file cannot be written."""

    where: str
    reason: str

    def _summary(self) -> str:
        return f"cannot write {self.where}: {self.reason}"


def print_case(
    opening: Opening, namespace: str, address: str, text: str, to: Path | None, *, as_json: bool
) -> None:
    """
    Print a test that fails for as long as a condition holds after few facts of a session, or write
    it to a new file.

    Raises:
        LashError: there is no such log, session or moment; that is no condition, or it never
            holds; the file is there, or cannot be written.
    """
    condition = Condition.parse(text)
    with asked(opening, namespace, address) as found:
        with progress("leaving out", lambda: None, quiet=as_json) as advance:
            case = minimal_case(found.past, condition, lambda _: advance(1))
        test = written(case)
        if to is not None:
            _write(to, test)
        if as_json:
            counts = {"facts_count": len(case.facts), "of_count": case.of_count}
            document = {"when": condition.text, **counts, "tries_count": case.tries_count}
            print_json(found.document() | document | {"test": test})
        elif to is None:
            sys.stdout.write(test)
        else:
            of = (f" of {case.of_count:,} are left, in {to}", "dim")
            Screen().line((plural(len(case.facts), "fact"), "bold"), of)


def _write(to: Path, test: str) -> None:
    try:
        with to.open("x", encoding="ascii") as file:
            file.write(test)
    except OSError as cause:
        raise NotWritten(where=str(to), reason=cause.strerror or str(cause)) from cause
