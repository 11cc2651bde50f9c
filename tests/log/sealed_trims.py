"""
What a trim through the layer that seals must come to, on whatever store lies behind it.

What is said is sealed; the pages that a trim writes are not: they are folded from, and folding
needs no key. So a log is trimmed, archived, exported, imported and checked without one.
"""

from collections.abc import Callable
from pathlib import Path

from lash_es.codec.trims import is_trim_content
from lash_es.core.bodies import BodyRef
from lash_es.core.ids import Position, Version
from lash_es.core.state import Open
from lash_es.log.appends import StoredBody
from lash_es.log.archiving import FolderArchive, export_streams
from lash_es.log.contents import read_contents, read_nodes
from lash_es.log.loading import load, refold
from lash_es.log.port import Store
from lash_es.log.reindexing import compare_index
from lash_es.log.restoring import restore
from lash_es.log.sealed import SealedStore
from lash_es.log.sealing import AtRest, KeyRing
from lash_es.log.stores.ciphers import aes_cipher
from lash_es.timetravel.verifying import Verdict, verify_session
from lash_es.turns.transcript import content_kinds
from tests.log.sealed_stores import NEW, WAYS
from tests.log.tapes import STREAM
from tests.log.trims import over, trimming

BELOW = Version(9)
FACTS = 29
"""Those of the tape, and the one that tells of the trim."""
NO_KEY = AtRest()
OTHER_KEY = AtRest(keys=KeyRing(writes="other", ciphers={"other": aes_cipher("other", NEW)}))


def said(store: Store) -> dict[BodyRef, object]:
    """Read all that the transcript shows."""
    state = load(store, STREAM).state
    assert isinstance(state, Open)
    nodes = read_nodes(store, STREAM, state.head.leaf)
    kinds = {ref: kind for node in nodes for ref, kind in content_kinds(node).items()}
    found = read_contents(store, STREAM, kinds)
    assert found
    return dict(found)


def as_they_lie(store: Store) -> list[StoredBody]:
    """List every body of the stream, as it is stored."""
    refs = [
        BodyRef(position=Position(position), ordinal=ordinal)
        for position in range(40)
        for ordinal in range(6)
    ]
    found = store.as_stored.read_bodies(STREAM, refs)
    return [found[ref] for ref in refs if ref in found]


def pages_lie_open_and_words_do_not(store: Store) -> None:
    """Check what is sealed, and that both kinds were there to be checked."""
    pages = [body for body in as_they_lie(store) if is_trim_content(body.media_type)]
    words = [body for body in as_they_lie(store) if not is_trim_content(body.media_type)]
    assert pages
    assert {body.sealing for body in pages} == {""}
    assert words
    assert "" not in {body.sealing for body in words}


def folds_without_a_key(inner: Store) -> Verdict:
    """Fold, compare and check with the layer that has no key, and with another one's key."""
    (verdict,) = {
        verify_session(SealedStore(inner, at_rest), STREAM) for at_rest in (NO_KEY, OTHER_KEY)
    }
    assert verdict.problems == ()
    assert verdict.oldest == Position(BELOW)
    assert refold(inner, STREAM) == load(inner, STREAM)
    assert compare_index(inner, STREAM).different == ()
    return verdict


def a_trim_through_the_seal(make_inner: Callable[[], Store], way: str, folder: Path) -> None:
    """Trim, read back, archive, export, import elsewhere, check without the key; and go back."""
    source, target = make_inner(), make_inner()
    store, elsewhere = SealedStore(source, WAYS[way]), SealedStore(target, WAYS[way])
    over(store)
    before = said(store)

    done = trimming(store, FolderArchive(folder), page_bytes_max=300).trim(STREAM, BELOW)
    assert (done.is_new, done.removed.facts_count) == (True, BELOW)
    assert said(store) == before
    pages_lie_open_and_words_do_not(store)
    checked = folds_without_a_key(source)
    assert bool(checked.bodies_sealed_count) == (WAYS[way].keys is not None)

    (archive,) = folder.glob("*.jsonl.gz")
    whole, keyless = folder / "whole.gz", folder / "keyless.gz"
    export_streams(store, [STREAM], whole)
    export_streams(SealedStore(source, NO_KEY), [STREAM], keyless)
    assert whole.read_bytes() == keyless.read_bytes()

    assert restore(SealedStore(target, NO_KEY), whole).facts_count == FACTS - BELOW
    assert as_they_lie(elsewhere) == as_they_lie(store)
    assert said(elsewhere) == before
    assert folds_without_a_key(target) == checked
    for each in (store, elsewhere):
        assert restore(each, archive).facts_count == BELOW
        assert verify_session(each, STREAM).is_sound
        assert said(each) == before
        # Recorded already, so the same call finds it, and what went goes again.
        assert trimming(each).trim(STREAM, BELOW).removed.facts_count == BELOW
        assert said(each) == before
