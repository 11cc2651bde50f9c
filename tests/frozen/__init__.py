"""An owner that is stopped in mid-turn by a signal, and wakes when another has done its work."""
