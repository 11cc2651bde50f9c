"""What lies at rest opens to the same bytes, tells nothing without its key, and says so."""

import zlib
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final

import attrs
import pytest
from eventsourcing.compressor import ZlibCompressor
from hypothesis import event, given, settings
from hypothesis import strategies as st

from lash_es.codec.errors import CorruptBody
from lash_es.core.bodies import BodyRef
from lash_es.core.ids import Position, Version
from lash_es.log.appends import Activity, StoredBody
from lash_es.log.blobs import FIRST_ADDRESS
from lash_es.log.commitments import require_body, require_unsealed
from lash_es.log.contents import read_header
from lash_es.log.loading import load
from lash_es.log.pages import START
from lash_es.log.port import Store
from lash_es.log.sealed import SealedStore
from lash_es.log.sealed_bodies import open_activity, open_body, seal_activity, seal_body
from lash_es.log.sealing import (
    AtRest,
    Compressor,
    KeyRing,
    Sealing,
    Unopened,
    Zlib,
    opened,
    with_salt,
)
from lash_es.log.sealing_errors import (
    ActivityBroken,
    ActivitySealed,
    BodySealed,
    CryptoExtraMissing,
    KeyUnusable,
    SealBroken,
)
from lash_es.log.stores.ciphers import aes_cipher, aes_keys, keys_from_environment
from lash_es.log.stores.directory_blobs import DirectoryBlobs
from lash_es.log.stores.memory import MemoryStore
from lash_es.log.stores.sqlite import SQLiteStore
from tests.log.conformance import A, B, activity_of, add_activity, an_append, refused, stored_body
from tests.log.sealed_stores import BOTH_KEYS, NEW, OLD, OLD_KEYS, WAYS, body_of, sealed
from tests.log.tapes import STREAM, play

CANARIES: Final = (b"this is i1", b"contents of a.txt", b"no such directory", b"Done.")
STREAMED: Final = b"canary that is streamed"
REPETITIVE: Final = "again and " * 500


# There and back


@settings(max_examples=60, deadline=None)
@given(
    content=st.binary(max_size=200) | st.integers(0, 5_000).map(lambda size: b"ab" * size),
    salt=st.binary(max_size=255),
    way=st.sampled_from(sorted(WAYS)),
    inline_max=st.sampled_from([0, 100, 10_000]),
)
def test_any_body_is_read_back_byte_for_byte(
    content: bytes, salt: bytes, way: str, inline_max: int
) -> None:
    at_rest = attrs.evolve(WAYS[way], body_inline_max=inline_max)
    body = attrs.evolve(stored_body(0, ""), content=content, salt=salt)
    stored, blob = seal_body(at_rest, A, body)
    event(f"sealing {stored.sealing}")

    assert (blob is not None) == stored.sealing.startswith("blob")
    assert len(stored.content) <= max(inline_max, 32)
    assert open_body(at_rest, A, stored, None if blob is None else blob.content) == body
    assert stored.salt == (b"" if stored.sealing else salt)
    if at_rest.keys is not None:
        assert "key=new" in stored.sealing


@settings(max_examples=40, deadline=None)
@given(
    payload=st.binary(max_size=300) | st.integers(0, 900).map(lambda size: b"ab" * size),
    way=st.sampled_from(sorted(WAYS)),
)
def test_any_activity_is_read_back_byte_for_byte(payload: bytes, way: str) -> None:
    stored = seal_activity(WAYS[way], A, Version(3), payload)
    event("NUL in front" if stored.startswith(b"\0") else "as it is")
    activity = Activity(version=Version(3), seq=1, at_ms=1, payload=stored)

    assert open_activity(WAYS[way], A, activity) == attrs.evolve(activity, payload=payload)


@pytest.mark.parametrize(
    ("way", "text", "sealing"),
    [
        ("plain", REPETITIVE, ""),
        ("compressed", REPETITIVE, "zlib"),
        ("compressed", "short", ""),
        ("encrypted", REPETITIVE, "zlib;key=new"),
        ("encrypted", "short", "key=new"),
        ("blobs", "short", "blob"),
        ("all", REPETITIVE, "blob;zlib;key=new"),
    ],
)
def test_a_sealing_says_what_was_done(way: str, text: str, sealing: str) -> None:
    stored, _ = seal_body(WAYS[way], A, stored_body(0, text))

    assert stored.sealing == sealing


def test_only_what_is_too_large_becomes_a_blob() -> None:
    at_rest = AtRest(compressor=None, body_inline_max=100)
    room = 100 - len(with_salt(b"salt", b""))
    fits, none = seal_body(at_rest, A, stored_body(0, "x" * room))
    large, blob = seal_body(at_rest, A, stored_body(0, "x" * (room + 1)))

    assert (fits.sealing, none) == ("", None)
    assert large.sealing == "blob"
    assert blob is not None
    assert large.content == blob.address


def test_a_salt_that_is_too_long_is_refused() -> None:
    body = attrs.evolve(stored_body(0, ""), salt=bytes(256))

    with pytest.raises(ValueError, match="255"):
        seal_body(AtRest(), A, body)


def test_the_librarys_compressor_does_and_one_of_another_format_is_refused() -> None:
    class Reversing:
        def compress(self, data: bytes) -> bytes:
            return data[::-1]

        decompress = compress

    at_rest = AtRest(compressor=ZlibCompressor())
    stored, _ = seal_body(at_rest, A, stored_body(0, REPETITIVE))

    assert open_body(AtRest(), A, stored, None) == stored_body(0, REPETITIVE)
    other: Compressor = Reversing()
    with pytest.raises(ValueError, match="zlib"):
        AtRest(compressor=other)
    assert Zlib().decompress(Zlib().compress(b"x")) == b"x"


# Nothing is told without the key


def _everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def _lived_in(folder: Path, at_rest: AtRest) -> bytes:
    """Live a whole life in a folder, and return every byte of every file, WAL and all."""
    folder.mkdir()
    inner = SQLiteStore.open(folder / "log.db", create=True)
    blobs = DirectoryBlobs.open(folder / "blobs", create=True)
    with closing(SealedStore(inner, at_rest, blobs)) as store:
        play(store)
        store.append([an_append(A, 0)])
        add_activity(store, 1, STREAMED)
        assert [each.payload for each in activity_of(store)] == [STREAMED]
        while_open = _everything_in(folder)
    return while_open + _everything_in(folder)


@pytest.mark.parametrize("inline_max", [0, 65_536])
def test_no_canary_is_found_in_any_file(tmp_path: Path, inline_max: int) -> None:
    clear = AtRest(compressor=None, body_inline_max=inline_max)
    found = _lived_in(tmp_path / "clear", clear)
    hidden = _lived_in(tmp_path / "hidden", attrs.evolve(clear, keys=BOTH_KEYS))

    assert [canary for canary in (*CANARIES, STREAMED) if canary not in found] == []
    assert [canary for canary in (*CANARIES, STREAMED) if canary in hidden] == []
    assert b"key=new" in hidden


def test_a_salt_is_hidden_with_its_text() -> None:
    inner = MemoryStore()
    play(SealedStore(inner, WAYS["encrypted"]))
    refs = [BodyRef(position=Position(p), ordinal=0) for p in range(40)]
    stored = inner.read_bodies(STREAM, refs)

    assert len(stored) == 8
    assert {body.salt for body in stored.values()} == {b""}


def test_the_fold_needs_no_key_and_a_body_says_that_it_is_sealed() -> None:
    inner = MemoryStore()
    player = play(SealedStore(inner, WAYS["encrypted"]))
    ref = player.appends[2].bodies[0].ref
    header = read_header(inner, STREAM, ref.position)

    for store in (inner, SealedStore(inner, AtRest()), SealedStore(inner, AtRest(keys=OLD_KEYS))):
        assert load(store, STREAM) == player.folded
        stored = store.read_bodies(STREAM, [ref])[ref]
        error = refused(BodySealed, partial(require_body, header, 0, stored))
        assert (error.position, error.ordinal, error.sealing) == (ref.position, 0, "key=new")
        assert "nothing here opens it" in error.summary()
        refused(BodySealed, partial(require_unsealed, STREAM, stored))
    opened = SealedStore(inner, WAYS["all"]).read_bodies(STREAM, [ref])[ref]
    assert require_body(header, 0, require_unsealed(STREAM, opened)) == opened


# Keys


def test_a_key_is_rotated_and_the_old_one_stays_to_read() -> None:
    inner = MemoryStore()
    before = SealedStore(inner, AtRest(keys=OLD_KEYS))
    before.append([an_append(A, 0, bodies=(stored_body(0, "one"),))])
    add_activity(before, 1, b"streamed before")
    after = SealedStore(inner, AtRest(keys=BOTH_KEYS))
    after.append([an_append(A, 1, bodies=(stored_body(1, "two"),))])

    assert body_of(after, 0) == stored_body(0, "one")
    assert body_of(after, 1) == stored_body(1, "two")
    assert body_of(before, 0) == stored_body(0, "one")
    assert body_of(before, 1).sealing == "key=new"
    assert [each.payload for each in activity_of(after)] == [b"streamed before"]


def test_bodies_of_before_a_cipher_are_read_beside_those_after() -> None:
    inner = MemoryStore()
    inner.append([an_append(A, 0, bodies=(stored_body(0, "in the clear"),))])
    store = SealedStore(inner, WAYS["all"])
    store.append([an_append(A, 1, bodies=(stored_body(1, "sealed"),))])

    assert body_of(store, 0) == stored_body(0, "in the clear")
    assert body_of(store, 1) == stored_body(1, "sealed")
    assert body_of(inner, 1).sealing == "blob;key=new"


WRONG = KeyRing(writes="new", ciphers={"new": aes_cipher("new", OLD)})


def _one_body(at_rest: AtRest, text: str = "what was said") -> MemoryStore:
    inner = MemoryStore()
    SealedStore(inner, at_rest).append([an_append(A, 0, bodies=(stored_body(0, text),))])
    return inner


def _broken(inner: Store, at_rest: AtRest) -> SealBroken:
    error = refused(SealBroken, lambda: body_of(SealedStore(inner, at_rest)))
    assert (error.session_id, error.position, error.ordinal) == ("a", 0, 0)
    assert isinstance(error, CorruptBody)
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__
    return error


def test_another_key_of_the_same_name_does_not_open_it() -> None:
    error = _broken(_one_body(WAYS["encrypted"]), AtRest(keys=WRONG))

    assert "key 'new' does not open it" in error.reason


def _with(inner: MemoryStore, change: Callable[[StoredBody], StoredBody]) -> MemoryStore:
    bodies = inner._streams[A.key].bodies
    bodies.update({ref: change(body) for ref, body in bodies.items()})
    return inner


@pytest.mark.parametrize("way", ["encrypted", "compressed"])
def test_a_damaged_byte_is_found_wherever_it_is(way: str) -> None:
    text = REPETITIVE[:300] if way == "compressed" else "what was said"
    whole = body_of(_one_body(WAYS[way], text))
    for place in range(len(whole.content)):
        damaged = bytearray(whole.content)
        damaged[place] ^= 0x55
        body = attrs.evolve(whole, content=bytes(damaged))
        refused(SealBroken, partial(open_body, WAYS[way], A, body, None))
    for end in range(len(whole.content)):
        short = attrs.evolve(whole, content=whole.content[:end])
        refused(SealBroken, partial(open_body, WAYS[way], A, short, None))


@pytest.mark.parametrize(
    ("sealing", "content", "reason"),
    [
        ("zlib", zlib.compress(bytes(17 << 20)), "more than"),
        ("zlib", zlib.compress(b"x") + b"more", "damaged"),
        ("blob", b"too short", "missing"),
        ("blob", bytes(32), "missing"),
        ("brotli", b"", "not known here"),
        ("zlib;blob", b"", "not known here"),
        ("zlib;", b"", "not known here"),
        ("blobzlib", b"", "not known here"),
        ("x" * 10_000, b"", "not known here"),
    ],
)
def test_what_nobody_wrote_is_refused(sealing: str, content: bytes, reason: str) -> None:
    inner = _with(
        _one_body(AtRest()), lambda body: attrs.evolve(body, sealing=sealing, content=content)
    )

    assert reason in _broken(inner, AtRest()).reason


@pytest.mark.parametrize("content", [b"", b"\x05salt"])
def test_bytes_that_are_shorter_than_their_salt_are_refused(content: bytes) -> None:
    inner = _with(
        _one_body(AtRest()),
        lambda body: attrs.evolve(body, sealing="zlib", content=zlib.compress(content)),
    )

    assert "shorter than its salt" in _broken(inner, AtRest()).reason


def test_the_largest_body_is_no_bomb() -> None:
    at_rest = AtRest(body_bytes_max=5_000)
    body = stored_body(0, "x" * 5_000)
    stored, _ = seal_body(at_rest, A, body)

    assert stored.sealing == "zlib"
    assert open_body(at_rest, A, stored, None) == body
    smaller = attrs.evolve(at_rest, body_bytes_max=4_000)
    refused(SealBroken, lambda: open_body(smaller, A, stored, None))


def test_a_blob_that_was_exchanged_is_found() -> None:
    inner = _one_body(WAYS["blobs"])
    (kept,) = inner.read_blob_page(FIRST_ADDRESS, 9)
    inner._blobs._kept[kept.address] = (b"\x04saltother", 1)

    assert "not the one that its address names" in _broken(inner, WAYS["blobs"]).reason


# Activity


def _streamed(way: str) -> tuple[MemoryStore, Activity]:
    inner = MemoryStore()
    store = SealedStore(inner, WAYS[way])
    store.append([an_append(A, 0), an_append(B, 0)])
    add_activity(store, 1, STREAMED)
    (activity,) = activity_of(inner)
    return inner, activity


def test_activity_without_its_key_says_so() -> None:
    inner, _ = _streamed("encrypted")
    blind = SealedStore(inner, AtRest())

    error = refused(ActivitySealed, lambda: activity_of(blind))
    assert (error.session_id, error.version, error.seq) == ("a", 1, 1)
    assert "key=new" in error.summary()
    refused(ActivitySealed, lambda: blind.read_page(A, START, 9))
    page = SealedStore(inner, WAYS["all"]).read_page(A, START, 9)
    assert [each.payload for each in page.activities] == [STREAMED]


def test_activity_opens_only_in_its_own_place() -> None:
    _, activity = _streamed("encrypted")
    moved = attrs.evolve(activity, version=Version(2))
    at_rest = WAYS["encrypted"]

    assert open_activity(at_rest, A, activity).payload == STREAMED
    for act in (
        lambda: open_activity(at_rest, B, activity),
        lambda: open_activity(at_rest, A, moved),
    ):
        error = refused(ActivityBroken, act)
        assert "another place" in error.summary()


@pytest.mark.parametrize("payload", [b"\0", b"\0\x09zlib", b"\0\x04zlibxx", b"\0\x01\xff"])
def test_damaged_activity_is_refused(payload: bytes) -> None:
    _, activity = _streamed("plain")
    damaged = attrs.evolve(activity, payload=payload)

    refused(ActivityBroken, lambda: open_activity(AtRest(), A, damaged))


# Where keys come from, and where they never go


def test_keys_are_read_from_the_variable_that_a_host_names() -> None:
    keys = keys_from_environment({"MINE": f"new:{NEW}, old:{OLD}"}, "MINE")
    inner = _one_body(AtRest(keys=OLD_KEYS))

    assert keys.writes == "new"
    assert body_of(SealedStore(inner, AtRest(keys=keys))) == stored_body(0, "what was said")
    refused(KeyUnusable, lambda: keys_from_environment({}, "MINE"))


@pytest.mark.parametrize(
    "text",
    [
        NEW,
        f"{NEW}:new",
        f"new:{NEW[:-4]}",
        "new:not base64",
        f"new:{NEW},new:{OLD}",
        f"a b:{NEW}",
        f":{NEW}",
        f"new:{NEW},",
        f"new:{NEW}\u00e9",
    ],
)
def test_what_is_no_key_is_refused_and_not_repeated(text: str) -> None:
    error = refused(KeyUnusable, lambda: aes_keys(text))

    assert error.key_id in {"number 1", "number 2"}
    assert NEW[:8] not in str(error)
    assert NEW[:8] not in repr(error)
    assert error.__cause__ is None


def test_no_key_is_shown_by_what_holds_it() -> None:
    store = sealed(MemoryStore(), "all")

    for each in (BOTH_KEYS, WAYS["all"], store, BOTH_KEYS.ciphers["new"]):
        assert NEW[:8] not in f"{each!r}{each}"


def test_a_ring_writes_with_a_key_that_it_has() -> None:
    refused(KeyUnusable, lambda: KeyRing(writes="none", ciphers=BOTH_KEYS.ciphers))
    refused(KeyUnusable, lambda: KeyRing(writes="a b", ciphers={"a b": aes_cipher("x", NEW)}))
    error = refused(KeyUnusable, lambda: aes_cipher("x", "short"))
    assert error.is_terminal
    assert "'x' cannot be used" in error.summary()


def test_without_the_extra_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "eventsourcing.cipher", None)

    error = refused(CryptoExtraMissing, lambda: aes_cipher("x", NEW))
    assert "pip install" in error.summary()


def test_what_has_no_key_is_not_opened() -> None:
    with pytest.raises(Unopened) as caught:
        opened(AtRest(), A, Sealing(key_id="new"), b"ciphertext")

    assert caught.value.reason == "key 'new' is not here"
