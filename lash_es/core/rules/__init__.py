"""
The rules, by slice: each function says what one command makes happen, or refuses it.

``decide.py`` is their index. A rule sees the whole state and writes nothing; what follows from its
events is in the slice of the same name beside ``evolve.py``.
"""
