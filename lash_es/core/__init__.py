"""
The core: what a session is, as two functions over values.

Read ``evolve.py`` first, then ``decide.py``, then ``events.py``. ``decide(state, command, known)``
refuses or says what is to be recorded; ``evolve(state, event)`` applies; ``agenda(state)`` lists
what the world still owes. Nothing here reads a clock, draws a random number or opens anything.
"""
