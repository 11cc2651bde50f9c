"""
Goal: a process can be killed before, in the middle of, and after every write, and costs only time.

Five scripts (``scripts.py``) are killed at every place there is; another process goes on, and what
was acknowledged, asked and said is compared with a life that nobody disturbed. All scripts, more
places and PostgreSQL are in the long lane: ``python -m tests.check crashes``.
"""

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from attrs import evolve

from lash_es.codec.records import Header, Record, decode_header
from lash_es.codec.streams import StreamId
from lash_es.core.ids import AppendId
from lash_es.runtime import committing
from tests.crash.judging import RENEWED, Lives, wrong
from tests.crash.ledgers import Fact, Ledger
from tests.crash.processes import DONE, LifeFailedError, Line, Tell, lived
from tests.crash.scripts import NAMED, Script, Stage, calling, queueing
from tests.crash.sites import Fate, Fault
from tests.crash.sweeping import (
    InFile,
    Sweep,
    calm,
    emptied,
    lives_of,
    passed,
    sweep,
    sweep_answers,
    warm,
)
from tests.session.scripted import says

# Dead processes keep what they wrote, whatever the disk does: so memory will do for a disk.
MEMORY = Path("/dev/shm")


@pytest.fixture(scope="module")
def pool() -> Iterator[Executor]:
    """Two processes that have played every script before, and have no threads."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.crash.sweeping"])
    with ProcessPoolExecutor(2, context, warm, tuple(NAMED.values())) as made:
        yield made


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name:
        yield Path(name)


@pytest.mark.parametrize("script", NAMED.values(), ids=NAMED)
def test_a_process_can_be_killed_at_every_place_of(
    script: Script, folder: Path, pool: Executor
) -> None:
    # One script also makes the database; the others find one.
    ground = InFile(folder) if script is NAMED["creating"] else emptied(folder)
    swept = sweep(ground, script, Fate(), pool=pool)

    assert not swept.wrong, "\n".join(swept.wrong)
    require_everywhere(swept)


def require_everywhere(swept: Sweep) -> None:
    """It died at every place but the last try's, which had none left, and at all there are."""
    died = [case.place for case in swept.cases]
    assert all(died[:-1])
    assert len(died) == swept.passed + 1
    assert died[-1] == ""
    commits = died.count("before COMMIT")
    assert died.count("after COMMIT") == died.count("in COMMIT after 2048 bytes") == commits
    assert commits >= 8
    assert len(died) > 6 * commits
    # With nothing written, with all, and after each append in between.
    assert {0, swept.facts} <= swept.lengths
    assert len(swept.lengths) >= 8


def test_a_process_can_be_killed_while_a_thread_commits(folder: Path, pool: Executor) -> None:
    ground = emptied(folder, is_in_order=False)
    swept = sweep(ground, queueing, Fate(), pool=pool, stride=4)

    assert not swept.wrong, "\n".join(swept.wrong)
    assert len(swept.lengths) >= 6


def test_an_append_whose_answer_is_lost_happens_once(folder: Path, pool: Executor) -> None:
    swept = sweep_answers(emptied(folder), queueing, Fate(), pool=pool)

    assert not swept.wrong, "\n".join(swept.wrong)
    assert len(swept.cases) >= 2 * 8


# What the sweep would see


@pytest.mark.parametrize(
    ("fault", "seen"),
    [(Fault.TWO_TRANSACTIONS, "head"), (Fault.TOLD_TOO_EARLY, "was acknowledged, 0 are left")],
)
def test_a_store_that_commits_wrongly_is_noticed(fault: Fault, seen: str, folder: Path) -> None:
    warm(queueing)
    swept = sweep(emptied(folder), queueing, Fate(fault=fault), stride=3)

    assert any(seen in each for each in swept.wrong), swept.wrong


async def enqueueing(stage: Stage) -> None:
    """Send an input that has no key of the host's, so that twice is two."""
    async with stage.core(says("hello")) as core, core.session("s").open() as session:
        if not stage.is_again:
            await session.enqueue("hello")
        await stage.drain(session, "d")


def test_a_runtime_that_appends_again_without_looking_is_noticed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unrecognised(stream: StreamId, record: Record) -> Header:
        return evolve(decode_header(stream, record), append_id=AppendId("somebody else's"))

    warm(enqueueing)
    monkeypatch.setattr(committing, "decode_header", unrecognised)
    swept = sweep_answers(emptied(folder), enqueueing, Fate())
    monkeypatch.undo()

    assert any("do not begin what would have been" in each for each in swept.wrong), swept.wrong


@pytest.fixture(scope="module")
def lives() -> Lives:
    """One death, after which everything went well."""
    warm(calling)
    with TemporaryDirectory() as name:
        ground = emptied(Path(name))
        expected = calm(ground, calling, Fate())
        made = lives_of(ground.fresh(), calling, Fate(die_at=passed(expected) // 2))
        assert not wrong(made, expected)
        assert any(line[0] == "died" for line in made.first)
        return made


def doctored(ledger: Ledger, change: Callable[[list[Fact]], object]) -> Ledger:
    """Change the facts of the one session."""
    ((stream, kept),) = ledger.facts.items()
    facts = list(kept)
    change(facts)
    return evolve(ledger, facts={stream: facts})


TOLD: tuple[tuple[str, Line, str], ...] = (
    ("first", ("acked", "s", "99", "session.opened", "", ""), "version 99 was told"),
    ("first", ("acked", "s", "1", "session.parked", "", ""), "session.parked  was acknowledged"),
    ("first", ("acked", "s", "1", "turn.committed", "turn_id", "x"), "x was acknowledged, 0"),
    ("again", ("asked", "model 0"), "model 0 was due 0 times, asked again 1 times"),
    ("again", ("unsound", "the chain"), "the chain"),
    ("again", ("state", "default/s", "1", "1", "[]", "0 0"), "the state is"),
    ("again", ("said", "s", "something else"), "said:"),
)


@pytest.mark.parametrize(
    ("which", "line", "seen"), TOLD, ids=[" ".join(each[::2]) for each in TOLD]
)
def test_what_was_told_is_compared(lives: Lives, which: str, line: Line, seen: str) -> None:
    told = lives.first if which == "first" else lives.again
    told = [*told, line]
    planted = evolve(lives, first=told) if which == "first" else evolve(lives, again=told)

    assert any(seen in each for each in wrong(planted, lives)), wrong(planted, lives)


KEPT: tuple[tuple[str, Callable[[list[Fact]], object], str], ...] = (
    ("left", lambda facts: facts.pop(), "head"),
    ("left", lambda facts: facts.pop(0), "does not follow"),
    ("left", lambda facts: facts.reverse(), "do not begin what would have been"),
    ("left", lambda facts: facts.__delitem__(slice(2, None)), "only a part is left"),
    ("final", lambda facts: facts.pop(0), "do not begin what is there in the end"),
    ("final", lambda facts: facts.pop(-3), "effects due"),
    ("final", lambda facts: facts.append(facts[-1]), "does not follow"),
)


@pytest.mark.parametrize(
    ("which", "change", "seen"), KEPT, ids=[" ".join(each[::2]) for each in KEPT]
)
def test_what_is_stored_is_compared(
    lives: Lives, which: str, change: Callable[[list[Fact]], object], seen: str
) -> None:
    if which == "left":
        planted = evolve(lives, left=doctored(lives.left, change))
    else:
        planted = evolve(lives, final=doctored(lives.final, change))

    assert any(seen in each for each in wrong(planted, lives)), wrong(planted, lives)


def test_a_renewal_in_between_counts_only_where_everything_happens_in_order(lives: Lives) -> None:
    left = doctored(lives.left, lambda facts: facts.insert(2, evolve(facts[1], name=RENEWED)))
    planted, seen = evolve(lives, left=left), "do not begin what would have been"

    assert any(seen in each for each in wrong(planted, lives))
    assert not any(seen in each for each in wrong(planted, lives, has_other_ids=True))


def test_a_second_process_that_does_not_come_to_its_end_is_noticed(lives: Lives) -> None:
    planted = evolve(lives, again=[line for line in lives.again if line != DONE])

    assert "the second process did not come to its end" in wrong(planted, lives)


def test_what_goes_wrong_in_a_process_is_told() -> None:
    def life(tell: Tell) -> None:
        tell(("asked", "nothing"))
        raise ValueError("of no use")

    asked, (raised, trace) = lived(life)
    assert asked == ("asked", "nothing")
    assert raised == "raised"
    assert "of no use" in trace


def test_a_process_that_ends_otherwise_is_noticed() -> None:
    with pytest.raises(LifeFailedError, match="signal 15"):
        lived(lambda _: os.kill(os.getpid(), signal.SIGTERM))
