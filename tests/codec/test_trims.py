"""Bodies of a trim survive the round trip, come in bounded pages, and refuse what they are not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash_es.codec.errors import UndecodableValue
from lash_es.codec.trims import (
    TrimContent,
    decode_trim_content,
    encode_trim_content,
    pages_of,
)
from lash_es.core.bodies import BodyRef, Commitment, RecordedBody
from lash_es.core.evolve import fold
from lash_es.core.ids import Position
from lash_es.core.state import Deleted, Open
from lash_es.core.trims import BodyPage, CommitPage, IndexPage, KeptState, TrimPage
from lash_es.log.stores.memory import MemoryStore
from tests.codec.strategies import values
from tests.core.effort import effort
from tests.log.tapes import play

SALT = b"sixteen bytes ok"


def _states() -> list[KeptState]:
    events = play(MemoryStore()).events
    folded = (fold(events[:version]) for version in range(1, len(events) + 1))
    return [KeptState(state=state) for state in folded if isinstance(state, Open | Deleted)]


def _round_trip(content: TrimContent) -> TrimContent:
    body = encode_trim_content(content, SALT)
    assert body.salt == SALT
    return decode_trim_content(body.content, body.media_type)


@pytest.mark.parametrize("kept", _states(), ids=lambda kept: f"v{kept.state.version}")
def test_every_state_of_a_life_survives_the_round_trip(kept: KeptState) -> None:
    assert _round_trip(kept) == kept


@pytest.mark.parametrize("kind", [IndexPage, CommitPage, BodyPage])
@effort(40)
@given(data=st.data())
def test_every_page_survives_the_round_trip(
    kind: type[IndexPage | CommitPage | BodyPage], data: st.DataObject
) -> None:
    page: TrimPage = data.draw(values(kind))
    assert _round_trip(page) == page


@pytest.mark.parametrize(
    ("stored", "media_type"),
    [
        (b'{"bodies":[]}', "lash/kept-bodies"),
        (b'{"bodies":[]}', "lash/kept-bodies;v=2"),
        (b'{"bodies":[]}', "lash/kept-bodies;v=x"),
        (b'{"bodies":[]}', "lash/turn-input;v=1"),
        (b'{"bodies":[]}', "lash/kept-state;v=1"),
        (b'{"bodies":[7]}', "lash/kept-bodies;v=1"),
        (b'{"bodies":[]', "lash/kept-bodies;v=1"),
        (b'{"bodies":[]}', "lash/kept-bodies;v=0"),
    ],
)
def test_what_is_no_body_of_a_trim_is_refused(stored: bytes, media_type: str) -> None:
    with pytest.raises(UndecodableValue):
        decode_trim_content(stored, media_type)


def _body(position: int) -> RecordedBody:
    ref = BodyRef(position=Position(position), ordinal=0)
    return RecordedBody(
        ref=ref, commitment=Commitment(digest="d" * 64, bytes_count=1, media_type="t")
    )


@pytest.mark.parametrize("bytes_max", [1, 400, 1_000, 10**6])
def test_pages_are_bounded_and_lose_nothing(bytes_max: int) -> None:
    bodies = [_body(position) for position in range(10)]
    pages = list(pages_of(bodies, lambda taken: BodyPage(bodies=taken), bytes_max))

    assert [body for page in pages if isinstance(page, BodyPage) for body in page.bodies] == bodies
    for page in pages:
        assert isinstance(page, BodyPage)
        size = len(encode_trim_content(page, SALT).content)
        assert size <= bytes_max + 20 or len(page.bodies) == 1
    assert (len(pages) == 1) == (bytes_max == 10**6)
    assert (len(pages) == 10) == (bytes_max == 1)


def test_no_items_make_no_page() -> None:
    assert list(pages_of([], lambda taken: BodyPage(bodies=taken), 100)) == []
