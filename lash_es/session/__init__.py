"""
The host's facade, in the seed's names: ``LashCore`` opens a ``LashSession``; builders are values.

``core.py`` wires, ``builder.py`` opens, ``session.py`` is the handle, ``turn_builders.py`` runs
and enqueues, ``results.py`` says what a turn came to, ``views.py`` and ``observing.py`` let a host
look.
"""
