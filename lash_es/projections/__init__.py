"""
Read models: folds that hosts look at, each of which can be dropped and rebuilt.

``turn_record.py`` is what a turn came to, ``usage.py`` the usage report, ``pending.py`` the queue
of inputs. Observation events and the list of sessions have their place here too.
"""
