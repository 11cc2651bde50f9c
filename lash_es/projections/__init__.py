"""
Read models: folds that hosts look at, each of which can be dropped and rebuilt.

``turn_record.py`` is what a turn came to, ``usage.py`` the usage report, ``pending.py`` the queue
of inputs, ``observation.py`` what whoever looks on is told, ``chronology.py`` and
``message_tree.py`` two ways to show a transcript. The list of sessions has its place here too.
"""
