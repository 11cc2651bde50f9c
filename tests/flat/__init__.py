"""What a command costs does not grow with the past: counted, on each store and in the state."""
