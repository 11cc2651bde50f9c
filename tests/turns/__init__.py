"""The turn protocol: what follows from where a turn stands, and the messages that it makes."""
