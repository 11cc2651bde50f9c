"""
Every named bound, with its default.

A refusal names the limit, what was asked and what is allowed.
"""

from attrs import frozen


@frozen(kw_only=True)
class Limits:
    """
    Bounds that a host may change; sizes in bytes or characters, counts in items.

    ``drain_attempts_max`` is how often an input is pending again after a turn that did not commit.
    """

    session_id_chars_max: int = 512
    source_key_chars_max: int = 512
    turn_id_chars_max: int = 256
    owner_id_chars_max: int = 256
    model_id_chars_max: int = 512
    prompt_chars_max: int = 256 * 1024
    body_bytes_max: int = 16 * 1024 * 1024
    inputs_pending_max: int = 1_000
    inputs_per_claim_max: int = 64
    cancel_targets_max: int = 1_000
    batches_open_max: int = 1_000
    batches_per_claim_max: int = 64
    items_per_batch_max: int = 64
    merge_group_chars_max: int = 256
    drain_attempts_max: int = 3
    model_calls_per_turn_max: int = 100
    tool_calls_per_reply_max: int = 64
    description_chars_max: int = 4_096
    tool_name_chars_max: int = 256
    frame_id_chars_max: int = 512
    nodes_per_append_max: int = 256
    nodes_per_tombstone_max: int = 1_000
    ledger_rows_max: int = 256
    trim_bodies_max: int = 4_096


DEFAULT_LIMITS = Limits()
