"""Whether a test goes red when what it expects is altered."""
