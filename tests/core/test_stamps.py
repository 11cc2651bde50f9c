"""Slice: stamps. What a commit means, written out by hand and hashed here."""

import hashlib

import attrs
import pytest

from lash_es.core.bodies import RecordedBody
from lash_es.core.commands import CommitTurn
from lash_es.core.events import TurnCommitted
from lash_es.core.evolve import fold
from lash_es.core.ids import FrameId
from lash_es.core.index import index_rows
from lash_es.core.known import CommitStamp, TurnEntry
from lash_es.core.messages import TokenUsage
from lash_es.core.outcomes import Finished, FrameSwitched, Stopped, StopReason, TurnOutcome
from lash_es.core.stamps import commit_hash, meant
from lash_es.core.state import Open
from lash_es.core.turns import told_work
from lash_es.verify.spec import given
from tests.core.examples import (
    ANSWER,
    B1,
    BATCH_DONE,
    FENCE,
    GOODBYE,
    HELLO,
    REPLY,
    RESULT,
    TURN,
    at,
)
from tests.core.test_turns import turn_of

ASKED = f'"1.0:{HELLO.commitment.digest}"'
ANSWERED = f'"2.0:{REPLY.commitment.digest}"'
RESULTS = f'"3.0:{RESULT.commitment.digest}","3.1:{RESULT.commitment.digest}"'
USED = TokenUsage(
    input_tokens=1,
    output_tokens=2,
    cache_read_input_tokens=3,
    cache_write_input_tokens=4,
    reasoning_output_tokens=5,
)
LIMIT = Stopped(reason=StopReason.MAX_TURNS, code="enough")


def hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (Finished(), '["finished"]'),
        (Stopped(reason=StopReason.CANCELLED), '["stopped","cancelled",null]'),
        (LIMIT, '["stopped","max_turns","enough"]'),
        (FrameSwitched(frame_id=FrameId("f1")), '["frame","f1"]'),
    ],
    ids=["finished", "stopped", "stopped with a code", "in another frame"],
)
def test_the_hash_is_of_outcome_usage_messages_and_contents(
    outcome: TurnOutcome, said: str
) -> None:
    turn = attrs.evolve(turn_of(fold(BATCH_DONE)), usage=USED)

    messages = (
        '[["user","inputs",1],["assistant","reply"],'
        '["user","results","read","succeeded","list","succeeded"]]'
    )
    expected = f"[{said},[1,2,3,4,5],{messages},[{ASKED},{ANSWERED},{RESULTS}]]"
    assert commit_hash(turn, outcome) == hashed(expected)


def test_work_from_elsewhere_is_hashed_as_such() -> None:
    body = RecordedBody(ref=at(9), commitment=GOODBYE.commitment)
    turn = told_work(turn_of(fold(ANSWER)), [(B1, [body])])

    messages = '[["user","inputs",1],["assistant","reply"],["event","work",1]]'
    contents = f'[{ASKED},{ANSWERED},"3.0:{GOODBYE.commitment.digest}"]'
    expected = f'[["finished"],[10,3,0,0,1],{messages},{contents}]'
    assert commit_hash(turn, Finished()) == hashed(expected)


def test_the_stamp_of_a_commit_is_of_all_that_it_committed() -> None:
    # The remark on the limit is made by the commit: the turn does not have it before.
    commit = CommitTurn(now_ms=80, fence=FENCE, turn_id=TURN, outcome=LIMIT)

    (committed,) = given(*ANSWER).when(commit).events
    assert isinstance(committed, TurnCommitted)
    ((_, entry),) = index_rows(fold(ANSWER), committed)

    messages = '[["user","inputs",1],["assistant","reply"],["system","notice",100]]'
    expected = f'[["stopped","max_turns","enough"],[10,3,0,0,1],{messages},[{ASKED},{ANSWERED}]]'
    before = fold(ANSWER)
    assert isinstance(before, Open)
    assert meant(before, turn_of(before), LIMIT) == hashed(expected)
    assert isinstance(entry, TurnEntry)
    assert entry.stamp == CommitStamp(commit_hash=hashed(expected), revision=committed.revision)
