"""``lash-es db snapshot``: write snapshots, so that opening a session folds few facts."""

from functools import partial

from attrs import frozen

from lash_es.cli.addressing import Log, Moment, Opening, moment
from lash_es.cli.db_opening import DEFAULT_NAMESPACE, Chosen, Database, opened_database
from lash_es.cli.db_sessions import go_through, print_dry_run, print_tally, tally_document
from lash_es.cli.refusing import UnknownPosition
from lash_es.cli.screen import Screen, plural, print_json
from lash_es.codec.streams import StreamId
from lash_es.core.errors import HistoryTrimmedBelow
from lash_es.core.ids import Position, Version
from lash_es.log.encoding import Folded
from lash_es.log.loading import begin, load, load_facts
from lash_es.log.port import Store
from lash_es.log.snapshots import snapshot_of


@frozen(kw_only=True)
class Asked:
    """
    Of which session, as of which position: one that is asked for with a position stays. Without
    an address, of every session with facts behind its newest snapshot.
    """

    address: str | None
    namespace: str | None
    dry_run: bool


def print_snapshots(opening: Opening, asked: Asked, *, as_json: bool, quiet: bool) -> bool:
    """
    Write snapshots and say how many; returns whether every session could be read.

    Raises:
        StorageError: the log cannot be opened, or not be written.
        UnknownSession, UnknownPosition: there is no such thing.
    """
    with opened_database(opening, for_reading=asked.dry_run) as database:
        meant = None if asked.address is None else _meant(database, asked.address, asked.namespace)
        if meant is None:
            chosen, position = Chosen(namespace=asked.namespace), None
        else:
            stream, position = meant.stream, meant.position
            chosen = Chosen(session=stream.session_id, namespace=stream.namespace)
        work = partial(_snapshot, database, position, asked.dry_run)
        tally = go_through(database, chosen, "snapshots", work, quiet=quiet)
        if as_json:
            where = {
                "db": database.inner.where,
                "is_dry_run": asked.dry_run,
                "snapshots_count": tally.things_count,
            }
            print_json(where | tally_document(tally))
        else:
            screen = Screen()
            verb = "would be written" if asked.dry_run else "written"
            of = f" of {plural(tally.sessions_count, 'session')} in {database.inner.where}"
            screen.line(f"{plural(tally.things_count, 'snapshot')} {verb}", (of, "dim"))
            print_tally(screen, tally, "snapshot")
            print_dry_run(screen, dry_run=asked.dry_run)
    return not tally.troubles_count


def _meant(database: Database, address: str, namespace: str | None) -> Moment:
    log = Log(store=database.store, namespace=namespace or DEFAULT_NAMESPACE)
    meant = moment(log, address)
    head = database.inner.head(meant.stream)
    version = 0 if head is None else head.version
    if meant.position is not None and meant.position >= version:
        raise UnknownPosition(
            session_id=meant.stream.session_id, position=meant.position, version=version
        )
    return meant


def _snapshot(
    database: Database, position: Position | None, dry_run: bool, stream: StreamId
) -> int:
    """Write one, if it is wanted and not there; returns how many were, or would be."""
    store = database.store
    if position is None:
        folded = load(store, stream)
        newest = database.inner.inspection().session_rows(stream).snapshot_version
        if newest == folded.version:
            return 0
    else:
        folded = _folded_to(store, stream, Version(position + 1))
    snapshot = snapshot_of(folded.state, folded.digest, is_kept=position is not None)
    return int(snapshot is not None and (dry_run or store.write_snapshot(stream, snapshot)))


def _folded_to(store: Store, stream: StreamId, version: Version) -> Folded:
    """Fold from the first fact that is kept."""
    begun = begin(store, stream)
    folded = begun.folded
    if folded.version > version:
        raise HistoryTrimmedBelow(
            session_id=stream.session_id,
            asked=Position(version - 1),
            oldest=Position(folded.version),
        )
    for _, after in load_facts(store, folded, begun.trim):
        if folded.version == version:
            break
        folded = after
    return folded
