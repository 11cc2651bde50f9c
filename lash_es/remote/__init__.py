"""
What crosses a wire to a client that is not Python: versioned values, their validation and JSON
Schemas.

A sibling of ``log`` and ``projections``: it knows neither. The cursor's text form is in
``codec/cursors.py``.
"""
