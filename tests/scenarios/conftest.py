"""
Every scenario that asks for a ``place`` runs on memory and on a SQLite file here; on PostgreSQL it
runs from ``tests/postgres``, which has the server.
"""

from tests.session.conftest import place

__all__ = ["place"]
