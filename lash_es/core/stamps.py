"""
Slice: what a commit means, as a hash; and the stamp by which a retry recognises it.

The hash is of the outcome, the usage, and of each message who speaks and what is said. Contents
take part by their salted digests, which the facts hold anyway: so the hash betrays nothing of an
erased body, and a content that differs anywhere has another. No id, time, token, fence or expected
revision takes part (ADR 0033).
"""

import hashlib
import json
from typing import assert_never

from lash_es.core.events import TurnCommitted
from lash_es.core.known import CommitStamp
from lash_es.core.messages import TokenUsage
from lash_es.core.outcomes import Finished, FrameSwitched, Stopped, TurnOutcome
from lash_es.core.state import Open
from lash_es.core.steering import all_told
from lash_es.core.transcripts import (
    FromInputs,
    FromReply,
    FromResults,
    FromWork,
    Node,
    NodeSource,
    TurnLimitNotice,
)
from lash_es.core.turns import OpenTurn, notices


def commit_hash(
    turn: OpenTurn, outcome: TurnOutcome, nodes: tuple[Node, ...] | None = None
) -> str:
    """
    Hash what a commit of the open turn would mean, in lowercase hexadecimal.

    ``nodes`` are all that it would commit; left out, those that the turn has made.
    """
    meaning = [
        _outcome(outcome),
        _usage(turn.usage),
        [[node.role.value, *_said(node.source)] for node in nodes or turn.nodes],
        # By the place in the transcript: calls that ran side by side may have ended in any order.
        sorted(turn.digests),
    ]
    text = json.dumps(meaning, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def meant(session: Open, turn: OpenTurn, outcome: TurnOutcome) -> str:
    """Hash what a commit of the open turn with this outcome would mean, its notices included."""
    told = all_told(session, turn)
    return commit_hash(told, outcome, (*told.nodes, *notices(told, outcome)))


def stamped(before: Open, turn: OpenTurn, event: TurnCommitted) -> CommitStamp:
    """Make the stamp of a commit from the turn that it ends; ``before`` is the state then."""
    return CommitStamp(
        commit_hash=commit_hash(all_told(before, turn), event.outcome, event.nodes),
        revision=event.revision,
    )


def _outcome(outcome: TurnOutcome) -> list[str | None]:
    match outcome:
        case Finished():
            return ["finished"]
        case FrameSwitched():
            return ["frame", outcome.frame_id]
        case Stopped():
            return ["stopped", outcome.reason.value, outcome.code]
        case _:
            assert_never(outcome)


def _usage(usage: TokenUsage) -> list[int]:
    return [
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_input_tokens,
        usage.cache_write_input_tokens,
        usage.reasoning_output_tokens,
    ]


def _said(source: NodeSource) -> list[str | int]:
    match source:
        case FromInputs():
            return ["inputs", len(source.bodies)]
        case FromReply():
            return ["reply"]
        case FromResults():
            calls = [(result.tool, result.status.value) for result in source.results]
            return ["results", *[word for call in calls for word in call]]
        case FromWork():
            return ["work", len(source.bodies)]
        case TurnLimitNotice():
            return ["notice", source.model_calls_max]
        case _:
            assert_never(source)
