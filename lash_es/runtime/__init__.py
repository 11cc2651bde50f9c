"""
The only floor that starts tasks, mints ids, reads a clock and calls providers and tools.

It performs what the state's agenda asks for and records what came of it; what to do next is
decided below.
"""
