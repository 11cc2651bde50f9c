"""
Edges to other ecosystems, one file each, behind an extra of its own.

The model client is ``runtime/models.py``.
"""
