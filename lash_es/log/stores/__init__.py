"""
Where streams are kept: the only package that knows the ``eventsourcing`` library.

``memory.py`` and ``sqlite.py`` are the stores. Facts live in the library's own ``stored_events``,
so that its stock recorder reads them; ``facts.py`` turns records into its rows and back.
``sqlite_schema.py`` holds our tables beside it, ``sqlite_reads.py`` and ``sqlite_writes.py`` the
statements, ``sqlite_connections.py`` a transaction and what can go wrong in one.
"""
