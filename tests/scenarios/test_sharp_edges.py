"""
The sharp edges of the specification, each with the test that proves what is wanted there.

One edge a line: its number, and the test by file and name. What is not built yet has no line.
"""

from pathlib import Path
from typing import Final

import pytest

TESTS: Final = Path(__file__).parents[1]

EDGES: Final = {
    "1": "core/test_graph.py::test_the_first_commit_after_it_starts_a_new_root_whatever_the_revision",  # noqa: E501
    "2": "scenarios/test_open.py::test_open_09_open_fresh_adopts_nothing_and_loses_nothing",
    "3": "scenarios/test_open.py::test_open_18_a_state_of_another_session_is_refused",
    "4": "scenarios/test_open.py::test_open_05_the_recorded_provider_stays_and_another_one_fails_the_first_turn",  # noqa: E501
    "5": "scenarios/test_open.py::test_open_05_the_recorded_provider_stays_and_another_one_fails_the_first_turn",  # noqa: E501
    "6": "scenarios/test_open.py::test_open_05_the_recorded_provider_stays_and_another_one_fails_the_first_turn",  # noqa: E501
    "8": "scenarios/test_edges.py::test_edge_08_a_bound_that_is_cleared_is_not_one_that_is_inherited",  # noqa: E501
    "9": "scenarios/test_edges.py::test_edge_09_a_spec_after_a_provider_drops_its_id_and_keeps_the_handle",  # noqa: E501
    "12": "scenarios/test_park.py::test_park_07_parking_leaves_the_lease_free_and_the_head_where_it_was",  # noqa: E501
    "13": "scenarios/test_park.py::test_park_02_an_observer_keeps_the_session_and_the_handle_is_used_up",  # noqa: E501
    "14": "scenarios/test_park.py::test_park_07_parking_leaves_the_lease_free_and_the_head_where_it_was",  # noqa: E501
    "18": "scenarios/test_edges.py::test_edge_18_two_opens_of_one_id_exclude_each_others_turns",
    "20": "scenarios/test_commit.py::test_commit_10_a_commit_sent_again_is_answered_with_the_first_one",  # noqa: E501
    "21": "core/test_commits.py::test_another_content_under_the_turns_id_is_a_conflict_before_anything_else",  # noqa: E501
    "22": "scenarios/test_commit.py::test_commit_10_what_the_commit_hash_covers",
    "23": "core/test_commits.py::test_no_head_counts_as_revision_nought_and_no_expectation_is_not_compared",  # noqa: E501
    "24": "scenarios/test_commit.py::test_commit_05_no_fence_no_commit",
    "25": "core/test_heads.py::test_a_commit_moves_the_head_once",
    "26": "scenarios/test_input.py::test_input_33_a_what_no_model_was_told_is_pending_again",
    "27": "core/test_commits.py::test_a_commit_completes_defers_and_lets_go_together",
    "28": "core/test_commits.py::test_a_claim_is_completed_whole_or_the_commit_is_refused",
    "29": "scenarios/test_open.py::test_open_17_active_path_residency_holds_the_path_and_loses_nothing",  # noqa: E501
    "32": "scenarios/test_graph.py::test_edge_32_what_an_older_frame_holds_is_not_shown_in_a_newer_one",  # noqa: E501
    "34": "scenarios/test_graph.py::test_edge_34_what_a_rewrite_leaves_stays_until_it_is_hidden_and_forgotten",  # noqa: E501
    "35": "scenarios/test_graph.py::test_edge_35_a_frame_is_opened_once_and_shows_what_was_made_in_it",  # noqa: E501
    "36": "scenarios/test_graph.py::test_edge_36_a_hidden_leaf_is_passed_over_and_the_history_goes_on",  # noqa: E501
    "37": "scenarios/test_graph.py::test_edge_37_an_append_off_the_required_path_changes_nothing",
    "38": "scenarios/test_commit.py::test_commit_17_a_branch_from_the_middle_of_a_turn_goes_on_there",  # noqa: E501
    "39": "scenarios/test_input.py::test_input_05_exact_replay_after_cancellation_returns_the_tombstone",  # noqa: E501
    "40": "scenarios/test_input.py::test_input_02_changed_content_or_ingress_under_the_same_key_conflicts",  # noqa: E501
    "41": "scenarios/test_input.py::test_input_02_changed_content_or_ingress_under_the_same_key_conflicts",  # noqa: E501
    "42": "scenarios/test_input.py::test_input_02_what_is_compared_is_the_ingress_as_submitted",
    "43": "scenarios/test_input.py::test_input_23_boundaries",
    "44": "scenarios/test_input.py::test_input_10_claim_next_turn_inputs_in_order_with_images",
    "45": "scenarios/test_input.py::test_input_33_a_what_no_model_was_told_is_pending_again",
    "46": "core/test_steering.py::test_a_commit_completes_what_was_delivered_and_defers_what_was_not_accepted",  # noqa: E501
    "47": "scenarios/test_input.py::test_input_19_inputs_cancelled_before_acceptance",
    "48": "scenarios/test_input.py::test_input_18_visibility_without_a_lease",
    "49": "core/test_cancels.py::test_an_anchor_may_be_settled_and_so_may_what_follows_it",
    "50": "scenarios/test_input.py::test_edge_50_bulk_cancel_with_the_same_target_twice",
    "51": "scenarios/test_input.py::test_input_08_suffix_cancel_by_key_skipping_an_accepted_one",
    "52": "scenarios/test_input.py::test_input_13_stale_completion_is_rejected_and_harms_nothing",
    "53": "scenarios/test_edges.py::test_edge_53_what_only_this_process_understands_is_refused_and_not_dropped",  # noqa: E501
    "54": "core/test_steering.py::test_a_model_call_brings_in_what_was_accepted_as_one_message",
    "55": "scenarios/test_queue_edges.py::test_edge_55_a_drain_that_fails_leaves_the_row_and_its_id_can_be_sent_again",  # noqa: E501
    "56": "scenarios/test_queue_edges.py::test_edge_56_an_acceptance_names_what_the_caller_named",
    "57": "core/test_work.py::test_what_is_not_ready_blocks_nothing",
    "58": "scenarios/test_queue.py::test_queue_09_a_leading_session_command_blocks_turn_work",
    "59": "scenarios/test_queue.py::test_queue_11_after_commit_work_waits_for_idle",
    "60": "core/test_work.py::test_an_exclusive_batch_ends_a_group",
    "61": "core/test_work.py::test_selected_batches_lead_belong_together_and_are_in_order",
    "62": "scenarios/test_queue.py::test_queue_47_source_keys_are_remembered_after_completion",
    "63": "scenarios/test_edges.py::test_edge_63_a_busy_session_leaves_the_input_and_refuses_the_turn",  # noqa: E501
    "64": "scenarios/test_queue_edges.py::test_edge_64_a_drain_that_only_ran_commands_returns_none",  # noqa: E501
    "65": "scenarios/test_queue_edges.py::test_edge_65_of_the_same_millisecond_what_was_appended_first_goes_first",  # noqa: E501
    "66": "scenarios/test_queue.py::test_queue_46_waiting_for_an_unknown_batch_ends_at_once",
    "67": "session/test_work.py::test_a_blank_key_is_refused_before_anything_is_stored",
    "68": "scenarios/test_edges.py::test_edge_68_each_drain_has_an_id_of_its_own_and_one_that_ran_runs_no_more",  # noqa: E501
    "69": "scenarios/test_queue_edges.py::test_edge_69_a_selected_drain_never_takes_pending_input",
    "70": "scenarios/test_edges.py::test_edge_70_a_wake_for_a_session_that_is_not_there_creates_nothing",  # noqa: E501
    "71": "scenarios/test_lease.py::test_lease_01_first_claim_then_reentry_by_the_same_incarnation",  # noqa: E501
    "72": "scenarios/test_lease.py::test_lease_07_release_frees_and_reacquisition_advances_the_fencing_token",  # noqa: E501
    "73": "scenarios/test_lease.py::test_lease_20_dead_owner_reclaim_then_predecessors_release_then_renew",  # noqa: E501
    "74": "scenarios/test_lease.py::test_lease_09_zero_ttl_is_immediately_reclaimable",
    "75": "scenarios/test_lease.py::test_lease_16_opaque_owners_rely_on_ttl_only",
    "76": "session/test_leases.py::test_an_owner_that_cannot_renew_stops",
    "77": "scenarios/test_edges.py::test_edge_77_a_log_that_fails_keeps_the_lease_and_anything_else_lets_it_go",  # noqa: E501
    "77a": "scenarios/test_edges.py::test_edge_77a_the_handle_whose_log_failed_goes_on_with_the_turn_that_it_left",  # noqa: E501
    "77b": "scenarios/test_edges.py::test_edge_77b_what_was_configured_is_in_the_log_at_once",
    "77c": "scenarios/test_open.py::test_open_17_active_path_residency_holds_the_path_and_loses_nothing",  # noqa: E501
    "77d": "scenarios/test_open.py::test_open_09_open_fresh_adopts_nothing_and_loses_nothing",
    "77e": "scenarios/test_graph.py::test_edge_77e_an_append_in_mid_turn_leaves_the_turn_its_lease",  # noqa: E501
    "77f": "scenarios/test_edges.py::test_edge_77f_a_drain_that_does_not_commit_completes_nothing_and_ends_some_time",  # noqa: E501
    "77g": "scenarios/test_edges.py::test_edge_77g_what_lies_in_a_sessions_own_store_is_not_drained_from_the_cores",  # noqa: E501
    "77h": "core/test_work.py::test_a_sequence_is_never_used_again",
    "87a": "scenarios/test_obs.py::test_edge_87a_what_appended_nothing_publishes_nothing",
    "88": "scenarios/test_obs.py::test_obs_26_reads_do_not_wait_for_a_running_turn",
    "88a": "scenarios/test_obs.py::test_edge_88_the_view_and_the_cursor_of_mid_turn_are_of_one_state",  # noqa: E501
    "89": "scenarios/test_obs.py::test_edge_89_sessions_with_colons_in_their_ids_have_cursors_too",
    "90": "scenarios/test_obs.py::test_obs_16_bad_cursors_are_refused_before_the_log_is_read",
    "91": "scenarios/test_obs.py::test_obs_11_a_trim_by_age_is_a_gap_and_reading_trims_nothing",
    "92": "scenarios/test_obs.py::test_edge_92_any_process_serves_any_cursor_also_after_a_restart",
    "92a": "scenarios/test_obs.py::test_obs_08_a_cursor_ahead_of_the_log_is_a_gap",
    "93": "scenarios/test_obs.py::test_obs_20_a_recovering_stream_tells_of_the_gap_and_goes_on",
    "94": "scenarios/test_remote.py::test_edge_94_a_remote_sequence_counts_every_event_and_shows_on_activity",  # noqa: E501
    "95": "scenarios/test_obs.py::test_obs_29_a_failed_write_of_activity_fails_no_turn_and_is_a_gap",  # noqa: E501
    "96": "scenarios/test_obs.py::test_obs_31_the_revision_rises_once_per_commit_and_not_in_mid_turn",  # noqa: E501
    "97": "scenarios/test_obs.py::test_obs_24_one_cancelled_event_per_call_lists_what_was_really_cancelled",  # noqa: E501
    "98": "core/test_heads.py::test_the_last_usage_is_of_the_last_turn_that_used_tokens",
    "99": "projections/test_usage.py::test_a_total_counts_both_caches_and_no_reasoning_twice",
    "109": "scenarios/test_commit.py::test_commit_10_what_the_commit_hash_covers",
    "110": "core/test_commits.py::test_ids_times_and_fences_are_not_hashed",
    "111": "core/test_commits.py::test_the_checks_come_in_their_order",
}


@pytest.mark.parametrize("edge", EDGES)
def test_an_edge_is_proved_by_a_test_that_there_is(edge: str) -> None:
    path, _, name = EDGES[edge].partition("::")

    assert f"def {name}(" in (TESTS / path).read_text("utf-8")
