"""
Errors: each carries fields, says what was asked, found and expected, and travels between
processes.

The sentences are written out, since what an error says to a person is part of what it promises.
"""

import copy
import pickle

import pytest

from lash_es.core import commit_errors, errors, work_errors
from lash_es.core.commit_errors import (
    BusyWithTurn,
    FrameIdConflict,
    HeadRevisionConflict,
    NodeNotFound,
    RuntimeTurnCommitConflict,
    SessionBindingMismatch,
)
from lash_es.core.errors import (
    BlankValue,
    CommandRejected,
    EffectNotOpen,
    EffectOutcomeMismatch,
    EffectRequestRefused,
    EffectsUnsettled,
    HistoryTrimmedBelow,
    ImpossibleEvent,
    InputIdConflict,
    LashError,
    LimitExceeded,
    QueueFull,
    SessionDeleted,
    SessionExecutionLeaseExpired,
    SessionNotOpen,
    SourceKeyConflict,
    StoreSessionMismatch,
    TrimHeldBack,
    TrimOutOfRange,
    TurnIdConflict,
    TurnInProgress,
    TurnInputClaimSuperseded,
    TurnNotOpen,
    impossible,
)
from lash_es.core.ids import ClaimId, FrameId, Generation, NodeId, Position, Revision, Version
from lash_es.core.work_errors import BatchIdConflict, BatchNotOfOneClass, QueuedWorkClaimSuperseded
from lash_es.verify.spec import is_same_error
from tests.core.examples import B1, E1, E2, I1, TURN

SAYS: list[tuple[LashError, str]] = [
    (
        SessionNotOpen(command="ParkSession"),
        (
            "cannot ParkSession: the session is not opened, expected an open one "
            "[command='ParkSession']"
        ),
    ),
    (
        SessionDeleted(session_id="s1"),
        "session 's1' was deleted and its id is never used again [session_id='s1']",
    ),
    (
        StoreSessionMismatch(loaded="s1", requested="s2"),
        "asked for session 's2', found 's1' [loaded='s1', requested='s2']",
    ),
    (
        SessionExecutionLeaseExpired(
            session_id="s1",
            presented_generation=Generation(1),
            current_generation=Generation(2),
            reason="superseded",
        ),
        (
            "the fence of generation 1 does not hold the lease of session 's1': superseded, "
            "current generation 2 [session_id='s1', presented_generation=1, current_generation=2, "
            "reason='superseded']"
        ),
    ),
    (
        SourceKeyConflict(session_id="s1", source_key="k", existing_input_id=I1),
        (
            "source key 'k' already names input 'i1', whose content or ingress differs "
            "[session_id='s1', source_key='k', existing_input_id='i1']"
        ),
    ),
    (
        InputIdConflict(session_id="s1", input_id=I1),
        (
            "input 'i1' waits already, expected an id that was never used "
            "[session_id='s1', input_id='i1']"
        ),
    ),
    (
        TurnInputClaimSuperseded(session_id="s1", claim_id="tic:1:1"),
        (
            "claim 'tic:1:1' is not held under the current lease generation "
            "[session_id='s1', claim_id='tic:1:1']"
        ),
    ),
    (
        BatchIdConflict(session_id="s1", batch_id=B1),
        (
            "batch 'b1' waits already, expected an id that was never used "
            "[session_id='s1', batch_id='b1']"
        ),
    ),
    (
        BatchNotOfOneClass(batch_id=B1, classes=(), kinds_count=0, bodies_count=1),
        (
            "batch 'b1': found 0 kinds of classes () and 1 bodies, expected items of one class "
            "with a body each [batch_id='b1', classes=(), kinds_count=0, bodies_count=1]"
        ),
    ),
    (
        QueuedWorkClaimSuperseded(session_id="s1", claim_id=ClaimId("qwc:1:1")),
        (
            "claim 'qwc:1:1' does not hold exactly these batches (any more) "
            "[session_id='s1', claim_id='qwc:1:1']"
        ),
    ),
    (
        TurnIdConflict(session_id="s1", turn_id=TURN),
        "turn 't1' was already run with another input [session_id='s1', turn_id='t1']",
    ),
    (
        TurnInProgress(session_id="s1", requested_turn_id=TURN, open_turn_id=TURN),
        (
            "cannot start turn 't1': turn 't1' is open "
            "[session_id='s1', requested_turn_id='t1', open_turn_id='t1']"
        ),
    ),
    (
        TurnNotOpen(session_id="s1", requested_turn_id=TURN, open_turn_id=None),
        (
            "turn 't1' is not open (open: None) "
            "[session_id='s1', requested_turn_id='t1', open_turn_id=None]"
        ),
    ),
    (
        SessionBindingMismatch(bound="s1", attempted="s2"),
        ("bound to session 's1', the commit is for 's2' [bound='s1', attempted='s2']"),
    ),
    (
        RuntimeTurnCommitConflict(
            session_id="s1", turn_id=TURN, presented_hash="ab", recorded_hash="cd"
        ),
        (
            "the commit of turn 't1' has hash 'ab', expected 'cd' "
            "[session_id='s1', turn_id='t1', presented_hash='ab', recorded_hash='cd']"
        ),
    ),
    (
        HeadRevisionConflict(session_id="s1", expected=Revision(2), actual=Revision(3)),
        ("session 's1' is at revision 3, expected 2 [session_id='s1', expected=2, actual=3]"),
    ),
    (
        FrameIdConflict(session_id="s1", frame_id=FrameId("f1")),
        ("session 's1' had frame 'f1' before, expected a new id [session_id='s1', frame_id='f1']"),
    ),
    (
        NodeNotFound(session_id="s1", node_id=NodeId("t1:m9")),
        ("session 's1' holds no message 't1:m9' [session_id='s1', node_id='t1:m9']"),
    ),
    (
        BusyWithTurn(session_id="s1", wish="begin anew", open_turn_id=TURN),
        (
            "cannot begin anew: turn 't1' is open, expected none "
            "[session_id='s1', wish='begin anew', open_turn_id='t1']"
        ),
    ),
    (EffectNotOpen(effect_id=E1), "effect 't1/1' waits for no outcome [effect_id='t1/1']"),
    (
        EffectRequestRefused(effect_id=E1, reason="an effect is open"),
        (
            "effect 't1/1' cannot be requested: an effect is open "
            "[effect_id='t1/1', reason='an effect is open']"
        ),
    ),
    (
        EffectOutcomeMismatch(effect_id=E1, requested="ModelCall", outcome="ToolReturned"),
        (
            "effect 't1/1' is a ModelCall, which cannot end as ToolReturned "
            "[effect_id='t1/1', requested='ModelCall', outcome='ToolReturned']"
        ),
    ),
    (
        EffectsUnsettled(turn_id=TURN, effect_ids=(E1, E2)),
        "turn 't1' still waits for 2 effect(s) [turn_id='t1', effect_ids=('t1/1', 't1/2')]",
    ),
    (
        QueueFull(limit="inputs_pending_max", allowed=9),
        (
            "the queue is full: 9 wait, the limit inputs_pending_max "
            "[limit='inputs_pending_max', allowed=9]"
        ),
    ),
    (
        LimitExceeded(limit="body_bytes_max", found=8, allowed=7),
        "body_bytes_max: found 8, at most 7 allowed [limit='body_bytes_max', found=8, allowed=7]",
    ),
    (
        BlankValue(field="session_id"),
        "session_id is blank, expected at least one character [field='session_id']",
    ),
    (
        TrimOutOfRange(session_id="s1", below=Version(9), oldest=Version(2), version=Version(5)),
        (
            "cannot trim session 's1' below version 9: expected one from 2 to 5 "
            "[session_id='s1', below=9, oldest=2, version=5]"
        ),
    ),
    (
        TrimHeldBack(
            session_id="s1", below=Version(9), allowed=Version(4), held_back_by="the lease"
        ),
        (
            "cannot trim session 's1' below version 9: the lease holds it back to 4 "
            "[session_id='s1', below=9, allowed=4, held_back_by='the lease']"
        ),
    ),
    (
        HistoryTrimmedBelow(session_id="s1", asked=Position(3), oldest=Position(7)),
        (
            "session 's1' keeps its facts from position 7 on, asked for position 3 "
            "[session_id='s1', asked=3, oldest=7]"
        ),
    ),
    (
        ImpossibleEvent(event="TurnStarted", found="t1", expected="no open turn"),
        (
            "TurnStarted cannot follow: found t1, expected no open turn "
            "[event='TurnStarted', found='t1', expected='no open turn']"
        ),
    ),
]
KINDS = {
    kind
    for module in (errors, commit_errors, work_errors)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, LashError)
}


def test_what_every_error_says_is_written_here() -> None:
    assert {type(error) for error, _ in SAYS} == KINDS - {LashError, CommandRejected}


@pytest.mark.parametrize(("error", "said"), SAYS, ids=lambda value: type(value).__name__)
def test_an_error_says_what_was_asked_found_and_expected(error: LashError, said: str) -> None:
    assert str(error) == said


@pytest.mark.parametrize("error", [error for error, _ in SAYS], ids=lambda e: type(e).__name__)
def test_an_error_travels_between_processes(error: LashError) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        arrived = pickle.loads(pickle.dumps(error, protocol))

        assert is_same_error(arrived, error)
        assert str(arrived) == str(error)


@pytest.mark.parametrize("error", [error for error, _ in SAYS], ids=lambda e: type(e).__name__)
def test_an_error_can_be_copied(error: LashError) -> None:
    assert is_same_error(copy.copy(error), error)
    assert is_same_error(copy.deepcopy(error), error)


@pytest.mark.parametrize("error", [error for error, _ in SAYS], ids=lambda e: type(e).__name__)
def test_an_error_is_raised_and_caught_as_itself(error: LashError) -> None:
    with pytest.raises(type(error)) as caught:
        raise error

    assert caught.value is error


@pytest.mark.parametrize("kind", [LashError, CommandRejected])
def test_a_family_of_errors_has_a_name_and_no_fields(kind: type[LashError]) -> None:
    error = kind()

    assert error.fields == {}
    assert str(error) == kind.__name__
    assert is_same_error(pickle.loads(pickle.dumps(error)), error)


def test_only_what_the_caller_did_is_a_refusal() -> None:
    assert {kind for kind in KINDS if not issubclass(kind, CommandRejected)} == {
        LashError,
        HistoryTrimmedBelow,
        ImpossibleEvent,
    }


def test_nothing_can_be_retried_and_what_is_final_is_said_to_be() -> None:
    samples = [error for error, _ in SAYS]

    assert [error for error in samples if error.is_retryable] == []
    assert {type(error) for error in samples if error.is_terminal} == {
        SessionDeleted,
        StoreSessionMismatch,
        SessionBindingMismatch,
        HistoryTrimmedBelow,
    }


def test_every_error_is_drawn_in_the_hierarchy() -> None:
    drawing = errors.__doc__ or ""

    assert [kind.__name__ for kind in KINDS if kind.__name__ not in drawing] == []


def test_an_impossible_fact_is_named_and_long_texts_are_cut() -> None:
    error = impossible(TURN, found="x" * 999, expected=("y" * 999,))

    assert error.event == "str"
    assert error.found == "x" * 200
    assert len(error.expected) == 200
