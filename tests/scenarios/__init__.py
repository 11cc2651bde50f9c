"""Scenarios of the specification, as tests that bear their ids; each runs on every store."""
