"""
Goal: what crosses the wire comes through as it was, or is refused with the field and the reason.
"""

from typing import Any, Final

import attrs
import jsonschema  # type: ignore[import-untyped]  # its stubs are a package of their own
import orjson
import pytest

from lash_es.core.batches import WorkBoundary
from lash_es.core.errors import LashError
from lash_es.core.ids import BatchId, CallId, EffectId, InputId, TurnId
from lash_es.core.ingress import Boundary
from lash_es.core.messages import (
    ImageItem,
    Message,
    Role,
    TextItem,
    TextPart,
    TokenUsage,
    ToolStatus,
    TurnInput,
)
from lash_es.core.outcomes import Stopped, StopReason
from lash_es.remote import converting
from lash_es.remote.constraints import PROTOCOL_VERSION, validate
from lash_es.remote.converting import (
    REMOTE_BYTES_MAX,
    decode_remote,
    encode_remote,
    from_remote,
    to_remote,
)
from lash_es.remote.errors import (
    InvalidField,
    MismatchedNestedProtocolVersion,
    MissingRequiredField,
    NonRemoteSafeTurnInput,
    RemoteProtocolError,
    UnsupportedProtocolVersion,
)
from lash_es.remote.observations import (
    RemoteActivityShown,
    RemoteAgentFrameSwitched,
    RemoteCommitted,
    RemoteProcessChange,
    RemoteProcessChanged,
    RemoteQueueChange,
    RemoteQueueChanged,
    RemoteSessionCursor,
    RemoteSessionObservationEvent,
)
from lash_es.remote.schemas import TOP_LEVEL, remote_schemas
from lash_es.remote.turn_activities import (
    RemoteAssistantProseDelta,
    RemoteRuntimeDiagnostic,
    RemoteToolCallCompleted,
    RemoteTurnActivity,
    remote_activity,
)
from lash_es.remote.turn_inputs import (
    RemoteImageRef,
    RemoteTextItem,
    RemoteTurnInput,
    RemoteTurnRequest,
    remote_turn_input,
    turn_input_from_remote,
)
from lash_es.remote.turn_results import RemoteTurnUsage
from lash_es.remote.usage import RemoteTokenLedgerEntry, remote_usage, usage_from_remote
from lash_es.turns.activities import (
    AcceptedInput,
    EffectsRepeated,
    ErrorReported,
    ModelRequestStarted,
    QueuedInputAccepted,
    QueuedWorkStarted,
    ReasoningTextDelta,
    RepeatedEffect,
    ToolCallCompleted,
    ToolCallStarted,
    TurnActivity,
    TurnActivityEvent,
    TurnEndedUncommitted,
    UsageReported,
    WorkCause,
)
from tests.remote.fuzzing import Plain, fuzz

ACTIVITY: Final = RemoteTurnActivity(
    protocol_version=8,
    sequence=7,
    id="4.1",
    correlation_id="t1/1",
    event=RemoteAssistantProseDelta(text="hel"),
)


def event(payload: Any) -> RemoteSessionObservationEvent:  # noqa: ANN401 - any payload
    return RemoteSessionObservationEvent(
        protocol_version=8, session_id="s", revision=3, cursor="c", payload=payload
    )


def test_what_crosses_the_wire_comes_through_or_is_refused_with_the_field_and_the_reason() -> None:
    assert fuzz(2_000, seed=8).counts.total() == 2_000


def test_a_decoder_that_takes_what_no_schema_allows_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(converting, "validate", lambda _: None)

    with pytest.raises(AssertionError):
        fuzz(2_000, seed=8)


def test_remote_03_the_schemas_list_kinds_and_have_the_protocol_version() -> None:
    schemas = remote_schemas()
    of_events = schemas["RemoteSessionObservationEvent"]
    variants: Any = of_events["oneOf"]
    by_type = {each["properties"]["type"]["const"]: each for each in variants}

    assert set(by_type) == {
        "turn_activity",
        "committed",
        "agent_frame_switched",
        "queue_changed",
        "process_changed",
    }
    kinds = {name: each["properties"].get("kind") for name, each in by_type.items()}
    assert kinds["queue_changed"] == {"enum": ["enqueued", "cancelled"]}
    assert kinds["process_changed"] == {"enum": ["started", "cancelled"]}
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)
        shapes: Any = schema.get("oneOf", [schema])
        assert all("protocol_version" in shape["required"] for shape in shapes)
    assert len(schemas) == len(TOP_LEVEL)


def test_remote_05_a_nested_version_must_match() -> None:
    request = RemoteTurnRequest(
        protocol_version=8,
        session_id="s",
        turn_id="t",
        input=attrs.evolve(remote_turn_input(TurnInput.of_text("x")), protocol_version=9),
        tool_grants=(),
        metadata={},
    )
    with pytest.raises(MismatchedNestedProtocolVersion) as refusal:
        validate(request)
    assert refusal.value.fields == {
        "field": "$.input.protocol_version",
        "found": 9,
        "expected": 8,
    }
    shown = event(RemoteActivityShown(activity=attrs.evolve(ACTIVITY, protocol_version=7)))
    with pytest.raises(MismatchedNestedProtocolVersion) as refusal:
        encode_remote(shown)
    assert refusal.value.field == "$.activity.protocol_version"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{", InvalidField),
        ("[]", InvalidField),
        ("null", InvalidField),
        ('{"protocol_version": 8}', MissingRequiredField),
        ('{"protocol_version": 8, "cursor": " "}', MissingRequiredField),
        ('{"protocol_version": 9, "cursor": "c"}', UnsupportedProtocolVersion),
        ('{"protocol_version": "8", "cursor": "c"}', InvalidField),
        ('{"protocol_version": true, "cursor": "c"}', InvalidField),
        ('{"protocol_version": 8, "cursor": "c", "more": 1}', InvalidField),
        ('{"protocol_version": 8, "cursor": ["c"]}', InvalidField),
    ],
)
def test_an_envelope_is_what_the_protocol_says(text: str, error: type[LashError]) -> None:
    with pytest.raises(error):
        decode_remote(text, RemoteSessionCursor)


@pytest.mark.parametrize(
    ("payload", "plain"),
    [
        (RemoteCommitted(), {"type": "committed"}),
        (
            RemoteAgentFrameSwitched(frame_id="f"),
            {"type": "agent_frame_switched", "frame_id": "f"},
        ),
        (
            RemoteQueueChanged(kind=RemoteQueueChange.CANCELLED, batch_ids=("a", "b")),
            {"type": "queue_changed", "kind": "cancelled", "batch_ids": ["a", "b"]},
        ),
        (
            RemoteProcessChanged(kind=RemoteProcessChange.STARTED, process_ids=("p",)),
            {"type": "process_changed", "kind": "started", "process_ids": ["p"]},
        ),
        (
            RemoteActivityShown(activity=ACTIVITY),
            {
                "type": "turn_activity",
                "activity": {
                    "protocol_version": 8,
                    "sequence": 7,
                    "id": "4.1",
                    "correlation_id": "t1/1",
                    "type": "assistant_prose_delta",
                    "text": "hel",
                },
            },
        ),
    ],
    ids=lambda each: type(each).__name__,
)
def test_remote_08_the_fields_of_a_payload_stand_beside_the_others(
    payload: object, plain: Plain
) -> None:
    whole = {"protocol_version": 8, "session_id": "s", "revision": 3, "cursor": "c", **plain}

    assert orjson.loads(encode_remote(event(payload))) == whole
    assert from_remote(whole, RemoteSessionObservationEvent) == event(payload)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"type": "queue_changed"}, "$"),
        ({"type": "queue_changed", "kind": "enqueued", "batch_ids": ["a", ""]}, "$.batch_ids[1]"),
        ({"type": "queue_changed", "kind": "enqueued", "batch_ids": ["a", 1]}, "$.batch_ids[1]"),
        ({"type": "queue_changed", "kind": "gone", "batch_ids": []}, "$.kind"),
        ({"type": "queue_changed", "kind": "enqueued", "batch_ids": "ab"}, "$.batch_ids"),
        ({"type": "nothing"}, "$"),
        ({"type": ["committed"]}, "$"),
        ({"type": "committed", "revision": -1}, "$.revision"),
        ({"type": "committed", "revision": 2**63}, "$.revision"),
        ({"type": "committed", "frame_id": "f"}, "$"),
    ],
)
def test_a_refusal_names_the_field_as_it_is_on_the_wire(change: Plain, field: str) -> None:
    whole = {"protocol_version": 8, "session_id": "s", "revision": 3, "cursor": "c", **change}

    with pytest.raises(RemoteProtocolError) as refusal:
        from_remote(whole, RemoteSessionObservationEvent)
    named = str(refusal.value.fields["field"])
    assert named == field or named.startswith(f"{field}.")


def test_what_is_too_long_is_not_read() -> None:
    with pytest.raises(InvalidField, match="at most"):
        decode_remote(b" " * (REMOTE_BYTES_MAX + 1), RemoteSessionCursor)


def test_what_json_cannot_hold_is_not_written() -> None:
    hostile = event(
        RemoteActivityShown(
            activity=attrs.evolve(
                ACTIVITY, event=RemoteRuntimeDiagnostic(kind="x", data={"a": "\ud800"})
            )
        )
    )
    with pytest.raises(InvalidField):
        encode_remote(hostile)


# Turn inputs


def test_remote_12_an_input_comes_through_both_ways() -> None:
    said = TurnInput(
        items=(
            TextItem(text="one"),
            ImageItem(media_type="image/jpeg", data=b"\x01\x02\x03"),
            TextItem(text="two"),
        )
    )
    remote = remote_turn_input(said, trace_turn_id="trace-1")

    assert remote.image_blobs_base64 == {"image-1": "AQID"}
    assert remote.items[1] == RemoteImageRef(id="image-1", media_type="image/jpeg")
    assert turn_input_from_remote(remote) == said
    whole = attrs.evolve(
        remote, protocol_turn_options={"depth": 2}, prompt_layer={"template": None}
    )
    assert decode_remote(encode_remote(whole), RemoteTurnInput) == whole


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"protocol_turn_options": {"depth": 2}}, "protocol_turn_options"),
        ({"prompt_layer": {}}, "prompt_layer"),
        ({"items": (RemoteImageRef(id="lost"),)}, "'lost'"),
    ],
)
def test_remote_13_what_this_runtime_cannot_take_is_refused_with_the_reason(
    change: dict[str, Any], reason: str
) -> None:
    remote = RemoteTurnInput(
        protocol_version=8, items=(RemoteTextItem(text="x"),), image_blobs_base64={}
    )
    with pytest.raises(NonRemoteSafeTurnInput, match=reason):
        turn_input_from_remote(attrs.evolve(remote, **change))


@pytest.mark.parametrize("blob", ["AQ", "A", "AQID\n", "!!!!", "AR=="])
def test_a_blob_is_base64_and_the_one_text_of_its_bytes(blob: str) -> None:
    remote = RemoteTurnInput(protocol_version=8, items=(), image_blobs_base64={"a": blob})
    with pytest.raises(InvalidField) as refusal:
        validate(remote)
    assert refusal.value.field == "$.image_blobs_base64.a"


def test_remote_15_usage_is_summed_over_the_children() -> None:
    child = RemoteTokenLedgerEntry(
        source="child", model="m", usage=remote_usage(TokenUsage(input_tokens=3, output_tokens=4))
    )
    usage = RemoteTurnUsage.of(TokenUsage(input_tokens=1, output_tokens=2), (child,))

    assert usage_from_remote(usage.total) == TokenUsage(input_tokens=4, output_tokens=6)
    assert usage_from_remote(usage.parent) == TokenUsage(input_tokens=1, output_tokens=2)


# Activities

E1: Final = EffectId("t1/1")
C1: Final = CallId("c1")


def plain_of(shown: TurnActivityEvent) -> dict[str, object]:
    activity = TurnActivity(activity_id="a", correlation_id="c", event=shown)
    plain = to_remote(remote_activity(activity, 9))
    assert decode_remote(orjson.dumps(plain), RemoteTurnActivity) == remote_activity(activity, 9)
    for name, expected in (("protocol_version", 8), ("sequence", 9), ("id", "a")):
        assert plain.pop(name) == expected
    assert plain.pop("correlation_id") == "c"
    return plain


def test_remote_16_a_completed_call_keeps_id_arguments_duration_and_sequence() -> None:
    completed = ToolCallCompleted(
        effect_id=E1,
        call_id=C1,
        name="read",
        arguments='{"path": "x"}',
        status=ToolStatus.FAILED,
        text="no such file",
        duration_ms=42,
    )

    assert plain_of(completed) == {
        "type": "tool_call_completed",
        "call_id": "c1",
        "name": "read",
        "args": {"path": "x"},
        "output": {"status": "failed", "text": "no such file"},
        "duration_ms": 42,
    }
    remote = remote_activity(TurnActivity(activity_id="a", correlation_id="c", event=completed), 9)
    assert isinstance(remote.event, RemoteToolCallCompleted)
    assert remote.sequence == 9


@pytest.mark.parametrize(
    ("shown", "plain"),
    [
        (
            ModelRequestStarted(effect_id=E1, protocol_iteration=1, attempt=1),
            {"type": "model_request_started", "protocol_iteration": 1},
        ),
        (
            ReasoningTextDelta(effect_id=E1, attempt=2, text="hm"),
            {"type": "reasoning_delta", "text": "hm", "attempt": 2},
        ),
        (
            ToolCallStarted(effect_id=E1, call_id=C1, name="read", arguments="[", attempt=1),
            {"type": "tool_call_started", "call_id": "c1", "name": "read", "args": "["},
        ),
        (
            ErrorReported(code="rate_limited", message="slow down"),
            {"type": "error", "code": "rate_limited", "message": "slow down"},
        ),
        (
            UsageReported(
                protocol_iteration=0,
                usage=TokenUsage(input_tokens=1),
                cumulative=TokenUsage(input_tokens=2),
            ),
            {
                "type": "usage",
                "protocol_iteration": 0,
                "usage": to_remote(remote_usage(TokenUsage(input_tokens=1))),
                "cumulative": to_remote(remote_usage(TokenUsage(input_tokens=2))),
            },
        ),
        (
            QueuedInputAccepted(
                checkpoint=Boundary.AFTER_WORK,
                inputs=(
                    AcceptedInput(
                        id="mail-1",
                        message=Message(
                            message_id="mail-1", role=Role.USER, parts=(TextPart(text="stop"),)
                        ),
                    ),
                ),
            ),
            {
                "type": "runtime_diagnostic",
                "kind": "queued_input_accepted",
                "data": {
                    "checkpoint": "after_work",
                    "inputs": [{"id": "mail-1", "text": "stop"}],
                },
            },
        ),
        (
            QueuedWorkStarted(
                boundary=WorkBoundary.IDLE,
                batch_ids=(BatchId("b1"),),
                causes=(
                    WorkCause(
                        cause_id="w1", event_type="done", process_id="p", sequence=1, text="ready"
                    ),
                ),
            ),
            {
                "type": "runtime_diagnostic",
                "kind": "queued_work_started",
                "data": {
                    "boundary": "idle",
                    "batch_ids": ["b1"],
                    "causes": [{"id": "w1", "event_type": "done", "text": "ready"}],
                },
            },
        ),
        (
            EffectsRepeated(
                turn_id=TurnId("t1"), effects=(RepeatedEffect(effect_id=E1, attempt=2),)
            ),
            {
                "type": "runtime_diagnostic",
                "kind": "effects_repeated",
                "data": {
                    "turn_id": "t1",
                    "effects": [{"correlation_id": "t1/1", "attempt": 2}],
                },
            },
        ),
        (
            TurnEndedUncommitted(
                turn_id=TurnId("t1"),
                outcome=Stopped(reason=StopReason.PROVIDER_ERROR),
                returned_input_ids=(InputId("i1"),),
                failed_input_ids=(),
            ),
            {
                "type": "runtime_diagnostic",
                "kind": "turn_ended_uncommitted",
                "data": {
                    "turn_id": "t1",
                    "returned_input_ids": ["i1"],
                    "failed_input_ids": [],
                },
            },
        ),
    ],
    ids=lambda each: type(each).__name__,
)
def test_remote_16_every_activity_has_its_form(shown: TurnActivityEvent, plain: Plain) -> None:
    assert plain_of(shown) == plain


def test_the_protocol_version_is_eight() -> None:
    assert PROTOCOL_VERSION == 8
