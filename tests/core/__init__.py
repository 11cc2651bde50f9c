"""The pure floor: rules one by one, every command on every state, laws, and whole lives beside a naive model."""
