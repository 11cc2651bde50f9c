"""
Goal: what is left of a session is small, and fails as a test for the same reason.

Method: generated lives and conditions that hold in them: of what is left, no fact can go; and the
written file is run by pytest in a process of its own.
"""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lash_es.codec.errors import UndecodableValue
from lash_es.core.errors import ImpossibleEvent
from lash_es.core.ids import Position, Version
from lash_es.log.stores.memory import MemoryStore
from lash_es.timetravel import testcases
from lash_es.timetravel.bisecting import first_where
from lash_es.timetravel.expressions import Condition
from lash_es.timetravel.history import History
from lash_es.timetravel.past import StoredHistory
from lash_es.timetravel.testcases import (
    MinimalCase,
    NoTestCase,
    after,
    minimal_case,
    read,
    smallest,
    written,
)
from tests.core.effort import effort
from tests.core.lives import Life, lives
from tests.log.tapes import STREAM, play
from tests.log.trims import over, trimming
from tests.timetravel.pasts import both
from tests.timetravel.test_bisecting import CONDITIONS
from tests.timetravel.test_history import history_of

ROOT = Path(__file__).parent.parent.parent


def is_kept(case: MinimalCase, without: int) -> bool:
    """Tell whether a fact can go: the rest can follow, and the condition still holds."""
    rest = case.facts[:without] + case.facts[without + 1 :]
    try:
        return bool(rest) and case.condition.holds(*after(rest))
    except ImpossibleEvent:
        return False


def test_what_is_left_holds_and_nothing_of_it_can_go() -> None:
    met: Counter[str] = Counter()

    @effort(40)
    @given(life=lives(), every=st.integers(1, 9), text=st.sampled_from(CONDITIONS))
    def check(life: Life, every: int, text: str) -> None:
        condition = Condition.parse(text)
        stored, whole = both(life, every)
        first = first_where(whole, condition)
        assume(first is not None)
        assert first is not None
        case = minimal_case(stored, condition)
        assert case.facts == minimal_case(whole, condition).facts
        assert case.of_count == first.position + 1
        assert condition.holds(*after(case.facts))
        assert set(case.facts) <= set(enumerate(whole.events))
        assert not any(is_kept(case, at) for at in range(len(case.facts)))
        assert tuple(read(lines_of(written(case)))) == case.facts
        met["smaller"] += len(case.facts) < case.of_count
        met[text] += 1

    check()
    assert met["smaller"] > 0
    assert len(met) > 4, met


def lines_of(test: str) -> str:
    return test.split("'''")[1]


def test_the_written_test_fails_for_its_reason_and_passes_without_it(tmp_path: Path) -> None:
    past = StoredHistory.of(play(MemoryStore()).store, STREAM)
    case = minimal_case(past, Condition.parse('event.name == "turn.committed"'))
    bad, good = tmp_path / "test_bad.py", tmp_path / "test_good.py"
    bad.write_text(written(case))
    good.write_text(written(case).replace('"turn.committed"\'', '"turn.ended"\''))
    assert bad.read_text() != good.read_text()
    words = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly")
    done = subprocess.run(
        [*words, "--rootdir", tmp_path, bad, good],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert 'AssertionError: event.name == "turn.committed"' in done.stdout
    assert "1 failed, 1 passed" in done.stdout
    assert len(case.facts) < case.of_count / 2


def test_hostile_text_cannot_leave_its_line() -> None:
    hostile = "'''\nimport os\n\\u0027'''\"\"\"\x85"
    from tests.core.examples import I1, OPENED, enqueued

    events = (OPENED, enqueued(I1, 1, source_key=hostile))
    case = minimal_case(history_of(*events), Condition.parse("inputs.pending"))
    test = written(case)

    assert test.isascii()
    assert test.count("'''") == 2
    compile(test, "test", "exec")
    ((_, opened), (_, found)) = read(lines_of(test))
    assert (opened, found) == events


def test_smallest_is_smallest_where_parts_need_each_other() -> None:
    def holds(items: object) -> bool:
        assert isinstance(items, tuple)
        return {3, 40, 77} <= set(items)

    assert smallest(tuple(range(100)), holds) == (3, 40, 77)


def test_there_is_no_test_of_what_never_holds_or_lies_too_far(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    past = StoredHistory.of(play(MemoryStore()).store, STREAM)
    with pytest.raises(NoTestCase, match="'at_ms < 0' never holds in its 28 facts"):
        minimal_case(past, Condition.parse("at_ms < 0"))
    monkeypatch.setattr(testcases, "FACTS_MAX", 10)
    with pytest.raises(NoTestCase, match="28 facts lead there, at most 10 are tried"):
        minimal_case(past, Condition.parse('kind == "deleted"'))
    store = MemoryStore()
    over(store)
    trimming(store).trim(STREAM, Version(9))
    with pytest.raises(NoTestCase, match="its first facts were trimmed"):
        minimal_case(StoredHistory.of(store, STREAM), Condition.parse("version"))


def test_tries_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    past = StoredHistory.of(play(MemoryStore()).store, STREAM)
    monkeypatch.setattr(testcases, "TRIES_MAX", 3)
    case = minimal_case(past, Condition.parse('kind == "deleted"'))

    assert case.tries_count == 3
    assert case.condition.holds(*after(case.facts))


def test_what_is_no_written_test_is_not_read() -> None:
    with pytest.raises(ValueError, match="no facts"):
        after(read(""))
    for line, reason in (
        ("{}", "it has not the parts of one"),
        ('{"position":0,"name":"nothing","v":1,"data":{}}', "no event has this name"),
        ('{"position":0,"name":"session.parked","v":1,"data":{}}', "session.parked"),
        ("none", "fact"),
    ):
        with pytest.raises(UndecodableValue, match=reason):
            list(read(line))
    assert History(stream=STREAM).version == 0
    assert Position(0) == 0
