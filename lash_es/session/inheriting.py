"""A third answer beside a value and none: what was there before holds."""

from enum import Enum


class Inherit(Enum):
    """Not set. Different from none, which clears."""

    INHERIT = "inherit"


INHERIT = Inherit.INHERIT
