"""``lash-es db retain``: let go of old activity, of old facts, and of blobs that nobody names."""

from pathlib import Path
from typing import ClassVar, Final

from attrs import define, frozen

from lash_es.cli.addressing import Opening
from lash_es.cli.db_files import using_file
from lash_es.cli.db_opening import Chosen, Database, blob_places, opened_database
from lash_es.cli.db_sessions import Tally, go_through, print_dry_run, print_tally, tally_document
from lash_es.cli.screen import Screen, plural, print_json
from lash_es.codec.streams import StreamId
from lash_es.core.commands import TrimHistory
from lash_es.core.decide import decide
from lash_es.core.errors import LashError
from lash_es.core.ids import Version
from lash_es.core.known import Known
from lash_es.core.limits import DEFAULT_LIMITS
from lash_es.core.retention import oldest
from lash_es.core.rules.retention import below_max
from lash_es.core.state import Deleted, Open
from lash_es.log.activities import ActivityWindow
from lash_es.log.appends import Activity
from lash_es.log.archiving import FolderArchive
from lash_es.log.formats import require_trims
from lash_es.log.loading import load
from lash_es.log.port import Store
from lash_es.log.removing import Archive, NoArchive
from lash_es.log.sweeping import body_roots, sweep
from lash_es.log.trimming import Minted, Trimming
from lash_es.runtime.world import random_salt, random_token, system_now_ms
from lash_es.timetravel.strays import unnamed_blobs

ACTIVITIES_PER_PAGE: Final = 256


@define(kw_only=True)
class NothingSaidOfFacts(LashError):
    """Facts are let go only by somebody who says what becomes of them."""

    terminal_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        return (
            "facts would go: expected --archive FOLDER, which keeps them, or --discard, which "
            "says that nobody needs them, or --dry-run"
        )


@define(kw_only=True)
class BelowNeedsSession(LashError):
    """A version is one session's."""

    terminal_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        return "--below is a version of one session: expected SESSION, or --keep-facts for all"


@frozen(kw_only=True)
class Retention:
    """
    What is kept. Facts stay, unless it is said how many of a session's newest, or from which
    version on.
    """

    window: ActivityWindow
    keep_facts: int | None = None
    below: int | None = None
    archive: Path | None = None
    may_discard: bool = False
    dry_run: bool = False

    @property
    def lets_facts_go(self) -> bool:
        """Tell whether facts are meant at all."""
        return self.keep_facts is not None or self.below is not None

    def require_said(self, chosen: Chosen) -> None:
        """
        Refuse what is not clear enough to delete by.

        Raises:
            NothingSaidOfFacts, BelowNeedsSession.
        """
        if self.below is not None and chosen.session is None:
            raise BelowNeedsSession
        is_said = self.archive is not None or self.may_discard or self.dry_run
        if self.lets_facts_go and not is_said:
            raise NothingSaidOfFacts


def print_retained(
    opening: Opening, chosen: Chosen, kept: Retention, *, as_json: bool, quiet: bool
) -> bool:
    """
    Let go of what is not to be kept; returns whether every session could be read.

    Raises:
        StorageError: the log cannot be opened, or not be written.
        NothingSaidOfFacts, BelowNeedsSession, TrimOutOfRange, TrimHeldBack, FormatTooOld,
        FileUnusable: facts stay.
        UnknownSession: there is no such session.
    """
    kept.require_said(chosen)
    with opened_database(opening, for_reading=kept.dry_run) as database:
        retaining = _Retaining(database.store, kept, _archive(kept))
        facts = Tally()
        if kept.lets_facts_go:
            facts = go_through(database, chosen, "facts", retaining.facts, quiet=quiet)
        activity = go_through(database, chosen, "activity", retaining.activity, quiet=quiet)
        blobs_count = _sweep(database, dry_run=kept.dry_run)
        if as_json:
            document = {
                "db": database.inner.where,
                "is_dry_run": kept.dry_run,
                "facts": tally_document(facts) | {"count": facts.things_count},
                "activity": tally_document(activity) | {"count": activity.things_count},
                "blobs_count": blobs_count,
            }
            print_json(document)
        else:
            _print(Screen(), database.inner.where, kept, (facts, activity), blobs_count)
    return not facts.troubles_count


def _archive(kept: Retention) -> Archive:
    """
    Make what is handed the facts that go.

    Raises:
        FileUnusable: its folder cannot be made.
    """
    if kept.archive is None or kept.dry_run:
        return NoArchive()
    with using_file("archive to", kept.archive):
        kept.archive.mkdir(parents=True, exist_ok=True)
    return FolderArchive(kept.archive)


def _print(
    screen: Screen, where: str, kept: Retention, tallies: tuple[Tally, Tally], blobs_count: int
) -> None:
    facts, activity = tallies
    went = "would go" if kept.dry_run else "went"
    for tally, noun in ((facts, "fact"), (activity, "activity record")):
        if tally is activity or kept.lets_facts_go:
            of = f" of {plural(tally.sessions_count, 'session')} in {where}"
            screen.line(f"{plural(tally.things_count, noun)} {went}", (of, "dim"))
            print_tally(screen, tally, noun)
    screen.line(
        f"{plural(blobs_count, 'blob')} {went}", (" of those that no content names", "dim")
    )
    print_dry_run(screen, dry_run=kept.dry_run)


class _Retaining:
    """What is done to each session."""

    def __init__(self, store: Store, kept: Retention, archive: Archive) -> None:
        clock = store.clock()
        self._now_ms = system_now_ms if clock is None else clock.told_ms
        self._store = store
        self._kept = kept
        minted = Minted(now_ms=self._now_ms, token=random_token, salt=random_salt)
        self._trimming = Trimming(store=store, archive=archive, minted=minted)

    def facts(self, stream: StreamId) -> int:
        """Trim a session, or finish trimming it; returns how many facts went, or would."""
        head = self._store.head(stream)
        state = load(self._store, stream).state
        if head is None or not isinstance(state, Open | Deleted):
            return 0
        below = self._below(stream, state)
        if self._kept.dry_run:
            self._require_allowed(stream, state, below)
            return max(0, below - head.oldest)
        if self._kept.below is None and below <= head.oldest:
            return 0
        with using_file("archive to", self._kept.archive or Path()):
            return self._trimming.trim(stream, below).removed.facts_count

    def _below(self, stream: StreamId, state: Open | Deleted) -> Version:
        """Say below which version facts go: as asked, or as far as open work and pins allow."""
        if self._kept.below is not None:
            return Version(self._kept.below)
        trimmed = oldest(state.trim)
        pins = self._store.pins(stream)
        allowed = min([below_max(state), *(pin.version for pin in pins)])
        wanted = min(state.version - (self._kept.keep_facts or 0), allowed)
        # A trim is a fact, too: one that lets a single fact go would be repeated for ever.
        return Version(wanted) if wanted > trimmed + 1 else trimmed

    def _require_allowed(self, stream: StreamId, state: Open | Deleted, below: Version) -> None:
        """
        Refuse what would be refused without the dry run.

        Raises:
            FormatTooOld, TrimOutOfRange, TrimHeldBack.
        """
        require_trims(self._store)
        pins = self._store.pins(stream)
        asked = TrimHistory(now_ms=state.at_ms, below=below, digest="", bodies=(), pins=pins)
        decide(state, asked, Known(limits=DEFAULT_LIMITS))

    def activity(self, stream: StreamId) -> int:
        """Prune a session's activity; returns how many records went, or would."""
        now_ms, window = self._now_ms(), self._kept.window
        if not self._kept.dry_run:
            return self._store.trim_activity(stream, window, now_ms)
        # As a store does it: what is one too many or too old goes, with all in front of it.
        read_count = going_count = 0
        after = (Version(0), 0)
        while page := self._page(stream, after):
            for activity in page:
                read_count += 1
                if activity.at_ms < now_ms - window.age_ms_max:
                    going_count = read_count
            after = (page[-1].version, page[-1].seq)
        return max(going_count, read_count - window.records_max)

    def _page(self, stream: StreamId, after: tuple[Version, int]) -> tuple[Activity, ...]:
        # As it lies: nobody needs a key to count.
        return self._store.as_stored.read_activity(
            stream, after=after, activities_max=ACTIVITIES_PER_PAGE
        )


def _sweep(database: Database, *, dry_run: bool) -> int:
    """Remove blobs that no content names, in every place that is known; returns how many."""
    count = 0
    with blob_places(database) as places:
        for blobs in places.values():
            roots = body_roots(database.inner)
            if dry_run:
                count += sum(1 for _ in unnamed_blobs(blobs, roots, now_ms=system_now_ms()))
            else:
                count += sweep(blobs, (roots,), now_ms=system_now_ms()).deleted_count
    return count
