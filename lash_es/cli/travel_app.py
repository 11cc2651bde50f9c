"""The verbs that look at the past, and their options; each has its file, imported when used."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Final

import typer

from lash_es.cli.options import (
    AsJson,
    BlobFolder,
    KeyEnv,
    LogDb,
    Moment,
    Namespace,
    Schema,
    Session,
)
from lash_es.cli.refusing import refusals

StatePathText = Annotated[
    str,
    typer.Argument(
        metavar="PATH", help='Where in the state: lease.generation, turn.effects."t1/2".attempt'
    ),
]


def log(
    session: Session,
    db: LogDb = None,
    namespace: Namespace = "default",
    *,
    kind: Annotated[
        str | None,
        typer.Option(metavar="KIND", help="Only facts of a kind: turn, or effect.settled."),
    ] = None,
    turn: Annotated[str | None, typer.Option(metavar="TURN", help="Only those of a turn.")] = None,
    named: Annotated[
        str | None,
        typer.Option("--input", metavar="INPUT", help="Only those of an input or batch."),
    ] = None,
    claim: Annotated[
        str | None, typer.Option(metavar="CLAIM", help="Only those of a claim.")
    ] = None,
    generation: Annotated[
        int | None, typer.Option(metavar="N", help="Only what this generation wrote.")
    ] = None,
    last: Annotated[
        int | None, typer.Option("--last", "-n", min=1, metavar="N", help="Only the last N facts.")
    ] = None,
    follow: Annotated[
        bool,
        typer.Option(
            "--follow", "-f", help="Go on with those to come; --json prints a document a line."
        ),
    ] = False,
    schema: Schema = "public",
    key_env: KeyEnv = None,
    blobs: BlobFolder = None,
    as_json: AsJson = False,
) -> None:
    """Print the facts of a session: when each was recorded, by whom, and what led to it."""
    from lash_es.cli.addressing import Opening
    from lash_es.cli.log_verb import Wanted, print_log
    from lash_es.timetravel.filtering import FactFilter

    opening = Opening(db=db, schema=schema, key_variable=key_env, blobs=blobs)
    facts = FactFilter(kind=kind, turn=turn, named=named, claim=claim, generation=generation)
    wanted = Wanted(facts=facts, last=last, is_followed=follow)
    with refusals():
        print_log(opening, namespace, session, as_json=as_json, wanted=wanted)


def show(
    moment: Moment,
    db: LogDb = None,
    namespace: Namespace = "default",
    *,
    schema: Schema = "public",
    key_env: KeyEnv = None,
    blobs: BlobFolder = None,
    as_json: AsJson = False,
) -> None:
    """Print a session's state as of a moment, or the newest one and the transcript."""
    from lash_es.cli.addressing import Opening
    from lash_es.cli.show_verb import print_state

    opening = Opening(db=db, schema=schema, key_variable=key_env, blobs=blobs)
    with refusals():
        print_state(opening, namespace, moment, as_json=as_json)


def diff(
    one: Moment,
    other: Moment,
    db: LogDb = None,
    namespace: Namespace = "default",
    *,
    schema: Schema = "public",
    as_json: AsJson = False,
) -> None:
    """Print what is different between two moments, of one session or of two."""
    from lash_es.cli.addressing import Opening
    from lash_es.cli.diff_verb import print_differences

    with refusals():
        print_differences(Opening(db=db, schema=schema), namespace, one, other, as_json=as_json)


def blame(
    moment: Moment,
    path: StatePathText,
    db: LogDb = None,
    namespace: Namespace = "default",
    *,
    schema: Schema = "public",
    key_env: KeyEnv = None,
    blobs: BlobFolder = None,
    as_json: AsJson = False,
) -> None:
    """Name the fact that made a value so, and what led to it; exit status 3 if none did."""
    from lash_es.cli.addressing import Opening
    from lash_es.cli.blame_verb import print_blame

    opening = Opening(db=db, schema=schema, key_variable=key_env, blobs=blobs)
    with refusals():
        status = print_blame(opening, namespace, moment, path, as_json=as_json)
    raise typer.Exit(status)


def watch(
    moment: Moment,
    path: StatePathText,
    db: LogDb = None,
    namespace: Namespace = "default",
    *,
    schema: Schema = "public",
    key_env: KeyEnv = None,
    blobs: BlobFolder = None,
    as_json: AsJson = False,
) -> None:
    """Print every value that there ever was at a path, and the facts that made it so."""
    from lash_es.cli.addressing import Opening
    from lash_es.cli.blame_verb import print_watched

    opening = Opening(db=db, schema=schema, key_variable=key_env, blobs=blobs)
    with refusals():
        print_watched(opening, namespace, moment, path, as_json=as_json)


def bisect(
    moment: Moment,
    db: LogDb = None,
    namespace: Namespace = "default",
    *,
    when: Annotated[
        str | None,
        typer.Option(
            metavar="CONDITION",
            help='What is looked for: head.revision >= 2 and event.name == "turn.ended"',
        ),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(
            metavar="COMMAND",
            help="Who judges: 0 is good, 125 cannot tell, 1 to 127 is bad. The state is on its "
            "standard input, LASH_ES_AT says where.",
        ),
    ] = None,
    good: Annotated[
        int | None, typer.Option(min=0, metavar="POSITION", help="Begin after this fact.")
    ] = None,
    bad: Annotated[
        int | None, typer.Option(min=0, metavar="POSITION", help="End with this fact.")
    ] = None,
    schema: Schema = "public",
    key_env: KeyEnv = None,
    blobs: BlobFolder = None,
    as_json: AsJson = False,
) -> None:
    """
    Find the first fact after which a condition holds, or that turned good into bad.

    With --when every fact is tried, in order. With --run the range is halved. Exit status 3 if
    there is none, or a program could not tell which.
    """
    from lash_es.cli.addressing import Opening
    from lash_es.cli.bisect_verb import Search, print_first, print_turned

    opening = Opening(db=db, schema=schema, key_variable=key_env, blobs=blobs)
    search = Search(good=good, bad=bad)
    if (when is None) == (run is None):
        raise typer.BadParameter("expected one of --when CONDITION and --run COMMAND")
    with refusals():
        if when is not None:
            status = print_first(opening, namespace, moment, when, search, as_json=as_json)
        else:
            status = print_turned(opening, namespace, moment, run or "", search, as_json=as_json)
    raise typer.Exit(status)


def whatif(
    moment: Moment,
    db: LogDb = None,
    namespace: Namespace = "default",
    *,
    drop: Annotated[
        list[int] | None, typer.Option(min=0, metavar="POSITION", help="Without this fact.")
    ] = None,
    edit: Annotated[
        list[str] | None,
        typer.Option(metavar="POSITION:FIELD=VALUE", help="With another value in this fact."),
    ] = None,
    insert: Annotated[
        list[str] | None,
        typer.Option(metavar="POSITION:KIND[:JSON]", help="With another fact in front of it."),
    ] = None,
    schema: Schema = "public",
    as_json: AsJson = False,
) -> None:
    """Print what would be different, had facts not happened, or others. Nothing is written."""
    from lash_es.cli.addressing import Opening
    from lash_es.cli.whatif_verb import Wished, print_supposed

    wished = Wished(drops=drop or (), edits=edit or (), inserts=insert or ())
    with refusals():
        print_supposed(Opening(db=db, schema=schema), namespace, moment, wished, as_json=as_json)


def lint(
    moment: Moment,
    db: LogDb = None,
    namespace: Namespace = "default",
    *,
    schema: Schema = "public",
    as_json: AsJson = False,
) -> None:
    """Look for what no sound history has: stale writes, lost inputs; exit status 3 if found."""
    from lash_es.cli.addressing import Opening
    from lash_es.cli.judging_verbs import print_findings

    with refusals():
        status = print_findings(Opening(db=db, schema=schema), namespace, moment, as_json=as_json)
    raise typer.Exit(status)


def compare(
    one: Moment,
    other: Moment,
    db: LogDb = None,
    namespace: Namespace = "default",
    *,
    schema: Schema = "public",
    key_env: KeyEnv = None,
    blobs: BlobFolder = None,
    as_json: AsJson = False,
) -> None:
    """Compare what two sessions took in and called; exit status 3 if they part."""
    from lash_es.cli.addressing import Opening
    from lash_es.cli.judging_verbs import print_comparison

    opening = Opening(db=db, schema=schema, key_variable=key_env, blobs=blobs)
    with refusals():
        status = print_comparison(opening, namespace, one, other, as_json=as_json)
    raise typer.Exit(status)


def refold(
    session: Session,
    db: LogDb = None,
    namespace: Namespace = "default",
    *,
    schema: Schema = "public",
    key_env: KeyEnv = None,
    blobs: BlobFolder = None,
    as_json: AsJson = False,
) -> None:
    """Fold again and compare with every stored state; exit status 3 if one is another now."""
    from lash_es.cli.addressing import Opening
    from lash_es.cli.judging_verbs import print_refolded

    opening = Opening(db=db, schema=schema, key_variable=key_env, blobs=blobs)
    with refusals():
        status = print_refolded(opening, namespace, session, as_json=as_json)
    raise typer.Exit(status)


def write_testcase(
    moment: Moment,
    db: LogDb = None,
    namespace: Namespace = "default",
    *,
    when: Annotated[str, typer.Option(metavar="CONDITION", help="What the test denies.")],
    to: Annotated[
        Path | None, typer.Option("--to", metavar="PATH", help="A new file for the test.")
    ] = None,
    schema: Schema = "public",
    as_json: AsJson = False,
) -> None:
    """Write a pytest file of the fewest facts after which a condition holds."""
    from lash_es.cli.addressing import Opening
    from lash_es.cli.testcase_verb import print_case

    opening = Opening(db=db, schema=schema)
    with refusals():
        print_case(opening, namespace, moment, when, to, as_json=as_json)


def fork(
    moment: Moment,
    db: LogDb = None,
    namespace: Namespace = "default",
    *,
    child: Annotated[
        str, typer.Option("--as", metavar="SESSION", help="The new session's id, never used.")
    ],
    schema: Schema = "public",
    key_env: KeyEnv = None,
    blobs: BlobFolder = None,
    as_json: AsJson = False,
) -> None:
    """
    Begin a new session where another one stood, between two turns.

    It has the transcript and the policy; not the lease, the queues, the claims and the usage.
    """
    from lash_es.cli.addressing import Opening
    from lash_es.cli.fork_verb import print_forked

    opening = Opening(db=db, schema=schema, key_variable=key_env, blobs=blobs)
    with refusals():
        print_forked(opening, namespace, moment, child, as_json=as_json)


VERBS: Final[Mapping[str, Callable[..., None]]] = {
    "log": log,
    "show": show,
    "diff": diff,
    "blame": blame,
    "watch": watch,
    "bisect": bisect,
    "whatif": whatif,
    "fork": fork,
    "lint": lint,
    "compare": compare,
    "refold": refold,
    "testcase": write_testcase,
}
"""In the order in which help lists them."""
