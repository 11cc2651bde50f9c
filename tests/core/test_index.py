"""The index: what is keyed by the past, made by facts, looked up by commands."""

from typing import get_args

import attrs
import pytest

from lash_es.core.batches import NEVER_MERGE, SlotPolicy
from lash_es.core.bodies import RecordedBody
from lash_es.core.commands import (
    BranchToNode,
    CancelTurnInput,
    Command,
    EnqueueTurnInput,
    ParkSession,
    StartTurn,
    WithInput,
)
from lash_es.core.errors import ImpossibleEvent
from lash_es.core.events import (
    Event,
    SessionTombstoned,
    TurnEnded,
    TurnInputCancelled,
)
from lash_es.core.evolve import fold
from lash_es.core.ids import BatchId, FrameId, Generation, NodeId, Position, Revision
from lash_es.core.index import index_rows
from lash_es.core.ingress import ActiveTurn, NextTurn
from lash_es.core.known import (
    NOTHING_KNOWN,
    CommitStamp,
    IndexEntry,
    IndexKey,
    IndexKind,
    InputEntry,
    Known,
    SequenceEntry,
    SourceKeyEntry,
    TurnEntry,
    compared_body,
    follows,
    names,
    sequence_key,
)
from lash_es.core.messages import TokenUsage
from lash_es.core.outcomes import Finished, InputStatus, Stopped, StopReason
from lash_es.core.stamps import commit_hash
from lash_es.core.state import NOT_OPENED
from lash_es.core.work_commands import EnqueueWork
from lash_es.verify.spec import given
from tests.core.examples import (
    ANSWER,
    ASKED_NODE,
    BEGUN,
    COMMITTED,
    COMMITTED_FACT,
    DRAINING,
    EARLIEST,
    FENCE,
    HELLO,
    I1,
    I2,
    IDLE,
    LEASED,
    OPENED,
    PENDING,
    TURN,
    WAKE,
    acquired,
    at,
    drained,
    enqueued,
    started,
)
from tests.core.test_turns import turn_of

KEY = "host:k1"
KEYED = enqueued(I1, 1, source_key=KEY)
SOURCE_KEY = IndexKey(IndexKind.SOURCE_KEY, KEY)
INPUT_KEY = IndexKey(IndexKind.INPUT, I1)
TURN_KEY = IndexKey(IndexKind.TURN, TURN)
HELLO_AT_1 = RecordedBody(ref=at(1), commitment=HELLO.commitment)
SOURCE_ENTRY = SourceKeyEntry(
    input_id=I1, sequence=1, ingress=NextTurn(), enqueued_at_ms=20, content=HELLO_AT_1
)
ENDED = TurnEnded(
    at_ms=80,
    generation=Generation(1),
    turn_id=TURN,
    outcome=Stopped(reason=StopReason.RUNTIME_ERROR),
    usage=TokenUsage(),
    returned_input_ids=(),
    failed_input_ids=(),
    deferred_input_ids=(),
)


def stamp() -> CommitStamp:
    return CommitStamp(
        commit_hash=commit_hash(turn_of(fold(ANSWER)), Finished()), revision=Revision(1)
    )


def turn_entry(*, ended: int | None = None, is_committed: bool = False) -> TurnEntry:
    return TurnEntry(
        turn_id=TURN,
        started=Position(2),
        ended=None if ended is None else Position(ended),
        is_committed=is_committed,
        content=RecordedBody(ref=at(2), commitment=HELLO.commitment),
        stamp=stamp() if is_committed else None,
    )


def input_entry(status: InputStatus, settled: int) -> InputEntry:
    return InputEntry(
        input_id=I1,
        sequence=1,
        source_key=None,
        ingress=NextTurn(),
        enqueued_at_ms=20,
        body=at(2),
        status=status,
        settled=Position(settled),
    )


# What facts make


def test_the_birth_makes_no_entry() -> None:
    assert index_rows(NOT_OPENED, OPENED) == ()


def test_a_source_key_names_its_input() -> None:
    assert index_rows(fold(IDLE), KEYED) == ((SOURCE_KEY, SOURCE_ENTRY),)


def test_the_submitted_ingress_is_what_a_source_key_remembers() -> None:
    into = ActiveTurn(TURN)
    ((_, entry),) = index_rows(fold(IDLE), attrs.evolve(KEYED, ingress=into))

    assert entry == attrs.evolve(SOURCE_ENTRY, ingress=into)


def test_an_input_without_a_source_key_makes_no_entry_while_it_waits() -> None:
    assert index_rows(fold(IDLE), enqueued(I1, 1)) == ()


def test_a_cancelled_input_has_an_entry() -> None:
    cancelled = TurnInputCancelled(at_ms=80, input_id=I1)

    assert index_rows(fold(PENDING), cancelled) == (
        (INPUT_KEY, input_entry(InputStatus.CANCELLED, 4)),
        (sequence_key(1), SequenceEntry(sequence=1, input_id=I1)),
    )


def test_a_turn_has_an_entry_from_its_start() -> None:
    assert index_rows(fold(LEASED), started()) == ((TURN_KEY, turn_entry()),)


def test_a_drained_turns_entry_has_no_content() -> None:
    ((key, entry),) = index_rows(fold(PENDING), drained(I1))

    expected = TurnEntry(
        turn_id=TURN, started=Position(4), ended=None, is_committed=False, content=None
    )
    assert (key, entry) == (TURN_KEY, expected)


def test_a_commit_ends_its_turns_entry_and_settles_its_inputs() -> None:
    assert index_rows(fold(ANSWER), COMMITTED_FACT) == (
        (TURN_KEY, turn_entry(ended=5, is_committed=True)),
    )
    done = attrs.evolve(COMMITTED_FACT, completed_input_ids=(I1, I2))
    rows = dict(index_rows(fold(DRAINING), done))
    assert rows[INPUT_KEY] == input_entry(InputStatus.COMPLETED, 6)
    assert tuple(key.key for key in rows) == (I1, "1", I2, "2", TURN)


def test_an_end_ends_its_turns_entry_and_settles_what_failed() -> None:
    assert index_rows(fold(BEGUN), ENDED) == ((TURN_KEY, turn_entry(ended=3)),)
    failed = attrs.evolve(ENDED, failed_input_ids=(I1,), returned_input_ids=(I2,))
    rows = dict(index_rows(fold(DRAINING), failed))
    assert rows[INPUT_KEY] == input_entry(InputStatus.FAILED, 6)
    assert tuple(key.key for key in rows) == (I1, "1", TURN)


@pytest.mark.parametrize("event", [acquired(), SessionTombstoned(at_ms=90)], ids=repr)
def test_what_no_key_names_makes_no_entry(event: Event) -> None:
    assert index_rows(fold(IDLE), event) == ()


def test_no_entry_is_made_of_a_turn_that_is_not_open() -> None:
    with pytest.raises(ImpossibleEvent, match="no open turn"):
        index_rows(fold(LEASED), COMMITTED_FACT)


# What commands name


def enqueue(source_key: str | None) -> EnqueueTurnInput:
    return EnqueueTurnInput(
        now_ms=20, input_id=I2, source_key=source_key, ingress=NextTurn(), body=HELLO
    )


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (enqueue(KEY), (SOURCE_KEY,)),
        (enqueue(None), ()),
        (CancelTurnInput(now_ms=1, input_id=I1), (INPUT_KEY,)),
        (
            StartTurn(now_ms=1, fence=FENCE, turn_id=TURN, source=WithInput(body=HELLO)),
            (TURN_KEY,),
        ),
        (ParkSession(now_ms=1), ()),
    ],
    ids=["keyed input", "input without a key", "cancellation", "turn", "anything else"],
)
def test_a_command_names_what_its_decision_looks_up(
    command: Command, expected: tuple[IndexKey, ...]
) -> None:
    assert names(command) == expected


def test_work_without_a_key_names_nothing_and_a_branch_its_last_message() -> None:
    work = EnqueueWork(
        now_ms=1,
        batch_id=BatchId("b1"),
        source_key=None,
        delivery=EARLIEST,
        slot=SlotPolicy.EXCLUSIVE,
        merge_key=NEVER_MERGE,
        available_at_ms=0,
        kinds=(WAKE,),
        bodies=(HELLO,),
    )
    elsewhere = attrs.evolve(ASKED_NODE, node_id=NodeId("t0:m1"))
    branch = BranchToNode(
        now_ms=1, fence=FENCE, parent=None, nodes=(elsewhere, elsewhere, ASKED_NODE)
    )

    assert names(work) == ()
    assert names(attrs.evolve(work, source_key=KEY)) == (IndexKey(IndexKind.WORK_KEY, KEY),)
    assert names(branch) == (TURN_KEY,)
    assert names(attrs.evolve(branch, nodes=())) == ()


def test_a_source_key_leads_to_what_became_of_its_input() -> None:
    assert follows(SOURCE_ENTRY) == (INPUT_KEY,)
    assert follows(turn_entry()) == ()
    assert follows(input_entry(InputStatus.CANCELLED, 3)) == ()


def test_the_body_to_compare_is_the_one_that_the_entry_committed_to() -> None:
    drained_turn = attrs.evolve(turn_entry(), content=None)

    assert compared_body(SOURCE_ENTRY) == at(1)
    assert compared_body(turn_entry()) == at(2)
    assert compared_body(drained_turn) is None
    assert compared_body(input_entry(InputStatus.CANCELLED, 3)) is None


# What is known


def test_a_sequence_has_a_key_of_its_own_kind() -> None:
    assert sequence_key(7) == IndexKey(IndexKind.SEQUENCE, "7")


def test_nothing_is_known_unless_it_was_looked_up() -> None:
    assert NOTHING_KNOWN.source_key(KEY) is None
    assert NOTHING_KNOWN.settled_input(I1) is None
    assert NOTHING_KNOWN.turn(TURN) is None


def test_each_kind_of_entry_is_found_under_its_own_kind_of_key() -> None:
    entry = input_entry(InputStatus.CANCELLED, 3)
    entries: dict[IndexKey, IndexEntry] = {
        SOURCE_KEY: SOURCE_ENTRY,
        INPUT_KEY: entry,
        TURN_KEY: turn_entry(),
    }
    known = Known(entries=entries)

    assert known.source_key(KEY) == SOURCE_ENTRY
    assert known.settled_input(I1) == entry
    assert known.turn(TURN) == turn_entry()


def test_an_entry_of_another_kind_is_not_taken_for_an_answer() -> None:
    known = Known(
        entries={
            SOURCE_KEY: turn_entry(),
            INPUT_KEY: SOURCE_ENTRY,
            TURN_KEY: SOURCE_ENTRY,
            IndexKey(IndexKind.WORK_KEY, KEY): turn_entry(),
            IndexKey(IndexKind.BATCH, "b1"): turn_entry(),
            IndexKey(IndexKind.FRAME, "f1"): turn_entry(),
            IndexKey(IndexKind.APPEND, "n1"): turn_entry(),
            sequence_key(1): turn_entry(),
        }
    )

    assert known.source_key(KEY) is None
    assert known.settled_input(I1) is None
    assert known.turn(TURN) is None
    assert known.work_key(KEY) is None
    assert known.finished_batch(BatchId("b1")) is None
    assert known.frame(FrameId("f1")) is None
    assert known.append("n1") is None
    assert known.input_at(1) is None


def test_a_specification_knows_what_its_facts_wrote() -> None:
    started_again = StartTurn(now_ms=90, fence=FENCE, turn_id=TURN, source=WithInput(body=HELLO))

    known = given(*COMMITTED).when(started_again).known

    assert known.entries == {TURN_KEY: turn_entry(ended=5, is_committed=True)}


def test_every_kind_of_entry_has_a_kind_of_key() -> None:
    assert len(get_args(IndexEntry)) == len(IndexKind)
