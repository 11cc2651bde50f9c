"""Sizes, for people."""

from typing import Final

from lash_es.cli.screen import plural

_BYTES_PER_STEP: Final = 1_000
_UNITS: Final = ("kB", "MB", "GB", "TB")


def size(count_bytes: int) -> str:
    """Write a size for people."""
    if count_bytes < _BYTES_PER_STEP:
        return plural(count_bytes, "byte")
    power = min((len(str(count_bytes)) - 1) // 3, len(_UNITS))
    return f"{count_bytes / _BYTES_PER_STEP**power:,.1f} {_UNITS[power - 1]}"
