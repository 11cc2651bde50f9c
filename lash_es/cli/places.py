"""Where the log is, unless the user says otherwise: one file per user, outside of any project."""

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lash_es.log.errors import StoreUnavailable

VARIABLE: Final = "LASH_ES_DB"
FILE_NAME: Final = "lash-es.db"


def default_db() -> Path:
    """
    Choose the database when none is named.

    ``LASH_ES_DB`` if it is set; else ``lash-es/lash-es.db`` in the user's place for such files:
    ``$XDG_STATE_HOME`` or ``~/.local/state``, on macOS ``~/Library/Application Support``, on
    Windows ``%LOCALAPPDATA%``.
    """
    named = os.environ.get(VARIABLE)
    return Path(named) if named else _state_folder(os.environ, sys.platform) / FILE_NAME


def _state_folder(environment: Mapping[str, str], platform: str) -> Path:
    if platform == "win32" and (local := environment.get("LOCALAPPDATA")):
        return Path(local) / "lash-es"
    if platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "lash-es"
    named = environment.get("XDG_STATE_HOME", "")
    # The specification asks to ignore a relative path.
    state = Path(named) if Path(named).is_absolute() else Path.home() / ".local" / "state"
    return state / "lash-es"


def own_name() -> tuple[str, ...]:
    """Say how this command was called, so that a line that names it can be pasted into a shell."""
    called = Path(sys.argv[0])
    if called.stem != "lash-es":
        return (Path(sys.executable).name, "-m", "lash_es.cli")
    found = shutil.which("lash-es")
    is_on_path = found is not None and Path(found).resolve() == called.resolve()
    return ("lash-es",) if is_on_path else (sys.argv[0],)


def demo_db(chosen: Path | None, directory: Path) -> Path:
    """
    Choose where a demo of ``directory`` keeps its log, and make the folder.

    Never inside the directory that it looks at, unless the user says so: there the tools would
    find the log of their own calls.

    Raises:
        StoreUnavailable: the folder cannot be made.
    """
    path = (chosen or default_db()).absolute()
    if chosen is None and path.resolve().is_relative_to(directory):
        path = Path(tempfile.mkdtemp(prefix="lash-es-")) / FILE_NAME
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        reason = f"its folder cannot be made: {error.strerror}"
        raise StoreUnavailable(where=str(path), reason=reason) from error
    return path
