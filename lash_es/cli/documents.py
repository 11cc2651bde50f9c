"""Plain values for ``--json``: names in full, times in epoch milliseconds, nothing shortened."""

from lash_es.codec.streams import StreamId
from lash_es.core.agenda import agenda
from lash_es.core.effects import Effect, ToolCall
from lash_es.core.leases import Lease
from lash_es.core.messages import (
    ImagePart,
    Message,
    Part,
    TokenUsage,
    ToolCallPart,
    ToolResultPart,
)
from lash_es.core.outcomes import Finished, FrameSwitched, TurnOutcome
from lash_es.core.state import NotOpened, Open, State
from lash_es.core.turns import NoTurn, Turn
from lash_es.log.encoding import status
from lash_es.projections.pending import pending_queues
from lash_es.projections.usage import usage_report
from lash_es.timetravel.narrating import Line
from lash_es.timetravel.verifying import Verdict

Document = dict[str, object]


def line_document(line: Line) -> Document:
    """Describe one fact as it is told."""
    return {
        "position": line.position,
        "at_ms": line.at_ms,
        "generation": line.generation,
        "name": line.name,
        "what": line.what,
        "cause": line.cause,
    }


def verdict_document(verdict: Verdict) -> Document:
    """Describe what a check found."""
    return {
        "session": verdict.session_id,
        "is_sound": verdict.is_sound,
        "version": verdict.version,
        "digest": verdict.digest,
        "bodies_count": verdict.bodies_count,
        "bodies_bytes": verdict.bodies_bytes,
        "bodies_sealed_count": verdict.bodies_sealed_count,
        "index_rows_count": verdict.index_rows_count,
        "problems": [
            {"check": each.check, "position": each.position, "reason": each.reason}
            for each in verdict.problems
        ],
    }


def state_document(stream: StreamId, state: State, now_ms: int) -> Document:
    """Describe a state; ``now_ms`` decides which claims are live."""
    found: Document = {
        "session": stream.session_id,
        "namespace": stream.namespace,
        "status": status(state),
        "version": 0 if isinstance(state, NotOpened) else state.version,
    }
    if isinstance(state, Open):
        found |= _open_document(state, now_ms)
    return found


def _open_document(state: Open, now_ms: int) -> Document:
    return {
        "at_ms": state.at_ms,
        "opened_at_ms": state.opened_at_ms,
        "policy": {
            "provider_id": state.policy.provider_id,
            "model": state.policy.model.model_id,
            "settings_json": state.policy.model.settings_json,
            "max_turns": state.policy.max_turns,
            "instructions": state.policy.instructions,
        },
        "lease": _lease_document(state.lease),
        "turn": _turn_document(state.turn),
        "agenda": [_effect_document(effect) for effect in agenda(state)],
        "pending": [
            {
                "input_id": entry.input_id,
                "sequence": entry.sequence,
                "source_key": entry.source_key,
                "status": entry.status.value,
                "enqueued_at_ms": entry.enqueued_at_ms,
                "claim_id": entry.claim_id,
                "is_held": entry.is_held,
            }
            for entry in pending_queues(state, now_ms).inputs
        ],
        "head": {
            "revision": state.head.revision,
            "turn_index": state.head.turn_index,
            "leaf": None if state.head.leaf is None else state.head.leaf.node_id,
            "commit": None if state.head.leaf is None else state.head.leaf.commit,
        },
        "usage": usage_document(usage_report(state.ledger).usage),
    }


def _lease_document(lease: Lease) -> Document:
    holder = lease.holder
    if holder is None:
        return {"generation": lease.generation, "holder": None}
    return {
        "generation": lease.generation,
        "holder": {
            "owner_id": holder.owner.owner_id,
            "incarnation_id": holder.owner.incarnation_id,
            "claimed_at_ms": holder.claimed_at_ms,
            "expires_at_ms": holder.expires_at_ms,
            "ttl_ms": holder.ttl_ms,
        },
    }


def _turn_document(turn: Turn) -> Document | None:
    if isinstance(turn, NoTurn):
        return None
    return {
        "turn_id": turn.turn_id,
        "started": turn.started,
        "started_at_ms": turn.started_at_ms,
        "generation": turn.generation,
        "step": type(turn.step).__name__,
        "effects_count": turn.effects_count,
        "model_calls_max": turn.model_calls_max,
        "usage": usage_document(turn.usage),
    }


def _effect_document(effect: Effect) -> Document:
    found: Document = {
        "effect_id": effect.effect_id,
        "position": effect.position,
        "attempt": effect.attempt,
    }
    if isinstance(effect.request, ToolCall):
        return found | {"tool": effect.request.tool, "call_id": effect.request.call_id}
    return found | {"model_call": effect.request.iteration}


def usage_document(usage: TokenUsage) -> Document:
    """Describe tokens by bucket."""
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_input_tokens": usage.cache_read_input_tokens,
        "cache_write_input_tokens": usage.cache_write_input_tokens,
        "reasoning_output_tokens": usage.reasoning_output_tokens,
        "total_tokens": usage.total_tokens,
    }


def outcome_document(outcome: TurnOutcome) -> Document:
    """Describe how a turn ended."""
    if isinstance(outcome, Finished):
        return {"outcome": "finished"}
    if isinstance(outcome, FrameSwitched):
        return {"outcome": "frame_switched", "frame_id": outcome.frame_id}
    return {"outcome": "stopped", "reason": outcome.reason.value, "code": outcome.code}


def message_document(message: Message) -> Document:
    """Describe one message of a transcript."""
    return {
        "message_id": message.message_id,
        "role": message.role.value,
        "parts": [_part_document(part) for part in message.parts],
    }


def _part_document(part: Part) -> Document:
    match part:
        case ToolCallPart():
            return {
                "kind": "tool_call",
                "call_id": part.call_id,
                "tool": part.tool,
                "arguments": part.arguments,
            }
        case ToolResultPart():
            return {
                "kind": "tool_result",
                "call_id": part.call_id,
                "tool": part.tool,
                "status": part.status.value,
                "text": part.text,
            }
        case ImagePart():
            return {"kind": "image", "media_type": part.media_type, "bytes": len(part.data)}
        case _:
            return {"kind": type(part).__name__.removesuffix("Part").lower(), "text": part.text}
