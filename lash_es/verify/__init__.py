"""
The kit that hosts test with: what a session does, said as given, when, then.

``spec`` needs the core alone. What needs more (hypothesis, pytest) is in modules of its own,
behind the extra ``verify``.
"""
