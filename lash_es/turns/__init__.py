"""
The turn protocol as a pure machine: from where a turn stands to what it asks for next.

``standard.py`` is the machine; ``transcript.py`` turns nodes and bodies into messages;
``prompts.py`` makes the model request. The runtime performs, and never decides what comes next.
"""
