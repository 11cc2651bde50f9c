"""``lash-es db reindex``: make the index what the facts say."""

from collections.abc import Callable

from lash_es.cli.addressing import Opening
from lash_es.cli.db_opening import Chosen, opened_database
from lash_es.cli.db_sessions import go_through, print_dry_run, print_tally, tally_document
from lash_es.cli.screen import Screen, plural, print_json
from lash_es.codec.streams import StreamId
from lash_es.log.port import Store
from lash_es.log.reindexing import IndexReport, compare_index, rebuild_index


def print_reindexed(
    opening: Opening, chosen: Chosen, *, dry_run: bool, as_json: bool, quiet: bool
) -> bool:
    """
    Rebuild indexes and say which rows differed; returns whether every session could be read.

    Raises:
        StorageError: the log cannot be opened, or not be written.
        UnknownSession: there is no such session.
    """
    rebuild: Callable[[Store, StreamId], IndexReport] = compare_index if dry_run else rebuild_index
    with opened_database(opening, for_reading=dry_run) as database:
        tally = go_through(
            database,
            chosen,
            "index",
            lambda stream: len(rebuild(database.store, stream).different),
            quiet=quiet,
        )
        if as_json:
            where = {
                "db": database.inner.where,
                "is_dry_run": dry_run,
                "rows_count": tally.things_count,
            }
            print_json(where | tally_document(tally))
        else:
            screen = Screen()
            verb = "would be rewritten" if dry_run else "rewritten"
            of = f" of {plural(tally.sessions_count, 'session')} in {database.inner.where}"
            screen.line(f"{plural(tally.things_count, 'index row')} {verb}", (of, "dim"))
            print_tally(screen, tally, "index row")
            print_dry_run(screen, dry_run=dry_run)
    return not tally.troubles_count
