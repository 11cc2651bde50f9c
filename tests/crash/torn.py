"""
A file's log that was torn: cut off at any byte, or with a byte that is not what was written.

A finished run is kept as bytes, with the size that its log had after each acknowledged append.
However it is torn, what is found must be the facts of one of those moments: the newest that lies
wholly before the damage, or a later one.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import frozen

from lash_es import Durability, SQLiteStore
from lash_es.log.appends import Appended
from tests.log.conformance import A, an_append, everything, row, stored_body

APPENDS = 6


@frozen(kw_only=True)
class Run:
    """What a run left: both files; what was there, and how long the log was, after each append."""

    database: bytes
    log: bytes
    sizes: tuple[int, ...]
    moments: tuple[object, ...]

    @property
    def last_frames(self) -> range:
        """Every byte of the last append."""
        return range(self.sizes[-2], len(self.log))


def make_run(folder: Path) -> Run:
    """Append, and copy the files while they are open: that is how a dead machine leaves them."""
    path = folder / "log.db"
    store = SQLiteStore.open(path, create=True, durability=Durability.NORMAL)
    log = Path(f"{path}-wal")
    sizes, moments = [log.stat().st_size], [everything(store, A)]
    for version in range(APPENDS):
        text = f"{version}" * 1_000
        body, index = (stored_body(version, text),), (row("k", text),)
        append = an_append(A, version, text=text, bodies=body, index=index)
        assert isinstance(store.append([append]), Appended)
        sizes.append(log.stat().st_size)
        moments.append(everything(store, A))
    made = Run(
        database=path.read_bytes(),
        log=log.read_bytes(),
        sizes=tuple(sizes),
        moments=tuple(moments),
    )
    store.close()
    assert made.sizes[-1] == len(made.log)
    return made


def wrong_after_cut(folder: Path, run: Run, size: int) -> list[str]:
    """Cut the log off after so many bytes, and say what is wrong with what is found."""
    return _wrong(folder, run, run.log[:size], size)


def wrong_after_flip(folder: Path, run: Run, place: int, bits: int = 0x01) -> list[str]:
    """Change a byte of the log, and say what is wrong with what is found."""
    damaged = bytearray(run.log)
    damaged[place] ^= bits
    return _wrong(folder, run, bytes(damaged), place)


def wrong_at(folder: Path, run: Run, places: range) -> list[str]:
    """Cut the log off at each of these bytes, and change each of them."""
    with TemporaryDirectory(dir=folder) as name:
        scratch = Path(name)
        return [
            problem
            for place in places
            for problem in (
                *wrong_after_cut(scratch, run, place),
                *wrong_after_flip(scratch, run, place),
            )
        ]


def _wrong(folder: Path, run: Run, log: bytes, intact: int) -> list[str]:
    """Lay the files out and open them; so many bytes of the log are as they were written."""
    path = folder / "torn.db"
    for beside in ("-wal", "-shm"):
        Path(f"{path}{beside}").unlink(missing_ok=True)
    path.write_bytes(run.database)
    Path(f"{path}-wal").write_bytes(log)
    due = max(number for number, size in enumerate(run.sizes) if size <= intact)
    return found_wrong(path, run, due, f"of {len(run.log)} bytes {intact} are intact")


def found_wrong(path: Path, run: Run, due: int, case: str) -> list[str]:
    """Open what is left, compare it, and append to it; ``due`` appends were acknowledged."""
    with closing(SQLiteStore.open(path, create=False, durability=Durability.NORMAL)) as store:
        found = everything(store, A)
        if found not in run.moments[due:]:
            return [f"{case}: expected what was there after {due} appends or more, found {found}"]
        version = run.moments.index(found)
        result = store.append([an_append(A, version)])
        if not isinstance(result, Appended):
            return [f"{case}: another append came to {result}"]
    with closing(sqlite3.connect(path)) as connection:
        (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
    return [] if verdict == "ok" else [f"{case}: {verdict}"]
