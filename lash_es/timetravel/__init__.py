"""
History as a value, and what can be asked of it: synchronous, usable in a notebook, never running a
model or tool.

``history.py`` is the value (``as_of``, ``since``, ``with_``); ``verifying.py`` checks a stored
session whole; ``narrating.py`` tells facts in sentences; ``transcripts.py`` reads the messages of
a state. Diff, blame, bisect, what-if, fork and lint are functions of a history and have
their place here.
"""
