"""The codec: every event and body to bytes and back, and the bytes that must be read for ever."""
