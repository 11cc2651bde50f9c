"""The PostgreSQL store, on a real server: a lane of its own until the runtime drives it."""
