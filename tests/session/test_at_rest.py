"""A core whose contents lie sealed: the same session to its host, nothing to read on the disk."""

from pathlib import Path

import pytest

from lash_es import AtRest, BodySealed, LashCore, aes_keys
from lash_es.runtime.providers import ProseDelta
from tests.log.sealed_stores import NEW
from tests.session.host import run, texts
from tests.session.scripted import ScriptedProvider, call, calls, says, speaking

CANARIES = (b"asked-in-secret", b"argued-in-secret", b"returned-in-", b"answered-in-secret")
KEYS = aes_keys(f"new:{NEW}")


def tell(name: str) -> str:
    """Tell something about a name."""
    return f"returned-in-secret {name}" + "!" * 500


def _core(folder: Path, at_rest: AtRest | None, script: ScriptedProvider | None) -> LashCore:
    return LashCore(
        model="m",
        provider=script,
        store=folder / "log.db",
        tools=[tell],
        at_rest=at_rest,
        blobs=folder / "blobs",
    )


async def _live(folder: Path, at_rest: AtRest | None) -> tuple[list[tuple[str, str]], bytes]:
    """Take one turn; return the transcript, and every byte of every file while it is open."""
    script = speaking(
        calls(call("c1", "tell", '{"name":"argued-in-secret"}')),
        says("answered-in-secret", deltas=[ProseDelta(text="answered-in-secret")]),
    )
    core = _core(folder, at_rest, script)
    async with core, core.session("s").open() as session:
        await session.turn("asked-in-secret")
        return await texts(session), _everything_in(folder)


def _everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def _read(folder: Path, at_rest: AtRest | None) -> list[tuple[str, str]]:
    core = _core(folder, at_rest, None)
    async with core, core.session("s").open() as session:
        return await texts(session)


@pytest.mark.parametrize("inline_max", [0, 65_536])
def test_what_is_said_is_in_no_file(tmp_path: Path, inline_max: int) -> None:
    clear = AtRest(compressor=None, body_inline_max=inline_max)
    sealed = AtRest(keys=KEYS, body_inline_max=inline_max)
    folders = tmp_path / "clear", tmp_path / "sealed"
    for folder in folders:
        folder.mkdir()
    seen, clear_bytes = run(_live(folders[0], clear))
    same, sealed_bytes = run(_live(folders[1], sealed))

    assert same == seen
    assert [canary for canary in CANARIES if canary not in clear_bytes] == []
    assert [canary for canary in CANARIES if canary in sealed_bytes] == []
    assert run(_read(folders[1], sealed)) == seen
    with pytest.raises(BodySealed):
        run(_read(folders[1], None))
