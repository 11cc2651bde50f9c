"""A damaged archive is refused with the line, and nothing of it is written; and other trouble."""

import base64
import gzip
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from lash_es.core.events import body_ref
from lash_es.core.ids import Position, Version
from lash_es.core.messages import TurnInput
from lash_es.core.retention import Pin
from lash_es.log.appends import AppendResult, Conflict, StreamAppend, Unknown
from lash_es.log.archive_files import ArchiveLimits, ArchiveRefused, read_lines
from lash_es.log.archiving import FolderArchive, export_streams
from lash_es.log.blobs import FIRST_ADDRESS
from lash_es.log.contents import read_content
from lash_es.log.errors import StoreFailed
from lash_es.log.loading import refold
from lash_es.log.restoring import restore
from lash_es.log.retaining import Return, StreamDiffers
from lash_es.log.sealed import SealedStore
from lash_es.log.sealing import AtRest
from lash_es.log.sealing_errors import SealBroken
from lash_es.log.stores.memory import MemoryStore
from tests.log.sealed_stores import BOTH_KEYS
from tests.log.tapes import STREAM
from tests.log.trims import over, trimming


def lines_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


def rewritten(path: Path, change: Callable[[list[dict[str, object]]], object]) -> Path:
    """Change lines, and close the archive as its writer would have."""
    lines = lines_of(path)[:-1]
    change(lines)
    encoded = [json.dumps(line, sort_keys=True).encode() + b"\n" for line in lines]
    kinds = [line["kind"] for line in lines]
    end = {
        "kind": "end",
        "streams": kinds.count("stream"),
        "facts": kinds.count("fact"),
        "bodies": kinds.count("body"),
        "blobs": kinds.count("blob"),
        "sha256": hashlib.sha256(b"".join(encoded)).hexdigest(),
    }
    changed = path.with_name("changed.jsonl.gz")
    changed.write_bytes(gzip.compress(b"".join(encoded) + json.dumps(end).encode() + b"\n"))
    return changed


def _exported(tmp_path: Path) -> Path:
    """Export a trimmed session with large bodies, from a store that keeps those as blobs."""
    source = SealedStore(MemoryStore(), AtRest(body_inline_max=20))
    over(source)
    trimming(source, page_bytes_max=300).trim(STREAM, Version(9))
    source.pin(STREAM, Pin(name="audit", version=Version(28)), at_ms=1)
    path = tmp_path / "export.gz"
    export_streams(source, [STREAM], path)
    return path


def _first(lines: list[dict[str, object]], kind: str, **fields: object) -> dict[str, object]:
    return next(
        line
        for line in lines
        if line["kind"] == kind and all(line[name] == value for name, value in fields.items())
    )


def _put(kind: str, name: str, value: object, **fields: object) -> Callable[..., None]:
    def change(lines: list[dict[str, object]]) -> None:
        _first(lines, kind, **fields)[name] = value

    return change


def _drop(kind: str, **fields: object) -> Callable[..., None]:
    return lambda lines: lines.remove(_first(lines, kind, **fields))


def _double(kind: str, **fields: object) -> Callable[..., None]:
    def change(lines: list[dict[str, object]]) -> None:
        line = _first(lines, kind, **fields)
        lines.insert(lines.index(line), dict(line))

    return change


def _swap_headers(lines: list[dict[str, object]]) -> None:
    one, two = _first(lines, "fact", position=10), _first(lines, "fact", position=11)
    one["header"], two["header"] = two["header"], one["header"]


def _forge_header(lines: list[dict[str, object]]) -> None:
    fact = _first(lines, "fact", position=27)
    header = base64.b64decode(str(fact["header"])).replace(b'"at":2900', b'"at":2901')
    fact["header"] = base64.b64encode(header).decode()


def _forge_last(old: bytes, new: bytes, position: int = 28) -> Callable[..., None]:
    """Change the last fact, and give it the digest that is right for it."""

    def change(lines: list[dict[str, object]]) -> None:
        fact = _first(lines, "fact", position=position)
        before = _first(lines, "fact", position=position - 1)
        header = base64.b64decode(str(fact["header"])).replace(old, new)
        digest = hashlib.sha256(b"lash-es/1" + bytes.fromhex(str(before["digest"])) + header)
        name = str(fact["name"]).replace(old.decode(), new.decode())
        fact |= {"header": base64.b64encode(header).decode(), "name": name}
        fact["digest"] = lines[1]["digest"] = digest.hexdigest()

    return change


def _move_trim(lines: list[dict[str, object]]) -> None:
    """Let the stream begin at a fact that is no trim, with the bodies of the one that is."""
    lines[1]["trim"] = 27
    for line in lines:
        if line["kind"] == "body" and line["position"] == 28:
            line["position"] = 27


DAMAGES: dict[str, Callable[..., object]] = {
    "a header is another's": _swap_headers,
    "a header is changed": _forge_header,
    "a digest is changed": _put("fact", "digest", "00" * 32, position=12),
    "a digest is no digest": _put("fact", "digest", "xyz", position=12),
    "a name is another's": _put("fact", "name", "session.parked", position=12),
    "a fact is missing": _drop("fact", position=12),
    "the last fact is missing": _drop("fact", position=28),
    "a fact is there twice": _double("fact", position=12),
    "a body is another one": _put("body", "media_type", "text/plain", position=12),
    "a page is another one": _put("body", "content", "e30=", media_type="lash/kept-index;v=2"),
    "a page is sealed": _put("body", "sealing", "key=k", media_type="lash/kept-index;v=2"),
    "a body is of no fact": _put("body", "position", 40, position=12),
    "a kept body is of no fact": _put("body", "ordinal", 7, position=2),
    "a body is there twice": _double("body", position=28, ordinal=1),
    "a blob is missing": _drop("blob"),
    "a blob is there twice": _double("blob"),
    "a blob is another one": _put("blob", "content", "AAAA"),
    "bytes are no bytes": _put("blob", "content", "A!"),
    "a body is sealed in no known way": _put("body", "sealing", "rot13", position=12),
    "the state is missing": lambda lines: [
        lines.remove(line) for line in lines[:6] if line.get("media_type") == "lash/kept-state;v=2"
    ],
    "the beginning is another one": _put("stream", "before", "00" * 32),
    "the beginning is missing": _put("stream", "before", ""),
    "the first fact is another one": _put("stream", "first", 8),
    "the end is another one": _put("stream", "end", 28),
    "the end comes later": _put("stream", "end", 30),
    "there is no end": _put("stream", "end", 3),
    "the last digest is another one": _put("stream", "digest", "00" * 32),
    "the trim is another fact": _put("stream", "trim", 27),
    "the trim is no trim": _put("stream", "trim", None),
    "the session is another one": _put("stream", "session", "another"),
    "the namespace is none": _put("stream", "namespace", "No Namespace"),
    "there is no stream": _drop("stream"),
    "a kind is unknown": _put("fact", "kind", "fiction", position=12),
    "a field is missing": lambda lines: _first(lines, "fact").pop("name"),
    "a field is too many": lambda lines: _first(lines, "fact").update(more=1),
    "the format is newer": _put("archive", "version", 2),
    "it begins with something else": _drop("archive"),
    "it begins twice": _double("archive"),
    "a fact is of a newer version": _forge_last(b"history.trimmed", b"history.rhymed"),
    "a fact cannot follow": _forge_last(b'"below":9', b'"below":29'),
    "the trim is another one": _forge_last(b'"below":9', b'"below":8'),
    "the trim is of another kind": _move_trim,
    "the beginning is no digest": _put("stream", "before", "xyz"),
    "a blob is left over": lambda lines: lines.append(_first(lines, "blob")),
    "the state is of another version": _put("stream", "first", 7),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_archive_is_refused_and_nothing_of_it_is_written(
    tmp_path: Path, damage: str
) -> None:
    path = rewritten(_exported(tmp_path), DAMAGES[damage])
    target = MemoryStore()
    with pytest.raises(ArchiveRefused) as caught:
        restore(target, path)
    assert 1 <= caught.value.line <= len(lines_of(path)) + 1
    assert target.head(STREAM) is None
    assert target.heads("default", after="", heads_max=9) == ()


def test_a_fact_that_no_rule_would_have_written_is_refused(tmp_path: Path) -> None:
    source = MemoryStore()
    over(source)
    path = tmp_path / "export.gz"
    export_streams(source, [STREAM], path)
    forge = _forge_last(b'"input_id":"i3"', b'"input_id":"i9"', position=27)
    with pytest.raises(ArchiveRefused, match="cannot follow"):
        restore(MemoryStore(), rewritten(path, forge))


def test_what_only_looks_damaged_is_not_refused(tmp_path: Path) -> None:
    target = MemoryStore()
    restore(target, rewritten(_exported(tmp_path), lambda _: None))
    assert refold(target, STREAM).version == 29


def test_an_archive_that_is_cut_anywhere_is_refused(tmp_path: Path) -> None:
    path = _exported(tmp_path)
    whole = path.read_bytes()
    cut = tmp_path / "cut.gz"
    for length in range(0, len(whole), max(1, len(whole) // 40)):
        cut.write_bytes(whole[:length])
        with pytest.raises(ArchiveRefused):
            list(read_lines(cut, ArchiveLimits()))


@pytest.mark.parametrize("content", [b"", b"no gzip at all", gzip.compress(b"{}")])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.gz"
    path.write_bytes(content)
    with pytest.raises(ArchiveRefused):
        restore(MemoryStore(), path)


def test_every_changed_byte_of_the_lines_is_noticed(tmp_path: Path) -> None:
    path = _exported(tmp_path)
    plain = bytearray(gzip.decompress(path.read_bytes()))
    changed = tmp_path / "changed.gz"
    for place in range(0, len(plain), max(1, len(plain) // 60)):
        altered = bytearray(plain)
        altered[place] ^= 1
        changed.write_bytes(gzip.compress(bytes(altered), 1))
        target = MemoryStore()
        with pytest.raises(ArchiveRefused):
            restore(target, changed)
        assert target.heads("default", after="", heads_max=9) == ()


def test_an_end_that_says_something_else_is_refused(tmp_path: Path) -> None:
    path = _exported(tmp_path)
    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    end = json.loads(lines[-1])
    for name in ("facts", "bodies", "blobs", "streams"):
        wrong = json.dumps({**end, name: end[name] + 1}).encode() + b"\n"
        path.write_bytes(gzip.compress(b"".join([*lines[:-1], wrong])))
        with pytest.raises(ArchiveRefused, match="its counts or its digest"):
            restore(MemoryStore(), path)


def test_what_follows_the_end_is_refused(tmp_path: Path) -> None:
    path = _exported(tmp_path)
    plain = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(plain + plain))
    with pytest.raises(ArchiveRefused, match="goes on after its end"):
        restore(MemoryStore(), path)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (ArchiveLimits(line_bytes_max=100), "a line is longer than 100 bytes"),
        (ArchiveLimits(bytes_max=3_000), "it is longer than 3000 bytes"),
    ],
)
def test_an_archive_is_read_within_limits(
    tmp_path: Path, limits: ArchiveLimits, reason: str
) -> None:
    with pytest.raises(ArchiveRefused, match=reason):
        restore(MemoryStore(), _exported(tmp_path), limits)


def test_a_bomb_is_refused_before_it_goes_off(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gz"
    line = b'{"kind":"archive","version":1}' + b" " * 999 + b"\n"
    path.write_bytes(gzip.compress(line + line * 100_000))
    assert path.stat().st_size < 1_000_000
    with pytest.raises(ArchiveRefused, match=r"begins twice|times its size"):
        restore(MemoryStore(), path)
    small = line + b" " * 30_000_000 + b"\n"
    path.write_bytes(gzip.compress(small))
    with pytest.raises(ArchiveRefused, match="times its size"):
        list(read_lines(path, ArchiveLimits()))


# Races, and sealed bodies


class Overtaken(MemoryStore):
    """Somebody else is faster at each append."""

    def append(self, appends: Sequence[StreamAppend]) -> AppendResult:
        (append,) = appends
        return Conflict(stream=append.stream, expected=append.expected_version, found=Version(3))


class Deaf(MemoryStore):
    """The answer to each append is lost."""

    def append(self, appends: Sequence[StreamAppend]) -> AppendResult:
        super().append(appends)
        return Unknown(reason="lost")


class Emptied(MemoryStore):
    """Takes nothing back."""

    def return_facts(self, back: Return) -> bool:
        return not back.records


def test_who_is_overtaken_says_so(tmp_path: Path) -> None:
    with pytest.raises(StreamDiffers, match="somebody else wrote"):
        restore(Overtaken(), _exported(tmp_path))


def test_a_lost_answer_is_said_and_the_call_is_made_again(tmp_path: Path) -> None:
    store, path = Deaf(), _exported(tmp_path)
    with pytest.raises(StoreFailed, match="lost"):
        restore(store, path)
    assert restore(store, path).facts_count == 0
    assert refold(store, STREAM).version == 29


def test_facts_that_cannot_be_put_back_are_said(tmp_path: Path) -> None:
    store = Emptied()
    over(store)
    trimming(store, FolderArchive(tmp_path)).trim(STREAM, Version(9))
    (archive,) = tmp_path.glob("*.gz")
    with pytest.raises(StreamDiffers, match="somebody else wrote"):
        restore(store, archive)


def test_encrypted_bodies_travel_as_they_lie_and_no_key_is_needed(tmp_path: Path) -> None:
    source = SealedStore(MemoryStore(), AtRest(keys=BOTH_KEYS, body_inline_max=50))
    over(source)
    words = read_content(source, STREAM, body_ref(Position(2)), TurnInput)
    trimming(source, FolderArchive(tmp_path)).trim(STREAM, Version(9))
    path = tmp_path / "export.gz"
    export_streams(source.inner, [STREAM], path)
    assert b"this is i1" not in gzip.decompress(path.read_bytes())

    target = MemoryStore()
    restore(target, path)
    assert refold(target, STREAM) == refold(source, STREAM)
    opened = SealedStore(target, AtRest(keys=BOTH_KEYS))
    assert read_content(opened, STREAM, body_ref(Position(2)), TurnInput) == words
    (archive,) = tmp_path.glob("*.jsonl.gz")
    assert restore(opened, archive).facts_count == 9


def test_a_blob_that_is_missing_stops_the_archive(tmp_path: Path) -> None:
    store = SealedStore(MemoryStore(), AtRest(body_inline_max=20))
    over(store)
    store.delete_blobs(store.read_blob_page(FIRST_ADDRESS, 99))
    with pytest.raises(SealBroken, match="its blob is missing"):
        export_streams(store, [STREAM], tmp_path / "export.gz")
