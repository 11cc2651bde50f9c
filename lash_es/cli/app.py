"""The verbs and their options. Each verb has its file, which is imported when it is used."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from lash_es.cli import travel_app
from lash_es.cli.db_app import db_app
from lash_es.cli.options import (
    AsJson,
    BlobFolder,
    Db,
    KeyEnv,
    LogDb,
    Namespace,
    Schema,
    Session,
)
from lash_es.cli.refusing import UNWRITTEN, internal_error, refusals, unwritten

app = typer.Typer(
    name="lash-es",
    help="Look at durable agent sessions: a session is a log, its state is a fold.",
    no_args_is_help=True,
    add_completion=False,
    # Plain help and plain errors: what a user types is never read as markup.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(db_app, name="db")


def _print_version(wanted: bool) -> None:
    if wanted:
        from lash_es import __version__

        typer.echo(f"lash-es {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print it."),
    ] = False,
) -> None:
    del version  # Its callback has done everything.


@app.command()
def demo(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", show_default=False, help="What to look at.")
    ] = Path(),
    model: Annotated[
        str,
        typer.Option(
            metavar="PROVIDER:NAME",
            help="Who answers. Needs a key in the environment, but for offline:script, which is a "
            "script, and offline:silent, which answers nothing.",
        ),
    ] = "offline:script",
    db: Db = None,
    as_json: AsJson = False,
) -> None:
    """
    Let an agent answer three questions about a directory, and kill its process in between.

    The tools only read, cannot leave the directory, and skip what may hold secrets.
    """
    from lash_es.cli.demo import run_demo

    with refusals():
        run_demo(directory, model, db, as_json=as_json)


for _name, _verb in travel_app.VERBS.items():
    app.command(_name)(_verb)


@app.command()
def verify(
    session: Session,
    db: LogDb = None,
    namespace: Namespace = "default",
    *,
    schema: Schema = "public",
    key_env: KeyEnv = None,
    blobs: BlobFolder = None,
    as_json: AsJson = False,
) -> None:
    """Check everything that is stored of a session; exit status 1 if it is damaged."""
    from lash_es.cli.addressing import Opening
    from lash_es.cli.verify_verb import print_verdict

    opening = Opening(db=db, schema=schema, key_variable=key_env, blobs=blobs)
    with refusals():
        is_sound = print_verdict(opening, namespace, session, as_json=as_json)
    if not is_sound:
        raise typer.Exit(1)


def _run_and_flush() -> None:
    try:
        app(prog_name="lash-es")
    finally:
        sys.stdout.flush()  # What cannot be written is told here; Python itself would tell more.


def run() -> None:
    """Run the command line. A bug of ours is reported in a line, too."""
    try:
        _run_and_flush()
    except OSError as error:
        sys.exit(unwritten(error) if error.errno in UNWRITTEN else internal_error(error))
    except Exception as error:  # noqa: BLE001 - a command line prints no traceback
        sys.exit(internal_error(error))
