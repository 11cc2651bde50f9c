"""
Turns from their input to their end: what is asked, what is recorded, what a host gets back.

Tests that are named after a scenario (``turn_01``) show that scenario's behaviour.
"""

import asyncio

import pytest

from lash_es import (
    AssistantProseDelta,
    ErrorReported,
    Finished,
    ImageItem,
    ImagePart,
    InputStatus,
    LashCore,
    Limits,
    ModelCallFailed,
    ModelReply,
    ModelRequestStarted,
    ModelSpec,
    ProsePart,
    ReasoningTextDelta,
    Role,
    SessionStillInUse,
    Stopped,
    StopReason,
    TextItem,
    TextPart,
    TokenUsage,
    ToolCallCompleted,
    ToolCallPart,
    ToolCallStarted,
    ToolResultPart,
    ToolStatus,
    TurnActivity,
    TurnIdConflict,
    TurnInput,
    TurnIssue,
    UnencodableValue,
    UsageReported,
)
from lash_es.core.ids import InputId
from lash_es.core.messages import FinishReason
from lash_es.core.receipts import AlreadyCompleted
from lash_es.runtime.providers import ProseDelta, ReasoningDelta
from tests.session.host import host, messages, run, shown, texts
from tests.session.scripted import (
    USAGE,
    Say,
    ScriptedProvider,
    always,
    call,
    calls,
    fails,
    says,
    speaking,
    thinks,
)
from tests.session.stores import Counting, Place, facts, names

BROKEN = ModelCallFailed(code="rate_limited", message="come back later", retryable=True)


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


# Text


def test_turn_01_streamed_text_and_final_text_are_one_message(place: Place) -> None:
    deltas = (ProseDelta(text="What time "), ProseDelta(text="is it?"))
    provider = speaking(says("What time is it?", deltas=deltas))

    async def scene() -> None:
        async with host(place.store(), provider) as core, core.session("s").open() as session:
            output = await session.turn("hello")
            assert output.result.outcome == Finished()
            assert output.result.is_success
            assert output.result.assistant_message == "What time is it?"
            streamed = shown(output.activities, AssistantProseDelta)
            assert "".join(delta.text for delta in streamed) == "What time is it?"
            assert await texts(session) == [("user", "hello"), ("assistant", "What time is it?")]

    run(scene())


def test_turn_05_parts_stream_together_and_are_committed_with_a_blank_line_between(
    place: Place,
) -> None:
    deltas = (ProseDelta(text="first"), ProseDelta(text="second"))
    provider = speaking(says("first", "second", deltas=deltas))

    async def scene() -> None:
        async with host(place.store(), provider) as core, core.session("s").open() as session:
            output = await session.turn("hello")
            streamed = shown(output.activities, AssistantProseDelta)
            assert "".join(delta.text for delta in streamed) == "firstsecond"
            assert output.result.assistant_message == "first\n\nsecond"
            assert (await texts(session))[-1] == ("assistant", "first\n\nsecond")

    run(scene())


def test_reasoning_is_shown_and_is_no_part_of_the_answer(place: Place) -> None:
    provider = speaking(says("yes", deltas=(ReasoningDelta(text="hm"), ProseDelta(text="yes"))))

    async def scene() -> None:
        async with host(place.store(), provider) as core, core.session("s").open() as session:
            output = await session.turn("sure?")
            (reasoning,) = shown(output.activities, ReasoningTextDelta)
            assert (reasoning.text, reasoning.attempt) == ("hm", 1)
            assert output.result.assistant_message == "yes"

    run(scene())


def test_images_follow_the_text_of_their_message_and_reach_the_model(place: Place) -> None:
    provider = speaking(says("a cat"))
    picture = ImageItem(media_type="image/png", data=b"\x00\xff")
    turn_input = TurnInput(items=(picture, TextItem(text="what "), TextItem(text="is it?")))

    async def scene() -> None:
        async with host(place.store(), provider) as core, core.session("s").open() as session:
            await session.turn(turn_input)
            (user, _) = await messages(session)
            expected = (
                TextPart(text="what is it?"),
                ImagePart(media_type="image/png", data=b"\x00\xff"),
            )
            assert user.parts == expected
            assert provider.requests[0].messages == (user,)

    run(scene())


def test_the_model_is_asked_with_policy_tools_and_the_whole_transcript(place: Place) -> None:
    provider = speaking(says("one"), says("two"))

    async def scene() -> None:
        store = place.store()
        core = LashCore(
            model=ModelSpec(model_id="clever", settings_json='{"temperature":0.5}'),
            provider=provider,
            store=store,
            tools=[add],
            instructions="Be short.",
        )
        async with core, core.session("s").open() as session:
            await session.turn("first")
            await session.turn("second")
        second = provider.requests[1]
        assert (second.model, second.settings) == ("clever", {"temperature": 0.5})
        assert second.instructions == "Be short."
        assert [spec.name for spec in second.tools] == ["add"]
        assert [message.text for message in second.messages] == ["first", "one", "second"]

    run(scene())


# Tools


def test_results_stand_in_the_order_of_the_calls_whatever_ended_first(place: Place) -> None:
    async def slow() -> str:
        await asyncio.sleep(0.01)
        return "slow"

    async def quick() -> str:
        return "quick"

    asked = calls(call("c1", "slow"), call("c2", "quick"), text="Let me look.")
    provider = speaking(asked, says("done"))

    async def scene() -> None:
        async with (
            host(place.store(), provider, slow, quick) as core,
            core.session("s").open() as session,
        ):
            output = await session.turn("look")
            completed = shown(output.activities, ToolCallCompleted)
            assert [each.name for each in completed] == ["quick", "slow"]
            user, asking, results, answer = await messages(session)
            assert [m.role for m in (user, asking, results, answer)] == [
                Role.USER,
                Role.ASSISTANT,
                Role.USER,
                Role.ASSISTANT,
            ]
            assert asking.parts[0] == ProsePart(text="Let me look.")
            assert [part.text for part in results.parts if isinstance(part, ToolResultPart)] == [
                "slow",
                "quick",
            ]
            assert provider.requests[1].messages == (user, asking, results)
            records = output.result.tool_calls
            assert [(each.call_id, each.output) for each in records] == [
                ("c1", "slow"),
                ("c2", "quick"),
            ]

    run(scene())


def test_an_outcome_is_recorded_when_it_arrives_and_not_with_the_others(place: Place) -> None:
    slow_may_end = asyncio.Event()
    settled_meanwhile: list[int] = []

    async def slow() -> str:
        await slow_may_end.wait()
        return "slow"

    async def quick() -> str:
        return "quick"

    provider = speaking(calls(call("c1", "slow"), call("c2", "quick")), says("done"))

    async def scene() -> None:
        other = place.store()

        async def watch(activity: TurnActivity) -> None:
            if isinstance(activity.event, ToolCallCompleted):
                settled_meanwhile.append(names(other).count("EffectSettled"))
                slow_may_end.set()

        async with (
            host(place.store(), provider, slow, quick) as core,
            core.session("s").open() as session,
        ):
            await session.turn("look").stream_to(watch)
        other.close()

    run(scene())
    # The model's reply and the quick call, while the slow one was still running.
    assert settled_meanwhile[0] == 2


def test_two_model_calls_and_three_tools_that_end_apart_take_at_most_nine_appends(
    place: Place,
) -> None:
    gates = [asyncio.Event() for _ in range(3)]

    async def wait_for(number: int) -> int:
        await gates[number].wait()
        return number

    asked = calls(*(call(f"c{n}", "wait_for", {"number": n}) for n in range(3)))
    provider = speaking(asked, says("done"))

    async def open_next(activity: TurnActivity) -> None:
        done = activity.event
        if isinstance(done, ToolCallStarted) and done.call_id == "c2":
            gates[2].set()
        if isinstance(done, ToolCallCompleted) and done.text != "0":
            gates[int(done.text) - 1].set()

    async def scene() -> Counting:
        store = Counting(place.store())
        async with host(store, provider, wait_for) as core, core.session("s").open() as session:
            result = await session.turn("go").stream_to(open_next)
            assert result.is_success
        return store

    store = run(scene())
    # Opening, accepting, the reply, a tool each, and the answer with the commit; nine at most.
    assert len(store.appends) == 7


def test_settling_one_effect_and_requesting_the_next_is_one_append(place: Place) -> None:
    provider = speaking(calls(call("c1", "add", {"a": 1, "b": 2})), says("3"))

    async def scene() -> list[list[str]]:
        store = Counting(place.store())
        async with host(store, provider, add) as core, core.session("s").open() as session:
            await session.turn("1 + 2?")
            kinds = iter(names(store))
            return [[next(kinds) for _ in append.records] for append in store.appends]

    assert run(scene()) == [
        ["SessionOpened"],
        ["LeaseAcquired", "TurnStarted", "EffectRequested"],
        ["EffectSettled", "EffectRequested"],
        ["EffectSettled", "EffectRequested"],
        ["EffectSettled", "TurnCommitted", "LeaseReleased"],
    ]


def test_turn_08_tool_events_come_in_order_and_stay_out_of_the_prose(place: Place) -> None:
    provider = speaking(
        calls(call("c1", "add", {"a": 1, "b": 2})),
        says("done", deltas=(ProseDelta(text="done"),)),
    )

    async def scene() -> None:
        async with host(place.store(), provider, add) as core, core.session("s").open() as session:
            output = await session.turn("1 + 2?")
            kinds = [type(activity.event) for activity in output.activities]
            assert kinds == [
                ModelRequestStarted,
                UsageReported,
                ToolCallStarted,
                ToolCallCompleted,
                ModelRequestStarted,
                AssistantProseDelta,
                UsageReported,
            ]
            started, completed = output.activities[2:4]
            assert started.correlation_id == completed.correlation_id == "tool:c1"
            assert len({activity.activity_id for activity in output.activities}) == 7
            (prose,) = shown(output.activities, AssistantProseDelta)
            assert prose.text == "done"

    run(scene())


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ('{"a": 1, "b": ', "Invalid JSON"),
        ('{"INVALID_JSON": "{a: 1"}', "Expected a JSON object with a, b"),
        ('{"a": 1, "b": "two"}', "b: Input should be a valid integer"),
        ('{"a": 1, "b": 2, "c": 3}', "c: "),
        ("[]", "The arguments do not fit"),
    ],
)
def test_a_call_with_arguments_that_do_not_fit_is_never_made(
    place: Place, arguments: str, complaint: str
) -> None:
    made: list[tuple[int, int]] = []

    def plus(a: int, b: int) -> int:
        made.append((a, b))
        return a + b

    provider = speaking(calls(call("c1", "plus", arguments)), says("sorry"))

    async def scene() -> None:
        async with (
            host(place.store(), provider, plus) as core,
            core.session("s").open() as session,
        ):
            result = (await session.turn("go")).result
            (record,) = result.tool_calls
            assert record.status is ToolStatus.FAILED
            assert complaint in record.output
            assert record.arguments == arguments
            assert result.is_success

    run(scene())
    assert made == []


def test_an_unknown_tool_is_an_outcome_that_names_the_known_ones(place: Place) -> None:
    provider = speaking(calls(call("c1", "subtract")), says("sorry"))

    async def scene() -> None:
        async with host(place.store(), provider, add) as core, core.session("s").open() as session:
            result = (await session.turn("go")).result
            (record,) = result.tool_calls
            assert (record.status, record.output) == (
                ToolStatus.FAILED,
                "No such tool. Known tools: add.",
            )
            assert result.is_success

    run(scene())


def test_a_tool_that_raises_is_an_outcome_that_the_model_reads(place: Place) -> None:
    def explode() -> None:
        raise ValueError("no such file")

    provider = speaking(calls(call("c1", "explode")), says("sorry"))

    async def scene() -> None:
        async with (
            host(place.store(), provider, explode) as core,
            core.session("s").open() as session,
        ):
            result = (await session.turn("go")).result
            (record,) = result.tool_calls
            assert (record.status, record.output) == (
                ToolStatus.FAILED,
                "ValueError: no such file",
            )
            (part,) = provider.requests[1].messages[-1].parts
            assert isinstance(part, ToolResultPart)
            assert (part.status, part.text) == (ToolStatus.FAILED, "ValueError: no such file")
            assert (result.errors, result.assistant_message) == ((), "sorry")

    run(scene())


def test_a_tool_that_is_cancelled_from_inside_is_an_outcome_too(place: Place) -> None:
    async def gives_up() -> str:
        never = asyncio.get_running_loop().create_future()
        never.cancel()
        await never
        return "never"

    provider = speaking(calls(call("c1", "gives_up")), says("sorry"))

    async def scene() -> None:
        async with (
            host(place.store(), provider, gives_up) as core,
            core.session("s").open() as session,
        ):
            result = (await session.turn("go")).result
            assert [record.status for record in result.tool_calls] == [ToolStatus.FAILED]
            assert result.is_success

    run(scene())


def test_more_calls_than_a_reply_may_hold_end_the_turn_without_making_any(place: Place) -> None:
    made: list[int] = []

    def note(number: int) -> None:
        made.append(number)

    asked = calls(*(call(f"c{n}", "note", {"number": n}) for n in range(3)))
    limits = Limits(tool_calls_per_reply_max=2)

    async def scene() -> None:
        async with (
            host(place.store(), speaking(asked, says("fine")), note, limits=limits) as core,
            core.session("s").open() as session,
        ):
            result = (await session.turn("go")).result
            assert result.outcome == Stopped(
                reason=StopReason.PROVIDER_ERROR, code="limit_exceeded"
            )
            (issue,) = result.errors
            assert "tool_calls_per_reply_max" in issue.message
            assert (await session.turn("again")).result.assistant_message == "fine"

    run(scene())
    assert made == []


def test_a_reply_that_cannot_be_stored_ends_the_turn_and_not_the_session(place: Place) -> None:
    provider = speaking(says("half a character: \ud83d"), says("fine"))

    async def scene() -> None:
        async with host(place.store(), provider) as core, core.session("s").open() as session:
            result = (await session.turn("go")).result
            assert result.outcome == Stopped(
                reason=StopReason.PROVIDER_ERROR, code="unencodable_value"
            )
            assert (await session.turn("again")).result.assistant_message == "fine"

    run(scene())


def test_an_input_that_cannot_be_stored_is_refused_and_nothing_is_written(place: Place) -> None:
    async def scene() -> None:
        store = place.store()
        async with host(store, speaking()) as core, core.session("s").open() as session:
            with pytest.raises(UnencodableValue):
                await session.turn("half a character: \ud83d")
            with pytest.raises(UnencodableValue):
                await session.enqueue("half a character: \ud83d")
            assert names(store) == ["SessionOpened"]

    run(scene())


# Endings


def test_a_turn_that_reaches_its_limit_stops_and_the_transcript_says_so(place: Place) -> None:
    asked = calls(call("c1", "add", {"a": 1, "b": 2}))
    provider = ScriptedProvider(script=always(asked))

    async def scene() -> None:
        async with (
            host(place.store(), provider, add, max_turns=2) as core,
            core.session("s").open() as session,
        ):
            result = (await session.turn("go on")).result
            assert result.outcome == Stopped(reason=StopReason.MAX_TURNS)
            assert result.assistant_message is None
            assert result.revision == 1
            notice = "Turn limit reached (2) before a final assistant response."
            assert (await texts(session))[-1] == ("system", notice)

    run(scene())
    assert len(provider.requests) == 2


def test_a_session_without_a_limit_of_its_own_still_has_one(place: Place) -> None:
    provider = ScriptedProvider(script=always(calls(call("c1", "add", {"a": 1, "b": 2}))))

    async def scene() -> None:
        async with (
            host(
                place.store(),
                provider,
                add,
                max_turns=9,
                limits=Limits(model_calls_per_turn_max=3),
            ) as core,
            core.session("s").max_turns(None).open() as session,
        ):
            assert session.policy_snapshot().max_turns is None
            assert (await session.turn("go on")).result.outcome == Stopped(
                reason=StopReason.MAX_TURNS
            )

    run(scene())
    assert len(provider.requests) == 3


def test_fault_03_a_provider_failure_ends_the_turn_without_a_commit(place: Place) -> None:
    provider = speaking(fails(BROKEN), says("fine"))

    async def scene() -> None:
        async with host(place.store(), provider) as core, core.session("s").open() as session:
            output = await session.turn("hello")
            result = output.result
            assert result.outcome == Stopped(reason=StopReason.PROVIDER_ERROR, code="rate_limited")
            assert result.errors == (
                TurnIssue(
                    kind="llm_provider",
                    code="rate_limited",
                    message="come back later",
                    retryable=True,
                ),
            )
            assert (result.revision, result.assistant_message) == (None, None)
            (error,) = shown(output.activities, ErrorReported)
            assert error == ErrorReported(code="rate_limited", message="come back later")
            assert await texts(session) == []
            assert (await session.turn("again")).result.assistant_message == "fine"
            assert await texts(session) == [("user", "again"), ("assistant", "fine")]

    run(scene())


def test_a_provider_that_raises_anything_else_ends_the_turn_and_no_secret_is_told(
    place: Place,
) -> None:
    provider = speaking(fails(RuntimeError("token sk-secret")), says("fine"))

    async def scene() -> None:
        store = place.store()
        async with host(store, provider) as core, core.session("s").open() as session:
            result = (await session.turn("hello")).result
            (issue,) = result.errors
            assert (issue.code, issue.retryable) == ("unexpected", False)
            assert issue.message == "the provider raised RuntimeError"
            assert result.revision is None
            assert (await session.turn("again")).result.is_success

    run(scene())


@pytest.mark.parametrize("nothing", [says(), says("  \n")])
def test_a_model_that_answers_nothing_ends_the_turn_without_a_commit(
    place: Place, nothing: Say
) -> None:
    async def scene() -> None:
        async with (
            host(place.store(), speaking(nothing)) as core,
            core.session("s").open() as session,
        ):
            result = (await session.turn("hello")).result
            assert result.outcome == Stopped(
                reason=StopReason.PROVIDER_ERROR, code="empty_response"
            )
            assert [(issue.kind, issue.code) for issue in result.errors] == [
                ("llm_provider", "empty_response")
            ]
            assert result.revision is None
            # The tokens were spent, commit or not.
            assert session.usage_report().usage == USAGE

    run(scene())


def test_reasoning_alone_is_an_answer_with_empty_text(place: Place) -> None:
    async def scene() -> None:
        async with (
            host(place.store(), speaking(thinks("hm"))) as core,
            core.session("s").open() as session,
        ):
            result = (await session.turn("hello")).result
            assert (result.outcome, result.assistant_message) == (Finished(), "")

    run(scene())


def test_silence_after_a_tool_result_finishes_the_turn_with_empty_text(place: Place) -> None:
    provider = speaking(calls(call("c1", "add", {"a": 1, "b": 2})), says())

    async def scene() -> None:
        async with host(place.store(), provider, add) as core, core.session("s").open() as session:
            result = (await session.turn("1 + 2?")).result
            assert (result.outcome, result.assistant_message) == (Finished(), "")
            assert [message.role for message in await messages(session)] == [
                Role.USER,
                Role.ASSISTANT,
                Role.USER,
            ]

    run(scene())


def test_a_reply_cut_by_the_output_limit_is_kept_and_its_calls_are_not_made(place: Place) -> None:
    cut = ModelReply(
        parts=(
            ProsePart(text="I will"),
            ToolCallPart(call_id=call("c1", "add").call_id, tool="add", arguments='{"a"'),
        ),
        finish=FinishReason.OUTPUT_LIMIT,
        usage=USAGE,
    )
    provider = speaking(Say(reply=cut), says("fine"))

    async def scene() -> None:
        async with host(place.store(), provider, add) as core, core.session("s").open() as session:
            result = (await session.turn("go")).result
            assert result.outcome == Stopped(reason=StopReason.INCOMPLETE, code="output_limit")
            assert (result.revision, result.tool_calls) == (1, ())
            assert [issue.code for issue in result.errors] == ["output_limit"]
            await session.turn("again")
            # Providers refuse a call without a result, so the next request is without it.
            assert [m.text for m in provider.requests[1].messages] == ["go", "I will", "again"]
            parts = [part for m in provider.requests[1].messages for part in m.parts]
            assert not any(isinstance(part, ToolCallPart) for part in parts)

    run(scene())


@pytest.mark.parametrize("finish", [FinishReason.CONTENT_FILTER, FinishReason.ERROR])
def test_a_reply_that_the_provider_withdrew_ends_the_turn_without_a_commit(
    place: Place, finish: FinishReason
) -> None:
    async def scene() -> None:
        async with (
            host(place.store(), speaking(says("half an", finish=finish))) as core,
            core.session("s").open() as session,
        ):
            result = (await session.turn("go")).result
            assert result.outcome == Stopped(reason=StopReason.PROVIDER_ERROR, code=finish.value)
            assert await texts(session) == []

    run(scene())


# Drained turns


def test_a_drain_takes_all_that_waits_as_one_message_and_settles_it(place: Place) -> None:
    provider = speaking(says("both"))

    async def scene() -> None:
        async with host(place.store(), provider) as core, core.session("s").open() as session:
            await session.enqueue("first")
            second = await session.enqueue("second")
            output = await session.queued_turn().drain_id("drain-1")
            assert output is not None
            assert output.result.turn_id == "drain-1"
            assert await texts(session) == [("user", "first\nsecond"), ("assistant", "both")]
            assert await session.pending_turn_inputs() == []
            assert await session.queued_turn() is None
            outcome = await session.cancel_pending_turn_input(second.input_id)
            assert isinstance(outcome, AlreadyCompleted)
            assert outcome.input.status is InputStatus.COMPLETED
            assert (await session.queued_turn().drain_id("drain-1")) == output.__class__(
                result=output.result, activities=()
            )

    run(scene())
    assert len(provider.requests) == 1


def test_an_input_whose_turns_do_not_commit_is_pending_again_three_times_and_then_given_up(
    place: Place,
) -> None:
    provider = ScriptedProvider(script=always(fails(BROKEN)))

    async def scene() -> None:
        async with host(place.store(), provider) as core, core.session("s").open() as session:
            sent = await session.enqueue("hello").id("k")
            for _ in range(3):
                output = await session.queued_turn()
                assert output is not None
                assert not output.result.is_success
                assert [each.input_id for each in await session.pending_turn_inputs()] == [
                    sent.input_id
                ]
            assert await session.queued_turn() is not None
            assert await session.pending_turn_inputs() == []
            assert await session.queued_turn() is None
            again = await session.enqueue("hello").id("k")
            assert (again.input_id, again.state) == (sent.input_id, InputStatus.FAILED)

    run(scene())
    assert len(provider.requests) == 4


# Looked up later


def test_a_turn_that_ran_is_looked_up_by_its_id_and_not_run_again(place: Place) -> None:
    provider = speaking(calls(call("c1", "add", {"a": 1, "b": 2})), says("3"))

    async def scene() -> None:
        store = Counting(place.store())
        async with host(store, provider, add) as core:
            async with core.session("s").open() as session:
                first = await session.turn("1 + 2?").turn_id("t")
                appends_count = len(store.appends)
                again = await session.turn("1 + 2?").turn_id("t")
                assert again.result == first.result
                assert again.activities == ()
            async with core.session("s").open() as reopened:
                assert (await reopened.turn("1 + 2?").turn_id("t")).result == first.result
            assert len(store.appends) == appends_count

    run(scene())
    assert len(provider.requests) == 2


def test_a_turn_id_with_another_input_is_a_conflict_and_writes_nothing(place: Place) -> None:
    provider = speaking(says("fine"))

    async def scene() -> None:
        store = place.store()
        async with host(store, provider) as core, core.session("s").open() as session:
            await session.turn("hello").turn_id("t")
            written = names(store)
            with pytest.raises(TurnIdConflict) as conflict:
                await session.turn("goodbye").turn_id("t")
            assert conflict.value.fields == {"session_id": "s", "turn_id": "t"}
            assert names(store) == written

    run(scene())


def test_fault_19_a_turn_that_failed_is_not_run_again_under_its_id_either(place: Place) -> None:
    provider = speaking(fails(BROKEN))

    async def scene() -> None:
        async with host(place.store(), provider) as core, core.session("s").open() as session:
            first = await session.turn("hello").turn_id("t")
            again = await session.turn("hello").turn_id("t")
            assert again.result == first.result

    run(scene())
    assert len(provider.requests) == 1


def test_turns_of_one_handle_wait_for_each_other(place: Place) -> None:
    provider = ScriptedProvider(script=lambda request: says(f"re: {request.messages[-1].text}"))

    async def scene() -> None:
        async with host(place.store(), provider) as core, core.session("s").open() as session:
            twin = session.clone()
            turns = (session.turn("a"), twin.turn("b"), session.turn("c"))
            await asyncio.gather(*(turn.run() for turn in turns))
            assert await texts(session) == [
                ("user", "a"),
                ("assistant", "re: a"),
                ("user", "b"),
                ("assistant", "re: b"),
                ("user", "c"),
                ("assistant", "re: c"),
            ]
            with pytest.raises(SessionStillInUse):
                await twin.close()  # Let go all the same, so that the first handle is the last.

    run(scene())


# Usage


def test_commit_34_a_turn_writes_two_messages_and_one_ledger_row(place: Place) -> None:
    usage = TokenUsage(
        input_tokens=12, output_tokens=4, cache_read_input_tokens=1, reasoning_output_tokens=2
    )

    async def scene() -> None:
        async with host(
            place.store(), speaking(says("Stored answer", usage=usage)), model="m1"
        ) as core:
            async with core.session("s").open() as session:
                await session.turn("where did this go?")
            async with core.session("s").open() as reopened:
                assert await texts(reopened) == [
                    ("user", "where did this go?"),
                    ("assistant", "Stored answer"),
                ]
                assert reopened.read_view().turn_index == 1
                assert reopened.read_view().token_usage == usage
                report = reopened.usage_report()
                (row,) = report.rows
                assert (row.source, row.model, row.usage) == ("turn", "m1", usage)
                assert (report.entry_count, report.usage.total_tokens) == (1, 17)

    run(scene())


def test_usage_is_reported_after_each_model_call_and_adds_up(place: Place) -> None:
    provider = speaking(calls(call("c1", "add", {"a": 1, "b": 2})), says("3"))

    async def scene() -> None:
        async with host(place.store(), provider, add) as core, core.session("s").open() as session:
            output = await session.turn("1 + 2?")
            first, second = shown(output.activities, UsageReported)
            assert (first.protocol_iteration, second.protocol_iteration) == (0, 1)
            assert (first.cumulative, second.cumulative) == (USAGE, USAGE + USAGE)
            assert output.result.usage == USAGE + USAGE

    run(scene())


def test_usage_is_kept_by_model(place: Place) -> None:
    async def scene() -> None:
        provider = ScriptedProvider(script=always(says("fine")))
        async with (
            host(place.store(), provider, model="m1") as core,
            core.session("s").open() as session,
        ):
            await session.turn("a")
            await session.configure(model="m2")
            await session.turn("b")
            await session.turn("c")
            by_model = {row.name: row.usage for row in session.usage_report().by_model}
            assert by_model == {"m1": USAGE, "m2": USAGE + USAGE}

    run(scene())


def test_the_transcript_is_read_in_pages(place: Place) -> None:
    async def scene() -> None:
        provider = ScriptedProvider(script=always(says("fine")))
        async with host(place.store(), provider) as core, core.session("s").open() as session:
            for text in ("a", "b", "c"):
                await session.turn(text)
            view = session.read_view()
            page = await view.messages(first=2, messages_max=3)
            assert [message.text for message in page] == ["b", "fine", "c"]
            await session.turn("d")
            # A view is of one version: what came later is not in it.
            assert len(await view.messages()) == 6

    run(scene())


def test_every_input_of_a_drain_and_its_order_is_in_the_log(place: Place) -> None:
    async def scene() -> None:
        store = place.store()
        async with (
            host(store, speaking(says("fine"))) as core,
            core.session("s").open() as session,
        ):
            sent = [await session.enqueue(text) for text in ("a", "b")]
            await session.queued_turn()
            committed = next(e for e in facts(store) if type(e).__name__ == "TurnCommitted")
            expected: tuple[InputId, ...] = tuple(each.input_id for each in sent)
            assert getattr(committed, "completed_input_ids", None) == expected

    run(scene())
