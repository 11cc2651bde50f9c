"""History as a value, its laws, and the check of a stored session."""
