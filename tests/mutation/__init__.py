"""Whether the tests of the core notice when a rule is changed."""
