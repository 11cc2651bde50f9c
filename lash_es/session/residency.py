"""
What of the graph a view holds. In neither case is anything lost or kept from being read: a session
holds only its leaf, and messages are read from the log when they are asked for.
"""

from enum import Enum


class Residency(Enum):
    """What the graph of a view holds: every branch, or the path to the leaf."""

    KEEP_ALL = "keep_all"
    ACTIVE_PATH_ONLY = "active_path_only"
