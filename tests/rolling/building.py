"""Old code in an environment of its own: a wheel of a commit before a format changed."""

import subprocess
import sys
import tarfile
import venv
from io import BytesIO
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]

OLD_COMMIT: Final = "05f26dc8aafd0f71839586717e6948d32c1884bd"
"""The last one that knows record format 1 only, and opens a database that writes another one."""


def old_python(scratch: Path, commit: str = OLD_COMMIT) -> Path:
    """
    Build a wheel of a commit and install it into a fresh environment; returns its interpreter.

    Dependencies come from the package index.
    """
    source, environment = scratch / "source", scratch / "environment"
    archived = subprocess.run(
        ["git", "archive", "--format=tar", commit], cwd=ROOT, check=True, capture_output=True
    )
    with tarfile.open(fileobj=BytesIO(archived.stdout)) as tar:
        tar.extractall(source, filter="data")
    pip = [sys.executable, "-m", "pip"]
    subprocess.run(
        [*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", str(scratch), str(source)],
        check=True,
    )
    (wheel,) = scratch.glob("lash_es-*.whl")
    venv.create(environment)
    python = environment / "bin" / "python"
    subprocess.run([*pip, "--python", str(python), "install", "--quiet", str(wheel)], check=True)
    return python
