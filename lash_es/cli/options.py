"""The options that several verbs share, and how what is typed is read."""

from pathlib import Path
from typing import Annotated, Final

import typer

_DEFAULT_PLACE: Final = (
    "Without it, LASH_ES_DB, or lash-es/lash-es.db in your folder for such files "
    "($XDG_STATE_HOME or ~/.local/state; macOS: ~/Library/Application Support; "
    "Windows: %LOCALAPPDATA%)."
)


def _file_named(named: str) -> Path:
    if not named:
        raise typer.BadParameter("it is empty: expected the path of a SQLite file")
    return Path(named)


def _log_named(named: str) -> str:
    if not named:
        raise typer.BadParameter("it is empty: expected the path of a SQLite file, or a URL")
    return named


Db = Annotated[
    Path | None,
    typer.Option(
        "--db",
        metavar="PATH",
        help=f"The log: a SQLite file. {_DEFAULT_PLACE}",
        parser=_file_named,
    ),
]
LogDb = Annotated[
    str | None,
    typer.Option(
        "--db",
        metavar="PATH|URL",
        help=f"The log: a SQLite file, or postgresql://... {_DEFAULT_PLACE}",
        parser=_log_named,
    ),
]
Schema = Annotated[
    str, typer.Option("--schema", metavar="NAME", help="The schema of a PostgreSQL log.")
]
KeyEnv = Annotated[
    str | None,
    typer.Option(
        "--key-env",
        metavar="NAME",
        help="The environment variable that holds the keys of an encrypted log: ID:BASE64,...",
    ),
]
BlobFolder = Annotated[
    Path | None,
    typer.Option("--blobs", metavar="PATH", help="The folder of large contents, if there is one."),
]
Namespace = Annotated[str, typer.Option(metavar="NAME", help="Which sessions of the log.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]
Session = Annotated[str, typer.Argument(metavar="SESSION", help="The session's id.")]
Moment = Annotated[
    str,
    typer.Argument(
        metavar="SESSION[@WHEN]",
        help="The id, and a position in its log, a time, a turn, or TURN^ for before it.",
    ),
]
