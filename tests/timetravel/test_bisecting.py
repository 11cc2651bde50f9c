"""
Goal: the first fact after which something is so is found, by trying all or by halving.

Method: generated lives and conditions, compared with a plain scan; judges that skip; and a session
of a thousand facts, of which the states that are folded to are counted.
"""

from collections import Counter

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lash_es.core.ids import Version
from lash_es.core.state import Open, State
from lash_es.log.stores.memory import MemoryStore
from lash_es.timetravel.bisecting import Judgement, NothingToSearch, first_where, turned
from lash_es.timetravel.expressions import Condition
from lash_es.timetravel.history import History
from lash_es.timetravel.past import StoredHistory
from tests.core.effort import effort
from tests.core.lives import Life, lives
from tests.log.tapes import STREAM
from tests.log.test_snapshots import grown
from tests.timetravel.pasts import Folds, both, scanned
from tests.timetravel.test_history import histories

CONDITIONS = (
    "lease.holder",
    "lease.generation >= 2",
    "count(inputs.pending) >= 2",
    'turn.kind == "open_turn" and count(turn.effects) == 0',
    'event.name == "turn.ended"',
    "head.revision == 1",
    'kind == "deleted"',
    "at_ms < 0",
)


def test_the_first_fact_is_the_one_that_a_scan_finds() -> None:
    met: Counter[str] = Counter()

    @effort(40)
    @given(
        life=lives(),
        every=st.integers(1, 9),
        text=st.sampled_from(CONDITIONS),
        data=st.data(),
    )
    def check(life: Life, every: int, text: str, data: st.DataObject) -> None:
        condition = Condition.parse(text)
        stored, whole = both(life, every)
        after = data.draw(st.integers(0, whole.version))
        states = list(scanned(whole.events))
        found = [
            n
            for n, event in enumerate(whole.events)
            if n >= after and condition.holds(states[n + 1], event)
        ]
        for past in (stored, whole):
            first = first_where(past, condition, after=after)
            assert (None if first is None else first.position) == (found[0] if found else None)
            if first is not None:
                assert first.facts_count == first.position - after + 1
        met["found"] += bool(found)
        met["never"] += not found

    check()
    assert min(met["found"], met["never"]) > 0


def test_a_search_has_an_end() -> None:
    history = History(stream=STREAM)
    assert first_where(history, Condition.parse("version")) is None
    store = MemoryStore()
    grown(store, 2_100)
    told: list[int] = []
    past = StoredHistory.of(store, STREAM)

    assert first_where(past, Condition.parse("version == 1500"), up_to=1_400) is None
    assert first_where(past, Condition.parse("version == 99999"), on_facts=told.append) is None
    assert told == [1_000, 1_000]


def test_halving_finds_where_good_turns_into_bad() -> None:
    met: Counter[str] = Counter()

    @effort(80)
    @given(history=histories, bad_from=st.integers(0, 1_000), data=st.data())
    def check(history: History, bad_from: int, data: st.DataObject) -> None:
        assume(history.version >= 2)
        bad_from = 2 + bad_from % (history.version - 1)
        skipped = data.draw(st.frozensets(st.integers(2, history.version))) - {history.version}

        def judge(version: Version, state: State) -> Judgement:
            assert state == history.state_at(version)
            if version in skipped:
                return Judgement.SKIP
            return Judgement.BAD if version >= bad_from else Judgement.GOOD

        found = turned(history, judge)
        # Version n is the state after position n - 1.
        assert found.first <= bad_from - 1 <= found.position
        judged = dict(found.probes)
        assert judged[Version(found.first)] is Judgement.GOOD
        assert judged[Version(found.position + 1)] is Judgement.BAD
        between = range(found.first + 1, found.position + 1)
        assert all(judged[Version(version)] is Judgement.SKIP for version in between)
        assert len(judged) == len(found.probes)
        met["exact"] += found.is_exact
        met["not exact"] += not found.is_exact

    check()
    assert min(met["exact"], met["not exact"]) > 0, met


def test_what_comes_and_goes_is_found_at_one_of_its_places() -> None:
    store = MemoryStore()
    grown(store, 41)
    past = StoredHistory.of(store, STREAM)

    def judge(_: Version, state: State) -> Judgement:
        assert isinstance(state, Open)
        return Judgement.BAD if state.inputs.pending else Judgement.GOOD

    found = turned(past, judge, bad=40)
    judged = dict(found.probes)
    assert judged[Version(found.position)] is Judgement.GOOD
    assert judged[Version(found.position + 1)] is Judgement.BAD


@pytest.mark.parametrize(
    ("good", "bad", "message"),
    [
        (None, None, "version 1 is judged bad, expected good"),
        (5, 20, "version 20 is judged good, expected bad"),
        (20, 5, "version 5 is judged the end, expected later than 20"),
        (7, 7, "version 7 is judged the end, expected later than 7"),
        (2, 3, "version 2 is judged skip, expected good"),
    ],
)
def test_ends_that_are_not_good_and_bad_are_refused(
    good: int | None, bad: int | None, message: str
) -> None:
    store = MemoryStore()
    grown(store, 30)

    def judge(version: Version, _: State) -> Judgement:
        if version == 2:
            return Judgement.SKIP
        return Judgement.BAD if version == 1 else Judgement.GOOD

    with pytest.raises(NothingToSearch, match=message):
        turned(StoredHistory.of(store, STREAM), judge, good=good, bad=bad)


def test_halving_a_long_past_judges_few_states(folds: Folds, near_milestones: int) -> None:
    store = MemoryStore()
    grown(store, 1_000, facts_per_append=1)
    past = StoredHistory.of(store, STREAM)

    def judge(version: Version, _: State) -> Judgement:
        return Judgement.BAD if version >= 777 else Judgement.GOOD

    found = turned(past, judge)
    assert (found.position, found.is_exact) == (776, True)
    assert len(found.probes) <= 12
    assert folds.count <= 12 * near_milestones
