"""``lash-es lint``, ``compare`` and ``refold``: each judges, and says so with its exit status."""

from lash_es.cli.addressing import Opening, opened
from lash_es.cli.db_progress import progress
from lash_es.cli.screen import Screen, plural, print_json
from lash_es.cli.travelling import NO, Asked, asked, asked_in, fact_document, fact_pieces
from lash_es.timetravel.comparing import Admitted, Comparison, Deed, compare
from lash_es.timetravel.linting import Finding, lint
from lash_es.timetravel.narrating import excerpt
from lash_es.timetravel.refolding import Refolded, refold


def print_findings(opening: Opening, namespace: str, address: str, *, as_json: bool) -> int:
    """
    Print the anomalies of a session; returns the exit status.

    Raises:
        LashError: there is no such log, session or moment, or its chain is damaged.
    """
    with asked(opening, namespace, address) as found:
        total = found.past.version - found.past.oldest
        with progress("reading", lambda: total, quiet=as_json) as advance:
            facts = found.past.facts(on_facts=advance)
            findings = list(lint(facts, found.past.state_at(found.past.oldest)))
        if as_json:
            document = {"findings": [_finding_document(each) for each in findings]}
            print_json(found.document() | document)
        else:
            _print_findings(Screen(), found, findings)
    return NO if findings else 0


def _print_findings(screen: Screen, found: Asked, findings: list[Finding]) -> None:
    session = found.meant.stream.session_id
    if findings:
        what = (f"✗ anomalies: {len(findings)}", "bold red")
    else:
        what = ("✓ no anomaly", "bold green")
    screen.line(what, (f" in {plural(found.past.version, 'fact')} of {session}", "dim"))
    for each in findings:
        screen.line(
            (f"{each.position} ", "bold"), f"{each.anomaly.value}: {each.because}", indent=2
        )


def _finding_document(each: Finding) -> dict[str, object]:
    return {
        "anomaly": each.anomaly.value,
        "position": each.position,
        "because": each.because,
    }


def print_comparison(
    opening: Opening, namespace: str, one: str, other: str, *, as_json: bool
) -> int:
    """
    Print the first place where two sessions did not do the same; returns the exit status.

    Raises:
        LashError: there is no such log, session or moment, or what was said cannot be read.
    """
    with opened(opening, namespace) as log:
        sides = asked_in(log, one), asked_in(log, other)
        compared = compare(sides[0].past, sides[1].past)
        if as_json:
            print_json(_comparison_document(sides, compared))
        else:
            _print_comparison(Screen(), sides, compared)
    return 0 if compared.divergence is None else NO


def _print_comparison(screen: Screen, sides: tuple[Asked, Asked], compared: Comparison) -> None:
    same = plural(compared.same_count, "deed")
    if compared.divergence is None:
        screen.line(("✓ the same: ", "bold green"), same)
        return
    screen.line(("✗ they part ", "bold red"), (f"after {same} that are the same", "dim"))
    deeds = compared.divergence.one, compared.divergence.other
    for side, deed in zip(sides, deeds, strict=True):
        screen.line((f"{side.meant.stream.session_id} ", "cyan"), *_deed_pieces(deed), indent=2)


def _deed_pieces(deed: Deed | None) -> list[str | tuple[str, str]]:
    if deed is None:
        return [("did nothing more", "dim")]
    where = (f"{deed.position} ", "bold")
    if isinstance(deed, Admitted):
        return [where, f'took "{excerpt(deed.text)}"']
    return [where, f"called {deed.tool}({excerpt(deed.arguments)})"]


def _comparison_document(sides: tuple[Asked, Asked], compared: Comparison) -> dict[str, object]:
    found: dict[str, object] = {
        "one": sides[0].document(),
        "other": sides[1].document(),
        "same_count": compared.same_count,
        "divergence": None,
    }
    if compared.divergence is not None:
        found["divergence"] = {
            "place": compared.divergence.place,
            "one": _deed_document(compared.divergence.one),
            "other": _deed_document(compared.divergence.other),
        }
    return found


def _deed_document(deed: Deed | None) -> dict[str, object] | None:
    if deed is None:
        return None
    if isinstance(deed, Admitted):
        return {"kind": "input", "position": deed.position, "text": deed.text}
    return {
        "kind": "call",
        "position": deed.position,
        "tool": deed.tool,
        "arguments": deed.arguments,
    }


def print_refolded(opening: Opening, namespace: str, session: str, *, as_json: bool) -> int:
    """
    Print whether today's code folds what was stored to the states of its day; returns the status.

    Raises:
        LashError: there is no such log or session, or a fact cannot be read or cannot follow.
    """
    with asked(opening, namespace, session) as found:
        total = found.past.version - found.past.oldest
        with progress("folding", lambda: total, quiet=as_json) as advance:
            refolded = refold(found.past, advance)
        if as_json:
            print_json(_refolded_document(found, refolded))
        else:
            _print_refolded(Screen(), found, refolded)
    return 0 if refolded.differs is None else NO


def _print_refolded(screen: Screen, found: Asked, refolded: Refolded) -> None:
    states = plural(refolded.compared_count, "stored state")
    foreign = f", {refolded.foreign_count} of other shapes" if refolded.foreign_count else ""
    if refolded.suspects is None:
        told = f" of {found.meant.stream.session_id}, {plural(refolded.version, 'fact')}{foreign}"
        screen.line((f"✓ {states} as of old", "bold green"), (told, "dim"))
        return
    first, last = refolded.suspects
    screen.line((f"✗ the state after position {last} is another one", "bold red"))
    told = f"it was the same at version {refolded.agrees}: look at positions {first} to {last}"
    screen.line((told, "dim"), indent=2)
    screen.line(("the last of them is ", "dim"), *fact_pieces(found.line(last)), indent=2)


def _refolded_document(found: Asked, refolded: Refolded) -> dict[str, object]:
    suspects = refolded.suspects
    return found.document() | {
        "compared_count": refolded.compared_count,
        "foreign_count": refolded.foreign_count,
        "agrees_at_version": refolded.agrees,
        "differs_at_version": refolded.differs,
        "fact": None if suspects is None else fact_document(found.line(suspects[1])),
    }
