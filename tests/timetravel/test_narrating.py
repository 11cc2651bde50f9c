"""Every fact has its line: what happened, to whom, and the beginning of what was said."""

import asyncio
from collections.abc import Callable

import pytest

from lash_es import (
    ActiveTurn,
    Boundary,
    ImageItem,
    LashCore,
    LeaseOwner,
    MemoryStore,
    ModelReply,
    NextTurn,
    ProsePart,
    TextItem,
    ToolCallPart,
    TurnInput,
)
from lash_es.codec.records import Header
from lash_es.codec.streams import StreamId
from lash_es.core import events, fork_events, graph_events, work_events
from lash_es.core.batches import NEVER_MERGE, DeliveryPolicy, SlotPolicy, WorkKind
from lash_es.core.descriptions import Description, SessionDescribed
from lash_es.core.effects import ModelCall
from lash_es.core.ids import (
    AppendId,
    BatchId,
    CallId,
    ClaimId,
    EffectId,
    FrameId,
    Generation,
    InputId,
    NodeId,
    Position,
    Revision,
    SessionId,
    TurnId,
    Version,
)
from lash_es.core.messages import Role, TokenUsage
from lash_es.core.outcomes import (
    EffectCancelled,
    Finished,
    FrameSwitched,
    Stopped,
    StopReason,
    TurnOutcome,
)
from lash_es.core.policy import ModelSpec, SessionPolicy
from lash_es.core.transcripts import Node, TurnLimitNotice
from lash_es.timetravel.history import read_history
from lash_es.timetravel.narrating import Narrator, called, excerpt, first_line
from lash_es.timetravel.transcripts import read_transcript
from tests.cli.sessions import Scripted

STREAM = StreamId("default", SessionId("s"))
TURN = TurnId("t1")
LONG = TurnId("0123456789" * 4)
OWNER = LeaseOwner(owner_id="me", incarnation_id="one")
POLICY = SessionPolicy(provider_id="p", model=ModelSpec(model_id="m"))
USAGE = TokenUsage(input_tokens=3, output_tokens=1)
NODE = Node(node_id=NodeId("t1:m1"), role=Role.USER, source=TurnLimitNotice(model_calls_max=1))
AT = {"at_ms": 5}
GENERATION = Generation(2)
IDS = (InputId("a"), InputId("b"))


def ended(
    reason: StopReason,
    code: str | None,
    *,
    returned: tuple[InputId, ...] = (),
    failed: tuple[InputId, ...] = (),
) -> events.TurnEnded:
    return events.TurnEnded(
        **AT,
        generation=GENERATION,
        turn_id=TURN,
        outcome=Stopped(reason=reason, code=code),
        usage=USAGE,
        returned_input_ids=returned,
        failed_input_ids=failed,
        deferred_input_ids=(),
    )


def committed(outcome: TurnOutcome) -> events.TurnCommitted:
    return events.TurnCommitted(
        **AT,
        generation=GENERATION,
        turn_id=TURN,
        turn_index=1,
        revision=Revision(1),
        outcome=outcome,
        parent=None,
        nodes=(NODE,),
        usage=USAGE,
        completed_input_ids=(),
        deferred_input_ids=(),
    )


BATCHES = (BatchId("a"), BatchId("b"))
WORDLESS: list[tuple[events.Event, str]] = [
    (events.SessionOpened(**AT, session_id=SessionId("s"), policy=POLICY), "model p:m"),
    (events.SessionConfigured(**AT, policy=POLICY), "from now on model p:m"),
    (
        SessionDescribed(
            **AT, description=Description(name="A", cwd="/x", parent_session_id=SessionId("p"))
        ),
        "described: A, /x, child of p",
    ),
    (SessionDescribed(**AT, description=Description(cwd="/x")), "described: /x"),
    (events.SessionParked(**AT), "parked"),
    (graph_events.SessionBegunAnew(**AT, policy=POLICY), "begun anew, model p:m"),
    (
        graph_events.LeafMoved(**AT, generation=GENERATION, parent=None, nodes=()),
        "going on from a new root",
    ),
    (
        graph_events.LeafMoved(**AT, generation=GENERATION, parent=None, nodes=(NODE,)),
        "going on from t1:m1",
    ),
    (
        graph_events.FrameOpened(
            **AT,
            generation=GENERATION,
            frame_id=FrameId("f1"),
            previous_frame_id=FrameId("s:frame:initial"),
            reason="compaction",
            parent=None,
            nodes=(NODE,),
            bodies=(),
        ),
        "frame f1 (compaction), begins with 1 message",
    ),
    (
        graph_events.FrameOpened(
            **AT,
            generation=GENERATION,
            frame_id=FrameId("f1"),
            previous_frame_id=FrameId("s:frame:initial"),
            reason="continue_as",
            parent=None,
            nodes=(),
            bodies=(),
        ),
        "frame f1 (continue_as)",
    ),
    (
        graph_events.NodesAppended(
            **AT, generation=GENERATION, name="an", parent=None, nodes=(NODE, NODE), bodies=()
        ),
        "2 messages added by the host",
    ),
    (graph_events.NodesTombstoned(**AT, node_ids=(NODE.node_id,)), "1 message hidden"),
    (graph_events.NodesForgotten(**AT, nodes_count=2), "2 messages hidden for good"),
    (
        committed(FrameSwitched(frame_id=FrameId("f2"))),
        f"{TURN} goes on in frame f2: revision 1, 1 message, 4 tokens",
    ),
    (events.SessionTombstoned(**AT), "deleted for ever"),
    (
        events.HistoryTrimmed(**AT, below=Version(7), digest="", bodies=()),
        "facts in front of version 7 may go",
    ),
    (
        fork_events.SessionForked(
            **AT,
            session_id=SessionId("s2"),
            parent=SessionId("s"),
            below=Version(7),
            digest="",
            bodies=(),
        ),
        "forked from s at version 7",
    ),
    (
        events.LeaseAcquired(**AT, generation=GENERATION, owner=OWNER, token="x", ttl_ms=9),
        "me takes the lease, 9 ms",
    ),
    (events.LeaseRenewed(**AT, generation=GENERATION, ttl_ms=9), "renewed, 9 ms"),
    (events.LeaseReleased(**AT, generation=GENERATION), "released"),
    (
        work_events.WorkEnqueued(
            **AT,
            batch_id=BatchId("b"),
            sequence=1,
            source_key=None,
            delivery=DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
            slot=SlotPolicy.EXCLUSIVE,
            merge_key=NEVER_MERGE,
            available_at_ms=0,
            kinds=(WorkKind.REFRESH_TOOL_CATALOG, WorkKind.RESET_SESSION),
            bodies=(),
        ),
        "work is queued: refresh_tool_catalog, reset_session",
    ),
    (
        work_events.WorkClaimed(
            **AT,
            generation=GENERATION,
            claim_id=ClaimId("c"),
            token="x",
            turn_id=None,
            batch_ids=BATCHES,
        ),
        "2 batches claimed as c",
    ),
    (
        work_events.WorkClaimed(
            **AT,
            generation=GENERATION,
            claim_id=ClaimId("c"),
            token="x",
            turn_id=TurnId("t"),
            batch_ids=BATCHES[:1],
        ),
        "1 batch claimed as c for the open turn",
    ),
    (
        work_events.WorkFailed(**AT, generation=GENERATION, batch_ids=BATCHES),
        "2 batches tried too often",
    ),
    (
        work_events.WorkClaimAbandoned(**AT, claim_id=ClaimId("c"), batch_ids=BATCHES[:1]),
        "1 batch of c given back",
    ),
    (
        work_events.WorkCancelled(**AT, batch_id=BatchId("0123456789" * 3)),
        "batch 012345678901234567890123 withdrawn",
    ),
    (
        work_events.WorkCompleted(
            **AT, generation=GENERATION, claim_id=ClaimId("c"), batch_ids=BATCHES
        ),
        "2 batches of c done",
    ),
    (work_events.FinishedWorkPruned(**AT, batches_count=3), "3 batches forgotten"),
    (
        events.TurnInputsClaimed(
            **AT, generation=GENERATION, claim_id=ClaimId("c"), token="x", input_ids=IDS
        ),
        "2 inputs claimed as c",
    ),
    (
        events.TurnInputsAccepted(
            **AT,
            generation=GENERATION,
            turn_id=TURN,
            checkpoint=Boundary.AFTER_WORK,
            claim_id=ClaimId("c"),
            token="x",
            input_ids=IDS[:1],
        ),
        f"1 input taken into {TURN} at after_work",
    ),
    (
        events.TurnInputsDeferred(**AT, input_ids=IDS),
        "2 inputs too late, for the next turn",
    ),
    (
        events.TurnInputClaimAbandoned(**AT, claim_id=ClaimId("c"), input_ids=IDS[:1]),
        "1 input of c given back",
    ),
    (events.TurnInputsCancelled(**AT, input_ids=IDS), "2 inputs withdrawn"),
    (
        events.TurnInputTombstonesPruned(**AT, tombstones_count=1),
        "1 settled input forgotten",
    ),
    (events.TurnInputCancelled(**AT, input_id=IDS[0]), "input a withdrawn"),
    (
        events.TurnStarted(
            **AT,
            generation=GENERATION,
            turn_id=LONG,
            origin=events.DrainedInputs(input_ids=IDS),
            model_calls_max=1,
            bodies=(),
        ),
        "012345678901234567890... starts on 2 pending inputs",
    ),
    (events.TurnContinued(**AT, generation=GENERATION, turn_id=TURN), "t1 goes on"),
    (
        events.EffectRequested(
            **AT,
            generation=GENERATION,
            turn_id=TURN,
            effect_id=EffectId("t1/4"),
            request=ModelCall(iteration=2),
        ),
        "#4 model call 3",
    ),
    (
        events.EffectSettled(
            **AT,
            generation=GENERATION,
            turn_id=TURN,
            effect_id=EffectId("t1/4"),
            outcome=EffectCancelled(),
            bodies=(),
        ),
        "#4 model was stopped",
    ),
    (committed(Finished()), "t1 finished: revision 1, 1 message, 4 tokens"),
    (
        committed(Stopped(reason=StopReason.MAX_TURNS)),
        "t1 stopped (max_turns): revision 1, 1 message, 4 tokens",
    ),
    (
        ended(StopReason.PROVIDER_ERROR, "rate_limited"),
        "t1 stopped (provider_error, rate_limited), without a commit",
    ),
    (
        ended(StopReason.CANCELLED, None, returned=IDS * 2, failed=(InputId(LONG),)),
        (
            "t1 stopped (cancelled), without a commit; "
            "4 inputs back for another try (a, b, a, ...); "
            "1 input given up after too many tries (012345678901234567890...)"
        ),
    ),
]


@pytest.mark.parametrize(("event", "expected"), WORDLESS, ids=[told for _, told in WORDLESS])
def test_a_fact_without_words_is_told(event: events.Event, expected: str) -> None:
    header = Header(
        stream=STREAM,
        position=Position(7),
        name="a.name",
        schema_version=1,
        recorded_at_ms=5,
        append_id=AppendId("x"),
        cause=Position(3),
        generation=Generation(2),
        bodies=(),
        data={},
    )
    line = Narrator(MemoryStore(), STREAM).line(header, event)

    assert line.what == expected
    assert (line.position, line.at_ms, line.generation, line.cause) == (7, 5, 2, 3)


def test_every_fact_there_is_can_be_told() -> None:
    told = {type(event) for event, _ in WORDLESS} | {events.TurnInputEnqueued}

    assert told == {*events.OpenEvent.__args__, events.SessionOpened}


def lines(
    *replies: ModelReply, turn_input: TurnInput | str, into: ActiveTurn | NextTurn
) -> list[str]:
    async def live() -> list[str]:
        store = MemoryStore()
        async with LashCore(model="m", provider=Scripted(list(replies)), store=store) as core:
            async with core.session("s").open() as session:
                await session.turn(turn_input).turn_id("t1")
                await session.enqueue("later").ingress(into)
            history = read_history(store, STREAM)
            narrator = Narrator(store, STREAM)
            assert len(read_transcript(store, STREAM, history.state)) >= 2
            assert read_transcript(store, STREAM, history.as_of(0).state) == ()
            return [
                narrator.line(entry.header, entry.event).what
                for entry in history.entries
                if entry.header
            ]

    return asyncio.run(live())


def test_what_was_said_begins_the_line() -> None:
    call = ToolCallPart(call_id=CallId("c"), tool="nothing", arguments="")
    image = TurnInput(items=(TextItem(text="Look:"), ImageItem(media_type="image/png", data=b"x")))
    told = lines(
        ModelReply(parts=(call,)),
        ModelReply(parts=()),
        turn_input=image,
        into=ActiveTurn(TurnId("t9")),
    )

    assert told[2] == 't1 starts: "Look: (an image)"'
    assert told[5] == "#2 nothing()"
    assert told[6] == "#2 nothing failed (unknown_tool): No such tool. Known tools: none."
    assert told[8] == "#3 model said nothing"
    assert told[-1] == 'an input for t9: "later"'


def test_an_answer_is_told_by_its_first_line() -> None:
    told = lines(
        ModelReply(parts=(ProsePart(text="\n\nYes.\nAnd more."),)),
        turn_input="?",
        into=NextTurn(),
    )

    assert "#1 model said: Yes. ..." in told
    assert told[-1] == 'an input for the next turn: "later"'


@pytest.mark.parametrize(
    ("shorten", "text", "expected"),
    [
        (excerpt, "one\n two  three", "one two three"),
        (excerpt, "x" * 161, "x" * 157 + "..."),
        (excerpt, " " * 999, "..."),
        (first_line, "one\n", "one"),
        (first_line, "\n\none\ntwo", "one ..."),
        (first_line, "x" * 200 + "\ntwo", "x" * 157 + "..."),
        (first_line, "", ""),
    ],
)
def test_texts_are_shortened_to_a_line(
    shorten: Callable[[str], str], text: str, expected: str
) -> None:
    assert shorten(text) == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ('{"a": 1, "b": ["x"]}', 'f(a=1, b=["x"])'),
        ("", "f()"),
        ('{"a": ', 'f({"a":)'),
        ("[1]", "f([1])"),
    ],
)
def test_a_call_is_written_like_a_call(arguments: str, expected: str) -> None:
    assert called("f", arguments) == expected
