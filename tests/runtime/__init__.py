"""Tests of the runtime's own parts: models, tools, and what is checked before a turn."""
