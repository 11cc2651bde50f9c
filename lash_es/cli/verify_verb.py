"""``lash-es verify``: is everything that is stored of a session as it was written?"""

from collections.abc import Iterator, Sequence

from lash_es.cli.addressing import KEY_HINT, Opening, opened
from lash_es.cli.documents import verdict_document
from lash_es.cli.screen import Piece, Screen, plural, print_json
from lash_es.timetravel.verifying import Problem, Verdict, verify_session


def print_verdict(opening: Opening, namespace: str, session: str, *, as_json: bool) -> bool:
    """
    Print the verdict; returns whether the session is sound.

    Raises:
        LashError: there is no such log or session.
    """
    with opened(opening, namespace) as log:
        verdict = verify_session(log.store, log.stream(session))
        if as_json:
            print_json({"db": log.store.where, "namespace": namespace} | verdict_document(verdict))
        else:
            screen = Screen()
            screen.line((session, "bold"), (f" in {log.store.where}", "dim"))
            screen.rows(verdict_rows(verdict))
    return verdict.is_sound


def verdict_rows(verdict: Verdict) -> Iterator[tuple[str, Sequence[Piece]]]:
    """Say what was checked and what was found."""
    if verdict.is_sound:
        yield "verdict", [("✓ sound", "bold green")]
    else:
        found = plural(len(verdict.problems), "problem")
        yield "verdict", [(f"✗ damaged, {found}", "bold red")]
    for problem in verdict.problems:
        yield problem.check, [(_where(problem), "bold red"), f" {problem.reason}"]
    digest = (f", the last one's digest is {verdict.digest[:16]}...", "dim")
    yield "chain", [plural(verdict.version, "fact"), digest]
    sizes = f", with {plural(verdict.bodies_bytes, 'byte')}"
    yield "contents", [plural(verdict.bodies_count, "content"), (sizes, "dim")]
    if verdict.bodies_sealed_count:
        not_checked = plural(verdict.bodies_sealed_count, "content")
        yield "sealed", [f"{not_checked} not checked: the key is not here", (KEY_HINT, "dim")]
    yield "index", [f"{plural(verdict.index_rows_count, 'row')}"]


def _where(problem: Problem) -> str:
    return "" if problem.position is None else f"position {problem.position}:"
