"""``lash-es db check``: is everything in a log as it was written, and does all of it belong?"""

import time
from collections.abc import Iterator
from typing import Final

import attrs
from attrs import define, field, frozen

from lash_es.cli.addressing import KEY_HINT, Opening
from lash_es.cli.db_opening import (
    Chosen,
    Database,
    blob_places,
    opened_database,
    stream_named,
)
from lash_es.cli.db_progress import Advance, progress
from lash_es.cli.screen import Screen, plural, print_json
from lash_es.codec.errors import StoredDataError
from lash_es.codec.streams import StreamId
from lash_es.log.sealing_errors import BodySealed
from lash_es.log.sweeping import body_roots
from lash_es.timetravel.strays import (
    activity_after_end,
    damaged_blobs,
    facts_in_front,
    stray_bodies,
    unnamed_blobs,
)
from lash_es.timetravel.verifying import verify_session

FINDINGS_NAMED_MAX: Final = 1_000


@frozen(kw_only=True)
class Finding:
    """
    Something that is wrong, or, for a note, merely not needed. Where it is of no session,
    ``namespace`` and ``session`` are empty.
    """

    check: str
    reason: str
    namespace: str = ""
    session: str = ""
    position: int | None = None

    @property
    def where(self) -> str:
        """Name the place, for people."""
        usual = self.namespace in {"", "default"}
        session = self.session if usual else f"{self.namespace}/{self.session}"
        return session if self.position is None else f"{session}@{self.position}"


@define
class Checked:
    """What was looked at, and what was found; a few are named, all are counted."""

    sessions_count: int = 0
    facts_count: int = 0
    bodies_count: int = 0
    bodies_bytes: int = 0
    bodies_sealed_count: int = 0
    index_rows_count: int = 0
    findings_count: int = 0
    findings: list[Finding] = field(factory=list[Finding])
    notes: list[Finding] = field(factory=list[Finding])

    def add(self, found: Finding) -> None:
        """Note something that is wrong."""
        self.findings_count += 1
        if len(self.findings) < FINDINGS_NAMED_MAX:
            self.findings.append(found)


def print_findings(opening: Opening, chosen: Chosen, *, as_json: bool, quiet: bool) -> bool:
    """
    Check, and print what was found; returns whether all is sound.

    Raises:
        StorageError: there is no log, or it cannot be read.
        UnknownSession: there is no such session.
    """
    with opened_database(opening, for_reading=True) as database:
        checked = Checked()

        def total() -> int:
            return database.inner.inspection().inventory().facts_count

        with progress("facts", total, quiet=quiet) as advance:
            for key in chosen.keys(database):
                _check_key(database, key, checked, advance)
            if chosen == Chosen():
                _check_rest(database, checked)
        if as_json:
            is_sound = not checked.findings_count
            print_json({"db": database.inner.where, "is_sound": is_sound} | attrs.asdict(checked))
        else:
            _print(database, checked)
    return not checked.findings_count


def _check_key(database: Database, key: str, checked: Checked, advance: Advance) -> None:
    stream = stream_named(key)
    if stream is None:
        checked.add(Finding(check="sessions", reason=f"the key {key!r} names no session"))
        return
    verdict = verify_session(database.store, stream, on_fact=lambda: advance(1))
    checked.sessions_count += 1
    checked.facts_count += verdict.version - verdict.oldest
    checked.bodies_count += verdict.bodies_count
    checked.bodies_bytes += verdict.bodies_bytes
    checked.bodies_sealed_count += verdict.bodies_sealed_count
    checked.index_rows_count += verdict.index_rows_count
    for problem in verdict.problems:
        checked.add(_of(stream, problem.check, problem.position, problem.reason))
    for found in _strays(database, stream):
        checked.add(found)
    if verdict.bodies_sealed_count:
        # They could not be opened. That their blobs are whole can be told all the same.
        inspection = database.inner.inspection()
        for ref, reason in damaged_blobs(database.store, inspection, stream):
            checked.add(_of(stream, "bodies", ref.position, reason))


def _strays(database: Database, stream: StreamId) -> Iterator[Finding]:
    store, inspection = database.inner, database.inner.inspection()
    if store.head(stream) is None:
        yield _of(stream, "head", None, "there are facts, and no head row")
    for position in facts_in_front(store, stream):
        yield _of(stream, "chain", position, "a fact in front of the first one")
    try:
        for ref in stray_bodies(database.store, inspection, stream):
            yield _of(stream, "bodies", ref.position, f"content {ref.ordinal} is of no fact")
    except BodySealed as sealed:
        yield _of(stream, "bodies", sealed.position, f"not compared: {sealed.summary()}")
    except StoredDataError:
        pass  # A damaged trim was found above.
    after = activity_after_end(store, stream)
    if after is not None:
        version, seq = after
        reason = f"activity {seq} after version {version} is not counted by the head row"
        yield _of(stream, "activity", None, reason)


def _of(stream: StreamId, check: str, position: int | None, reason: str) -> Finding:
    return Finding(
        check=check,
        reason=reason,
        namespace=stream.namespace,
        session=stream.session_id,
        position=position,
    )


def _check_rest(database: Database, checked: Checked) -> None:
    """Look for what belongs to no session."""
    for table, count in database.inner.inspection().orphans().items():
        reason = f"{table} holds {plural(count, 'row')} of no session"
        checked.add(Finding(check="orphans", reason=reason))
    now_ms = time.time_ns() // 1_000_000
    with blob_places(database) as places:
        for place, blobs in places.items():
            roots = body_roots(database.inner)
            count = sum(1 for _ in unnamed_blobs(blobs, roots, now_ms=now_ms))
            if count:
                reason = f"{place} holds {plural(count, 'blob')} that no content names"
                hint = "; `lash-es db retain` removes them"
                checked.notes.append(Finding(check="blobs", reason=reason + hint))


def _print(database: Database, checked: Checked) -> None:
    screen = Screen()
    for found in checked.findings:
        where = f" {found.where}:" if found.where else ""
        screen.line(("✗ ", "bold red"), (f"{found.check}", "red"), where, f" {found.reason}")
    if checked.findings_count > len(checked.findings):
        more = checked.findings_count - len(checked.findings)
        screen.line(("✗ ", "bold red"), f"and {more:,} more")
    for note in checked.notes:
        screen.line(("· ", "dim"), (note.check, "dim"), f" {note.reason}")
    if checked.bodies_sealed_count:
        sealed = plural(checked.bodies_sealed_count, "content")
        screen.line(("· ", "dim"), f"{sealed} not checked: the key is not here", (KEY_HINT, "dim"))
    if checked.findings_count:
        verdict = (f"✗ damaged: {plural(checked.findings_count, 'finding')}", "bold red")
    else:
        verdict = ("✓ sound", "bold green")
    looked_at = ", ".join(
        (
            plural(checked.sessions_count, "session"),
            plural(checked.facts_count, "fact"),
            plural(checked.bodies_count, "content"),
            plural(checked.index_rows_count, "index row"),
        )
    )
    screen.line(verdict, (f"  {looked_at} in {database.inner.where}", "dim"))
