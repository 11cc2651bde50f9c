"""``lash-es db``: its verbs and their options. Each verb has its file, imported when used."""

from pathlib import Path
from typing import Annotated, Final

import typer

from lash_es.cli.options import AsJson, BlobFolder, KeyEnv, LogDb, Schema
from lash_es.log.activities import ACTIVITY_AGE_MS_MAX, ACTIVITY_RECORDS_MAX

EPILOG: Final = (
    "Exit status: 0 done, and nothing found wrong; 1 refused, or something found wrong; 2 not "
    "understood; 130 interrupted (what was done is done, and the same command goes on)."
)

IMPORT_BYTES_MAX: Final = 64 * 1024**3

SomeSession = Annotated[
    str | None,
    typer.Argument(metavar="[SESSION]", show_default=False, help="One session; without it, all."),
]
SomeNamespace = Annotated[
    str | None,
    typer.Option(
        "--namespace",
        metavar="NAME",
        help="Only its sessions; with SESSION, where that is (default: default).",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar on standard error.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]

db_app = typer.Typer(
    help="Keep the database: what is in it, is it sound, and what may go.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
)


@db_app.command(epilog=EPILOG)
def init(db: LogDb = None, schema: Schema = "public", *, as_json: AsJson = False) -> None:
    """Make a log where there is none; one that is there already stays as it is."""
    from lash_es.cli.addressing import Opening
    from lash_es.cli.db_info import print_made
    from lash_es.cli.db_opening import verb

    with verb():
        print_made(Opening(db=db, schema=schema), as_json=as_json)


@db_app.command(epilog=EPILOG)
def info(
    session: SomeSession = None,
    db: LogDb = None,
    schema: Schema = "public",
    namespace: SomeNamespace = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Print what is in the log, or what is kept of one session."""
    from lash_es.cli.addressing import Opening
    from lash_es.cli.db_info import print_inventory, print_session
    from lash_es.cli.db_opening import verb

    opening = Opening(db=db, schema=schema)
    with verb():
        if session is None:
            print_inventory(opening, as_json=as_json)
        else:
            print_session(opening, namespace, session, as_json=as_json)


@db_app.command(epilog=EPILOG)
def check(
    session: SomeSession = None,
    db: LogDb = None,
    schema: Schema = "public",
    namespace: SomeNamespace = None,
    *,
    key_env: KeyEnv = None,
    blobs: BlobFolder = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """
    Check everything that is stored, and what lies there without belonging to any session.

    Exit status 1 if anything is wrong. What is merely no longer needed is told, and is not wrong.
    """
    from lash_es.cli.addressing import Opening
    from lash_es.cli.db_check import print_findings
    from lash_es.cli.db_opening import Chosen, verb

    opening = Opening(db=db, schema=schema, key_variable=key_env, blobs=blobs)
    chosen = Chosen(session=session, namespace=namespace)
    with verb():
        is_sound = print_findings(opening, chosen, as_json=as_json, quiet=quiet)
        if not is_sound:
            raise typer.Exit(1)


@db_app.command(epilog=EPILOG)
def snapshot(
    address: Annotated[
        str | None,
        typer.Argument(
            metavar="[SESSION[@POSITION]]",
            show_default=False,
            help="One session; with a position, a snapshot that stays. Without it, all sessions.",
        ),
    ] = None,
    db: LogDb = None,
    schema: Schema = "public",
    namespace: SomeNamespace = None,
    *,
    key_env: KeyEnv = None,
    blobs: BlobFolder = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write snapshots, so that opening a session folds few facts."""
    from lash_es.cli.addressing import Opening
    from lash_es.cli.db_opening import verb
    from lash_es.cli.db_snapshot import Asked, print_snapshots

    asked = Asked(address=address, namespace=namespace, dry_run=dry_run)
    with verb():
        opening = Opening(db=db, schema=schema, key_variable=key_env, blobs=blobs)
        if not print_snapshots(opening, asked, as_json=as_json, quiet=quiet):
            raise typer.Exit(1)


@db_app.command(epilog=EPILOG)
def reindex(
    session: SomeSession = None,
    db: LogDb = None,
    schema: Schema = "public",
    namespace: SomeNamespace = None,
    *,
    key_env: KeyEnv = None,
    blobs: BlobFolder = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Make the index what the facts say; only rows that differ are written."""
    from lash_es.cli.addressing import Opening
    from lash_es.cli.db_opening import Chosen, verb
    from lash_es.cli.db_reindex import print_reindexed

    chosen = Chosen(session=session, namespace=namespace)
    opening = Opening(db=db, schema=schema, key_variable=key_env, blobs=blobs)
    with verb():
        is_whole = print_reindexed(opening, chosen, dry_run=dry_run, as_json=as_json, quiet=quiet)
        if not is_whole:
            raise typer.Exit(1)


@db_app.command(epilog=EPILOG)
def retain(
    session: SomeSession = None,
    db: LogDb = None,
    schema: Schema = "public",
    namespace: SomeNamespace = None,
    *,
    activity_records: Annotated[
        int, typer.Option(metavar="N", min=0, help="Keep a session's newest N records.")
    ] = ACTIVITY_RECORDS_MAX,
    activity_age: Annotated[
        int, typer.Option(metavar="SECONDS", min=0, help="Keep none that is older.")
    ] = ACTIVITY_AGE_MS_MAX // 1_000,
    keep_facts: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            help="Keep a session's newest N facts, and what open work, pins and the transcript "
            "need of the others, which go. Without it, and without --below, all facts stay.",
        ),
    ] = None,
    below: Annotated[
        int | None,
        typer.Option(metavar="VERSION", min=0, help="Let the facts of SESSION go in front of it."),
    ] = None,
    archive: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Write the facts that go to a file there, before they go; `import` reads it.",
        ),
    ] = None,
    discard: Annotated[
        bool, typer.Option("--discard", help="Facts that go are kept nowhere else.")
    ] = False,
    key_env: KeyEnv = None,
    blobs: BlobFolder = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """
    Let go of old activity, of blobs that no content names, and of facts if that is asked for.

    Activity is what was shown while it happened (text as it streamed); the facts hold the rest.
    """
    from lash_es.cli.addressing import Opening
    from lash_es.cli.db_opening import Chosen, verb
    from lash_es.cli.db_retain import Retention, print_retained
    from lash_es.log.activities import ActivityWindow

    kept = Retention(
        window=ActivityWindow(records_max=activity_records, age_ms_max=activity_age * 1_000),
        keep_facts=keep_facts,
        below=below,
        archive=archive,
        may_discard=discard,
        dry_run=dry_run,
    )
    opening = Opening(db=db, schema=schema, key_variable=key_env, blobs=blobs)
    chosen = Chosen(session=session, namespace=namespace)
    with verb():
        if not print_retained(opening, chosen, kept, as_json=as_json, quiet=quiet):
            raise typer.Exit(1)


@db_app.command(epilog=EPILOG)
def upgrade(
    db: LogDb = None,
    schema: Schema = "public",
    *,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """
    Write the newest record format from now on, once no old process is left that writes here.

    It only goes forward. Sessions that hold a newer record can no longer be written by old code.
    Old code left the index without what it knew nothing of: 'lash-es db reindex' completes it.
    """
    from lash_es.cli.addressing import Opening
    from lash_es.cli.db_info import print_upgraded
    from lash_es.cli.db_opening import verb

    with verb():
        print_upgraded(Opening(db=db, schema=schema), dry_run=dry_run, as_json=as_json)


@db_app.command(epilog=EPILOG)
def export(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Where to: JSON lines, compressed (.jsonl.gz).")
    ],
    session: SomeSession = None,
    db: LogDb = None,
    schema: Schema = "public",
    namespace: SomeNamespace = None,
    *,
    key_env: KeyEnv = None,
    blobs: BlobFolder = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """
    Write all that is kept of a log, or of one session, to a new file.

    It appears when it is complete. Every session is checked; what is damaged is refused. Contents
    lie in it as in the log: what is encrypted stays so.
    """
    from lash_es.cli.addressing import Opening
    from lash_es.cli.db_files import print_exported
    from lash_es.cli.db_opening import Chosen, verb

    opening = Opening(db=db, schema=schema, key_variable=key_env, blobs=blobs)
    chosen = Chosen(session=session, namespace=namespace)
    with verb():
        print_exported(opening, chosen, file, as_json=as_json, quiet=quiet)


@db_app.command("import", epilog=EPILOG)
def import_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="What `export` or `retain --archive` wrote.")
    ],
    db: LogDb = None,
    schema: Schema = "public",
    *,
    key_env: KeyEnv = None,
    blobs: BlobFolder = None,
    bytes_max: Annotated[
        int,
        typer.Option(metavar="N", min=1, help="Refuse a file that decompresses to more bytes."),
    ] = IMPORT_BYTES_MAX,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """
    Bring a file into a log. All of it is checked before anything is written.

    Sessions go on where they were; facts that were archived by a trim go back in front of those
    that are kept. What is there already is left alone, so that the same command goes on after an
    interruption.
    """
    from lash_es.cli.addressing import Opening
    from lash_es.cli.db_files import print_imported
    from lash_es.cli.db_opening import verb
    from lash_es.log.archive_files import ArchiveLimits

    opening = Opening(db=db, schema=schema, key_variable=key_env, blobs=blobs)
    limits = ArchiveLimits(bytes_max=bytes_max)
    with verb():
        print_imported(opening, file, limits, as_json=as_json, quiet=quiet)
