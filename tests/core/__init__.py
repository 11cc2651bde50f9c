"""The pure floor: rules one by one, every command on every state, laws, whole lives."""
