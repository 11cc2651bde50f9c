"""Questions about the past of a long session, counted and timed: ``python -m tests.travel``."""
