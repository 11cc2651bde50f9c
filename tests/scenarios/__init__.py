"""The scenarios of the specification, each a test that bears its id, on every store."""
