"""``lash-es db init`` and ``info``: what is in a log, for people and for programs."""

from collections.abc import Iterator, Sequence

import attrs

from lash_es.cli.addressing import Log, Opening
from lash_es.cli.db_opening import DEFAULT_NAMESPACE, Database, opened_database
from lash_es.cli.db_sessions import print_dry_run
from lash_es.cli.db_sizes import size
from lash_es.cli.screen import Piece, Screen, clock, day, plural, print_json
from lash_es.codec.records import RECORD_FORMAT
from lash_es.log.errors import StoreUnavailable
from lash_es.log.formats import upgrade
from lash_es.log.inspecting import Inventory, SessionRows
from lash_es.log.port import StreamHead

Row = tuple[str, Sequence[Piece]]


def print_made(opening: Opening, *, as_json: bool) -> None:
    """
    Make a log, unless there is one, and print what is in it.

    Raises:
        StorageError: it can be neither opened nor made.
    """
    is_new = not _is_there(opening)
    with opened_database(opening, create=True) as database:
        if as_json:
            print_json({"is_new": is_new} | _inventory_document(database))
            return
        what = "made a log" if is_new else "there is a log already, left as it is"
        _print_inventory(database, what)


def _is_there(opening: Opening) -> bool:
    try:
        with opened_database(opening):
            return True
    except StoreUnavailable:
        return False  # If it is unavailable for another reason, making it says so.


def print_upgraded(opening: Opening, *, dry_run: bool, as_json: bool) -> None:
    """
    Write the newest record format from now on, and say which was written before.

    Raises:
        StorageError: there is no log, or it cannot be written.
    """
    with opened_database(opening, for_reading=dry_run) as database:
        store = database.inner
        before = store.record_formats() if dry_run else upgrade(store)
        after = max(before.writes, RECORD_FORMAT)
        formats = {"before": before.writes, "after": after, "is_dry_run": dry_run}
        if as_json:
            print_json({"db": store.where} | formats)
            return
        screen = Screen()
        if before.writes == after:
            screen.line(f"format {after} is written already", (f" in {store.where}", "dim"))
        else:
            would = "would be" if dry_run else "is"
            was = f", format {before.writes} was so far, in {store.where}"
            screen.line(f"format {after} {would} written from now on", (was, "dim"))
        print_dry_run(screen, dry_run=dry_run)


def print_inventory(opening: Opening, *, as_json: bool) -> None:
    """
    Print what is in a log.

    Raises:
        StorageError: there is none, or it cannot be read.
    """
    with opened_database(opening, for_reading=True) as database:
        if as_json:
            print_json(_inventory_document(database))
        else:
            _print_inventory(database, "log")


def print_session(opening: Opening, namespace: str | None, session: str, *, as_json: bool) -> None:
    """
    Print what is kept of a session.

    Raises:
        StorageError: there is no log, or it cannot be read.
        UnknownSession: it holds no such session.
    """
    with opened_database(opening, for_reading=True) as database:
        stream = Log(store=database.store, namespace=namespace or DEFAULT_NAMESPACE).stream(
            session
        )
        head = database.inner.head(stream)
        rows = database.inner.inspection().session_rows(stream)
        if as_json:
            where = {"db": database.inner.where, "namespace": stream.namespace, "session": session}
            print_json(where | _session_document(head, rows))
            return
        screen = Screen()
        screen.line((session, "bold"), (f" in {database.inner.where}", "dim"))
        screen.rows(_session_rows(head, rows))


def _print_inventory(database: Database, what: str) -> None:
    screen = Screen()
    screen.line((what, "bold"), (f" {database.inner.where}", "dim"))
    screen.rows(_inventory_rows(database.inner.inspection().inventory()))


def _inventory_rows(found: Inventory) -> Iterator[Row]:
    yield "backend", [found.backend]
    yield "durability", [found.durability]
    yield "size", [size(found.size_bytes)]
    written = f"records are written in format {found.writes} and read from {found.reads_from} on"
    yield "format", [written, (f", tables at step {found.tables}", "dim")]
    by_status = ", ".join(f"{count:,} {status}" for status, count in found.sessions.items())
    namespaces = f" in {plural(found.namespaces_count, 'namespace')}" if by_status else ""
    sessions = plural(found.sessions_count, "session")
    yield "sessions", [sessions + namespaces, (by_status and f": {by_status}", "dim")]
    yield "facts", [f"{found.facts_count:,} kept", *_trimmed(found)]
    yield "contents", [plural(found.bodies_count, "content"), _blobs(found)]
    yield "index", [plural(found.index_rows_count, "row")]
    lag = f", {plural(found.snapshot_lag_max, 'fact')} behind the newest one at most"
    yield "snapshots", [plural(found.snapshots_count, "snapshot"), (lag, "dim")]
    since = found.activity_since_ms
    oldest = f", the oldest of {day(since)} {clock(since)}" if since else ""
    yield "activity", [plural(found.activities_count, "record"), (oldest, "dim")]


def _trimmed(found: Inventory) -> Iterator[Piece]:
    if not found.trimmed_count:
        yield (", all from position 0 on", "dim")
        return
    gone = plural(found.facts_trimmed_count, "fact")
    yield (f"; {gone} trimmed of {plural(found.trimmed_count, 'session')}", "dim")


def _blobs(found: Inventory) -> Piece:
    if not found.blobs_count:
        return ""
    return (f", and {plural(found.blobs_count, 'blob')} of {size(found.blobs_bytes)}", "dim")


def _inventory_document(database: Database) -> dict[str, object]:
    found = database.inner.inspection().inventory()
    return {
        "db": database.inner.where,
        **attrs.asdict(found),
        "sessions_count": found.sessions_count,
    }


def _session_rows(head: StreamHead | None, rows: SessionRows) -> Iterator[Row]:
    if head is None:
        yield "status", [("there are facts, and no head row: see `lash-es db check`", "bold red")]
        return
    changed = f", last changed {day(head.at_ms)} {clock(head.at_ms)}"
    yield "status", [head.status, (changed, "dim")]
    kept = head.version - head.oldest
    yield "facts", [f"{kept:,} kept", (f", positions {head.oldest} to {head.version - 1}", "dim")]
    yield "contents", [plural(rows.bodies_count, "content")]
    yield "index", [plural(rows.index_rows_count, "row")]
    lag = f", {plural(head.version - max(rows.snapshot_version, head.oldest), 'fact')} behind"
    newest = f", the newest of version {rows.snapshot_version}{lag}"
    told = newest if rows.snapshots_count else lag.replace("behind", "to fold")
    yield "snapshots", [plural(rows.snapshots_count, "snapshot"), (told, "dim")]
    version, seq = head.low_water
    pruned = f", pruned or lost up to {version}.{seq}" if head.low_water > (0, 0) else ""
    yield "activity", [plural(rows.activities_count, "record"), (pruned, "dim")]


def _session_document(head: StreamHead | None, rows: SessionRows) -> dict[str, object]:
    if head is None:
        return {"status": None, **attrs.asdict(rows)}
    return {
        "status": head.status,
        "version": head.version,
        "oldest": head.oldest,
        "generation": head.generation,
        "at_ms": head.at_ms,
        "low_water": list(head.low_water),
        **attrs.asdict(rows),
    }
